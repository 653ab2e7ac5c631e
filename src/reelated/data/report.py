"""The result of validation: counts, a histogram and issues, as text and as plain data."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import polars as pl

from reelated.errors import PYTHON, InputError, Wording, plural
from reelated.formatting import html_table
from reelated.ratings import Scale

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
REJECTS = {"file": pl.String(), "line": pl.Int64(), "row": pl.Int64(), "why": pl.String(), "text": pl.String()}
_BAR_WIDTH = 30


class Bin(NamedTuple):
    """The number of ratings from `low` to `high`; a single value if both are equal."""

    low: float
    high: float
    n_ratings: int


@dataclass(frozen=True)
class ValidationIssue:
    """One problem or remark that validation found.

    Attributes
    ----------
    code : str
        Kind of issue, such as `"repeated_rating"`; stable across versions.
    severity : {"error", "warning", "note"}
        An error stops reading; a warning deserves a look; a note is information.
    count : int
        Number of affected rows, users or items.
    message : str
        The problem and its reason.
    action : str
        What `read` does about it.
    example : str or None
        The first case.
    file : str or None
        File of the example.
    line : int or None
        Line of the example in that file, from 1.
    row : int or None
        Row of the example in the table, from 1, if the source has no lines.
    error : InputError or None
        The error that `read` raises, if it says more than the message.
    """

    code: str
    severity: Severity
    count: int
    message: str
    action: str
    example: str | None = None
    file: str | None = None
    line: int | None = None
    row: int | None = None
    error: InputError | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except `error` as strings and numbers."""
        return {name: value for name, value in vars(self).items() if name != "error"}

    @property
    def place(self) -> str:
        """Location of the example: file, line or row, if known."""
        position = f"line {self.line:,}" if self.line else f"row {self.row:,}" if self.row else ""
        return ", ".join(part for part in (self.file, position) if part)


@dataclass(frozen=True)
class ValidationReport:
    """Validation result of a source of ratings.

    Attributes
    ----------
    name : str
        Name of the data: the edition, or the file.
    usable : bool
        Whether `read` with the same options returns data: no issue is an error.
    n_rows : int
        Number of rows in the ratings table.
    n_refused : int
        Number of rows that are not valid ratings.
    n_ratings : int
        Number of ratings; several ratings of one item by one user count once. Pairs of weight 0 do not count.
    n_users, n_items : int
        Numbers of users and items with a rating.
    noun : str
        What an item is, for the text of the report: "movie", "book".
    density : float
        Share of all user–item pairs that are rated.
    scale : Scale or None
        The rating scale; None for events and if there are no ratings.
    kind : {"ratings", "constant", "counts", "events"}
        What the table holds; "constant": all ratings are equal.
    histogram : tuple of Bin
        Number of ratings of each value; ten bins if there are many distinct values.
    issues : tuple of ValidationIssue
        Errors first, then warnings, then notes.
    rejects : polars.DataFrame
        The rejected rows: `file line row why text`.

    Examples
    --------
    >>> import reelated
    >>> report = reelated.validate({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, None]})
    >>> report.usable, [issue.code for issue in report.issues if issue.severity == "error"]
    (False, ['missing_field'])
    """

    name: str
    usable: bool
    n_rows: int = 0
    n_refused: int = 0
    n_ratings: int = 0
    n_users: int = 0
    n_items: int = 0
    noun: str = "item"
    density: float = 0.0
    scale: Scale | None = None
    kind: str = "ratings"
    histogram: tuple[Bin, ...] = ()
    issues: tuple[ValidationIssue, ...] = ()
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS), compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except `rejects` as plain numbers, strings, lists and dicts."""
        fields = {name: value for name, value in vars(self).items() if name != "rejects"}
        return fields | {
            "scale": self.scale and self.scale._asdict(),
            "histogram": [part._asdict() for part in self.histogram],
            "issues": [issue.to_dict() for issue in self.issues],
        }

    def to_text(self, width: int = 100, wording: Wording | None = None) -> str:
        """Return the result as plain text.

        Parameters
        ----------
        width : int, default 100
            Maximum number of characters in a line.
        wording : Wording, optional
            How to write parameters; by default as Python callers do.
        """
        return "\n".join((*self._count_lines(), *self._histogram_lines(), *self._issue_lines(width, wording or PYTHON)))

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        rows = [(issue.severity, issue.message, issue.place, f"reading {issue.action}") for issue in self.issues]
        heading = "; ".join(line.strip() for line in self._count_lines())
        return html_table(heading, ("severity", "issue", "place", "effect"), rows, empty="No issues.")

    def _count_lines(self) -> Iterator[str]:
        yield f"{self.name}: {'usable' if self.usable else 'not usable'}"
        rejected = f", {self.n_refused:,} of them rejected" if self.n_refused else ""
        if self.n_rows:
            yield f"  {plural(self.n_rows, 'row')}{rejected}"
        if self.histogram:
            word = "rating" if self.scale is not None else "interaction"
            users_and_items = f"{plural(self.n_users, 'user')} of {plural(self.n_items, self.noun)}"
            yield f"  {plural(self.n_ratings, word)} by {users_and_items}: {_percent(self.density)} of all pairs"
            yield f"  scale {self.scale}" if self.scale is not None else f"  kind: {self.kind}"

    def _histogram_lines(self) -> Iterator[str]:
        if not self.histogram:
            return
        counts = [part.n_ratings for part in self.histogram]
        labels = [f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high, _ in self.histogram]
        label_width, digits = max(map(len, labels)), len(f"{max(counts):,}")
        yield ""
        for label, count in zip(labels, counts, strict=True):
            bar = "█" * round(_BAR_WIDTH * count / max(counts))
            yield f"  {label:>{label_width}}  {count:>{digits},}  {_percent(count / sum(counts)):>6}  {bar}".rstrip()

    def _issue_lines(self, width: int, wording: Wording) -> Iterator[str]:
        for issue in self.issues:
            message = issue.error.render(wording) if issue.error else issue.message
            yield ""
            yield from textwrap.wrap(f"{issue.severity}: {message}", width, subsequent_indent="  ")
            if issue.example:
                label = f"at {issue.place}:" if issue.place else "for example"
                yield from _indent(f"{label} {issue.example}", width)
            yield from _indent(f"reading {wording.advise(issue.action)}", width)
        if not self.issues:
            yield from ("", "No issues.")


def _indent(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")


def _percent(share: float) -> str:
    """Format a share as a percentage with as many digits as it needs."""
    return f"{share:.1%}" if share >= 0.001 or not share else f"{share:.1g}" if share < 1e-6 else f"{share:.3%}"
