"""The command line: words on a terminal, and exit codes. Decides nothing and touches no host."""

from holdfast.cli.app import main

__all__ = ["main"]
