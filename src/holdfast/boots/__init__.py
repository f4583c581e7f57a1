"""The boot test: servers are booted on every compute at once through nova's API, waited for, classified and deleted.

``model``, ``failures`` and the summaries are pure; ``boot_loop`` is given nova, the clock and the wait; ``nova`` asks
nova's API, ``galera`` the databases; ``records`` keeps what was made, so that it can be deleted later (docs/adr/0065).
"""
