"""Output of results as tables, JSON and CSV."""

import json
import os
import sys
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelated.cli.progress import errors
from reelated.errors import plural, plural_of
from reelated.recommender import Answers, ItemRow, Prediction, Reason, Recommender, SimilarRow, UserRow, Why
from reelated.recommender.rows import Match, cell_text, cut, printable, with_year

NARROW, NARROWEST = 100, 40
"""Widths in characters: below the first, tables omit genres; below the second, the terminal wraps lines."""


def console() -> Console:
    """Return the console for stdout: as wide as the terminal; in a pipe 120 columns unless COLUMNS is set."""
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        return Console(highlight=False, width=120)
    return out if out.width >= NARROWEST else Console(highlight=False, width=NARROWEST)


def print_json(rows: list[dict[str, Any]]) -> None:
    """Print one JSON array."""
    # An encoding other than UTF gets ASCII escapes: a replaced character would change the data.
    escaped = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(rows, ensure_ascii=escaped, indent=1, allow_nan=False) + "\n")


def print_csv(answers: Answers[Any]) -> None:
    """Print rows as CSV with a header; lists within a field are joined by `|`."""
    table = answers.to_polars()
    for name in ("genres", "reasons"):
        if name in table.columns:
            texts = [_joined(value) for value in table[name].to_list()]
            table = table.with_columns(pl.Series(name, texts, dtype=pl.String))
    sys.stdout.write(table.write_csv())


def _joined(values: Any) -> str:
    return "|".join(with_year(v["title"], v["year"]) if isinstance(v, dict) else str(v) for v in values or ())


def print_notes(rec: Recommender) -> None:
    """Print the notes of the data on stderr."""
    for note in rec.notes_:
        print_note(note)


def print_note(note: str) -> None:
    """Print a note on stderr."""
    errors.print(Text(printable(f"note: {note}"), style="yellow"), soft_wrap=True)


def print_about(rec: Recommender) -> None:
    """Print the name and the size of the data on stderr."""
    items = plural(len(rec.item_ids), rec.noun_)
    about = f"{rec.name_}: {items}"
    if rec.ratings_ is not None:
        about = f"{rec.name_}: {len(rec.ratings_):,} ratings by {len(rec.user_ids):,} users of {items}"
    errors.print(Text(printable(about), style="dim"), soft_wrap=True)


def print_answers(answers: Answers[Any], form: str, *, why: bool = False, hint: str | None = None) -> None:
    """Print a list as `json`, `csv` or a table; `why` adds the parts of each score."""
    if form == "json":
        print_json(answers.to_dicts())
    elif form == "csv":
        print_csv(answers)
    else:
        out = console()
        out.print(Text(printable(answers.heading), style="bold"))
        if hint:
            out.print(Text(hint, style="dim"))
        out.print(table_of(_COLUMNS[answers.row_type](answers), out.width) if len(answers) else Text("  (none)"))
        for row in answers if why and answers.row_type is ItemRow else ():
            out.print(_reasons(row))
    if answers.short:
        errors.print(Text(f"short: {answers.short}"), soft_wrap=True)


def print_audiences(table: pl.DataFrame, noun: str, form: str) -> None:
    """Print the audiences of several items as `json`, `csv` or a table."""
    if form == "json":
        return print_json(table.to_dicts())
    if form == "csv":
        sys.stdout.write(table.write_csv())
        return None
    texts = {"item": [printable(title) for title in table["title"]], "user": [_id(who) for who in table["user_id"]]}
    columns = [
        Column(noun, texts["item"], text=True),
        Column("", [str(rank) for rank in table["rank"]]),
        Column("user", texts["user"]),
        Column("adjusted score", [cell_text(value) for value in table["adjusted_score"]]),
        Column("predicted", [cell_text(value) for value in table["predicted_rating"]]),
        Column("above own mean", [_beyond(value) for value in table["above_user_mean"]]),
    ]
    out = console()
    return out.print(table_of(_told(columns), out.width))


def _told(columns: list["Column"]) -> list["Column"]:
    """Drop optional columns without any value."""
    optional = ("genres", "predicted", "above own mean")
    return [
        column
        for column in columns
        if column.name not in optional or any(cell not in ("", "–") for cell in column.cells)
    ]


class Column(NamedTuple):
    """One column of a table: numbers keep their width, texts share the rest."""

    name: str
    cells: list[str]
    text: bool = False


