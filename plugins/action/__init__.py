"""Refuses to load the collection's plugins without the Python package of the same version.

Ansible imports this file before any plugin of an installed collection, and never in a plain checkout (docs/adr/0070).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import NoReturn

from ansible.errors import AnsibleError

VERSION = "0.1.0"  # `make version` writes it, here and in every other place


class RefusedPackage(ModuleType):
    """Stands for the package ``holdfast``: to import anything from it is an error that says what to install.

    An error raised while this file is imported would be hidden: Ansible takes the plugins for absent then.
    """

    def __getattr__(self, name: str) -> NoReturn:
        """Raise the error.

        Raises:
            AnsibleError: always; the docstring of the module is its message.
        """
        raise AnsibleError(self.__dict__["__doc__"])


def installed_version() -> str:
    """Return the version of the Python package, "" where there is none."""
    try:
        from holdfast import __version__  # noqa: PLC0415 - whether this works is the question
    except ImportError:
        return ""
    return __version__


def refuse_other_versions(found: str) -> None:
    """Let nothing be imported from the package, unless it has the collection's version."""
    if found == VERSION:
        return
    has = f"which has {found}" if found else "which has none"
    sys.modules["holdfast"] = RefusedPackage(
        "holdfast",
        f"The collection holdfast.holdfast {VERSION} needs the Python package holdfast {VERSION} in the Python that "
        f"runs Ansible, {has}; this task did nothing. Install it: {sys.executable} -m pip install holdfast=={VERSION}",
    )


refuse_other_versions(installed_version())
