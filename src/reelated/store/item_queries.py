"""`ItemQueries`: the catalogue of the store."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from reelated.errors import Advice, InputError, UnknownId, check_integer, shorten
from reelated.ratings.dataset import NO_TITLE
from reelated.store.connection import LOCK_TIMEOUT, PreparedStatement, batches, select_in
from reelated.store.info import InfoQueries
from reelated.store.records import (
    MAX_TITLE_LENGTH,
    StoredItem,
    check_genres,
    check_image,
    check_text,
    check_title,
    check_year,
    normalize_title,
)
from reelated.store.schema import genres, items, ratings


def hidden_statement(dialect: str) -> sa.Select[Any]:
    """Select the keys of the hidden items as one list."""
    return sa.select(as_list(dialect, items.c.item_key)).where(items.c.hidden)


class ItemQueries(InfoQueries):
    """Queries and changes of the catalogue."""

    def __init__(self, url: str | None = None, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        super().__init__(url, lock_timeout=lock_timeout)
        self._hidden = PreparedStatement(hidden_statement(self.dialect), self.engine, self._file.check)

    def put_item(
        self,
        item_id: Any,
        title: str | None = None,
        year: int | Literal["unchanged"] | None = "unchanged",
        genres: Iterable[str] | None = None,
        image: str | None = "unchanged",
    ) -> bool:
        """Add an item, or change the given attributes (None clears a year or a picture); return whether it is new."""
        values = _checked_columns(title, year, image)
        checked_genres = None if genres is None else check_genres(genres)
        with self._writing() as connection:
            self._ensure_meta(connection)
            text = self._id_text("item", item_id)
            is_item = items.c.item_id == text
            key: Any = connection.scalar(sa.select(items.c.item_key).where(is_item).with_for_update())
            is_new = key is None
            if is_new:
                if title is None:
                    raise InputError(f"item_id={shorten(item_id)} is a new item and needs one.", parameter="title")
                # on conflict, because another process may add the item at the same time
                insert = self._insert(items).values(item_id=text, **values)
                upsert = insert.on_conflict_do_update(index_elements=["item_id"], set_=values)
                key = connection.scalar(upsert.returning(items.c.item_key))
            elif values:
                connection.execute(sa.update(items).where(is_item).values(values))
            if checked_genres is not None:
                self._write_genres(connection, {key: checked_genres})
        return is_new

    def _write_items(self, connection: sa.Connection, rows: Collection[Mapping[str, Any]]) -> None:
        """Upsert items and their genres."""
        if not rows:
            return
        insert = self._insert(items)
        values = [
            {name: row.get(name) for name in _OTHER_COLUMNS}
            | {
                "item_id": self._id_text("item", row["item_id"]),
                "title": row["title"],
                "title_normalized": normalize_title(row["title"]),
                "year": row["year"],
            }
            for row in rows
        ]
        new, stored = insert.excluded, items.c
        # a title made from the id means that the data has no title: the stored title remains
        placeholders = new.item_id, sa.literal_column(f"'{NO_TITLE}'", sa.Text) + new.item_id
        is_placeholder = sa.or_(*(new.title == placeholder for placeholder in placeholders))
        merged: dict[str, Any] = {
            name: sa.case((is_placeholder, stored[name]), else_=new[name]) for name in ("title", "title_normalized")
        }
        merged |= {name: sa.func.coalesce(new[name], stored[name]) for name in ("year", *_OTHER_COLUMNS)}
        connection.execute(insert.on_conflict_do_update(index_elements=["item_id"], set_=merged), values)
        ids = [value["item_id"] for value in values]
        keys = dict(select_in(connection, _KEYS, items.c.item_id, ids))
        genres_of = {keys[text]: row["genres"] for text, row in zip(ids, rows, strict=True) if row["genres"]}
        self._write_genres(connection, genres_of)

    def _write_genres(self, connection: sa.Connection, genres_of: Mapping[int, Iterable[str]]) -> None:
        keys = sorted(genres_of)
        for part in batches(keys):
            connection.execute(sa.delete(genres).where(genres.c.item_key.in_(part)))
        rows = [
            {"item_key": key, "position": position, "genre": genre}
            for key in keys
            for position, genre in enumerate(dict.fromkeys(genres_of[key]))
        ]
        if rows:
            connection.execute(sa.insert(genres), rows)

    def _item_keys(self, connection: sa.Connection, item_ids: Mapping[str, Any]) -> dict[str, int]:
        """Return stored id → key, or raise for an unknown item; `item_ids` maps stored ids to the caller's."""
        keys = dict(select_in(connection, _KEYS, items.c.item_id, list(item_ids)))
        for text, item_id in item_ids.items():
            if text not in keys:
                raise UnknownId("no such item.", parameter="item_id", value=item_id, remedy=Advice.ADD_ITEM)
        return keys

    def _item_key(self, connection: sa.Connection, item_id: Any) -> int:
        """Return the key of an item, or raise for an unknown one."""
        text = self._id_text("item", item_id)
        return self._item_keys(connection, {text: item_id})[text]

    def all_item_keys(self) -> list[tuple[int, str]]:
        """Return the key and the stored id of every item."""
        with self._reading() as connection:
            return [(key, text) for text, key in connection.execute(_KEYS)]

    def item(self, item_id: Any) -> StoredItem:
        with self._reading() as connection:
            key = self._item_key(connection, item_id)
            return self._as_items(connection, sa.select(*_COLUMNS).where(items.c.item_key == key))[0]

    def items_of(self, item_ids: Iterable[Any]) -> list[StoredItem]:
        """Return items in the given order, without unknown and hidden ones."""
        texts = [self._id_text("item", item_id) for item_id in item_ids]
        with self._reading() as connection:
            statement = sa.select(*_COLUMNS).where(items.c.item_id.in_(texts), ~items.c.hidden)
            found = {item.item_id: item for item in self._as_items(connection, statement)}
        return [found[item_id] for text in texts if (item_id := self.as_id("item", text)) in found]

    def images_of(self, item_ids: Iterable[Any]) -> dict[Any, str]:
        """Return the URLs of the pictures of items; items without a picture are left out."""
        texts = [self._id_text("item", item_id) for item_id in item_ids]
        query = sa.select(items.c.item_id, items.c.image).where(items.c.item_id.in_(texts), items.c.image.is_not(None))
        with self._reading() as connection:
            return {self.as_id("item", text): image for text, image in connection.execute(query)}

    def set_hidden(self, item_id: Any, hidden: bool) -> None:
        """Hide an item or show it again; its ratings are kept."""
        with self._writing() as connection:
            key = self._item_key(connection, item_id)
            connection.execute(sa.update(items).where(items.c.item_key == key).values(hidden=hidden))

    def _hide(self, connection: sa.Connection, texts: Sequence[str]) -> None:
        """Hide items by their stored ids."""
        for part in batches(texts):
            connection.execute(sa.update(items).where(items.c.item_id.in_(part)).values(hidden=True))

    def is_hidden(self, item_id: Any) -> bool:
        """Return whether an item is hidden; False for an unknown item."""
        query = sa.select(items.c.hidden).where(items.c.item_id == self._id_text("item", item_id))
        with self._reading() as connection:
            return bool(connection.scalar(query))

    def hidden_keys(self) -> frozenset[int]:
        ((keys,),) = self._hidden()
        return frozenset(json.loads(keys) if self.dialect == "sqlite" else keys or ())

    def find_items(
        self, query: str = "", *, genres: Collection[str] = (), start: int = 0, n: int = 50
    ) -> list[StoredItem]:
        """Search items by a part of the title, ignoring case and accents; the closest titles come first.

        Hidden items are excluded.
        """
        start, n = check_integer("start", start, 0), check_integer("n", n, 1)
        title = items.c.title_normalized
        statement = sa.select(*_COLUMNS).where(~items.c.hidden)
        closeness: list[Any] = []
        if text := normalize_title(query.strip()):
            check_text("query", query, MAX_TITLE_LENGTH)
            statement = statement.where(title.contains(text, autoescape=True))
            closeness = [sa.case((title == text, 0), (title.startswith(text, autoescape=True), 1), else_=2)]
        if genres:
            statement = statement.where(items.c.item_key.in_(_keys_with_genres(genres)))
        statement = statement.order_by(*closeness, title, items.c.item_key).offset(start).limit(n)
        with self._reading() as connection:
            return self._as_items(connection, statement)

    def _as_items(self, connection: sa.Connection, query: sa.Select[Any]) -> list[StoredItem]:
        """Run a query for items; add their genres and numbers of ratings."""
        rows = connection.execute(query).all()
        keys = [row[0] for row in rows]
        genres_of: dict[int, list[str]] = {key: [] for key in keys}
        genre_query = sa.select(genres.c.item_key, genres.c.genre).where(genres.c.item_key.in_(keys))
        for key, genre in connection.execute(genre_query.order_by(genres.c.item_key, genres.c.position)):
            genres_of[key].append(genre)
        count_query = sa.select(ratings.c.item_key, sa.func.count()).where(ratings.c.item_key.in_(keys))
        counts: dict[int, int] = dict(connection.execute(count_query.group_by(ratings.c.item_key)).all())
        return [
            StoredItem(self.as_id("item", text), title, year, tuple(genres_of[key]), counts.get(key, 0), image)
            for key, text, title, year, image in rows
        ]


