"""A light compute: what nova-compute is to its broker, its conductor and systemd, in 10 MB, without a hypervisor."""
