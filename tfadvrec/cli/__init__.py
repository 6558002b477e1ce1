"""The command line: every verb is one call of the library."""

from tfadvrec.cli.app import main

__all__ = ["main"]
