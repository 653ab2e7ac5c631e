"""`Transfer`: import and export of whole data sets."""

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import sqlalchemy as sa

from reelated.errors import InputError
from reelated.parallel import Progress
from reelated.ratings import NO_TIME, Dataset, Ratings, Scale
from reelated.ratings.dataset import observed_scale
from reelated.ratings.matrix import as_decimals
from reelated.store.database import NEW, About, in_parts, is_on, read_about, scale_text
from reelated.store.items import Items
from reelated.store.tables import facts, genres, imports, items, ratings, users, visitor_ratings, visitors

# approximate number of ratings in a transaction: users are not split
BATCH = {"sqlite": 50_000, "postgresql": 500_000}
COLUMNS = ("user_key", "item_key", "rating", "rated_at", "position")
USER_FACTS = ("age", "gender", "occupation", "zip_code")
CHUNK = 200_000


@dataclass(frozen=True)
class ImportReport:
    """Result of an import.

    Attributes
    ----------
    name : str
        Name of the data.
    users, items, ratings : int
        Number of each in the data.
    already : int
        Number of its ratings that the store already had in this or a later version.
    scale : Scale or None
        New scale of the store, if the import changed it.
    """

    name: str
    users: int
    items: int
    ratings: int
    already: int
    scale: Scale | None = None

    def __str__(self) -> str:
        told = f"{self.name}: {self.ratings:,} ratings by {self.users:,} users of {self.items:,} items"
        scale = "" if self.scale is None else f" The scale of the store is now {self.scale}."
        if self.already == self.ratings:
            return f"{told} were imported already. Titles and attributes are up to date.{scale}"
        rest = f", {self.already:,} of them already" if self.already else ""
        return f"{told} are in the store{rest}.{scale}"


class Run(NamedTuple):
    """Progress of an import."""

    key: int
    users_done: int


@dataclass
class Batches:
    """The ratings of a data set in batches of whole users."""

    kept: Ratings
    size: int
    user_ids: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.user_ids = self.kept.user_ids.values.to_list()

    def __call__(self, done: int) -> Iterator[tuple[int, int]]:
        """Yield the first user and the one after the last of each batch, from user `done` on."""
        ends, total = self.kept.matrix.indptr, len(self.user_ids)
        while done < total:
            stop = int(np.searchsorted(ends, ends[done] + self.size, side="left"))
            yield done, (done := min(max(stop, done + 1), total))

    def table(self, start: int, stop: int, user_keys: Any, item_keys: Any) -> pl.DataFrame:
        """Return the ratings of a range of users, with database keys in place of ids."""
        first, last = self.kept.matrix.indptr[[start, stop]]
        part = slice(first, last)
        lengths = np.diff(self.kept.matrix.indptr[start : stop + 1])
        unknown = np.full(last - first, NO_TIME)
        times = unknown if self.kept.timestamps is None else self.kept.timestamps[part]
        places = unknown if self.kept.order is None else self.kept.order[part]
        return pl.DataFrame(
            {
                "user_key": np.repeat(user_keys, lengths),
                "item_key": item_keys[self.kept.matrix.indices[part]],
                "rating": as_decimals(self.kept.matrix.data[part]),
                "rated_at": pl.Series(times).replace(NO_TIME, None),
                "position": pl.Series(places).replace([NO_TIME, -1], None),
            }
        )


