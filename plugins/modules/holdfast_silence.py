"""Documentation of the action plugin of the same name, which runs on the controller."""

DOCUMENTATION = r"""
module: holdfast_silence
short_description: Silence what a host's turn disturbs, and end that when the host is done
description:
  - Places a silence in Alertmanager, a downtime in Icinga, or both, as the host's C(holdfast_alertmanager_silence) and
    C(holdfast_icinga_downtime) say. Where one of the services refuses, none stays and the task fails; nothing was
    touched.
  - Refuses what any other host of the play's group would silence as well, or any other host at all where the group has
    one host, since it does not select this host.
  - What the same run has placed for the host before is replaced. Silences of others are never touched.
  - Journals what was placed, until when, and the command that ends it. A silence that cannot be ended is a warning; it
    ends by itself.
options:
  state:
    description: V(placed) before the first act on the host, V(ended) when the host is done.
    type: str
    choices: [placed, ended]
    required: true
"""

EXAMPLES = r"""
- name: Silence what this host's turn disturbs
  holdfast_silence:
    state: placed
"""

RETURN = r"""
warnings:
  description: The silences that could not be ended, and why.
  returned: where there are any
  type: list
  elements: str
"""
