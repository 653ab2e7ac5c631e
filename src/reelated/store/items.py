"""`Items`: the item catalogue of the store."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from reelated.errors import InputError, UnknownId, check_integer, shorten
from reelated.ratings.dataset import NO_TITLE
from reelated.store.database import Database, Ready, in_parts
from reelated.store.ids import check_text, fold
from reelated.store.tables import genres, items, ratings

LONGEST_TITLE = 500
LONGEST_GENRE = 100
MOST_GENRES = 50


class StoredItem(NamedTuple):
    """An item of the store.

    Attributes
    ----------
    item_id : int or str
        Id of the item.
    title, year, genres
        Attributes in the catalogue; `year` may be None.
    n_ratings : int
        Number of users who rated the item.
    """

    item_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    n_ratings: int


class Items(Database):
    """Queries and changes of the catalogue."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self._hidden = Ready(_hidden_statement(self.dialect), self.engine)

    def put_item(
        self,
        item_id: Any,
        title: str | None = None,
        year: int | Literal["unchanged"] | None = "unchanged",
        genres: Iterable[str] | None = None,
    ) -> bool:
        """Add an item, or change the given attributes of an existing one.

        Parameters
        ----------
        item_id : int or str
            Id of the item.
        title : str, optional
            Title without the year; required for a new item.
        year : int or None, default "unchanged"
            Year of release; None removes the year.
        genres : iterable of str, optional
            All genres of the item.

        Returns
        -------
        bool
            Whether the item is new.

        Raises
        ------
        InputError
            The id, the title, the year or a genre is invalid, or a new item has no title.
        """
        given: dict[str, Any] = {}
        if title is not None:
            given |= {"title": check_text("title", title, LONGEST_TITLE), "title_normalized": fold(title)}
        if year != "unchanged":
            given["year"] = check_year(year)
        named = None if genres is None else check_genres(genres)
        with self._writing() as connection:
            self._settle(connection)
            row = {"item_id": self._text("item", item_id)}
            which = items.c.item_id == row["item_id"]
            known = connection.scalar(sa.select(items.c.item_key).where(which).with_for_update())
            if known is None and "title" not in given:
                raise InputError(f"title: item_id={shorten(item_id)} is a new item and needs one.")
            if known is None:
                # on conflict, because another process may add the item at the same time
                new = self._insert(items).values(row | given)
                connection.execute(new.on_conflict_do_update(index_elements=["item_id"], set_=given))
            elif given:
                connection.execute(sa.update(items).where(which).values(given))
            if named is not None:
                key = connection.execute(sa.select(items.c.item_key).where(which)).scalar_one()
                self._write_genres(connection, {key: named})
        return known is None

    def _write_items(self, connection: sa.Connection, rows: Collection[Mapping[str, Any]]) -> dict[str, int]:
        """Upsert items; return stored id → key."""
        table = self._insert(items)
        values = [
            {
                **{name: row.get(name) for name in _BESIDE},
                "item_id": self._text("item", row["item_id"]),
                "title": row["title"],
                "title_normalized": fold(row["title"]),
                "year": row["year"],
            }
            for row in rows
        ]
        come, kept = table.excluded, items.c
        # a title made from the id means that the data has none: the stored title stays
        stand_ins = come.item_id, sa.literal_column(f"'{NO_TITLE}'", sa.Text) + come.item_id
        is_unknown = sa.or_(*(come.title == stand_in for stand_in in stand_ins))
        new: dict[str, Any] = {
            name: sa.case((is_unknown, kept[name]), else_=come[name]) for name in ("title", "title_normalized")
        }
        new |= {name: sa.func.coalesce(come[name], kept[name]) for name in ("year", *_BESIDE)}
        connection.execute(table.on_conflict_do_update(index_elements=["item_id"], set_=new), values)
        ids = [value["item_id"] for value in values]
        keys = dict(in_parts(connection, _KEYS, items.c.item_id, ids))
        listed = zip(ids, rows, strict=True)
        self._write_genres(connection, {keys[text]: row["genres"] for text, row in listed if row["genres"]})
        return keys

    def _write_genres(self, connection: sa.Connection, named: Mapping[int, Iterable[str]]) -> None:
        mine = sorted(named)
        for start in range(0, len(mine), 5000):
            connection.execute(sa.delete(genres).where(genres.c.item_key.in_(mine[start : start + 5000])))
        placed = [
            {"item_key": key, "position": place, "genre": genre}
            for key in mine
            for place, genre in enumerate(dict.fromkeys(named[key]))
        ]
        if placed:
            connection.execute(sa.insert(genres), placed)

    def _item_keys(self, connection: sa.Connection, named: Mapping[str, Any]) -> dict[str, int]:
        """Return stored id → key, or raise for an unknown item."""
        keys = dict(in_parts(connection, _KEYS, items.c.item_id, list(named)))
        for text, item_id in named.items():
            if text not in keys:
                raise UnknownId(f"item_id={shorten(item_id)}: no such item. Look for it by title, or add it first.")
        return keys

    def all_item_keys(self) -> list[tuple[int, str]]:
        """Return the key and the stored id of every item."""
        with self._reading() as connection:
            return [(key, text) for text, key in connection.execute(_KEYS)]

    def item(self, item_id: Any) -> StoredItem:
        """Return one item.

        Parameters
        ----------
        item_id : int or str
            Id of the item.

        Returns
        -------
        StoredItem

        Raises
        ------
        UnknownId
            The store has no such item.
        """
        text = self._text("item", item_id)
        with self._reading() as connection:
            self._item_keys(connection, {text: item_id})
            return self._as_items(connection, sa.select(*_FACTS).where(items.c.item_id == text))[0]

    # ------------------------------------------------------------------------------------------- hidden
    def set_hidden(self, item_id: Any, hidden: bool) -> None:
        """Hide an item or show it again; its ratings are kept.

        Parameters
        ----------
        item_id : int or str
            Id of the item.
        hidden : bool
            Whether to hide the item.

        Raises
        ------
        UnknownId
            The store has no such item.
        """
        text = self._text("item", item_id)
        with self._writing() as connection:
            key = self._item_keys(connection, {text: item_id})[text]
            connection.execute(sa.update(items).where(items.c.item_key == key).values(hidden=hidden))

    def is_hidden(self, item_id: Any) -> bool:
        """Return whether an item is hidden; False for an unknown item.

        Parameters
        ----------
        item_id : int or str
            Id of the item.

        Returns
        -------
        bool
        """
        wanted = sa.select(items.c.hidden).where(items.c.item_id == self._text("item", item_id))
        with self._reading() as connection:
            return bool(connection.scalar(wanted))

    def hidden_keys(self) -> frozenset[int]:
        """Return the keys of the hidden items."""
        ((keys,),) = self._hidden()
        return frozenset(json.loads(keys) if self.dialect == "sqlite" else keys or ())

    def find_items(
        self, query: str = "", *, genres: Collection[str] = (), start: int = 0, n: int = 50
    ) -> list[StoredItem]:
        """Search items by a part of the title, ignoring case and accents; the closest titles come first.

        Hidden items are excluded.

        Parameters
        ----------
        query : str, default ""
            A part of the title; by default all items.
        genres : collection of str, default ()
            Only items of any of these genres.
        start : int, default 0
            Number of results to skip.
        n : int, default 50
            Maximum number of results.

        Returns
        -------
        list of StoredItem
        """
        start, n = check_integer("start", start, 0), check_integer("n", n, 1)
        wanted = sa.select(*_FACTS).where(~items.c.hidden)
        nearest: list[Any] = []
        if text := fold(query.strip()):
            check_text("query", query, LONGEST_TITLE)
            wanted = wanted.where(items.c.title_normalized.contains(text, autoescape=True))
            begins = items.c.title_normalized.startswith(text, autoescape=True)
            nearest = [sa.case((items.c.title_normalized == text, 0), (begins, 1), else_=2)]
        if genres:
            wanted = wanted.where(items.c.item_key.in_(_of_genres(genres)))
        wanted = wanted.order_by(*nearest, items.c.title_normalized, items.c.item_key).offset(start).limit(n)
        with self._reading() as connection:
            return self._as_items(connection, wanted)

    def _as_items(self, connection: sa.Connection, wanted: sa.Select[Any]) -> list[StoredItem]:
        """Run a query for items; add their genres and numbers of ratings."""
        rows = connection.execute(wanted).all()
        keys = [row[0] for row in rows]
        of: dict[int, list[str]] = {key: [] for key in keys}
        listed = sa.select(genres.c.item_key, genres.c.genre).where(genres.c.item_key.in_(keys))
        for key, genre in connection.execute(listed.order_by(genres.c.item_key, genres.c.position)):
            of[key].append(genre)
        counted = sa.select(ratings.c.item_key, sa.func.count()).where(ratings.c.item_key.in_(keys))
        counts: dict[int, int] = dict(connection.execute(counted.group_by(ratings.c.item_key)).all())
        return [
            StoredItem(self.as_id("item", text), title, year, tuple(of[key]), counts.get(key, 0))
            for key, text, title, year in rows
        ]


