"""Creates, shows or deletes a server, on a host of nova with the account of its nova.conf.

Read from standard input there: ``python3 - create HOST``, ``show ID``, ``delete ID``, or ``unlimited quota``, which
lifts that of its project. Prints the id of what was created, the state of what is shown.
"""

import sys

from keystoneauth1 import loading
from oslo_config import cfg

VERSION = {"OpenStack-API-Version": "compute 2.74"}


def main() -> None:
    """Send the request."""
    what, name = sys.argv[1:]
    conf = cfg.ConfigOpts()
    loading.register_auth_conf_options(conf, "placement")
    loading.register_session_conf_options(conf, "placement")
    conf([], default_config_files=["/etc/nova/nova.conf"])
    auth = loading.load_auth_from_conf_options(conf, "placement")
    session = loading.load_session_from_conf_options(conf, "placement", auth=auth, timeout=60)
    compute = {"endpoint_filter": {"service_type": "compute"}, "headers": VERSION}
    if what == "create":
        image = session.get("/v2/images", endpoint_filter={"service_type": "image"}).json()[
            "images"
        ]
        wanted = {
            "name": "holdfast-lab",
            "flavorRef": "lab",
            "imageRef": image[0]["id"],
            "networks": "none",
            "host": name,
        }
        made = session.post("/servers", json={"server": wanted}, **compute).json()["server"]["id"]
        sys.stdout.write(f"{made}\n")
    elif what == "delete":
        session.delete(f"/servers/{name}", **compute)
    elif what == "unlimited":
        lifted = {"quota_set": {"instances": -1, "cores": -1, "ram": -1, "force": True}}
        session.put(f"/os-quota-sets/{session.get_project_id()}", json=lifted, **compute)
    else:
        sys.stdout.write(
            session.get(f"/servers/{name}", **compute).json()["server"]["status"] + "\n"
        )


main()
