"""The command line: arguments, output on a terminal, exit codes. Decides nothing and touches no host."""

from holdfast.cli.app import main

__all__ = ["main"]
