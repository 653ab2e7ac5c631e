"""The role of each file of a folder: ratings, items, users, links or tags.

The names of MovieLens files count first. Otherwise the columns decide: the table with user, item and rating is the
ratings; one with the item's id is the catalogue; one with the user's id is the users.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath

import polars as pl

from reelated.data.containers import Container, Tables, container_of, head_of, is_tar
from reelated.data.json_reader import is_json, json_names
from reelated.data.layouts import is_item_lists
from reelated.data.text_forms import arrange_text, as_utf8
from reelated.data.text_layout import RATING_SPEC, ColumnSpec, by_position
from reelated.data.unpack import POLARS_ERRORS, quiet_panics
from reelated.data.unpack import SUFFIXES as PACKED
from reelated.errors import InputError, shorten
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, USER_ALIASES, match_columns, plain

TABLE_SUFFIXES = (
    *(".csv", ".tsv", ".txt", ".dat", ".parquet", ".pq", ".arrow", ".feather", ".ipc", ".json", ".jsonl", ".ndjson"),
    *(".xlsx", ".xls", ".db", ".sqlite", ".sqlite3", ".inter", ".item", ".user", ".data", ".tar", ".tgz", ".ratings"),
    *(".rating", ".negative", ".mtx"),
)
# file names of the editions by role; those in `TABLE_NAMES` may also be tables of any kind
ROLES: dict[str, tuple[str, ...]] = {
    "ratings": ("u.data", "ratings.dat"),
    "items": ("u.item", "movies.dat"),
    "users": ("u.user", "users.dat"),
    "links": ("links.csv", "link.csv"),
    "tags": ("tags.dat", "tags.csv", "tag.csv"),
    "about": ("readme", "readme.txt", "readme.md"),
}
TABLE_NAMES = {"ratings": ("ratings", "rating"), "items": ("items", "movies", "movie"), "users": ("users",)}

_RATING_FILES = ("rating", "interaction", "event", "purchase", "play", "click", "order")


class NoRatings(InputError):
    """No table of a folder is recognised as the ratings."""


@dataclass
class Roles:
    """The files of one folder by role, further parts of the ratings, and the tables that are left out."""

    files: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    """A table in a folder: which ids and attributes its columns hold."""

    path: str
    names: tuple[str, ...]
    ratings: frozenset[str]
    items: frozenset[str]
    users: frozenset[str]

    @property
    def file(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def about_items(self) -> int:
        """Number of attributes of items, if the table is a catalogue."""
        return 0 if "item_id" not in self.items or "user_id" in self.ratings else len(self.items) - 1

    @property
    def about_users(self) -> bool:
        return "user_id" in self.users and "item_id" not in self.ratings and len(self.users) > 1


def is_table(name: str) -> bool:
    """Return whether a file is a table by its extension; it may be compressed."""
    lower = name.lower()
    for suffix in PACKED:
        lower = lower.removesuffix(suffix)
    # store.json is the metadata of an exported store
    if lower.startswith(("readme", "license", "checksum", "store.json")):
        return False
    return lower.endswith(TABLE_SUFFIXES) or lower.startswith("part-")


def column_names(container: Container, name: str, spec: ColumnSpec) -> tuple[str, ...]:
    """Return the column names of a table; none if they cannot be read."""
    try:
        start = head_of(container, name)
        if start.startswith((b"PK\x03\x04", b"SQLite", b"\xd0\xcf\x11\xe0")) or is_tar(start):
            inner = container_of(name, container.read(name))
            return column_names(inner, ratings_in(name, inner, spec), spec) if inner else ()
        if start.startswith(b"PAR1"):
            with quiet_panics():
                return tuple(pl.read_parquet_schema(BytesIO(start)))
        if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
            read = pl.read_ipc if start.startswith(b"ARROW1") else pl.read_ipc_stream
            with quiet_panics():
                return tuple(read(BytesIO(start)).columns)
        text, _ = as_utf8(name, start[: start.rfind(b"\n") + 1] or start, spec.options.encoding)
        if is_item_lists(name, text):
            return "user_id", "item_id"
        return json_names(text) if is_json(text) else arrange_text(PurePosixPath(name).name, text, spec)[1].names
    except (InputError, *POLARS_ERRORS, OSError, ValueError):
        return ()


def assign_roles(root: str, container: Container, paths: Sequence[str], spec: ColumnSpec = RATING_SPEC) -> Roles:
    """Assign roles to the files of one folder; a single table holds the ratings, whatever its name."""
    roles = Roles(_by_name(root, paths))
    all_tables = isinstance(container, Tables)
    tables = [path for path in paths if all_tables or is_table(PurePosixPath(path).name)]
    unknown = [path for path in tables if path not in roles.files.values()]
    if "ratings" not in roles.files and len(tables) == 1 and not roles.files.keys() - {"about"}:
        roles.files["ratings"] = tables[0]
        return roles
    if not unknown:
        return roles
    described = [_describe(container, path, spec) for path in unknown]
    if "ratings" not in roles.files:
        _choose_ratings(root, roles, described, tables, spec)
    free = [table for table in described if table.path not in (roles.files.get("ratings"), *roles.parts)]
    catalogues = sorted((table for table in free if table.about_items), key=lambda table: -table.about_items)
    if catalogues and "items" not in roles.files:
        roles.files["items"] = catalogues[0].path
    people = [table for table in free if table.about_users]
    if people and "users" not in roles.files:
        roles.files["users"] = people[0].path
    used = {*roles.files.values(), *roles.parts}
    roles.left_out = tuple(table.file for table in free if table.path not in used)
    return roles


def ratings_in(label: str, container: Container, spec: ColumnSpec) -> str:
    """Return the member of a container within a folder that holds the wanted table."""
    names = container.names()
    tables = names if isinstance(container, Tables) else [name for name in names if is_table(PurePosixPath(name).name)]
    fitting = tables if len(tables) == 1 else [name for name in tables if _fits(container, name, spec)]
    if len(fitting) != 1:
        listed, wanted = ", ".join(map(repr, tables[:6])) or "nothing", ", ".join(spec.required)
        raise InputError(f"{label} holds {len(fitting) or 'no'} tables with {wanted}, among {listed}.")
    return fitting[0]


def _fits(container: Container, name: str, spec: ColumnSpec) -> bool:
    """Return whether a table has the wanted columns."""
    names = column_names(container, name, spec)
    return set(spec.required) <= match_columns(names, spec.aliases, by_position(spec.columns, names)).keys()


def _by_name(root: str, paths: Sequence[str]) -> dict[str, str]:
    """Return the roles that file names indicate."""
    roles: dict[str, str] = {}
    for role, known in ROLES.items():
        matches = [path for path in paths if _has_role(role, known, PurePosixPath(path).name.lower())]
        if len(matches) > 1:
            raise InputError(f"{root} holds {role} in {' and in '.join(map(repr, matches))}. Pass one of them.")
        if matches:
            roles[role] = matches[0]
    return roles


def _has_role(role: str, known: tuple[str, ...], name: str) -> bool:
    """Return whether the name of a file fits a role."""
    return name in known or (is_table(name) and name.split(".")[0] in TABLE_NAMES.get(role, ()))


def _describe(container: Container, path: str, spec: ColumnSpec) -> _Table:
    """Return the ids and attributes in the columns of a table."""
    names = column_names(container, path, spec)
    columns, options = by_position(spec.columns, names), spec.options
    item_columns = by_position(options.item_columns, names)
    found = [
        frozenset(ours for ours, theirs in match_columns(names, aliases, given).items() if theirs in names)
        for aliases, given in ((RATING_ALIASES, columns), (ITEM_ALIASES, item_columns), (USER_ALIASES, None))
    ]
    own = {ours: str(theirs) for ours, theirs in (columns or {}).items() if theirs and str(theirs) in names}
    items, users = found[1] | ({"item_id"} & own.keys()), found[2] | ({"user_id"} & own.keys())
    return _Table(path, names, found[0], items, users)


def _part_of(name: str) -> str:
    """Return the common part of the names of the parts of one table."""
    is_parquet = name.lower().endswith((".parquet", ".pq"))
    return "" if is_parquet else re.sub(r"\d+|[0-9a-f]{8}-[0-9a-f-]{27,}", "#", name)


def _choose_ratings(root: str, roles: Roles, described: list[_Table], tables: list[str], spec: ColumnSpec) -> None:
    """Choose the table of ratings by its columns; part files are read as one table."""
    without = spec.columns is not None and spec.columns.get("rating", "") is None
    wanted = {"user_id", "item_id"} if without else {"user_id", "item_id", "rating"}
    found = [table for table in described if wanted <= table.ratings]
    if not found:
        values = {"weight", "event"}
        found = [table for table in described if {"user_id", "item_id"} <= table.ratings and values & table.ratings]
    if len(found) > 1:
        found = [table for table in found if any(word in plain(table.file) for word in _RATING_FILES)] or found
    if len({(_part_of(table.file), table.names) for table in found}) == 1:
        roles.files["ratings"], roles.parts = found[0].path, tuple(table.path for table in found[1:])
        return
    likes = [table for table in described if {"user_id", "item_id"} <= table.ratings]
    if not found and len(likes) == 1:
        roles.files["ratings"] = likes[0].path  # the reader then reports the missing column
        return
    if tables:
        listed = ", ".join(map(repr, [table.path for table in found] or tables[:6]))
        holds = f"{root} holds several tables ({shorten(listed, 300)[1:-1]})"
        if found or not (join := _join_hint(described)):
            message = f"{holds}. Pass the one that holds the ratings."
            raise InputError(message) if found else NoRatings(message)
        raise NoRatings(f"{holds}, and none has both users and items. Join them, for example with polars: {join}.")


def _join_hint(described: list[_Table]) -> str:
    """Return code that joins a table of users and a table of items on a common column; empty if there is none."""
    for users in described:
        for items in described:
            common = [name for name in users.names if name in items.names]
            if "user_id" in users.ratings and "item_id" in items.ratings and "item_id" not in users.ratings and common:
                left, right = (PurePosixPath(table.file).stem for table in (users, items))
                return f"read({left}.join({right}, on={common[0]!r}))"
    return ""
