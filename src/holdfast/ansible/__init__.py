"""What the engine uses of Ansible, and the only part that imports ansible_runner.

``interfaces`` has the engine's interfaces. ``play_runner`` starts plays with ansible-runner,
``inventory`` reads a site and ``playbooks`` the policies, for plans. Nothing heavy is imported here.
"""
