"""The way in: every error in one clear sentence, and the exit code that goes with it."""

import os
import sys
import warnings

from reelated.errors import InputError


def main() -> None:
    """Run the `reelated` command: exit 0 when done, 1 for unusable input, 2 for wrong usage, 130 when interrupted."""
    os.environ.setdefault("POLARS_MAX_THREADS", str(os.cpu_count() or 1))
    from reelated.cli.commands import app

    warnings.simplefilter("ignore")  # what reading changed is told by the recommender's notes
    try:
        app()
    except InputError as error:
        sys.exit(_say(f"Error: {error}"))
    except KeyboardInterrupt:
        _say("Interrupted. Nothing was left half done.")
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        sys.exit(_say(f"Error: {error.filename or 'the system'}: {error.strerror or error}."))
    except MemoryError:
        sys.exit(_say("Error: not enough memory. Lower n_neighbors with --set, or free some."))


def _say(message: str) -> int:
    """Print to standard error; a terminal's control characters in names do not pass."""
    print("".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in message), file=sys.stderr)  # noqa: T201
    return 1