def table_of(columns: list[Column], width: int) -> Table:
    """Lay out a table of at most `width` characters: cut texts, never numbers; drop the last text columns if needed."""
    if width < NARROW:
        columns = [column for column in columns if column.name != "genres"]
    widths, free, texts = _measured(columns, width)
    while len(texts) > 1 and free < 10 * len(texts):
        columns = [column for at, column in enumerate(columns) if at != texts[-1]]
        widths, free, texts = _measured(columns, width)
    for left, at in zip(range(len(texts), 0, -1), texts, strict=True):
        widths[at] = max(min(widths[at], free - 12 * (left - 1)), 8)
        free -= widths[at]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for column, wide in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "left" if column.text else "right"
        table.add_column(column.name, width=wide, no_wrap=True, overflow="ellipsis", justify=justify)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _measured(columns: list[Column], width: int) -> tuple[list[int], int, list[int]]:
    """Return the full width of each column, the width left for texts, and the indices of text columns."""
    widths = [max(map(cell_len, [column.name, *column.cells])) for column in columns]
    texts = [at for at, column in enumerate(columns) if column.text]
    return widths, width - 2 * (len(columns) - 1) - sum(widths) + sum(widths[at] for at in texts), texts


def _id(value: Any) -> str:
    return printable(cut(str(value), 36))


def _named(rows: Answers[Any]) -> list[Column]:
    """Return the leading columns of every list of items."""
    return [
        Column("", [str(row.rank) for row in rows]),
        Column("id", [_id(row.item_id) for row in rows]),
        Column(rows.noun, [_item(row) for row in rows], text=True),
    ]


_SOURCES = {"popular": "(popular)", "catalogue": "(nobody has rated it yet)"}


def _genres(rows: Any) -> Column:
    return Column("genres", [cut(", ".join(row.genres), 22) for row in rows], text=True)


def _items(rows: Answers[ItemRow]) -> list[Column]:
    because = [printable(", ".join(row.because) if row.source == "model" else _SOURCES[row.source]) for row in rows]
    columns = [
        *_named(rows),
        Column("score", [cell_text(row.score) for row in rows]),
        Column("predicted", [cell_text(row.predicted_rating) for row in rows]),
        _genres(rows),
        Column(rows.because, because, text=True),
    ]
    return _told(columns)


def _users(rows: Answers[UserRow]) -> list[Column]:
    columns = [
        Column("", [str(row.rank) for row in rows]),
        Column("user", [_id(row.user_id) for row in rows]),
        Column("adjusted score", [cell_text(row.adjusted_score) for row in rows]),
        Column("score", [cell_text(row.score) for row in rows]),
        Column("predicted", [cell_text(row.predicted_rating) for row in rows]),
        Column("above own mean", [_beyond(row.above_user_mean) for row in rows]),
        Column("neighbors used", [f"{row.n_neighbors_used:,}" for row in rows]),
    ]
    return _told(columns)


def _beyond(above_user_mean: float | None) -> str:
    return "–" if above_user_mean is None else f"{above_user_mean:+.2f}"


def _similar(rows: Answers[SimilarRow]) -> list[Column]:
    return [
        *_named(rows),
        Column("similarity", [cell_text(row.similarity) for row in rows]),
        Column("rated both", [f"{row.common_raters:,}" for row in rows]),
        _genres(rows),
    ]


def _matches(rows: Answers[Match]) -> list[Column]:
    return [
        Column("id", [_id(row.item_id) for row in rows]),
        Column(rows.noun, [_item(row) for row in rows], text=True),
        Column("ratings", [f"{row.n_ratings:,}" for row in rows]),
        _genres(rows),
    ]


_COLUMNS: dict[type, Any] = {ItemRow: _items, UserRow: _users, SimilarRow: _similar, Match: _matches}


def _reasons(row: ItemRow) -> Text:
    """Return the score of one row as a sum of contributions."""
    if not row.reasons:
        return Text(f"{row.rank:>3}. {_item(row)}: {row.source}", style="dim")
    whole = sum(part.contribution for part in row.reasons) + row.other
    parts = [f"{part.contribution:+.3f} {_said(part)}" for part in row.reasons]
    return Text(printable(f"{row.rank:>3}. {_item(row)}: {whole:.3f} = {'  '.join(parts)}  {row.other:+.3f} all else"))


