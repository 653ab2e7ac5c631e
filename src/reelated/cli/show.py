"""Output of results as tables, JSON and CSV."""

from __future__ import annotations  # the types are imported only by type checkers: this halves the time of the help

import json
import os
import sys
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelated.cli.progress import errors
from reelated.errors import plural, plural_of
from reelated.formatting import cell_text, cut, printable, with_year

if TYPE_CHECKING:
    import polars as pl

    from reelated.recommender import (
        Explanation,
        ItemRow,
        Prediction,
        Reason,
        Recommendations,
        Recommender,
        SearchHit,
        SimilarRow,
        UserRow,
    )

NARROW, TIGHT, NARROWEST = 100, 90, 40
"""Widths in characters: below the first, tables omit genres; below the second, tables with reasons omit ids and years;
the last is the minimum width of output."""
LEAST_TEXT = 14
"""The width in characters that texts need; with less, headings wrap and intervals in brackets are left out."""


def console() -> Console:
    """Return the console for stdout: as wide as the terminal; in a pipe 120 columns unless COLUMNS is set."""
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        return Console(highlight=False, width=120)
    return out if out.width >= NARROWEST else Console(highlight=False, width=NARROWEST)


def print_json(rows: list[dict[str, Any]]) -> None:
    # An encoding other than UTF gets ASCII escapes: a replaced character would change the data.
    escaped = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(rows, ensure_ascii=escaped, indent=1, allow_nan=False) + "\n")


def print_csv(answers: Recommendations[Any]) -> None:
    """Print rows as CSV with a header; lists within a field are joined by `|`."""
    import polars as pl

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
    errors.print(Text(printable(f"note: {note}"), style="yellow"), soft_wrap=True)


def print_about(rec: Recommender) -> None:
    """Print the name and the size of the data on stderr."""
    items = plural(len(rec.item_ids), rec.noun_)
    about = f"{rec.name_}: {items}"
    if rec.ratings_ is not None:
        word = "interaction" if rec.is_events else "rating"
        about = f"{rec.name_}: {plural(len(rec.ratings_), word)} by {plural(len(rec.user_ids), 'user')} of {items}"
    errors.print(Text(printable(about), style="dim"), soft_wrap=True)


def print_answers(answers: Recommendations[Any], form: str, *, why: bool = False, hint: str | None = None) -> None:
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
        columns = _drop_empty(_COLUMNS[answers.row_type.__name__](answers))
        out.print(table_of(columns, out.width) if len(answers) else Text("  (none)"))
        for row in answers if why and answers.row_type.__name__ == "ItemRow" else ():
            out.print(_reasons(row))
    if answers.short:
        errors.print(Text(f"short: {answers.short}"), soft_wrap=True)


def print_table(table: pl.DataFrame, form: str) -> None:
    """Print a table as `json`, `csv` or aligned columns."""
    import polars as pl

    if form == "json":
        return print_json(table.to_dicts())
    if form == "csv":
        sys.stdout.write(table.write_csv())
        return None
    columns = [
        TableColumn(column.name.removesuffix("_id").replace("_", " "), _cells(column), text=column.dtype == pl.String)
        for column in table
        if column.null_count() < len(column) or column.name.endswith("_id")
    ]
    out = console()
    return out.print(table_of(columns, out.width))


def _cells(column: pl.Series) -> list[str]:
    """Format the values of a column."""
    if column.dtype.is_float():
        return [cell_text(value) for value in column]
    return ["–" if value is None else printable(str(value)) for value in column]


def print_audiences(table: pl.DataFrame, noun: str, form: str) -> None:
    """Print the audiences of several items as `json`, `csv` or a table."""
    if form != "table":
        return print_table(table, form)
    columns = [
        TableColumn(noun, [printable(title) for title in table["title"]], text=True),
        TableColumn("", [str(rank) for rank in table["rank"]]),
        TableColumn("user", [_id(user_id) for user_id in table["user_id"]]),
        TableColumn("adjusted score", [cell_text(value) for value in table["adjusted_score"]]),
        TableColumn("predicted", [cell_text(value) for value in table["predicted_rating"]]),
        TableColumn("above own mean", [_signed(value) for value in table["above_user_mean"]]),
    ]
    out = console()
    return out.print(table_of(_drop_empty(columns), out.width))


def _drop_empty(columns: list[TableColumn]) -> list[TableColumn]:
    """Drop optional columns without any value."""
    optional = ("genres", "predicted", "above own mean")
    return [
        column
        for column in columns
        if column.name not in optional or any(cell not in ("", "–") for cell in column.cells)
    ]


class TableColumn(NamedTuple):
    """One column of a table: numbers keep their width, texts share the rest."""

    name: str
    cells: list[str]
    text: bool = False
    short: list[str] | None = None  # the cells of a narrow table; empty: the column is left out there