class Transfer(Items):
    """Import and export of data sets."""

    # ------------------------------------------------------------------------------------------------ in
    def import_data(self, data: Dataset, fingerprint: str, *, progress: Progress | None = None) -> ImportReport:
        """Import a data set in batches; an interrupted import resumes where it stopped.

        Of two ratings of one item by one user the later counts; a rating without a timestamp counts as older.
        Attributes that the data lacks, such as a title, stay as stored.

        Parameters
        ----------
        data : Dataset
            Result of `reelated.read`.
        fingerprint : str
            Hash of the data, which identifies an interrupted import.
        progress : callable, optional
            Called with the fraction done.

        Returns
        -------
        ImportReport

        Raises
        ------
        InputError
            The data is incompatible with the store.
        """
        kept = data.ratings
        try:
            item_keys, run, scale = self._begin(data, fingerprint)
        except BaseException:
            self._about = None  # the transaction was rolled back: the cached metadata is wrong
            raise
        batches, changes = Batches(kept, BATCH[self.dialect]), 0
        for start, stop in batches(run.users_done):
            with self._writing() as connection:
                user_keys = self._write_users(connection, data, batches.user_ids[start:stop])
                changed = self._write_ratings(connection, batches.table(start, stop, user_keys, item_keys))
                done = int(kept.matrix.indptr[stop])
                ended = {"finished_at": int(time.time())} if stop == len(batches.user_ids) else {}
                at = sa.update(imports).where(imports.c.import_key == run.key)
                connection.execute(at.values(users_done=stop, ratings_done=done, **ended))
                self._add_to(connection, "changes", changed)
            changes += changed
            if progress:
                progress(done / len(kept))
        return ImportReport(data.name, len(kept.user_ids), len(data.items), len(kept), len(kept) - changes, scale)

    def _begin(self, data: Dataset, fingerprint: str) -> tuple[np.ndarray, Run, Scale | None]:
        """Write catalogue, user attributes and import run; return item keys, progress, and the scale if it changed."""
        kept = data.ratings
        with self._writing() as connection:
            self._settle(
                connection,
                name=data.name,
                scale=scale_text(kept.scale, observed=kept.scale_observed),
                user_id_type=kept.user_ids.type_name,
                item_id_type=kept.item_ids.type_name,
                noun=data.noun,
            )
            self._about = read_about(connection)
            self._check(data, self._about)
            scale = self._widen(connection, data, self._about)
            if self._about.noun == NEW["noun"] != data.noun:
                connection.execute(sa.update(facts).where(facts.c.name == "noun").values(value=data.noun))
                self._about = read_about(connection)
            start = {"fingerprint": fingerprint, "name": data.name, "started_at": int(time.time())}
            begun = self._insert(imports).on_conflict_do_nothing(index_elements=["fingerprint"])
            connection.execute(begun, start | {"users_done": 0, "ratings_done": 0})
            mine = imports.c.fingerprint == fingerprint
            # importing a finished data set again starts from the beginning
            anew = {"users_done": 0, "ratings_done": 0, "finished_at": None}
            connection.execute(sa.update(imports).where(mine, imports.c.finished_at.is_not(None)).values(anew))
            wanted = sa.select(imports.c.import_key, imports.c.users_done)
            run = Run(*connection.execute(wanted.where(mine)).one())
            self._write_items(connection, self._rows("item", data.items))
            self._update_users(connection, data)
            keys = dict(connection.execute(sa.select(items.c.item_id, items.c.item_key)).all())
        return np.array([keys[str(item_id)] for item_id in kept.item_ids.values.to_list()], np.int64), run, scale

    def _check(self, data: Dataset, about: About) -> None:
        """Raise if a data set is incompatible with the store."""
        kept, low, high = data.ratings, data.ratings.scale.low, data.ratings.scale.high
        if not about.scale_observed and (low < about.scale.low or high > about.scale.high):
            wider = f"{min(low, about.scale.low):g},{max(high, about.scale.high):g}"
            step = f"{min(kept.scale.step, about.scale.step):g}"
            raise InputError(
                f"{data.name}: its ratings go {kept.scale}, those of the store {about.scale}. Use a store of its own, "
                f"or set a wider scale with: reelated store scale {wider},{step}"
            )
        for ids, wanted in ((kept.user_ids, about.user_id_type), (kept.item_ids, about.item_id_type)):
            if ids.type_name != wanted == "int":
                raise InputError(
                    f"{data.name}: its {ids.kind} ids are text, those of the store are whole numbers. "
                    "Use a store of its own."
                )

    def _widen(self, connection: sa.Connection, data: Dataset, about: About) -> Scale | None:
        """Widen an observed scale to cover the data; return the scale if it changed."""
        low, high, _ = about.scale
        mine, given = data.ratings.scale, not data.ratings.scale_observed
        values = as_decimals(np.unique(data.ratings.matrix.data))
        if not about.scale_observed or (not given and all(is_on(about.scale, value) for value in values)):
            return None
        seen = self._seen(connection)
        if not seen or (given and mine.low <= low and high <= mine.high):
            wanted, observed = mine, not given
        else:
            ends = [low, high, *(mine[:2] if given else ())]
            wanted, observed = observed_scale(np.array([*ends, *seen, *values], np.float32)), True
        self._write_scale(connection, wanted, observed=observed)
        self._about = read_about(connection)
        return None if wanted == about.scale else wanted

    def _rows(self, kind: Any, table: pl.DataFrame) -> list[dict[str, Any]]:
        """Return a table as rows, with ids of the store's type, and None for blank strings and NaN."""
        if self._type(kind) == "str":
            table = table.with_columns(pl.col(f"{kind}_id").cast(pl.String))
        known = pl.col(pl.String)
        return table.with_columns(
            pl.when(known.str.strip_chars() != "").then(known), pl.col(pl.Float32, pl.Float64).fill_nan(None)
        ).to_dicts()

    def _update_users(self, connection: sa.Connection, data: Dataset) -> None:
        """Write the attributes of users who are already in the store."""
        known = [name for name in USER_FACTS if name in data.users.columns]
        rows = [
            {f"new_{name}": row[name] for name in known} | {"whose": self._text("user", row["user_id"])}
            for row in self._rows("user", data.users)
            if any(row[name] is not None for name in known)
        ]
        if rows:
            given: dict[str, Any] = {
                name: sa.func.coalesce(sa.bindparam(f"new_{name}"), users.c[name]) for name in known
            }
            connection.execute(sa.update(users).where(users.c.user_id == sa.bindparam("whose")).values(given), rows)

    def _write_users(self, connection: sa.Connection, data: Dataset, user_ids: Sequence[Any]) -> np.ndarray:
        """Upsert users with their attributes; return their keys in order."""
        told = data.users.filter(pl.col("user_id").is_in(user_ids))
        values = [
            {**{name: row.get(name) for name in USER_FACTS}, "user_id": self._text("user", row["user_id"])}
            for row in self._rows("user", told)
        ]
        table = self._insert(users)
        new = {name: sa.func.coalesce(table.excluded[name], users.c[name]) for name in USER_FACTS}
        known = [name for name in USER_FACTS if name in told.columns]
        wanted = (
            table.on_conflict_do_update(index_elements=["user_id"], set_={name: new[name] for name in known})
            if known
            else table.on_conflict_do_nothing(index_elements=["user_id"])
        )
        connection.execute(wanted, values)
        texts = [str(user_id) for user_id in user_ids]
        query = sa.select(users.c.user_id, users.c.user_key)
        keys = dict(in_parts(connection, query, users.c.user_id, texts))
        return np.array([keys[text] for text in texts], np.int64)

    def _write_ratings(self, connection: sa.Connection, table: pl.DataFrame) -> int:
        """Upsert ratings unless the stored one is later; return how many are new or changed."""
        early: Any = sa.literal_column(str(NO_TIME + 1), sa.BigInteger)  # a literal: the driver receives only the rows
        if self.dialect == "sqlite":
            into = self._insert(ratings)
        else:  # COPY has no ON CONFLICT: load a temporary table first
            connection.exec_driver_sql("CREATE TEMP TABLE coming (LIKE ratings) ON COMMIT DROP")
            cursor = connection.connection.cursor()
            with cursor.copy(f"COPY coming ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)") as copy:
                buffer = io.BytesIO()
                table.write_csv(buffer, include_header=False)
                copy.write(buffer.getvalue())
            coming: Any = sa.select(*(sa.column(name) for name in COLUMNS)).select_from(sa.table("coming"))
            into = self._insert(ratings).from_select(COLUMNS, coming)
        later = sa.func.coalesce(into.excluded.rated_at, early) >= sa.func.coalesce(ratings.c.rated_at, early)
        columns = ("rating", "rated_at", "position")
        other = sa.or_(*(into.excluded[name].is_distinct_from(ratings.c[name]) for name in columns))
        wanted = self._replacing(into, columns, where=sa.and_(later, other))
        if self.dialect == "sqlite":
            return int(connection.exec_driver_sql(str(wanted.compile(self.engine)), table.rows()).rowcount)
        return int(connection.execution_options(preserve_rowcount=True).execute(wanted).rowcount)

    # ----------------------------------------------------------------------------------------------- out
    def dataset(self, *, with_visitors: bool = False) -> tuple[Dataset, About]:
        """Return the whole store as a data set, read from one snapshot, and its metadata.

        Parameters
        ----------
        with_visitors : bool, default False
            Whether to include visitors of the web page as users, under ids that no user has.

        Returns
        -------
        data : Dataset
            Ratings, items and users.
        about : About
            Name, scale and counters.

        Raises
        ------
        InputError
            The store has no ratings.
        """
        with self._reading(at_once=True) as connection:
            about = read_about(connection)
            rated = _read(connection, sa.select(*(ratings.c[name] for name in COLUMNS)), _RATING_TYPES)
            wanted = [users.c.user_key, users.c.user_id, *(users.c[name] for name in USER_FACTS)]
            people = _read(connection, sa.select(*wanted), _USER_TYPES)
            catalogue = _read(connection, sa.select(*(items.c[name] for name in _ITEM_TYPES)), _ITEM_TYPES)
            kinds = _read(connection, sa.select(*(genres.c[name] for name in _GENRE_TYPES)), _GENRE_TYPES)
            if with_visitors:
                rated = pl.concat([rated, _read(connection, _VISITORS_RATINGS, _RATING_TYPES)])
                guests = _read(connection, sa.select(-visitors.c.visitor_key, visitors.c.visitor_id), _GUEST_TYPES)
                people = pl.concat([people, _with_ids(guests, people, about.user_id_type)], how="diagonal")
        if rated.is_empty():
            raise InputError("The store holds no ratings yet. Import some, or rate items.")
        types: dict[str, Any] = {"int": pl.Int64, "str": pl.String}
        people = people.with_columns(pl.col("user_id").cast(types[about.user_id_type]))
        catalogue = catalogue.with_columns(pl.col("item_id").cast(types[about.item_id_type]))
        return _as_dataset(about, rated, people, catalogue, kinds), about


