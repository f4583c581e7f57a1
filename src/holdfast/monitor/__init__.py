"""``holdfast check SYSTEM`` for monitoring: no Ansible, no inventory, a fraction of a second of processor time."""
