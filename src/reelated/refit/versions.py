"""`Versions`: the model versions of a service on disk, one of which is served; files are written atomically."""

import fcntl
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

import platformdirs
from pydantic import TypeAdapter

from reelated.atomic import atomic_write
from reelated.errors import InputError
from reelated.recommender import Recommender
from reelated.store import Store

log = logging.getLogger("reelated.refit")


@dataclass(frozen=True)
class Version:
    """A version of the model, and the data it was fitted to."""

    number: int  # number from 1, ascending in time
    made_at: int  # time of the fit in seconds since 1970
    seconds: float
    name: str
    users: int
    items: int
    ratings: int
    changes: int  # the store's counter of changed ratings at that time
    forgotten: int  # the store's counter of erasures at that time
    accuracy: dict[str, float] | None = None  # `rmse`, `mae` and `n` on a hold-out set at the time of the fit
    with_visitors: bool = False  # whether it was fitted to the ratings of visitors, too
    last_user_key: int | None = None  # the largest key of a user; users with larger keys are new. None: unknown


@dataclass(frozen=True)
class RefitResult:
    """Result of the last refit."""

    outcome: Literal["switched", "refused", "failed"]
    why: str
    at: int
    counts: dict[str, int]  # number of refits so far by outcome


_VERSION = TypeAdapter(Version)
_RESULT = TypeAdapter(RefitResult)
_SWITCHED = TypeAdapter(dict[Literal["number", "latest"], int])
T = TypeVar("T")


