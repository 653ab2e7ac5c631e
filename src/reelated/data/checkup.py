"""The result of validation: counts, a histogram and findings, as text and as plain data."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import polars as pl

from reelated.errors import plural
from reelated.ratings import Scale

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
REJECTS = {"file": pl.String(), "line": pl.Int64(), "row": pl.Int64(), "why": pl.String(), "text": pl.String()}
_BAR = 30


class Bin(NamedTuple):
    """The number of ratings from `low` to `high`; a single value where both are equal."""

    low: float
    high: float
    n_ratings: int


@dataclass(frozen=True)
class Finding:
    """One problem or remark from validation.

    Attributes
    ----------
    code : str
        Kind of finding, such as `"repeated_rating"`; stable across versions.
    severity : {"error", "warning", "note"}
        An error stops reading; a warning deserves a look; a note is information.
    count : int
        Number of rows, users or items concerned.
    sentence : str
        What was found, and why it is a problem.
    reading : str
        What `read` does about it.
    example : str or None
        The first case.
    file : str or None
        File of the example.
    line : int or None
        Line of the example in that file, from 1.
    row : int or None
        Row of the example in the table, from 1, where the source has no lines.
    """

    code: str
    severity: Severity
    count: int
    sentence: str
    reading: str
    example: str | None = None
    file: str | None = None
    line: int | None = None
    row: int | None = None

    @property
    def place(self) -> str:
        """Location of the example: file, line or row, as far as known."""
        spot = f"line {self.line:,}" if self.line else f"row {self.row:,}" if self.row else ""
        return ", ".join(part for part in (self.file, spot) if part)


@dataclass(frozen=True)
class Checkup:
    """Validation result of a source of ratings.

    Attributes
    ----------
    name : str
        Name of the data: the edition, or the file.
    usable : bool
        Whether `read` with the same options returns data: no finding is an error.
    n_rows : int
        Number of rows in the ratings table.
    n_refused : int
        Number of rows that are not valid ratings.
    n_ratings : int
        Number of ratings; several of one item by one user count once.
    n_users, n_items : int
        Numbers of users and items with a rating.
    density : float
        Share of all user–item pairs that are rated.
    scale : Scale or None
        The rating scale; None if there are no ratings.
    histogram : tuple of Bin
        Number of ratings of each value; ten bins if there are many distinct values.
    findings : tuple of Finding
        Errors first, then warnings, then notes.
    rejects : polars.DataFrame
        The rejected rows: `file line row why text`.

    Examples
    --------
    >>> import reelated
    >>> checkup = reelated.check({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, None]})
    >>> checkup.usable, [finding.code for finding in checkup.findings if finding.severity == "error"]
    (False, ['missing_field'])
    """

    name: str
    usable: bool
    n_rows: int = 0
    n_refused: int = 0
    n_ratings: int = 0
    n_users: int = 0
    n_items: int = 0
    density: float = 0.0
    scale: Scale | None = None
    histogram: tuple[Bin, ...] = ()
    findings: tuple[Finding, ...] = ()
    rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECTS), compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except `rejects` as plain numbers, strings, lists and dicts."""
        plain = {name: value for name, value in vars(self).items() if name != "rejects"}
        return plain | {
            "scale": self.scale and self.scale._asdict(),
            "histogram": [each._asdict() for each in self.histogram],
            "findings": [asdict(finding) for finding in self.findings],
        }

    def report(self, width: int = 100) -> str:
        """Return the result as plain text.

        Parameters
        ----------
        width : int, default 100
            Maximum number of characters in a line.

        Returns
        -------
        str
        """
        return "\n".join(line for part in (self._head(), self._bars(), self._told(width)) for line in part)

    def __repr__(self) -> str:
        return self.report()

    def _head(self) -> Iterator[str]:
        """Yield the counts."""
        yield f"{self.name}: {'usable' if self.usable else 'not usable'}"
        refused = f", {self.n_refused:,} of them refused" if self.n_refused else ""
        if self.n_rows:
            yield f"  {plural(self.n_rows, 'row')}{refused}"
        if self.scale is not None:
            who = f"{plural(self.n_users, 'user')} of {plural(self.n_items, 'item')}"
            yield f"  {plural(self.n_ratings, 'rating')} by {who}: {_percent(self.density)} of all pairs"
            yield f"  scale {self.scale}"

    def _bars(self) -> Iterator[str]:
        """Yield the histogram."""
        if not self.histogram:
            return
        labels = [
            f"{each.low:g}" if each.low == each.high else f"{each.low:g}–{each.high:g}" for each in self.histogram
        ]
        most, total = max(each.n_ratings for each in self.histogram), sum(each.n_ratings for each in self.histogram)
        wide, digits = max(map(len, labels)), len(f"{most:,}")
        yield ""
        for label, each in zip(labels, self.histogram, strict=True):
            bar = "█" * round(_BAR * each.n_ratings / most)
            share = _percent(each.n_ratings / total)
            yield f"  {label:>{wide}}  {each.n_ratings:>{digits},}  {share:>6}  {bar}".rstrip()

    def _told(self, width: int) -> Iterator[str]:
        """Yield the findings."""
        for finding in self.findings:
            yield ""
            yield from textwrap.wrap(f"{finding.severity}: {finding.sentence}", width, subsequent_indent="  ")
            for label, text in (("at", f"{finding.place}: "), ("for example", "")):
                if finding.example and bool(finding.place) == (label == "at"):
                    yield from _indented(f"{label} {text}{finding.example}", width)
            yield from _indented(f"reading {finding.reading}", width)
        if not self.findings:
            yield from ("", "Nothing to remark.")


def _indented(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")


def _percent(share: float) -> str:
    """Format a share as a percentage with as many digits as it needs."""
    return f"{share:.1%}" if share >= 0.001 or not share else f"{share:.1g}" if share < 1e-6 else f"{share:.3%}"
