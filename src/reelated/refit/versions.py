"""`Versions`: the models of a service on disk, one of which is served; nothing here is ever half written."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import platformdirs

from reelated.errors import InputError
from reelated.recommender import Recommender
from reelated.store import Store

KEPT = 2


@dataclass(frozen=True)
class Version:
    """One version of the model, and what it was made of.

    Attributes
    ----------
    number : int
        From 1; the higher the later.
    made_at : int
        Seconds since 1970.
    seconds : float
        How long the refit took.
    name : str
        What the data calls itself.
    users, movies, ratings : int
        How many of each it was fitted to.
    changes : int
        The store's count of changed ratings at that time.
    forgotten : int
        The store's count of forgotten users at that time.
    accuracy : dict or None
        `rmse`, `mae` and `n` on ratings held back for this, at the time of the fit.
    """

    number: int
    made_at: int
    seconds: float
    name: str
    users: int
    movies: int
    ratings: int
    changes: int
    forgotten: int
    accuracy: dict[str, float] | None = None


@dataclass(frozen=True)
class Attempt:
    """How the last refit went.

    Attributes
    ----------
    outcome : {"switched", "refused", "failed"}
        Whether its model is served.
    why : str
        In one sentence.
    at : int
        Seconds since 1970.
    counts : dict
        How many refits came to each outcome, ever.
    """

    outcome: Literal["switched", "refused", "failed"]
    why: str
    at: int
    counts: dict[str, int]


class Versions:
    """The versions of a model in a folder.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Versions({str(self.folder)!r})"

    def all(self) -> list[Version]:
        """Return the versions there are, the latest first."""
        found = [self._version(path) for path in self.folder.glob("*.json") if path.stem.isdigit()]
        return sorted((version for version in found if version), key=lambda version: -version.number)

    def current(self) -> Version | None:
        """Return the version that is served; None where there is none yet."""
        number = self._read("current")
        return self._version(self.folder / f"{number:06}.json") if isinstance(number, int) else None

    def last_attempt(self) -> Attempt | None:
        """Return how the last refit went; None before the first."""
        told = self._read("attempt")
        return Attempt(**told) if isinstance(told, dict) else None

    def load(self, version: Version) -> Recommender:
        """Open the model of a version.

        Parameters
        ----------
        version : Version
            One of `all()`.

        Returns
        -------
        Recommender

        Raises
        ------
        InputError
            It is gone or damaged.
        """
        return Recommender.load(self._model(version.number))

    def switch(self, number: int) -> Version:
        """Serve another version from now on.

        Parameters
        ----------
        number : int
            One of those there are.

        Returns
        -------
        Version

        Raises
        ------
        InputError
            There is no such version, or its model is damaged.
        """
        known = {version.number: version for version in self.all()}
        if number not in known:
            there = ", ".join(map(str, sorted(known))) or "none"
            raise InputError(f"version {number}: there is no such version of the model. There are: {there}.")
        self.load(known[number])
        self._write("current", number)
        return known[number]

    def add(self, recommender: Recommender, version: Version) -> Version:
        """Write a fitted model beside the others and serve it from now on; all but two are removed.

        A version that knew a user who has been forgotten since is removed in any case.

        Parameters
        ----------
        recommender : Recommender
            Fitted; its ratings are not written.
        version : Version
            What is told of it; its number is given here.

        Returns
        -------
        Version
        """
        made = replace(version, number=max((known.number for known in self.all()), default=0) + 1)
        recommender.save(self._model(made.number), ratings=False)
        self._write(f"{made.number:06}", asdict(made))
        before = self.current()
        self._write("current", made.number)
        kept = [made, *([before] if before and before.forgotten == made.forgotten else [])][:KEPT]
        self._tidy({version.number for version in kept})
        return made

    @property
    def map_file(self) -> Path:
        """The latest map of the movies, if there is one: its places stand by movie id and serve every version."""
        return self.folder / "map.arrow"

    def tell(self, outcome: Literal["switched", "refused", "failed"], why: str) -> Attempt:
        """Write down how a refit went.

        Parameters
        ----------
        outcome : {"switched", "refused", "failed"}
            Whether its model is served.
        why : str
            In one sentence.

        Returns
        -------
        Attempt
        """
        last = self.last_attempt()
        counts = dict(last.counts) if last else {}
        counts[outcome] = counts.get(outcome, 0) + 1
        attempt = Attempt(outcome, why, int(time.time()), counts)
        self._write("attempt", asdict(attempt))
        return attempt

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Say whether it is this process's turn to refit; whoever else asks within the block is told no.

        The system lets go of it when the process ends, however it ends.
        """
        self._make()
        with (self.folder / "turn").open("w") as file:
            if not _locked(file):
                time.sleep(0.1)  # `is_refitting` of another process holds the lock for a moment
                yield _locked(file)
            else:
                yield True

    def is_refitting(self) -> bool:
        """Say whether any process is refitting now."""
        self._make()
        with (self.folder / "turn").open("w") as file:
            return not _locked(file)

    def _tidy(self, kept: set[int]) -> None:
        """Remove the other versions, and what refits left that were killed."""
        for path in self.folder.iterdir():
            number = path.name.partition(".")[0]
            if path.suffix == ".json" and number.isdigit() and int(number) not in kept:
                path.unlink(missing_ok=True)
            elif path.is_dir() and not (number.isdigit() and int(number) in kept):
                shutil.rmtree(path, ignore_errors=True)

    def _model(self, number: int) -> Path:
        return self.folder / f"{number:06}.model"

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"models={self.folder}: cannot be made ({error.strerror}). Name another folder.") from None

    def _version(self, path: Path) -> Version | None:
        told = self._read(path.stem)
        return Version(**told) if isinstance(told, dict) else None

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _write(self, name: str, told: Any) -> None:
        """Write a file that lasts, whole or not at all."""
        self._make()
        beside = self.folder / f".{name}-{os.getpid()}"
        with beside.open("w", encoding="utf-8") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / f"{name}.json")


def _locked(file: Any) -> bool:
    """Lock a file; say whether that succeeded."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def models_folder(store: Store) -> Path:
    """Return where the models of a store are kept unless a folder is named: beside its file, or in the data folder.

    Parameters
    ----------
    store : Store
        Whose models.

    Returns
    -------
    Path
    """
    if store.dialect == "sqlite":
        return Path(store.url.database or "").expanduser().with_suffix(".models")
    named = str(store.url.set(username=None, password=None))
    key = hashlib.blake2b(named.encode(), digest_size=8).hexdigest()
    return platformdirs.user_data_path("reelated", appauthor=False) / f"{key}.models"
