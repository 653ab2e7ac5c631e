"""The terminal: one command, one verb; it reads options, calls the library and prints."""

from reelated.cli.main import main

__all__ = ["main"]
