"""`python -m reelated.refit`: one refit in a process of its own, which the service lets give way to all others.

`REELATED_STORE` and `REELATED_MODELS` say of what and where to, for a password must not stand in the list of processes.
"""

import os

from reelated.refit.refitting import refit
from reelated.refit.versions import Versions
from reelated.store import Store


def main() -> None:
    """Refit; how it went is told by the folder of the models."""
    store = Store(os.environ.get("REELATED_STORE"))
    try:
        instead_of = int(os.environ.get("REELATED_INSTEAD_OF") or 0)
        with_visitors = os.environ.get("REELATED_LEARN_FROM_VISITORS") == "True"
        refit(store, Versions(os.environ["REELATED_MODELS"]), instead_of=instead_of, with_visitors=with_visitors)
    finally:
        store.close()


if __name__ == "__main__":  # the threads of the fit are no processes, and a spawned one does nothing
    main()
