"""The engine's port to Ansible, and the only place that imports ansible or ansible_runner.

``ports`` says what the engine may ask for; ``real`` does it with ansible-runner, ``fake`` with a fleet
in memory that writes the same journal; ``inventory`` and ``playbooks`` read what the engine plans with.
Nothing heavy is imported here.
"""