_RATING_TYPES = {
    "user_key": pl.Int64, "item_key": pl.Int64, "rating": pl.Float32, "rated_at": pl.Int64, "position": pl.Int64,
}  # fmt: skip
_USER_TYPES = {
    "user_key": pl.Int64, "user_id": pl.String, "age": pl.Int32, "gender": pl.String, "occupation": pl.String,
    "zip_code": pl.String,
}  # fmt: skip
_ITEM_TYPES = {
    "item_key": pl.Int64, "item_id": pl.String, "title": pl.String, "year": pl.Int32, "release_date": pl.String,
    "imdb_id": pl.String, "tmdb_id": pl.String,
}  # fmt: skip
_GENRE_TYPES = {"item_key": pl.Int64, "position": pl.Int32, "genre": pl.String}

# negative keys do not collide with the keys of users
_GUEST_TYPES = {"user_key": pl.Int64, "user_id": pl.String}
_GIVEN = (visitor_ratings.c.item_key, visitor_ratings.c.rating, visitor_ratings.c.rated_at)
_VISITORS_RATINGS = sa.select(-visitor_ratings.c.visitor_key, *_GIVEN, sa.null())


def _with_ids(guests: pl.DataFrame, people: pl.DataFrame, id_type: str) -> pl.DataFrame:
    """Give visitors ids of the users' type that no user has."""
    if id_type == "str":
        return guests.with_columns(pl.format("visitor {}", "user_id").alias("user_id"))
    highest = max(people["user_id"].cast(pl.Int64).to_list(), default=0)
    return guests.with_columns((highest - pl.col("user_key")).cast(pl.String).alias("user_id"))


