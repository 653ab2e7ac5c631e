"""What a `Recommender` answers with: small typed rows in a sequence that prints, converts and shows in a notebook."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from html import escape
from typing import Any, Generic, NamedTuple, TypeVar, overload

import polars as pl


@dataclass(frozen=True, slots=True)
class Reason:
    """One rated movie that speaks for or against an answer.

    Attributes
    ----------
    movie_id : int or str
        The rated movie.
    title, year
        What the catalogue says; `year` may be None.
    rating : float
        What the person gave it.
    similarity : float
        How alike the two movies are to the model.
    common_raters : int
        How many people rated both.
    contribution : float
        What it adds to the number explained.
    liked : bool
        Whether the person rated it above their own mean: only then "because you liked it" is true.
    """

    movie_id: Any
    title: str
    year: int | None
    rating: float
    similarity: float
    common_raters: int
    contribution: float
    liked: bool


@dataclass(frozen=True, slots=True)
class MovieRow:
    """One recommended movie.

    Attributes
    ----------
    rank : int
        From 1.
    movie_id : int or str
        The caller's own id.
    title, year, genres
        What the catalogue says; `year` may be None.
    score : float or None
        The ranking score; None for a movie that fills up the list.
    predicted_rating : float or None
        On the scale of the ratings.
    support : int
        How many movies that the person rated stand behind the number that the list falls by.
    source : {"model", "popular"}
        Where the row comes from.
    reasons : tuple of Reason
        The three rated movies that add most; with `other` they sum to the number that the list falls by.
    other : float
        What everything else adds.
    """

    rank: int
    movie_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    score: float | None
    predicted_rating: float | None
    support: int
    source: str
    reasons: tuple[Reason, ...] = ()
    other: float = 0.0

    @property
    def because(self) -> tuple[str, ...]:
        """Titles of the reasons that the person liked and that speak for this movie."""
        return tuple(with_year(r.title, r.year) for r in self.reasons if r.liked and r.contribution > 0)


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user who would want a movie. There are no reasons: a reason about a person is shown to that person only.

    Attributes
    ----------
    rank : int
        From 1.
    user_id : int or str
        The caller's own id.
    score, predicted_rating : float or None
        As in `MovieRow`.
    support : int
        As in `MovieRow`.
    """

    rank: int
    user_id: Any
    score: float | None
    predicted_rating: float | None
    support: int


@dataclass(frozen=True, slots=True)
class SimilarRow:
    """One movie like another.

    Attributes
    ----------
    rank : int
        From 1.
    movie_id, title, year, genres
        As in `MovieRow`.
    similarity : float
        How alike, 1 at most for a cosine.
    common_raters : int
        How many people rated both.
    """

    rank: int
    movie_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    similarity: float
    common_raters: int


@dataclass(frozen=True, slots=True)
class Match:
    """One movie found by its title.

    Attributes
    ----------
    movie_id, title, year, genres
        As in `MovieRow`.
    match : float
        From 0 to 100.
    n_ratings : int
        How many people rated it.
    """

    movie_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    match: float
    n_ratings: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a person would rate a movie.

    Attributes
    ----------
    movie_id : int or str
        The movie.
    title, year
        What the catalogue says.
    user_id : int, str or None
        The person; None for a newcomer.
    predicted_rating : float or None
        On the scale of the ratings; None where nothing can be said.
    support : int
        How many rated neighbours stand behind it; 0: averages only.
    rating : float or None
        What the person did rate it, if they have; the prediction does not look at it.
    """

    movie_id: Any
    title: str
    year: int | None
    user_id: Any
    predicted_rating: float | None
    support: int
    rating: float | None


class Short(NamedTuple):
    """Why a list is shorter than was asked.

    Attributes
    ----------
    wanted, got : int
        How many rows.
    reason : {"no_candidates_left", "no_neighbours"}
        Everything that may be listed is listed; or no more is linked to what the person has rated.
    """

    wanted: int
    got: int
    reason: str

    def __str__(self) -> str:
        why = {
            "no_candidates_left": "nothing else is left to choose from",
            "no_neighbours": "nothing else is linked to these ratings",
        }[self.reason]
        return f"{self.got} of {self.wanted}: {why} ({self.reason})"


Row = TypeVar("Row", MovieRow, UserRow, SimilarRow, Match, Prediction)


class Answers(Sequence[Row], Generic[Row]):
    """Rows in order, with what they answer.

    Parameters
    ----------
    rows : sequence of row
        Best first.
    heading : str
        What is listed and by which number it falls.
    row_type : type
        The type of the rows, for the columns of an empty table.
    short : Short, optional
        Why there are fewer rows than asked.
    """

    def __init__(self, rows: Sequence[Row], heading: str, row_type: type[Row], short: Short | None = None) -> None:
        self._rows = tuple(rows)
        self.heading = heading
        self.row_type = row_type
        self.short = short

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "tuple[Row, ...]": ...
    def __getitem__(self, index: int | slice) -> "Row | tuple[Row, ...]":
        return self._rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answers) and (self._rows, self.short) == (other._rows, other.short)

    __hash__ = None  # type: ignore[assignment]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, reasons as dictionaries within: what the terminal prints as JSON."""
        return [asdict(row) for row in self._rows]

    def to_polars(self) -> pl.DataFrame:
        """Return a polars table of the rows."""
        columns = [field.name for field in fields(self.row_type)]
        if not self._rows:
            return pl.DataFrame(schema=columns)
        return pl.DataFrame(self.to_dicts(), infer_schema_length=None).select(columns)

    def to_pandas(self) -> Any:
        """Return a pandas table of the rows; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.to_dicts(), columns=[field.name for field in fields(self.row_type)])

    def __repr__(self) -> str:
        columns, cells = self._cells()
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        head = "  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True))
        body = [head, *lines] if lines else ["(none)"]
        tail = [f"short: {self.short}"] if self.short else []
        return "\n".join(line.rstrip() for line in [self.heading, *body, *tail])

    def _repr_html_(self) -> str:
        columns, cells = self._cells()
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        tail = f"<p>short: {escape(str(self.short))}</p>" if self.short else ""
        return f"<p>{escape(self.heading)}</p><table><tr>{head}</tr>{body}</table>{tail}"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the column names and the text of every cell that a person reads."""
        names = [field.name for field in fields(self.row_type) if field.name not in ("reasons", "other")]
        cells = [[cell_text(getattr(row, name)) for name in names] for row in self._rows]
        if self.row_type is MovieRow:
            names.append("because you liked")
            for texts, row in zip(cells, self._rows, strict=True):
                texts.append(cut(", ".join(row.because), 60))  # type: ignore[union-attr]
        return [name.replace("_", " ") for name in names], cells


def cell_text(value: Any) -> str:
    """Say a value as a table does."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
    return cut(", ".join(value) if isinstance(value, tuple) else str(value), 48)


def with_year(title: str, year: int | None) -> str:
    """Return `Fargo (1996)`."""
    return title if year is None else f"{title} ({year})"


def cut(text: str, width: int) -> str:
    """Keep a text to a width."""
    return text if len(text) <= width else text[: width - 1] + "…"