def _said(part: Reason) -> str:
    given = "" if part.rating is None else f" (you: {part.rating:g})"
    return f"{with_year(part.title, part.year)}{given}"


def print_prediction(prediction: Prediction, noun: str, form: str) -> None:
    """Print a predicted rating with its interval and the number of items used."""
    if form == "json":
        return print_json([asdict(prediction)])
    if form == "csv":
        return print_csv(Answers([prediction], "", Prediction))
    who = "You" if prediction.user_id is None else f"User {prediction.user_id}"
    title = with_year(prediction.title, prediction.year)
    if prediction.predicted_rating is None:
        text = f"Nothing can be said of {who.lower()} and {title}: no similar {noun} is rated."
    else:
        on = (
            f"from {plural(prediction.n_neighbors_used, f'rated {noun}')}"
            if prediction.n_neighbors_used
            else "from averages alone"
        )
        text = f"{who} would rate {title} {prediction.predicted_rating:.2f} ({on})"
        if prediction.low is not None:
            text += f", in four of five cases between {prediction.low:.1f} and {prediction.high:.1f}"
        text += "."
    if prediction.source == "catalogue":
        text += " Nobody has rated it yet: its genres and year speak for it."
    if prediction.rating is not None:
        text += f" The actual rating is {prediction.rating:g}; the prediction does not look at it."
    return console().print(Text(printable(text)))


def print_why(why: Why, noun: str, form: str) -> None:
    """Print an explanation: the contributions with bars, their sum, and the counterfactual ranks."""
    if form != "table":
        return print_json([why.to_dict()])
    out, number = console(), "predicted rating" if why.by == "rating" else "score"
    if why.value is None:
        text = f"{with_year(why.title, why.year)}: nothing can be said, for no similar {noun} is rated."
        return out.print(Text(printable(text)))
    place = f", place {why.rank:,} among the {plural_of(noun)} not rated" if why.rank else ""
    out.print(
        Text(printable(f"{with_year(why.title, why.year)}: {number} {cell_text(why.value)}{place}"), style="bold")
    )
    out.print(_parts(why, number, out.width))
    if why.rating is not None:
        out.print(Text(f"The actual rating is {why.rating:g}; the explanation does not look at it."))
    for other in why.without:
        there = f"place {other.new_rank:,}" if other.new_rank else "not listed"
        out.print(Text(printable(f"Without {with_year(other.title, other.year)}: place {other.rank:,} → {there}")))
    return None


def _parts(why: Why, number: str, width: int) -> Table:
    """Lay out the ten largest contributions, the rest, and the sum."""
    strongest = sorted(why.contributions, key=lambda part: -abs(part.contribution))[:10]
    shown = sorted(strongest, key=lambda part: -part.contribution)
    rest = sum(part.contribution for part in why.contributions) - sum(part.contribution for part in shown)
    more = len(why.contributions) - len(shown)
    after = [(rest, f"{more:,} more")] * (more > 0) + [(why.clip, "cut to the scale")] * (abs(why.clip) > 1e-5)
    blank, largest = [""] * (len(after) + 1), abs(strongest[0].contribution) if strongest else 0.0
    parts = [part.contribution for part in shown]
    numbers = [f"{value:+.3f}" for value in (why.base, *parts, *(value for value, _ in after))]
    names = ["to start from", *(_item(part) for part in shown), *(name for _, name in after), number]
    rated = ["" if part.rating is None else f"{part.rating:g}" for part in shown]
    return table_of(
        [
            Column("adds", [*numbers, f"{why.value:.3f}"]),
            Column("", names, text=True),
            *([Column("rated", ["", *rated, *blank])] if any(rated) else []),
            Column("similarity", ["", *(cell_text(part.similarity) for part in shown), *blank]),
            Column(
                "rated both",
                ["", *("–" if part.common_raters is None else f"{part.common_raters:,}" for part in shown), *blank],
            ),
            Column("", ["", *(_bar(value, largest) for value in parts), *blank], text=True),
        ],
        width,
    )


def _bar(value: float, largest: float) -> str:
    width = round(abs(value) / largest * 10) if largest else 0  # 10 characters, which fit into a narrow table too
    return ("█" if value > 0 else "░") * width


def _item(row: Any) -> str:
    return printable(with_year(row.title, row.year))
