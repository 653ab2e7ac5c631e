"""An exported store: Parquet tables, which keep the types of ids, `store.json` with the metadata, and checksums."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import scipy.sparse as sp

from reelated.data.files import EXPORT, damaged_export, verify_export
from reelated.errors import InputError, library_errors
from reelated.ratings import Dataset, Ratings, Scale
from reelated.ratings.dataset import item_table
from reelated.ratings.ids import Ids
from reelated.recommender.model_folder import reason_of, write_checksums
from reelated.store.frames import frames_dataset
from reelated.store.info import StoreInfo
from reelated.store.records import IdType

FORMAT = 1


class Export(NamedTuple):
    """The content of a store without its visitors."""

    info: StoreInfo
    ratings: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Write a new or empty folder in one step: an interrupted export leaves nothing there."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"DIR {folder}: expected a new or empty folder.")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # beside the target, because a rename works within one file system only; readable by the owner only
            where: Any = {"prefix": f".{folder.name}-", "dir": folder.parent}
            with tempfile.TemporaryDirectory(**where, ignore_cleanup_errors=True) as stage:
                self._write_files(Path(stage))
                Path(stage).replace(folder)
        except OSError as error:
            raise InputError(f"DIR {folder}: it cannot be written ({error.strerror or error}).") from None

    def _write_files(self, folder: Path) -> None:
        for name in ("ratings", "items", "users"):
            getattr(self, name).write_parquet(folder / f"{name}.parquet")
        info = self.info
        facts = {"name": info.name, "noun": info.noun, "scale": info.scale, "scale_observed": info.scale_observed}
        if info.is_events:
            facts |= {"feedback": "implicit", "verb": info.verb, "events": info.events and dict(info.events)}
        (folder / EXPORT).write_text(json.dumps({"format": FORMAT} | facts, indent=1), encoding="utf-8")
        write_checksums(folder)

    def dataset(self) -> Dataset:
        """Return the data set; unlike one that is read from a table, it may have no ratings."""
        info = self.info
        if not self.ratings.is_empty():
            frames = self.ratings, self.items, self.users
            data = frames_dataset(info, *frames)
            return replace(data, ratings=replace(data.ratings, scale_observed=info.scale_observed))
        user_ids, item_ids = Ids(self.users["user_id"].clear(), "user"), Ids(self.items["item_id"].clear(), "item")
        none = sp.csr_array((0, 0), dtype="float32")
        ratings = Ratings(user_ids, item_ids, none, info.scale, scale_observed=info.scale_observed)
        return Dataset(ratings, item_table(self.items, item_ids), self.users, name=info.name, noun=info.noun)

    def hidden_ids(self) -> list[Any]:
        return self.items.filter("hidden")["item_id"].to_list()


def read_export(folder: str | Path) -> Export:
    """Read an exported store, exactly as it was written."""
    try:
        verify_export(Path(folder))  # a flipped byte in a Parquet file can end the process
        facts = json.loads((Path(folder) / EXPORT).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise InputError(f"{folder}: it is written by a later version of Reelated. Upgrade Reelated to import it.")
        tables = [pl.read_parquet(Path(folder) / f"{name}.parquet") for name in ("ratings", "items", "users")]
        user_type, item_type = _id_type(tables[2]["user_id"]), _id_type(tables[1]["item_id"])
        scale, observed = Scale(*map(float, facts["scale"])), bool(facts["scale_observed"])
        events = facts.get("feedback") == "implicit", str(facts.get("verb", "")), facts.get("events")
        info = StoreInfo(facts["name"], scale, user_type, item_type, 0, 0, observed, facts["noun"], *events)
        return Export(info, *tables)
    except InputError:
        raise
    except library_errors() as error:
        raise damaged_export(folder, reason_of(error)) from None


def _id_type(ids: pl.Series) -> IdType:
    return "int" if ids.dtype == pl.Int64 else "str"
