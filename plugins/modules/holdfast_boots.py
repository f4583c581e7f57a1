"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_boots
short_description: Boot servers on computes through nova's API, wait for them, delete them and say how each ended
description:
  - Takes shared leases on nova, and on the site's brokers and databases, for as long as it lasts. Refuses where another
    run changes one of them.
  - Asks for each server and each deletion once. Deletes what carries the test's id in its metadata and nothing else,
    also after an error.
  - Writes the test's record before the first request, so that what a test that died has left can be deleted later.
  - Fails unless every server is deleted and no more failed than may.
options:
  state:
    description: V(deleted) deletes what a test that died has left.
    type: str
    choices: [booted, deleted]
    default: booted
  id:
    description: The test's id; one is made where it is empty.
    type: str
    default: ""
  options:
    description: >-
      C(flavor) and C(image), each an id or a name; C(per_host) (1), C(sample) (0, all), C(network) (V(none), or an id),
      C(at_once) (20), C(within) (300 s), C(failures) (0).
    type: dict
    default: {}
  hosts:
    description: The computes to choose from; all of the group nova_compute where it is empty.
    type: list
    elements: str
    default: []
  records:
    description: The directory of the records; that of Holdfast's state where it is empty.
    type: str
    default: ""
  stop_file:
    description: The test stops, and cleans up, as soon as this file is there.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Boot a server on every compute
  holdfast_boots:
    options: {flavor: m1.tiny, image: cirros}
"""

RETURN = r"""
test:
  description: The test's record.
  returned: where servers were booted
  type: dict
left:
  description: The servers that are not known to be deleted.
  returned: with V(state=deleted)
  type: list
  elements: str
"""
