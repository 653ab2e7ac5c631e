"""Turn `SOURCE` into a fitted `Recommender`: load a saved model, or read, fit and cache."""

import hashlib
import json
import shutil
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

import reelated
from reelated.cli.progress import errors, working
from reelated.data import cache_folder, fingerprint, read
from reelated.errors import DataWarning, InputError, UnknownId, shorten
from reelated.models import MODELS
from reelated.ratings import Dataset
from reelated.recommender import PRESETS, Match, Recommender
from reelated.recommender.rows import printable, with_year

AGEING = {"recency_half_life", "recency_floor"}
"""Settings of the `Recommender` itself; all other settings belong to the ranking model."""
KEPT = 8
"""Size of the cache of fitted models; eviction is least recently used first."""


@dataclass(frozen=True)
class Options:
    """The command-line options of reading and fitting."""

    columns: dict[str, str | None] = field(default_factory=dict)
    scale: tuple[float, ...] | None = None
    duplicates: str = "last"
    invalid: str = "error"
    items: str | None = None
    users: str | None = None
    noun: str | None = None
    preset: str = "default"
    model: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    max_memory: str | None = None

    @property
    def reading(self) -> dict[str, Any]:
        """The arguments for `reelated.read`."""
        names = ("columns", "scale", "duplicates", "invalid", "items", "users", "noun")
        return {name: getattr(self, name) or None for name in names}

    def recommender(self) -> Recommender:
        """Return the chosen recommender, unfitted."""
        made: Recommender = PRESETS[self.preset]()
        made.max_memory = self.max_memory
        if self.model is None and not self.settings:
            return made
        if self.preset == "textbook":
            raise InputError("--preset textbook is the textbook method and nothing else: leave out --model and --set.")
        model, settings = MODELS[self.model or "ease"](), dict(self.settings)
        for name in AGEING & settings.keys():
            setattr(made, name, settings.pop(name))
        for name in settings:
            if name not in model.get_params():
                raise InputError(_unknown(name, self.model or "ease"))
        made.ranker = model.set_params(**settings)
        return made


def _unknown(name: str, model: str) -> str:
    """Return the message for an unknown setting, with the model that has it."""
    owners = [other for other, cls in MODELS.items() if other != "bias" and name in cls().get_params()]
    hint = f" For that one give --model {owners[0]}." if owners else ""
    known = ", ".join([*MODELS[model]().get_params(), *sorted(AGEING)])
    return f"--set {shorten(name)}: expected a setting of {model}: {known}.{hint}"


def is_model(source: str) -> bool:
    """Return whether a source is a saved model."""
    return (Path(source) / "model.json").is_file()


def open_source(source: str, options: Options) -> Recommender:
    """Return a fitted recommender for a source, from the cache if possible."""
    if is_model(source):
        if options != Options():
            raise InputError(
                f"SOURCE {shorten(source)}: got options on reading or fitting with a saved model, which is read and "
                "fitted already. Leave them out, or give the ratings."
            )
        return Recommender.load(source)
    try:
        kept = _kept(source, options)
    except InputError:  # no cache folder
        return fit_source(source, options)
    if kept.exists():
        try:
            found = Recommender.load(kept)
        except InputError:  # an older format, or damaged: fit again
            shutil.rmtree(kept, ignore_errors=True)
        else:
            kept.touch()  # the modification time orders the eviction
            return found
    fitted = fit_source(source, options)
    with suppress(OSError, InputError):  # a full or read-only disk must not prevent the result
        fitted.save(kept)
        _tidy(kept.parent)
    return fitted


def fit_source(source: str, options: Options) -> Recommender:
    """Read a source and fit to it, with a progress bar."""
    with working() as progress:
        return options.recommender().fit(read_source(source, options), progress=progress)


def read_source(source: str, options: Options) -> Dataset:
    """Read a source of ratings; a saved model is refused."""
    if is_model(source):
        raise InputError(f"SOURCE {shorten(source)}: expected ratings, and this is a saved model. Use it as it is.")
    with warnings.catch_warnings(category=DataWarning, action="ignore"):  # `Dataset.notes` holds the same messages
        return read(source, **{name: value for name, value in options.reading.items() if value is not None})


def _kept(source: str, options: Options) -> Path:
    """Return the cache path of a fitted model; its key hashes the data, the options and the code."""
    # The newest modification time of the package invalidates the cache when the code changes without a new version.
    code = max(path.stat().st_mtime_ns for path in Path(reelated.__file__).parent.rglob("*.py"))
    said = [reelated.__version__, str(code), fingerprint(source), repr(options)]
    said += [fingerprint(extra) for extra in (options.items, options.users) if extra]
    key = hashlib.blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()
    return cache_folder() / "models" / f"{key}.model"


def _tidy(folder: Path) -> None:
    models = sorted(folder.glob("*.model"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in models[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def find_item(rec: Recommender, text: str, option: str = "--item") -> Any:
    """Return the id of the item with this id or title; `option` is the option's name for error messages.

    An existing id takes precedence; `title:300` forces the title. A title, whole or partial, must match one item.
    """
    item_id, wanted = rec.item_ids.parse(text), text.removeprefix("title:").strip()
    if not wanted:
        raise InputError(f"{option} {shorten(text)}: expected the id of an item, or its title.")
    if not text.startswith("title:") and item_id in rec.catalogue_.known_ids:
        return item_id
    found = list(rec.find(wanted, n=8))
    meant = _meant(wanted, found)
    if text == wanted and isinstance(item_id, int):  # a number is an id unless it equals a whole title
        meant = found = [match for match in meant if match.match == 100]
    if len(meant) == 1:
        if wanted.casefold() not in _named(meant[0]).casefold():
            errors.print(Text(printable(f"note: {wanted!r} is taken for {_named(meant[0])}"), style="yellow"))
        return meant[0].item_id
    if not found:
        raise UnknownId(f"{option} {shorten(wanted)}: no item has such an id or title. Look for it with: reelated find")
    lines = "".join(f"\n  {match.item_id}  {_named(match)}" for match in found)
    raise InputError(f"{option} {shorten(wanted)} could be any of these. Give an id, or more of the title:{lines}")


def _named(match: Match) -> str:
    return with_year(match.title, match.year)


def _meant(wanted: str, found: list[Match]) -> list[Match]:
    """Return the exact matches of a title, else the partial ones, else a clearly best fuzzy match."""
    exact = [match for match in found if match.match == 100]
    partly = [match for match in found if wanted.casefold() in match.title.casefold()]
    if exact or partly:
        return exact or partly
    next_best = found[1].match if len(found) > 1 else 0.0
    return found[:1] if found and found[0].match >= max(70, next_best + 8) else []


def plan_source(source: str, options: Options) -> tuple[Dataset, int]:
    """Return the data and the estimated peak memory of a fit in bytes, the data not included."""
    data = read_source(source, options)
    return data, options.recommender().plan(data)
