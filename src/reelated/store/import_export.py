"""`ImportExport`: import and export of whole data sets."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from reelated.errors import InputError, plural
from reelated.parallel import Progress
from reelated.ratings import NO_TIME, Dataset, Scale
from reelated.ratings.dataset import observed_scale
from reelated.ratings.matrix import as_decimals
from reelated.store.connection import select_in
from reelated.store.export import Export
from reelated.store.frames import RATING_ROW, RatingBatches, as_frames, frames_dataset, read_tables, read_visitors
from reelated.store.info import DEFAULTS, StoreInfo, is_on, read_info, scale_text
from reelated.store.item_queries import ItemQueries
from reelated.store.schema import imports, items, ratings, users
from reelated.store.user_queries import RATING_COLUMNS, USER_KEYS

# approximate number of ratings in a transaction: users are not split
BATCH = {"sqlite": 50_000, "postgresql": 500_000}
USER_ATTRIBUTES = ("age", "gender", "occupation", "zip_code")


@dataclass(frozen=True)
class ImportReport:
    """Result of an import."""

    name: str
    users: int
    items: int
    ratings: int
    already: int  # number of its ratings that the store already had in this or a later version
    scale: Scale | None = None  # new scale of the store, if the import changed it
    word: str = "rating"
    noun: str = "item"

    def __str__(self) -> str:
        ratings, users = plural(self.ratings, self.word), plural(self.users, "user")
        size = f"{self.name}: {ratings} by {users} of {plural(self.items, self.noun)}"
        scale = "" if self.scale is None else f" The scale of the store is now {self.scale}."
        is_one = self.ratings == 1
        if self.already == self.ratings:
            return (
                f"{size} {'was' if is_one else 'were'} imported already. Titles and attributes are up to date.{scale}"
            )
        already = f", {self.already:,} of them already" if self.already else ""
        return f"{size} {'is' if is_one else 'are'} in the store{already}.{scale}"


class ImportExport(ItemQueries):
    """Import and export of data sets."""

    def import_data(
        self,
        data: Dataset,
        fingerprint: str,
        *,
        hidden: Sequence[Any] = (),
        progress: Progress | None = None,
        add_events: bool = True,
    ) -> ImportReport:
        """Import a data set in batches; an interrupted import resumes where it stopped.

        If a user rated an item twice, the later rating counts; a rating without a timestamp counts as older. The
        weights of events are added to those in the store, unless the same data was imported before. Attributes that
        the data lacks, such as a title, stay as stored.
        """
        try:
            item_keys, run, scale = self._begin(data, fingerprint, hidden)
        except BaseException:
            self._info = None  # the transaction was rolled back: the cached metadata is wrong
            raise
        n_ratings, changes = len(data.ratings), 0
        is_sum = add_events and self.info.is_events
        batches = RatingBatches(data.ratings, BATCH[self.dialect])
        for start, stop in batches.ranges(run.users_done):
            with self._writing() as connection:
                user_keys = self._write_users(connection, data, batches.user_ids[start:stop])
                changed = self._write_ratings(connection, batches.table(start, stop, user_keys, item_keys), is_sum)
                ratings_done = int(data.ratings.matrix.indptr[stop])
                finished = {"finished_at": int(time.time())} if stop == len(batches.user_ids) else {}
                update = sa.update(imports).where(imports.c.import_key == run.import_key)
                connection.execute(update.values(users_done=stop, ratings_done=ratings_done, **finished))
                self._increment(connection, "changes", changed)
            changes += changed
            if progress:
                progress(ratings_done / n_ratings)
        n_users, n_items = len(data.ratings.user_ids), len(data.items)
        already = n_ratings - changes
        return ImportReport(data.name, n_users, n_items, n_ratings, already, scale, data.ratings.word, data.noun)

    def import_items(self, table: pl.DataFrame, *, noun: str = DEFAULTS["noun"]) -> int:
        """Import items without ratings, and return their number; values in the table replace those in the store."""
        type_name = "int" if table["item_id"].dtype == pl.Int64 else "str"
        try:
            with self._writing() as connection:
                self._ensure_meta(connection, item_id_type=type_name, noun=noun)
                self._info = read_info(connection)
                if type_name != self._info.item_id_type == "int":
                    raise InputError("The item ids are text, those of the store are whole numbers.")
                self._write_items(connection, self._rows("item", table))
        except BaseException:
            self._info = None  # the transaction was rolled back: the cached metadata is wrong
            raise
        return len(table)

    def _begin(self, data: Dataset, fingerprint: str, hidden: Sequence[Any]) -> tuple[np.ndarray, Any, Scale | None]:
        """Write catalogue, user attributes and import run; return item keys, the run, and the scale if it changed."""
        incoming = data.ratings
        with self._writing() as connection:
            self._ensure_meta(
                connection,
                name=data.name,
                scale=scale_text(incoming.scale, observed=incoming.scale_observed),
                user_id_type=incoming.user_ids.type_name,
                item_id_type=incoming.item_ids.type_name,
                noun=data.noun,
                feedback="implicit" if incoming.declared == "implicit" else "",
                verb=data.verb,
                events=json.dumps(dict(data.events or {})),
            )
            if connection.scalar(sa.select(users.c.user_key).limit(1)) is None:  # only items so far
                self._set_meta(connection, "user_id_type", incoming.user_ids.type_name)
            self._info = read_info(connection)
            self._check_compatible(data, self._info)
            scale = self._widen_scale(connection, data, self._info)
            if self._info.noun == DEFAULTS["noun"] != data.noun:
                self._set_meta(connection, "noun", data.noun)
                self._info = read_info(connection)
            run = self._start_run(connection, data.name, fingerprint)
            self._write_items(connection, self._rows("item", data.items))
            self._hide(connection, [str(item_id) for item_id in hidden])
            self._update_users(connection, data)
            self._write_users(connection, data, _unrated_users(data))
            keys = dict(connection.execute(sa.select(items.c.item_id, items.c.item_key)).all())
        item_keys = np.array([keys[str(item_id)] for item_id in incoming.item_ids.values.to_list()], np.int64)
        return item_keys, run, scale

    def _start_run(self, connection: sa.Connection, name: str, fingerprint: str) -> Any:
        """Add or resume an import run and return its row; a finished one starts from the beginning."""
        row = {"fingerprint": fingerprint, "name": name, "started_at": int(time.time())}
        progress = {"users_done": 0, "ratings_done": 0}
        insert = self._insert(imports).on_conflict_do_nothing(index_elements=["fingerprint"])
        connection.execute(insert, row | progress)
        same = imports.c.fingerprint == fingerprint
        if not self.info.is_events:  # adding the same events again would count them twice
            restart = sa.update(imports).where(same, imports.c.finished_at.is_not(None))
            connection.execute(restart.values(progress | {"finished_at": None}))
        query = sa.select(imports.c.import_key, imports.c.users_done).where(same)
        return connection.execute(query).one()

    def _check_compatible(self, data: Dataset, info: StoreInfo) -> None:
        """Raise if a data set is incompatible with the store."""
        incoming, stored = data.ratings.scale, info.scale
        is_events = data.ratings.declared == "implicit" or (info.is_events and data.ratings.feedback == "implicit")
        if is_events != info.is_events:
            kinds = ("events", "ratings") if is_events else ("ratings", "events")
            raise InputError(f"{data.name}: it holds {kinds[0]}, the store {kinds[1]}. Use a store of its own.")
        if not is_events and not info.scale_observed and (incoming.low < stored.low or incoming.high > stored.high):
            low, high = min(incoming.low, stored.low), max(incoming.high, stored.high)
            wider = f"{low:g},{high:g},{min(incoming.step, stored.step):g}"
            raise InputError(
                f"{data.name}: its ratings go {incoming}, those of the store {stored}. Use a store of its own, "
                f"or set a wider scale with: reelated store scale {wider}"
            )
        for ids, type_name in ((data.ratings.user_ids, info.user_id_type), (data.ratings.item_ids, info.item_id_type)):
            if ids.type_name != type_name == "int":
                problem = f"its {ids.kind} ids are text, those of the store are whole numbers"
                raise InputError(f"{data.name}: {problem}. Use a store of its own.")

    def _widen_scale(self, connection: sa.Connection, data: Dataset, info: StoreInfo) -> Scale | None:
        """Widen an observed scale to cover the data; return the scale if it changed."""
        low, high, _ = info.scale
        incoming, is_given = data.ratings.scale, not data.ratings.scale_observed
        values = as_decimals(np.unique(data.ratings.matrix.data))
        is_covered = not is_given and all(is_on(info.scale, value) for value in values)
        if info.is_events or not info.scale_observed or is_covered:
            return None
        stored = self._distinct_ratings(connection)
        if not stored or (is_given and incoming.low <= low and high <= incoming.high):
            scale, observed = incoming, not is_given
        else:
            ends = [low, high, *(incoming[:2] if is_given else ())]
            scale, observed = observed_scale(np.array([*ends, *stored, *values], np.float32)), True
        self._set_meta(connection, "scale", scale_text(scale, observed=observed))
        self._info = read_info(connection)
        return None if scale == info.scale else scale

    def _rows(self, kind: Any, table: pl.DataFrame) -> list[dict[str, Any]]:
        """Return a table as rows, with ids of the store's type, and None for blank strings and NaN."""
        if self._id_type(kind) == "str":
            table = table.with_columns(pl.col(f"{kind}_id").cast(pl.String))
        text = pl.col(pl.String)
        return table.with_columns(
            pl.when(text.str.strip_chars() != "").then(text), pl.col(pl.Float32, pl.Float64).fill_nan(None)
        ).to_dicts()

    def _update_users(self, connection: sa.Connection, data: Dataset) -> None:
        """Write the attributes of users who are already in the store."""
        names = _attributes_in(data.users)
        rows = [
            {f"new_{name}": row[name] for name in names} | {"user": self._id_text("user", row["user_id"])}
            for row in self._rows("user", data.users)
            if any(row[name] is not None for name in names)
        ]
        if rows:
            merged: dict[str, Any] = {
                name: sa.func.coalesce(sa.bindparam(f"new_{name}"), users.c[name]) for name in names
            }
            connection.execute(sa.update(users).where(users.c.user_id == sa.bindparam("user")).values(merged), rows)

    def _write_users(self, connection: sa.Connection, data: Dataset, user_ids: Sequence[Any]) -> np.ndarray:
        """Upsert users with their attributes; return their keys in order."""
        if not user_ids:
            return np.empty(0, np.int64)
        table = data.users.filter(pl.col("user_id").is_in(user_ids))
        rows = [
            {name: row.get(name) for name in USER_ATTRIBUTES} | {"user_id": self._id_text("user", row["user_id"])}
            for row in self._rows("user", table)
        ]
        insert = self._insert(users)
        upsert = insert.on_conflict_do_nothing()
        if attributes := _attributes_in(table):
            merged = {name: sa.func.coalesce(insert.excluded[name], users.c[name]) for name in attributes}
            upsert = insert.on_conflict_do_update(index_elements=["user_id"], set_=merged)
        connection.execute(upsert, rows)
        texts = [str(user_id) for user_id in user_ids]
        keys = dict(select_in(connection, USER_KEYS, users.c.user_id, texts))
        return np.array([keys[text] for text in texts], np.int64)

    def _write_ratings(self, connection: sa.Connection, table: pl.DataFrame, is_sum: bool) -> int:
        """Upsert ratings that are later than the stored ones, or add weights; return the number of changes."""
        is_sqlite = self.dialect == "sqlite"
        insert = self._insert(ratings) if is_sqlite else self._insert_copied(connection, table)
        # a literal, so that the driver receives the rows only
        earliest: Any = sa.literal_column(str(NO_TIME + 1), sa.BigInteger)
        new, stored = insert.excluded, ratings.c
        is_later = sa.func.coalesce(new.rated_at, earliest) >= sa.func.coalesce(stored.rated_at, earliest)
        differs = sa.or_(*(new[name].is_distinct_from(stored[name]) for name in RATING_COLUMNS))
        upsert = self._upsert(insert, RATING_COLUMNS, where=sa.and_(is_later, differs))
        if is_sum:
            upsert = self._event_upsert(insert)
        if is_sqlite:
            return int(connection.exec_driver_sql(str(upsert.compile(self.engine)), table.rows()).rowcount)
        return int(connection.execution_options(preserve_rowcount=True).execute(upsert).rowcount)

    def _insert_copied(self, connection: sa.Connection, table: pl.DataFrame) -> Any:
        """Return an INSERT from a temporary table, which COPY fills: COPY itself has no ON CONFLICT."""
        connection.exec_driver_sql("CREATE TEMP TABLE incoming (LIKE ratings) ON COMMIT DROP")
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY incoming ({', '.join(RATING_ROW)}) FROM STDIN (FORMAT csv)") as copy:
            buffer = io.BytesIO()
            table.write_csv(buffer, include_header=False)
            copy.write(buffer.getvalue())
        rows: Any = sa.select(*(sa.column(name) for name in RATING_ROW)).select_from(sa.table("incoming"))
        return self._insert(ratings).from_select(RATING_ROW, rows)

    def dataset(self, *, with_visitors: bool = False) -> tuple[Dataset, StoreInfo]:
        """Return the whole store as a data set, read from one snapshot, and its metadata."""
        with self._reading(snapshot=True) as connection:
            info = read_info(connection)
            tables = read_tables(connection)
            if with_visitors:
                tables = read_visitors(connection, tables, info.user_id_type)
        if tables["ratings"].is_empty():
            raise InputError("The store holds no ratings yet. Import some, or rate items.")
        return frames_dataset(info, *as_frames(info, tables)), info

    def export(self) -> Export:
        """Return the whole store without its visitors, read from one snapshot; `import_data` restores it."""
        with self._reading(snapshot=True) as connection:
            info = read_info(connection)
            return Export(info, *as_frames(info, read_tables(connection)))

    def import_export(self, export: Export, fingerprint: str, *, progress: Progress | None = None) -> ImportReport:
        """Import an exported store, with its hidden items; weights of events replace those in the store."""
        hidden = export.hidden_ids()
        return self.import_data(export.dataset(), fingerprint, hidden=hidden, progress=progress, add_events=False)


def _unrated_users(data: Dataset) -> list[Any]:
    """Return the users who have rated nothing."""
    rated = pl.DataFrame({"user_id": data.ratings.user_ids.values})
    return data.users.join(rated, on="user_id", how="anti")["user_id"].to_list()


def _attributes_in(table: pl.DataFrame) -> list[str]:
    """Return which attributes of users a table has."""
    return [name for name in USER_ATTRIBUTES if name in table.columns]
