"""Delete the allocations of consumers, each once, with nova's own account: on a host of nova, CONFIG UUID….

Placement's URL and the login are those of nova.conf. Prints each consumer with the status; ends with 1 where one was no
success.
"""

import sys

from keystoneauth1 import loading
from oslo_config import cfg

DONE = (204, 404)  # 404: it has none any more


def main() -> int:
    """Return the exit status."""
    config, *consumers = sys.argv[1:]
    conf = cfg.ConfigOpts()
    for register in (
        loading.register_auth_conf_options,
        loading.register_session_conf_options,
        loading.register_adapter_conf_options,
    ):
        register(conf, "placement")
    conf([], default_config_files=[config])
    auth = loading.load_auth_from_conf_options(conf, "placement")
    session = loading.load_session_from_conf_options(conf, "placement", auth=auth, timeout=10)
    client = loading.load_adapter_from_conf_options(
        conf, "placement", session=session, service_type="placement"
    )
    statuses = {
        each: client.delete(f"/allocations/{each}", raise_exc=False).status_code
        for each in consumers
    }
    sys.stdout.writelines(f"{consumer} {status}\n" for consumer, status in statuses.items())
    return 0 if all(status in DONE for status in statuses.values()) else 1


sys.exit(main())
