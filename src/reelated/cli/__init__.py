"""The command line: each command reads its options, calls the library and prints the result."""

import sys

try:
    from reelated.cli.main import main
except KeyboardInterrupt:  # Ctrl-C while the libraries are loaded, before `main` can catch it
    sys.exit(130)

__all__ = ["main"]
