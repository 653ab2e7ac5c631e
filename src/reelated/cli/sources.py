"""`SOURCE` → a fitted `Recommender`: a saved model is opened; all else is read, fitted and kept for next time."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reelated
from reelated.cli.progress import working
from reelated.data import cache_folder, fingerprint, read
from reelated.errors import InputError, check_choice, shorten
from reelated.models import ItemKNN
from reelated.ratings import Dataset
from reelated.recommender import PRESETS, Match, Recommender
from reelated.recommender.answers import with_year

KEPT = 8
"""Fitted models kept in the cache; the one that was not used for longest goes first."""


@dataclass(frozen=True)
class Options:
    """How to read a source and which model to fit to it, as the terminal's options say it."""

    columns: dict[str, str | None] = field(default_factory=dict)
    scale: tuple[float, ...] | None = None
    duplicates: str = "last"
    invalid: str = "error"
    movies: str | None = None
    users: str | None = None
    preset: str = "default"
    model: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    max_memory: str | None = None

    @property
    def reading(self) -> dict[str, Any]:
        """The arguments of `reelated.read`."""
        names = ("columns", "scale", "duplicates", "invalid", "movies", "users")
        return {name: getattr(self, name) or None for name in names}

    def recommender(self) -> Recommender:
        """Return the recommender asked for, not yet fitted."""
        made: Recommender = PRESETS[check_choice("--preset", self.preset, PRESETS)]()
        made.max_memory = self.max_memory
        if self.model is None and not self.settings:
            return made
        if self.preset == "recipe":
            raise InputError("--preset recipe is the recipe and nothing else: leave out --model and --set.")
        made.ranker = self._ranker()
        return made

    def _ranker(self) -> ItemKNN:
        if self.model is not None:
            check_choice("--model", self.model, ("item-knn",))
            model = ItemKNN()
        else:
            model = ItemKNN(weighting="tf-idf", n_neighbors=200, shrinkage=10)
        for name in self.settings:
            check_choice("--set", name, model.get_params())
        return model.set_params(**self.settings)  # type: ignore[no-any-return]


def is_model(source: str) -> bool:
    """Say whether a source is a saved model."""
    return (Path(source) / "model.json").is_file()


def open_source(source: str, options: Options) -> Recommender:
    """Return a fitted recommender for any source."""
    if is_model(source):
        if options != Options():
            raise InputError(f"{source} is a saved model: options on reading and fitting do not apply to it.")
        return Recommender.load(source)
    kept = _kept(source, options)
    if kept.exists():
        try:
            found = Recommender.load(kept)
        except InputError:  # of an older version, or damaged: fit again
            shutil.rmtree(kept, ignore_errors=True)
        else:
            kept.touch()
            return found
    fitted = fit_source(source, options)
    try:
        fitted.save(kept)
        _tidy(kept.parent)
    except OSError:  # no room or no right to write: the answer matters more
        pass
    return fitted


def fit_source(source: str, options: Options) -> Recommender:
    """Read and fit, with a progress bar."""
    with working() as progress:
        data = read(source, **{name: value for name, value in options.reading.items() if value is not None})
        return options.recommender().fit(data, progress=progress)


def _kept(source: str, options: Options) -> Path:
    """Return where the fitted model of this data and these options is kept."""
    said = [reelated.__version__, fingerprint(source), repr(options)]
    said += [fingerprint(extra) for extra in (options.movies, options.users) if extra]
    key = hashlib.blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()
    return cache_folder() / "models" / f"{key}.model"


def _tidy(folder: Path) -> None:
    models = sorted(folder.glob("*.model"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in models[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def find_movie(rec: Recommender, text: str) -> Any:
    """Return the id of a movie named by its id or its title.

    An existing id wins; `title:300` forces the title. A title, whole or in part, must be that of one movie.

    Raises
    ------
    InputError
        No movie, or several; those that come near are listed with their ids.
    """
    movie_id, wanted = rec.movie_ids.parse(text), text.removeprefix("title:").strip()
    if not text.startswith("title:") and (movie_id in rec.movie_ids or rec.catalogue_.is_unrated(movie_id)):
        return movie_id
    if not wanted or (text == wanted and text.lstrip("-").isdigit() and rec.movie_ids.type_name == "int"):
        return rec.catalogue_.movie_ids[rec.catalogue_.index_of(movie_id)]
    found = list(rec.find(wanted, n=8))
    if len(meant := _meant(wanted, found)) == 1:
        return meant[0].movie_id
    if not found:
        raise InputError(f"No movie with an id or a title like {shorten(wanted)}.")
    lines = "".join(f"\n  {match.movie_id}  {with_year(match.title, match.year)}" for match in found)
    raise InputError(f"{shorten(wanted)} could be any of these. Give an id, or more of the title:{lines}")


def _meant(wanted: str, found: list[Match]) -> list[Match]:
    """Return those that a title names: exactly, else as a part, else by far the likest."""
    exact = [match for match in found if match.match == 100]
    partly = [match for match in found if wanted.casefold() in match.title.casefold()]
    if exact or partly:
        return exact or partly
    next_best = found[1].match if len(found) > 1 else 0.0
    return found[:1] if found and found[0].match >= max(70, next_best + 8) else []


def plan_source(source: str, options: Options) -> tuple[Dataset, int]:
    """Return the data and the most bytes that a fit may take beside it."""
    data = read(source, **{name: value for name, value in options.reading.items() if value is not None})
    return data, options.recommender().plan(data)
