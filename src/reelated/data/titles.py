"""Conversion of catalogue titles to display titles: `Beautiful Mind, A (2001)` → `A Beautiful Mind`, 2001."""

import html
import re

_ARTICLES = (
    "The|A|An"  # English
    "|Le|La|Les|L'|Un|Une"  # French
    "|El|Los|Las|Una"  # Spanish
    "|Il|Lo|I|Gli|Uno"  # Italian
    "|Der|Die|Das|Ein|Eine"  # German
    "|O|Os|As|Um|Uma"  # Portuguese
    "|De|Het|Een"  # Dutch
    "|Den|Det|En|Ett|Et"  # Danish, Norwegian, Swedish
    "|Az|Egy|Al|Els"  # Hungarian, Arabic, Catalan
)
_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–—]\s*(?:\d{4})?)?\)\s*(\([A-Z]{1,3}\))?\s*$")
_TRAILING_ARTICLE = re.compile(rf"(^|\()(a\.k\.a\.\s+)?([^()]+?),\s+({_ARTICLES})\s*(?=$|\(|\))")


def split_title(catalogue_title: str) -> tuple[str, int | None]:
    """Return the display title and the year of a catalogue title; if it has several years, the first.

    Examples
    --------
    >>> split_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ('The City of Lost Children (La Cité des enfants perdus)', 1995)
    >>> split_title("Enfer, L' (1994)"), split_title("unknown")
    (("L'Enfer", 1994), ('unknown', None))
    """
    title = html.unescape(catalogue_title).strip()
    year = _YEAR.search(title)
    if year and year.start():
        title = f"{title[: year.start()]} {year[2] or ''}".strip()
    return move_article(title), int(year[1]) if year else None


def move_article(title: str) -> str:
    """Return a title with its article in front: `Matrix, The` → `The Matrix`."""
    return _TRAILING_ARTICLE.sub(_move_article, title.strip()).replace(" )", ")")


def has_year(catalogue_title: str) -> bool:
    """Return whether a title ends with a year in brackets, as in MovieLens."""
    return _YEAR.search(catalogue_title) is not None


def _move_article(match: re.Match[str]) -> str:
    opening, prefix, title, article = match.groups()
    space = "" if article.endswith("'") else " "
    after = " " if match.end() < len(match.string) and match.string[match.end()] == "(" else ""
    return f"{opening}{prefix or ''}{article}{space}{title}{after}"