def table_of(columns: list[TableColumn], width: int) -> Table:
    """Lay out a table of at most `width` characters: cut texts, not numbers; drop the last text columns if needed."""
    if width < NARROW:
        columns = [column for column in columns if column.name != "genres"]
    if width < TIGHT:
        columns = [col if col.short is None else col._replace(cells=col.short) for col in columns if col.short != []]
    widths, free, texts = _column_widths(columns, width)
    for shorten in (_with_wrapped_heading, _without_interval):
        if free < LEAST_TEXT * len(texts):
            columns = [column if column.text else shorten(column) for column in columns]
            widths, free, texts = _column_widths(columns, width)
    while len(texts) > 1 and free < LEAST_TEXT * len(texts):
        columns = [column for index, column in enumerate(columns) if index != texts[-1]]
        widths, free, texts = _column_widths(columns, width)
    for n_left, index in zip(range(len(texts), 0, -1), texts, strict=True):
        widths[index] = max(min(widths[index], free - 12 * (n_left - 1)), 8)
        free -= widths[index]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for column, column_width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "left" if column.text else "right"
        table.add_column(column.name, width=column_width, no_wrap=True, overflow="ellipsis", justify=justify)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _with_wrapped_heading(column: TableColumn) -> TableColumn:
    width = max(map(cell_len, [*column.name.split(), *column.cells]))
    return column._replace(name="\n".join(wrap(column.name, width)))


def _without_interval(column: TableColumn) -> TableColumn:
    return _with_wrapped_heading(column._replace(cells=[cell.partition(" (")[0] for cell in column.cells]))


def _column_widths(columns: list[TableColumn], width: int) -> tuple[list[int], int, list[int]]:
    """Return the full width of each column, the width left for texts, and the indices of text columns."""
    widths = [max(map(cell_len, [*column.name.split("\n"), *column.cells])) for column in columns]
    texts = [index for index, column in enumerate(columns) if column.text]
    return widths, width - 2 * (len(columns) - 1) - sum(widths) + sum(widths[index] for index in texts), texts


def _id(value: Any) -> str:
    return printable(cut(str(value), 36))


def _item_columns(rows: Recommendations[Any]) -> list[TableColumn]:
    return [
        TableColumn("", [str(row.rank) for row in rows]),
        TableColumn("id", [_id(row.item_id) for row in rows]),
        TableColumn(rows.noun, [_item(row) for row in rows], text=True),
    ]


RATED = "because you rated"
_SOURCES = {"popular": "(popular)", "side_info": "(no ratings yet)"}


def _genres(rows: Any) -> TableColumn:
    return TableColumn("genres", [printable(cut(", ".join(row.genres), 22)) for row in rows], text=True)


def _items(rows: Recommendations[ItemRow]) -> list[TableColumn]:
    labels = _SOURCES if rows.because == RATED else _SOURCES | {"side_info": "(new)"}
    because = [printable(", ".join(row.because) if row.source == "model" else labels[row.source]) for row in rows]
    titles = [[reason.title for reason in row.reasons if reason.contribution > 0] for row in rows]
    short = [printable(", ".join(own)) or cell for own, cell in zip(titles, because, strict=True)]
    rank, item_id, item = _item_columns(rows)
    return [
        rank,
        item_id._replace(short=[]),  # the reasons need the space
        item._replace(short=[printable(cut(row.title, 24)) for row in rows]),
        TableColumn("score", [cell_text(row.score) for row in rows]),
        TableColumn("predicted", [cell_text(row.predicted_rating) for row in rows]),
        _genres(rows),
        TableColumn(rows.because, because, text=True, short=short),
    ]


def _users(rows: Recommendations[UserRow]) -> list[TableColumn]:
    return [
        TableColumn("", [str(row.rank) for row in rows]),
        TableColumn("user", [_id(row.user_id) for row in rows]),
        TableColumn("adjusted score", [cell_text(row.adjusted_score) for row in rows]),
        TableColumn("score", [cell_text(row.score) for row in rows]),
        TableColumn("predicted", [cell_text(row.predicted_rating) for row in rows]),
        TableColumn("above own mean", [_signed(row.above_user_mean) for row in rows]),
        TableColumn("neighbors used", [f"{row.n_neighbors_used:,}" for row in rows]),
    ]


def _signed(above_user_mean: float | None) -> str:
    return "–" if above_user_mean is None else f"{above_user_mean:+.2f}"


def _of_both(is_events: bool) -> str:
    """Return the heading for the number of common raters, or of common users for events."""
    return "users of both" if is_events else "rated both"


def _similar(rows: Recommendations[SimilarRow]) -> list[TableColumn]:
    return [
        *_item_columns(rows),
        TableColumn("similarity", [cell_text(row.similarity) for row in rows]),
        TableColumn(_of_both(rows.because != RATED), [f"{row.common_raters:,}" for row in rows]),
        _genres(rows),
    ]