class Versions:
    """The versions of a model in a folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Versions({str(self.folder)!r})"

    def all(self) -> list[Version]:
        """Return the existing versions, latest first."""
        files = [path for path in self.folder.glob("*.json") if path.stem.isdigit()]
        return sorted(filter(None, map(self._read_version, files)), key=lambda version: -version.number)

    def current(self) -> Version | None:
        """Return the served version; None if there is none yet."""
        number, _ = self._switched()
        return self._read_version(self.folder / f"{number:06}.json") if number else None

    def last_attempt(self) -> RefitResult | None:
        """Return the result of the last refit; None before the first."""
        return self._read("attempt", _RESULT)

    def load(self, version: Version) -> Recommender:
        return Recommender.load(self._model_path(version.number))

    def switch(self, number: int, forgotten: int) -> Version:
        """Serve another version, unless it is damaged or was fitted before the erasure number `forgotten`."""
        versions = {version.number: version for version in self.all()}
        if number not in versions:
            numbers = ", ".join(map(str, sorted(versions))) or "none"
            raise InputError(f"version {number}: there is no such version of the model. There are: {numbers}.")
        if versions[number].forgotten < forgotten:
            raise InputError(f"version {number} was fitted to users who have been erased since. Fit a new one.")
        self.load(versions[number])
        self._write("current", {"number": number, "latest": max(versions)})
        return versions[number]

    def repair(self) -> None:
        """Finish a switch that was interrupted after the new version was complete.

        A version is complete once its metadata exist. If it is newer than every version at the last switch, it was
        never served; an older one was replaced on purpose.
        """
        with self.lock() as is_locked:
            newest = next(iter(self.all()), None)
            if not is_locked or newest is None or newest.number <= self._switched()[1]:
                return
            try:
                self.load(newest)
            except InputError as error:
                log.error("version %d was not switched to: %s", newest.number, error)
            else:
                self._serve(newest)

    def fallbacks(self, forgotten: int) -> list[Version]:
        """Return the versions that may replace a damaged current one, latest first."""
        current = self.current()
        return [version for version in self.all() if version != current and version.forgotten >= forgotten]

    def first_good(self, forgotten: int) -> Version | None:
        """Return the current version if undamaged, otherwise the first undamaged of `fallbacks`; None without one."""
        current = self.current()
        for version in [*([current] if current else []), *self.fallbacks(forgotten)]:
            try:
                self.load(version)
            except InputError as error:
                log.error("version %d cannot be served: %s", version.number, error)
            else:
                return version
        return None

    def add(self, recommender: Recommender, version: Version) -> Version:
        """Save a fitted model and serve it from now on; remove all versions but two.

        A version that was fitted before an erasure of users is removed in any case.
        """
        latest = max((existing.number for existing in self.all()), default=0)
        version = replace(version, number=latest + 1)
        recommender.save(self._model_path(version.number), ratings=False)
        self._write(f"{version.number:06}", asdict(version))
        self._serve(version)
        return version

    def _serve(self, version: Version) -> None:
        """Switch to the newest version; remove all others but the previous one."""
        previous = self.current()
        self._write("current", {"number": version.number, "latest": version.number})
        kept = {version.number}
        if previous and previous.forgotten == version.forgotten:  # the ratings of erased users must go
            kept.add(previous.number)
        self._remove_except(kept)

    def _switched(self) -> tuple[int, int]:
        """Return the number of the current version and the newest number at the last switch; zeros if unknown."""
        switched = self._read("current", _SWITCHED) or {}
        return switched.get("number", 0), switched.get("latest", 0)

    @property
    def map_file(self) -> Path:
        """Path of the latest map of the items; its positions are keyed by item id, for every version."""
        return self.folder / "map.arrow"

    def record(self, outcome: Literal["switched", "refused", "failed"], why: str) -> RefitResult:
        last = self.last_attempt()
        counts = dict(last.counts) if last else {}
        counts[outcome] = counts.get(outcome, 0) + 1
        result = RefitResult(outcome, why, int(time.time()), counts)
        self._write("attempt", asdict(result))
        return result

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Try to take the refit lock; yield whether this process holds it.

        The lock is released when the process exits.
        """
        with self._lock_file() as file:
            if not _try_lock(file):
                time.sleep(0.1)  # `is_refitting` in another process may hold the lock briefly
                yield _try_lock(file)
            else:
                yield True

    def is_refitting(self) -> bool:
        """Return whether any process is refitting."""
        with self._lock_file() as file:
            return not _try_lock(file)

    def _lock_file(self) -> TextIO:
        self._make_folder()
        return (self.folder / "lock").open("w")

    def _remove_except(self, numbers: set[int]) -> None:
        """Remove the other versions, and files that killed refits left behind."""
        for path in self.folder.iterdir():
            number = path.name.partition(".")[0]
            is_kept = number.isdigit() and int(number) in numbers
            if path.suffix == ".json" and number.isdigit() and not is_kept:
                path.unlink(missing_ok=True)
            elif path.is_dir() and not is_kept:
                shutil.rmtree(path, ignore_errors=True)

    def _model_path(self, number: int) -> Path:
        return self.folder / f"{number:06}.model"

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            expected, remedy = f"cannot be made ({error.strerror}).", "Name another folder."
            raise InputError(expected, parameter="models", value=str(self.folder), remedy=remedy) from None

    def _read_version(self, path: Path) -> Version | None:
        version = self._read(path.stem, _VERSION)
        return version if version and version.number == int(path.stem) else None

    def _read(self, name: str, kind: TypeAdapter[T]) -> T | None:
        """Read a JSON file; return None if it is missing or damaged."""
        try:
            return kind.validate_json((self.folder / f"{name}.json").read_bytes(), strict=True)
        except (OSError, ValueError):
            return None

    def _write(self, name: str, value: Any) -> None:
        """Write a JSON file durably and atomically."""
        self._make_folder()
        with atomic_write(self.folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(value), encoding="utf-8")


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def models_folder(store: Store) -> Path:
    """Return the default folder for the models of a store: next to its file, or in the user's data folder."""
    if store.dialect == "sqlite":
        return Path(store.url.database or "").expanduser().with_suffix(".models")
    url = str(store.url.set(username=None, password=None))
    digest = hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
    return platformdirs.user_data_path("reelated", appauthor=False) / f"{digest}.models"
