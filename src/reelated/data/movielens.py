"""The MovieLens editions: file layouts, and readers for items, users, links and tags."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from reelated.data.containers import Single
from reelated.data.files import Files, find_files
from reelated.data.items import normalize_items, unnamed_columns
from reelated.data.options import ReadOptions
from reelated.data.roles import column_names
from reelated.data.table_reader import read_table
from reelated.data.text_layout import RATING_SPEC, ColumnSpec, ParseTrace, TextLayout, split_line
from reelated.errors import InputError, plural
from reelated.ratings import Dataset, Scale
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, USER_ALIASES, Aliases, ColumnNames, with_own_names
from reelated.ratings.frames import rating_columns, read_ids
from reelated.ratings.times import as_seconds

GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)

# names of the occupation codes of MovieLens 1M, from its README
OCCUPATIONS = (
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service"),
    *("doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer"),
    *("retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman"),
    *("unemployed", "writer"),
)

_NO_AGE = ("null", "nan", "na", "n/a", "none", "\\n", "")
_RATING = ("user_id", "item_id", "rating", "timestamp")
_ITEM = ("item_id", "title", "release_date", "video_date", "url")
LAYOUTS = {
    "u.data": TextLayout("\t", _RATING, quoted=False),
    "u.item": TextLayout("|", (*_ITEM, *GENRES), quoted=False),
    "u.user": TextLayout("|", ("user_id", "age", "gender", "occupation", "zip_code"), quoted=False),
    "ratings.dat": TextLayout("::", _RATING, quoted=False),
    "movies.dat": TextLayout("::", ("item_id", "title", "genres"), quoted=False),
    "users.dat": TextLayout("::", ("user_id", "gender", "age", "occupation", "zip_code"), quoted=False),
    "tags.dat": TextLayout("::", ("user_id", "item_id", "tag", "timestamp"), quoted=False),
}
# the stable editions by their number of ratings
EDITIONS = {
    100_000: "MovieLens 100K",
    1_000_209: "MovieLens 1M",
    10_000_054: "MovieLens 10M",
    20_000_263: "MovieLens 20M",
    25_000_095: "MovieLens 25M",
    32_000_204: "MovieLens 32M",
}


def layout_of(name: str, data: bytes) -> TextLayout | None:
    """Return the layout of a MovieLens file, if its name and the number of fields in its first line match."""
    layout = LAYOUTS.get(PurePosixPath(name).name.lower())
    line = data[:65536].split(b"\n", 1)[0].decode("latin-1")
    return layout if layout and len(split_line(line, layout.separator)) == len(layout.names) else None


_LINK_ALIASES: Aliases = {name: ITEM_ALIASES[name] for name in ("item_id", "imdb_id", "tmdb_id")}
_TAG_ALIASES: Aliases = {name: RATING_ALIASES.get(name, ()) for name in ("user_id", "item_id", "tag", "timestamp")}
SIDE_TABLES: dict[str, tuple[Aliases, tuple[str, ...]]] = {
    "links": (_LINK_ALIASES, ("item_id",)),  # first, because links may be needed to find the ids of the items
    "items": (ITEM_ALIASES, ("item_id",)),
    "users": (USER_ALIASES, ("user_id",)),
    "tags": (_TAG_ALIASES, ("user_id", "item_id")),
}
"""Kind of table → the aliases of its columns, and its required columns."""


def read_side_table(
    kind: str, name: str, data: bytes, options: ReadOptions, trace: ParseTrace | None = None, own: ColumnNames = None
) -> tuple[pl.DataFrame, list[str]]:
    """Read a table of items, users, links or tags; `own` maps columns of ids to those of the ratings."""
    aliases, required = SIDE_TABLES[kind]
    layout = layout_of(name, data)
    # u.item has a 0/1 column for each genre
    genres = GENRES if kind == "items" and layout is LAYOUTS["u.item"] else ()
    columns = options.item_columns if kind == "items" else None
    aliases = with_own_names(aliases, own) | dict.fromkeys(genres, ())
    unnamed: dict[str, tuple[str, ...]] = {}
    if kind == "items" and layout is None:
        names = column_names(Single(name, data=data), name, ColumnSpec(aliases, required, columns, options))
        unnamed = unnamed_columns(names, aliases, columns)
        aliases = aliases | unnamed
    table, notes = read_table(name, data, ColumnSpec(aliases, required, columns, options, trace), layout)
    if genres:
        present = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in genres]
        table = table.with_columns(genres=pl.concat_list(present)).drop(genres)
    if kind == "items":
        table, changes = normalize_items(table, unnamed.keys())
        return table, notes + changes
    return _convert(table, kind, layout), notes


def _convert(table: pl.DataFrame, kind: str, layout: TextLayout | None) -> pl.DataFrame:
    """Convert ages, TMDB ids and times of tags to integers, and the occupation codes of MovieLens 1M to names."""
    if kind == "users" and "age" in table.columns:
        text = table["age"].cast(pl.String)
        text = text.set(text.str.to_lowercase().is_in(_NO_AGE).fill_null(False), None)
        age = text.cast(pl.Float64, strict=False).cast(pl.Int32, strict=False)
        table = table.with_columns(age if age.null_count() == text.null_count() else text)
    if kind == "users" and layout is LAYOUTS["users.dat"]:
        codes = {str(code): name for code, name in enumerate(OCCUPATIONS)}
        table = table.with_columns(pl.col("occupation").replace(codes))
    if kind == "links" and "tmdb_id" in table.columns:
        table = table.with_columns(read_ids(table["tmdb_id"]))
    if kind == "tags" and "timestamp" in table.columns:
        table = table.with_columns(as_seconds(table["timestamp"]).values)
    return table


def with_links(items: pl.DataFrame | None, links: pl.DataFrame) -> pl.DataFrame:
    """Add IMDb and TMDB ids to the item table."""
    if items is None:
        return links
    if items["item_id"].dtype != links["item_id"].dtype:
        raise InputError("item_id is an integer in one of the tables of items and links, and text in the other.")
    return items.drop(links.columns[1:], strict=False).join(links, on="item_id", how="left", maintain_order="left")


def with_linked_ids(items: pl.DataFrame, links: pl.DataFrame, rated: pl.Series) -> tuple[pl.DataFrame, list[str]]:
    """Translate the ids of a catalogue with the table of links, if this matches more rated items."""
    best, notes = items, []
    for name in links.columns[1:]:
        # an IMDb id is tt0114709, or its number with or without leading zeros
        keys = [pl.col(id_).cast(pl.String).str.replace(r"^(tt)?0*", "").alias("key") for id_ in ("item_id", name)]
        wanted = links.select("item_id", keys[1]).drop_nulls()
        linked = items.with_columns(keys[0]).drop("item_id").join(wanted, on="key", maintain_order="left").drop("key")
        if n_known(linked, rated) > n_known(best, rated):
            best, notes = linked, [f"read its ids as {name}; the table of links gives the item_id of each"]
    return best, notes


def n_known(items: pl.DataFrame, rated: pl.Series) -> int:
    """Count the rated items that a table of items holds."""
    return int(rated.unique().cast(pl.String).is_in(items["item_id"].cast(pl.String).implode()).sum())


def is_movielens(files: Files) -> bool:
    """Return whether the files have the names of a MovieLens edition."""
    names = _file_names(files)
    exported = {"ratings.csv", "movies.csv"} <= names or {"rating.csv", "movie.csv"} <= names
    alone = "ratings.dat" in names and not files.left_out
    return exported or alone or bool(names & {"u.data", "u.item", "movies.dat"})


def _file_names(files: Files) -> set[str]:
    return {PurePosixPath(path).name.lower() for path in files.roles.values()}


def edition(files: Files, ratings: pl.DataFrame) -> tuple[str | None, Scale | None]:
    """Return the name and the scale of the edition, where all ratings are on that scale."""
    if not is_movielens(files):
        return None, None
    names = _file_names(files)
    latest = {"ratings.csv", "movies.csv"} <= names
    values = ratings["rating"].unique().drop_nulls()
    half_stars = bool(names & {"links.csv", "link.csv", "tags.dat"} or (values % 1 != 0).any())
    scale = Scale(0.5, 5, 0.5) if half_stars else Scale(1, 5, 1)
    fits = bool((values.is_between(scale.low, scale.high) & (values / scale.step % 1 == 0)).all())
    name = f"MovieLens ({plural(len(ratings), 'rating')})" if latest and "links.csv" in names else None
    return EDITIONS.get(len(ratings), name), scale if fits else None


def folds(source: Any) -> Iterator[tuple[Dataset, pl.DataFrame]]:
    """Yield the five official folds of MovieLens 100K, u1 … u5.

    Parameters
    ----------
    source : str or Path
        Folder or zip of MovieLens 100K, or `"ml-100k"`.

    Yields
    ------
    train : Dataset
        The ratings of `u1.base` and so on, without item and user attributes.
    test : polars.DataFrame
        `user_id item_id rating timestamp` of `u1.test` and so on.

    Raises
    ------
    InputError
        The source contains no folds.
    """
    files = find_files(source)
    for number in range(1, 6):
        base, test = (_fold(files, f"u{number}.{part}") for part in ("base", "test"))
        yield (
            Dataset.from_frames(base, scale=Scale(1, 5, 1), name=f"MovieLens 100K, u{number}.base", noun="movie"),
            test,
        )


def _fold(files: Files, name: str) -> pl.DataFrame:
    table, _ = read_table(name, files.read(files.sibling(name)), RATING_SPEC, LAYOUTS["u.data"])
    return rating_columns(table)
