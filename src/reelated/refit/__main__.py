"""`python -m reelated.refit`: one refit in a process of its own, which the service runs at low priority.

The environment variables `REELATED_STORE` and `REELATED_MODELS` name the store and the folder, because a password must
not appear in the list of processes. `REELATED_INSTEAD_OF` is the version to replace; by default any.
"""

import os
import sys
from contextlib import closing

from reelated.errors import InputError
from reelated.refit.refitting import refit
from reelated.refit.versions import Versions
from reelated.store import Store


def main() -> None:
    """Run one refit; the models folder records the result."""
    try:
        folder, number = os.environ.get("REELATED_MODELS"), os.environ.get("REELATED_INSTEAD_OF") or None
        if not folder:
            expected = "is not set. Expected the folder of the models; `reelated refit` finds it by itself."
            raise InputError(expected, parameter="REELATED_MODELS")
        if number is not None and not number.isdecimal():
            raise InputError("expected the number of a version.", parameter="REELATED_INSTEAD_OF", value=number)
        instead_of = None if number is None else int(number)
        with_visitors = os.environ.get("REELATED_LEARN_FROM_VISITORS") == "True"
        with closing(Store(os.environ.get("REELATED_STORE"))) as store:
            refit(store, Versions(folder), instead_of=instead_of, with_visitors=with_visitors)
    except InputError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":  # a spawned process must not refit
    main()