def _read(connection: sa.Connection, wanted: sa.Select[Any], types: dict[str, Any]) -> pl.DataFrame:
    """Return the rows of a query as a table, read in chunks."""
    rows = connection.execution_options(yield_per=CHUNK).execute(wanted)
    parts = [pl.DataFrame(part, schema=types, orient="row") for part in rows.partitions()]
    return pl.concat(parts) if parts else pl.DataFrame(schema=types)


def _as_dataset(
    about: About, rated: pl.DataFrame, people: pl.DataFrame, catalogue: pl.DataFrame, kinds: pl.DataFrame
) -> Dataset:
    """Join the tables by their keys into a data set; drop columns without values."""
    listed = kinds.sort("item_key", "position").group_by("item_key", maintain_order=True).agg(pl.col("genre"))
    dates = catalogue["release_date"].str.to_date(strict=False)
    if dates.null_count() == catalogue["release_date"].null_count():
        catalogue = catalogue.with_columns(dates)
    catalogue = catalogue.join(listed.rename({"genre": "genres"}), on="item_key", how="left")
    named = rated.join(people.select("user_key", "user_id"), on="user_key")
    named = named.join(catalogue.select("item_key", "item_id"), on="item_key")
    table = named.select("user_id", "item_id", "rating", timestamp="rated_at", order="position")
    # ratings since the import have no position; their timestamps are larger, so they sort last, by time
    if table["order"].null_count() < len(table):
        table = table.with_columns(pl.coalesce("order", "timestamp"))
    table = table.select(column for column in table if column.null_count() < len(table))
    frames = [
        frame.drop(key).select(column for column in frame.drop(key) if column.null_count() < len(frame))
        for frame, key in ((catalogue, "item_key"), (people, "user_key"))
    ]
    return Dataset.from_frames(table, *frames, scale=about.scale, name=about.name, noun=about.noun)
