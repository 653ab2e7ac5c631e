"""`python -m reelated`: the same as the command `reelated`."""

from reelated.cli import main

main()
