"""The command line: each command reads its options, calls the library and prints the result.

The entry point, `main`, turns an error into a message on stderr and an exit code.
"""

import atexit
import gc
import os
import sys

try:
    from reelated.errors import InputError
    from reelated.formatting import printable
except KeyboardInterrupt:  # Ctrl-C before `main` can catch it
    sys.exit(130)


def main() -> None:
    """Run the `reelated` command: exit 0 when done, 1 for unusable input, 2 for wrong usage, 130 when interrupted."""
    gc.set_threshold(100_000)  # importing the libraries would start some 70 collections, a tenth of a short command
    atexit.register(gc.freeze)  # the ending interpreter would collect all objects, a fifth of a short command
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # an ASCII terminal prints "?" instead of failing
    try:
        _run()
    except InputError as error:
        from reelated.cli.words import TERMINAL  # imported late: it imports the models

        sys.exit(_print_error(error.render(TERMINAL)))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of the pipe, such as `head`, has closed it
        # Python flushes stdout once more at exit, and without this would print a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        sys.exit(_print_error(f"{error.filename or 'the system'}: {error.strerror or error}."))
    except MemoryError:
        sys.exit(_print_error("not enough memory. Free some, read a part of the data, or lower --set n_neighbors=100."))


def _run() -> None:
    from reelated.cli.commands import app

    try:
        app()
    finally:
        sys.stdout.flush()  # so that `main` can catch a broken pipe


def _print_error(message: str) -> int:
    """Print a message to stderr without control characters; return exit code 1."""
    print(*map(printable, f"Error: {message}".split("\n")), sep="\n", file=sys.stderr)  # noqa: T201
    return 1
