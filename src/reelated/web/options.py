"""`ServiceOptions`: where the service finds what it serves, and who may ask."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from reelated.errors import InputError, check_integer, check_number

SHORTEST_KEY = 16
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServiceOptions:
    """How a service runs. Each option is also a variable: `refit_after` is `REELATED_REFIT_AFTER`.

    Attributes
    ----------
    store : str or None
        The URL of the store; by default a SQLite file in the user's data folder.
    models : str or None
        The folder of the models; by default beside the store.
    api_key : str or None
        What those who may see users must show. Without one the service is for this machine alone.
    host : str
        The address that is listened on.
    proxy : bool
        Whether it stands behind a proxy, and forwarded headers are no sign of a mistake.
    refit_after : int
        The most changed ratings until a refit; it comes sooner while the model was fitted to fewer ratings than these.
    refit_every : float
        So many hours later it is too, if any rating has changed.
    poll : float
        How often a worker looks for a new model, in seconds.
    learn_from_visitors : bool
        Whether what visitors of the page rate is part of what the model is fitted to.
    """

    store: str | None = None
    models: str | None = None
    api_key: str | None = None
    host: str = "127.0.0.1"
    proxy: bool = False
    refit_after: int = 1000
    refit_every: float = 24.0
    poll: float = 2.0
    learn_from_visitors: bool = False

    def __post_init__(self) -> None:
        check_integer("refit_after", self.refit_after, 1)
        check_number("refit_every", self.refit_every, 0)
        check_number("poll", self.poll, 0.01)
        if self.api_key is not None and len(self.api_key) < SHORTEST_KEY:
            raise InputError(f"REELATED_API_KEY is too short: expected {SHORTEST_KEY} characters or more.")
        if self.api_key is None and (self.proxy or self.host not in LOOPBACK):
            where = "behind a proxy" if self.proxy else f"on {self.host}"
            raise InputError(
                f"Without a key this service is for this machine alone, and not {where}. Set REELATED_API_KEY to "
                f"{SHORTEST_KEY} characters or more, such as what this prints: "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )

    def __repr__(self) -> str:
        return f"ServiceOptions(host={self.host!r}, api_key={'None' if self.api_key is None else '…'})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServiceOptions":
        """Read the options from `REELATED_…` variables."""
        told = os.environ if environment is None else environment
        hints, given = get_type_hints(cls), {}
        for field in fields(cls):
            text = told.get(variable(field.name))
            if text:
                given[field.name] = _read(field.name, text, hints[field.name])
        return cls(**given)

    def to_environment(self) -> dict[str, str]:
        """Return the variables from which workers read these options."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {variable(name): str(value) for name, value in values.items() if value not in (None, False)}


def variable(option: str) -> str:
    """Return the name of an option's variable."""
    return f"REELATED_{option.upper()}"


def _read(option: str, text: str, kind: Any) -> Any:
    """Return a variable's text as the option's type."""
    if kind is bool:
        return text.lower() in ("1", "true", "yes")
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        raise InputError(f"{variable(option)}={text!r}: expected a number.") from None
