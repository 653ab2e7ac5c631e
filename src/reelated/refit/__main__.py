"""`python -m reelated.refit`: one refit in a process of its own, which the service runs at low priority.

The environment variables `REELATED_STORE` and `REELATED_MODELS` name the store and the folder, because a password must
not appear in the list of processes.
"""

import os

from reelated.refit.refitting import refit
from reelated.refit.versions import Versions
from reelated.store import Store


def main() -> None:
    """Run one refit; the models folder records the result."""
    store = Store(os.environ.get("REELATED_STORE"))
    try:
        instead_of = int(os.environ.get("REELATED_INSTEAD_OF") or 0)
        with_visitors = os.environ.get("REELATED_LEARN_FROM_VISITORS") == "True"
        refit(store, Versions(os.environ["REELATED_MODELS"]), instead_of=instead_of, with_visitors=with_visitors)
    finally:
        store.close()


if __name__ == "__main__":  # a spawned process must not refit
    main()
