"""`ServiceOptions`: the configuration of the service."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from reelated.errors import InputError, check_integer, check_number

MIN_KEY_LENGTH = 16
MIN_KEY_CHARACTERS = 8
_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServiceOptions:
    """Options of the service. Each is also an environment variable: `refit_after` is `REELATED_REFIT_AFTER`."""

    store: str | None = None  # URL; None: a SQLite file in the user's data folder
    models: str | None = None  # folder; None: beside the store
    api_key: str | None = None  # None: only this machine may use the service
    host: str = "127.0.0.1"  # address to listen on
    proxy: bool = False  # behind a reverse proxy
    refit_after: int = 1000  # changed ratings; fewer if the model was fitted to fewer ratings
    refit_every: float = 24.0  # hours, if any rating has changed
    poll: float = 2.0  # seconds between checks for a new model
    learn_from_visitors: bool = False  # fit to the ratings of anonymous visitors too
    image_origin: str | None = None  # the one origin from which the pages show pictures of items

    def __post_init__(self) -> None:
        check_integer("refit_after", self.refit_after, 1)
        check_number("refit_every", self.refit_every, 0)
        check_number("poll", self.poll, 0.01)
        if self.image_origin is not None and not _ORIGIN.fullmatch(self.image_origin):  # it becomes part of a header
            expected = "expected an origin without a path, such as https://images.example.org."
            raise InputError(expected, parameter="image_origin", value=self.image_origin)
        if self.api_key is not None and len(self.api_key) < MIN_KEY_LENGTH:
            raise InputError(f"REELATED_API_KEY is too short: expected {MIN_KEY_LENGTH} characters or more.")
        if self.api_key is not None and not (self.api_key.isascii() and len(set(self.api_key)) >= MIN_KEY_CHARACTERS):
            raise InputError(
                "REELATED_API_KEY is easy to guess, or a client cannot send it: expected ASCII, and "
                f"{MIN_KEY_CHARACTERS} different characters or more."
            )
        if self.api_key is None and (self.proxy or self.host not in LOOPBACK):
            where = "behind a proxy" if self.proxy else f"on {self.host}"
            raise InputError(
                f"A service {where} needs a key. Set REELATED_API_KEY to {MIN_KEY_LENGTH} characters or more, such as "
                "the output of: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )

    def __repr__(self) -> str:
        # Logs and tracebacks must not show the key, nor a password in the URL of the store.
        return f"ServiceOptions(host={self.host!r}, api_key={'None' if self.api_key is None else '…'})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServiceOptions":
        """Read the options from `REELATED_…` environment variables."""
        variables = os.environ if environment is None else environment
        hints, values = get_type_hints(cls), {}
        for field in fields(cls):
            text = variables.get(variable(field.name))
            if text:
                values[field.name] = _read(field.name, text, hints[field.name])
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """Return the environment variables from which workers read these options."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {variable(name): str(value) for name, value in values.items() if value not in (None, False)}


def variable(option: str) -> str:
    """Return the name of the environment variable of an option."""
    return f"REELATED_{option.upper()}"


def _read(option: str, text: str, kind: Any) -> Any:
    """Parse the value of an environment variable as the type of its option."""
    if kind is bool:
        return text.lower() in ("1", "true", "yes")
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        raise InputError("expected a number.", parameter=variable(option), value=text) from None