_KEYS = sa.select(items.c.item_id, items.c.item_key)
_FACTS = (items.c.item_key, items.c.item_id, items.c.title, items.c.year)
_BESIDE = ("release_date", "imdb_id", "tmdb_id")


def _hidden_statement(dialect: str) -> sa.Select[Any]:
    """Select the keys of the hidden items as one row."""
    gathered = sa.func.json_group_array if dialect == "sqlite" else sa.func.array_agg
    return sa.select(gathered(items.c.item_key)).where(items.c.hidden)


def _of_genres(wanted: Collection[str]) -> sa.Select[Any]:
    """Select the keys of the items of any of these genres, ignoring case."""
    lower = [genre.lower() for genre in wanted if "\0" not in genre]
    return sa.select(genres.c.item_key).where(sa.func.lower(genres.c.genre).in_(lower))


def check_genres(wanted: Iterable[str]) -> list[str]:
    """Return the distinct genres, or raise if one is invalid."""
    named = list(dict.fromkeys(wanted))
    if len(named) > MOST_GENRES:
        raise InputError(f"genres: got {len(named)} of them, expected {MOST_GENRES} at the most.")
    return [check_text("genres", genre, LONGEST_GENRE) for genre in named]


def check_year(year: Any) -> int | None:
    """Return a valid year or None, or raise."""
    made = check_integer("year", year, -10_000, none=True)
    if made is not None and made > 10_000:
        raise InputError(f"year={shorten(year)}: expected a year of 10000 or less, or None.")
    return made
