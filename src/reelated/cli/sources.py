"""From `SOURCE` to a fitted `Recommender`: load a saved model, or read, fit and cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import reelated
from reelated.cache import cache_folder, is_sample
from reelated.cli.progress import working
from reelated.cli.show import print_note
from reelated.errors import DataWarning, InputError, UnknownId, shorten
from reelated.formatting import with_year

if TYPE_CHECKING:
    from collections.abc import Callable

    from reelated.data import ValidationReport
    from reelated.ratings import Dataset
    from reelated.recommender import Recommender, SearchHit

RECOMMENDER_SETTINGS = {"recency_half_life", "recency_floor"}
"""Settings of the `Recommender` itself; those of the rater begin with `rater__`, all others belong to the ranker."""
DEFAULT_MODELS = {"ranker": "ease", "rater": "bpmf"}
"""The model that a setting belongs to if no model is named."""
RankerName = Literal["ease", "item-knn", "popularity", "none"]
RaterName = Literal["bpmf", "item-knn", "bias", "none"]
MAX_CACHED = 8
"""Maximum number of cached models; the least recently used is evicted first."""


@dataclass(frozen=True)
class Options:
    """The command-line options of reading and fitting."""

    reading: dict[str, Any] = field(default_factory=dict)  # the arguments of `reelated.read` that are not its defaults
    preset: str = "default"
    ranker: str | None = None
    rater: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    max_memory: str | None = None

    def recommender(self) -> Recommender:
        """Return the chosen recommender, unfitted."""
        rec = reelated.textbook() if self.preset == "textbook" else reelated.Recommender()
        rec.max_memory = self.max_memory
        if self.ranker is None and self.rater is None and not self.settings:
            return rec
        if self.preset == "textbook":
            raise InputError("--preset textbook has fixed models and settings: leave out --ranker, --rater and --set.")
        of_models: dict[str, dict[str, Any]] = {"ranker": {}, "rater": {}}
        for name, value in self.settings.items():
            if name in RECOMMENDER_SETTINGS:
                setattr(rec, name, value)
            else:
                role, _, own = name.partition("__")
                role, own = (role, own) if own and role in of_models else ("ranker", name)
                of_models[role][own] = value
        for role, settings in of_models.items():
            if getattr(self, role) or settings:
                setattr(rec, role, _model(role, getattr(self, role) or DEFAULT_MODELS[role], settings))
        return rec


def _model(role: str, model: str, settings: dict[str, Any]) -> Any:
    """Return a model with its settings; None for `none`."""
    if model == "none" and not settings:
        return None
    from reelated.models import MODELS

    known = MODELS[model]().get_params() if model != "none" else {}
    for name in settings:
        if name not in known:
            raise InputError(_unknown(role, model, name, known))
    return MODELS[model](**settings)


def _unknown(role: str, model: str, name: str, known: dict[str, Any]) -> str:
    """Return the message for an unknown setting, with the model that has it."""
    from reelated.models import MODELS

    names = get_args(RankerName if role == "ranker" else RaterName)
    owners = [other for other in names if other != "none" and name in MODELS[other]().get_params()]
    hint = f" To set it, give --{role} {owners[0]}." if owners else ""
    prefix = "rater__" * (role == "rater")
    expected = ", ".join([*(f"{prefix}{own}" for own in known), *sorted(RECOMMENDER_SETTINGS)])
    return f"--set {shorten(prefix + name)}: expected a setting of {model}: {expected}.{hint}"


def is_model(source: str) -> bool:
    """Return whether a source is a saved model."""
    return (Path(source) / "model.json").is_file()


def open_source(source: str, options: Options) -> Recommender:
    """Return a fitted recommender for a source, from the cache if possible."""
    if is_model(source):
        if options != Options():
            raise InputError(
                f"SOURCE {shorten(source)}: got options for reading or fitting with a saved model, which is "
                "already fitted. Leave them out, or give the ratings."
            )
        return reelated.Recommender.load(source)
    try:
        cached = _cache_path(source, options)
    except InputError:  # no cache folder
        return fit_source(source, options)
    if cached.exists():
        try:
            rec = reelated.Recommender.load(cached)
        except InputError:  # an older format, or damaged: fit again
            _remove(cached)
        else:
            cached.touch()  # the modification time orders the eviction
            return rec
    fitted = fit_source(source, options)
    with suppress(OSError, InputError):  # a full or read-only disk must not prevent the result
        fitted.save(cached)
        _evict(cached.parent)
    return fitted


def fit_source(source: str, options: Options) -> Recommender:
    """Read a source and fit to it, with a progress bar."""
    with working() as progress:
        return options.recommender().fit(read_source(source, options), progress=progress)


def read_source(source: str, options: Options) -> Dataset:
    """Read a source of ratings; a saved model is refused."""
    return _read(reelated.read, source, options.reading)


def check_source(source: str, options: Options) -> ValidationReport:
    """Validate a source of ratings; a saved model is refused."""
    return _read(reelated.validate, source, options.reading)


def _read(function: Callable[..., Any], source: str, reading: dict[str, Any]) -> Any:
    if is_model(source):
        raise InputError(f"SOURCE {shorten(source)}: expected ratings, and this is a saved model. Use it as it is.")
    with warnings.catch_warnings(category=DataWarning, action="ignore"):  # the data or the report holds the same notes
        return function(source, **reading)


def _cache_path(source: str, options: Options) -> Path:
    """Return the cache path of a fitted model: a hash of the data, the options and the code."""
    # The newest modification time of the package invalidates the cache when the code changes without a new version.
    package = Path(reelated.__file__).parent
    code = max(path.stat().st_mtime_ns for kind in ("*.py", "*.csv") for path in package.rglob(kind))
    tables = (options.reading.get(name) for name in ("items", "users"))
    files = [each for each in (source, *tables) if each and not is_sample(each)]
    parts = [reelated.__version__, str(code), repr(options), *(reelated.data.fingerprint(each) for each in files)]
    key = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
    models = cache_folder() / "models"
    with suppress(OSError):
        models.mkdir(mode=0o700, exist_ok=True)
        models.chmod(0o700)  # the models contain ratings, and a cache folder that exists may be open to others
    return models / f"{key}.model"


def _remove(cached: Path) -> None:
    """Remove a cache entry, whatever it is; an entry that cannot be removed is not used."""
    shutil.rmtree(cached, ignore_errors=True)
    with suppress(OSError):  # a file
        cached.unlink(missing_ok=True)


def _evict(folder: Path) -> None:
    """Remove the least recently used models from the cache."""
    models = sorted(folder.glob("*.model"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in models[MAX_CACHED:]:
        shutil.rmtree(old, ignore_errors=True)


def find_item(rec: Recommender, text: str, option: str = "--item") -> Any:
    """Return the id of the item with this id or title; an existing id takes precedence."""
    item_id, title = rec.item_ids.parse(text), text.removeprefix("title:").strip()
    if not title:
        raise InputError(f"{option} {shorten(text)}: expected the id of an item, or its title.")
    if not text.startswith("title:") and item_id in rec.catalogue_.known_ids:
        return item_id
    matches = list(rec.find(title, n=8))
    best = _best_matches(title, matches)
    if text == title and isinstance(item_id, int):  # a number is an id unless it equals a whole title
        best = matches = [match for match in best if match.match == 100]
    if len(best) == 1:
        if title.casefold() not in _full_title(best[0]).casefold():
            print_note(f"{title!r} is taken to mean {_full_title(best[0])}")
        return best[0].item_id
    if not matches:
        raise UnknownId(f"{option} {shorten(title)}: no item has such an id or title. Search with: reelated find")
    width = max(len(str(match.item_id)) for match in matches)
    lines = "".join(f"\n  {match.item_id!s:>{width}}  {_full_title(match)}" for match in matches)
    raise InputError(f"{option} {shorten(title)} matches several items. Give an id or more of the title:{lines}")


def _full_title(match: SearchHit) -> str:
    return with_year(match.title, match.year)


def _best_matches(title: str, matches: list[SearchHit]) -> list[SearchHit]:
    """Return the exact matches of a title, otherwise the partial matches, otherwise a clearly best fuzzy match."""
    exact = [match for match in matches if match.match == 100]
    partial = [match for match in matches if title.casefold() in match.title.casefold()]
    if exact or partial:
        return exact or partial
    next_best = matches[1].match if len(matches) > 1 else 0.0
    return matches[:1] if matches and matches[0].match >= max(70, next_best + 5) else []