_KEYS = sa.select(items.c.item_id, items.c.item_key)
_COLUMNS = (items.c.item_key, items.c.item_id, items.c.title, items.c.year, items.c.image)
_OTHER_COLUMNS = ("release_date", "imdb_id", "tmdb_id", "image")


def as_list(dialect: str, column: Any) -> Any:
    """Return the aggregate of a column as a list; SQLite returns JSON text.

    The SQLite driver releases the GIL for every row and has to wait for it while other threads run.
    """
    return (sa.func.json_group_array if dialect == "sqlite" else sa.func.array_agg)(column)


def _keys_with_genres(names: Collection[str]) -> sa.Select[Any]:
    """Select the keys of the items of any of these genres, ignoring case."""
    lower = [name.lower() for name in names if "\0" not in name]
    return sa.select(genres.c.item_key).where(sa.func.lower(genres.c.genre).in_(lower))


def _checked_columns(title: str | None, year: Any, image: str | None) -> dict[str, Any]:
    """Return the columns of an item that change, or raise if one is invalid."""
    values: dict[str, Any] = {}
    if title is not None:
        values |= {"title": check_title(title, MAX_TITLE_LENGTH), "title_normalized": normalize_title(title)}
    if year != "unchanged":
        values["year"] = check_year(year)
    if image != "unchanged":
        values["image"] = check_image(image)
    return values