def _matches(rows: Recommendations[SearchHit]) -> list[TableColumn]:
    return [
        TableColumn("id", [_id(row.item_id) for row in rows]),
        TableColumn(rows.noun, [_item(row) for row in rows], text=True),
        TableColumn("ratings" if rows.because == RATED else "users", [f"{row.n_ratings:,}" for row in rows]),
        _genres(rows),
    ]


_COLUMNS: dict[str, Any] = {"ItemRow": _items, "UserRow": _users, "SimilarRow": _similar, "SearchHit": _matches}


def _reasons(row: ItemRow) -> Text:
    """Return the score of one row as a sum of contributions."""
    if not row.reasons:
        return Text(f"{row.rank:>3}. {_item(row)}: {row.source}", style="dim")
    total = sum(part.contribution for part in row.reasons) + row.other
    parts = [f"{part.contribution:+.3f} {_reason_text(part)}" for part in row.reasons]
    return Text(printable(f"{row.rank:>3}. {_item(row)}: {total:.3f} = {'  '.join(parts)}  {row.other:+.3f} all else"))


def _reason_text(part: Reason) -> str:
    rating = "" if part.rating is None else f" (you: {part.rating:g})"
    return f"{with_year(part.title, part.year)}{rating}"


def print_prediction(prediction: Prediction, noun: str, form: str) -> None:
    """Print a predicted rating with its interval and the number of items used."""
    if form == "json":
        return print_json([asdict(prediction)])
    if form == "csv":
        from reelated.recommender import Recommendations

        return print_csv(Recommendations([prediction], "", type(prediction)))
    who = "You" if prediction.user_id is None else f"User {prediction.user_id}"
    title = with_year(prediction.title, prediction.year)
    if prediction.predicted_rating is None:
        text = f"No prediction for {who[0].lower()}{who[1:]} and {title}: no similar {noun} is rated."
    else:
        n_used = prediction.n_neighbors_used
        basis = f"from {plural(n_used, f'rated {noun}')}" if n_used else "from averages only"
        if prediction.low is not None:
            basis += f"; 80 % interval {prediction.low:.1f} to {prediction.high:.1f}"
        text = f"{who} would rate {title} {prediction.predicted_rating:.2f} ({basis})."
    if prediction.source == "side_info":
        text += " It has no ratings yet: the prediction uses its genres and year."
    if prediction.rating is not None:
        text += f" The actual rating is {prediction.rating:g}; the prediction does not use it."
    return console().print(Text(printable(text)))


def print_why(why: Explanation, noun: str, form: str) -> None:
    """Print an explanation: the contributions with bars, their sum, and the counterfactual ranks."""
    if form != "table":
        return print_json([why.to_dict()])
    out, number = console(), "predicted rating" if why.by == "rating" else "score"
    if why.value is None:
        text = f"{with_year(why.title, why.year)}: no {number}, because no similar {noun} is rated."
        return out.print(Text(printable(text)))
    is_events = bool(why.contributions) and why.contributions[0].rating is None
    unknown = "you do not have" if is_events else "not rated"
    rank = f", rank {why.rank:,} among the {plural_of(noun)} {unknown}" if why.rank else ""
    out.print(Text(printable(f"{with_year(why.title, why.year)}: {number} {cell_text(why.value)}{rank}"), style="bold"))
    out.print(_contributions(why, number, out.width))
    if why.rating is not None:
        out.print(Text(f"The actual rating is {why.rating:g}; the explanation does not use it."))
    for other in why.without:
        new_rank = f"rank {other.new_rank:,}" if other.new_rank else "not listed"
        out.print(Text(printable(f"Without {with_year(other.title, other.year)}: rank {other.rank:,} → {new_rank}")))
    return None


def _contributions(why: Explanation, number: str, width: int) -> Table:
    """Lay out the ten largest contributions, the sum of the rest, and the total."""
    terms = why.terms()
    parts, largest = [part for *_, part in terms], max((abs(adds) for adds, _, part in terms if part), default=0.0)
    rated = ["" if part is None or part.rating is None else f"{part.rating:g}" for part in parts]
    common = [
        "" if part is None else "–" if part.common_raters is None else f"{part.common_raters:,}" for part in parts
    ]
    return table_of(
        [
            TableColumn("adds", [*(f"{adds:+.3f}" for adds, *_ in terms), f"{why.value:.3f}"]),
            TableColumn("", [*(printable(label) for _, label, _ in terms), number], text=True),
            *([TableColumn("rated", [*rated, ""])] if any(rated) else []),
            TableColumn("similarity", ["" if part is None else cell_text(part.similarity) for part in (*parts, None)]),
            TableColumn(_of_both(any(parts) and not any(rated)), [*common, ""]),
            TableColumn("", [*(_bar(adds, largest) if part else "" for adds, _, part in terms), ""], text=True),
        ],
        width,
    )


def _bar(value: float, largest: float) -> str:
    width = round(abs(value) / largest * 10) if largest else 0  # 10 characters, which fit into a narrow table too
    return ("█" if value > 0 else "░") * width


def _item(row: Any) -> str:
    return printable(with_year(row.title, row.year))
