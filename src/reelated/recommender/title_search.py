"""`TitleIndex`: search for titles by words, prefixes and other titles in brackets, with typos and popularity.

A query is split into words like the titles. Every word is looked up exactly, as a prefix, or with one or two typos. A
title scores the share of the query that it matches, weighted by how rare the words are; titles that also match in the
other direction and more rated items come first.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MAX_LENGTH = 200
"""Characters of a title or query that are compared."""
MAX_WORDS = 12
"""Words of a query that are looked up."""
PREFIX, JOINED, TYPO, TWO_TYPOS, YEAR = 0.95, 0.95, 0.8, 0.65, 0.6
"""The quality of a match by prefix, by a joined or split word, with typos, and by year."""
FAME = 0.25
"""Weight of the logarithm of the number of ratings."""
MIN_SHARE = 0.75
"""Titles with a score below this share of the best score are left out."""
MIN_SCORE, MIN_SURE = 0.55, 0.85
"""Minimum score of a result, and of a word match that counts for the rarity of a query word."""
_WORD = re.compile(r"\w+")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_OTHER_TITLE = re.compile(r"(?:\s*\((?:a\.?k\.?a\.?\s[^()]*|[^()\d]*)\))+(?=(?:\s*\(\d{4}\))?$)", re.IGNORECASE)
_SAME = {
    "dr": "doctor", "mr": "mister", "mrs": "missus", "misses": "missus", "st": "saint", "vs": "versus", "pt": "part",
    "ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9",
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th",
    "fifth": "5th", "sixth": "6th", "seventh": "7th", "eighth": "8th", "ninth": "9th", "tenth": "10th",
}  # fmt: skip
"""Spellings of the same word."""
_NUMERALS = {"i": "1", "v": "5", "x": "10"}
"""Roman numerals of one letter, which are words at the beginning of a title: "X-Men"."""
_ARTICLES = ("the", "a", "an")


def words_of(text: str) -> list[str]:
    """Return the words of a title or query: no case, no accents, one spelling of numbers and abbreviations."""
    with suppress(UnicodeEncodeError):  # bytes of a command line that could not be decoded
        text = text.encode(errors="surrogateescape").decode(errors="replace")
    folded = unicodedata.normalize("NFKD", text[:MAX_LENGTH].casefold().replace("&", " and "))
    plain = "".join(char for char in folded if not unicodedata.combining(char)).replace("'", "").replace("’", "")
    plain = re.sub(r"\b(\w)(?:[.*](\w)\b)+[.*]?", lambda match: re.sub(r"[.*]", "", match[0]), plain)  # E.T. → et
    words = [_SAME.get(word, word) for word in _WORD.findall(plain)] or [text.strip().casefold()]
    start = next((place for place, word in enumerate(words) if word not in _ARTICLES), 0) + 1
    return [*words[:start], *(_NUMERALS.get(word, word) for word in words[start:])]


def forms_of(title: str) -> Iterator[str]:
    """Yield a title, the title without its brackets, and what the brackets hold: other titles and translations."""
    yield title
    main, others = _BRACKETS.sub(" ", title).strip(), _BRACKETS.findall(title)
    if main and others:
        yield main
        yield from (re.sub(r"^a\.?k\.?a\.?\s+", "", other.strip(), flags=re.IGNORECASE) for other in others)


def main_title(title: str) -> str:
    """Return a title without other titles in brackets at its end; brackets with a number, as of a part, remain."""
    return _OTHER_TITLE.sub("", title).strip() or title


class Found(NamedTuple):
    """Items, best first, and how well their titles match the query, from 0 to 1."""

    items: npt.NDArray[np.int64]
    match: Floats


class TitleIndex:
    """An index of titles; building it takes about a second for 60,000 titles."""

    def __init__(
        self, titles: Sequence[str], years: Sequence[int | None], counts: npt.NDArray[np.integer[Any]]
    ) -> None:
        forms = [(item, words_of(form)) for item, title in enumerate(titles) for form in forms_of(title)]
        self.item = np.array([item for item, _ in forms], np.int64)
        self.vocabulary = sorted({word for _, words in forms for word in words})
        number = {word: index for index, word in enumerate(self.vocabulary)}
        self.spelled = {word: number[same] for word, same in _SAME.items() if len(word) > 3 and same in number}
        self.lengths = np.array([len(word) for word in self.vocabulary])
        self.words = np.array([number[word] for _, words in forms for word in words], np.int64)
        self.begins = np.cumsum([0, *(len(words) for _, words in forms[:-1])])
        self.first = np.array([number[_first(words)] for _, words in forms], np.int64)
        self.rarity = np.log1p(len(forms) / np.bincount(self.words, minlength=len(self.vocabulary)))
        self.total = np.add.reduceat(self.rarity[self.words], self.begins)
        self.joined: dict[str, list[tuple[int, int]]] = {}
        for form, (_, words) in enumerate(forms):
            for left, right in pairwise(words):
                self.joined.setdefault(left + right, []).append((form, number[left]))
        self.years = np.array([0 if year is None else year for year in years], np.int64)[self.item]
        self.n_items = len(titles)
        self.fame = np.log1p(counts) / max(float(np.log1p(counts.max(initial=0))), 1.0)

    def search(self, text: str, shown: npt.NDArray[np.bool_]) -> Found:
        """Return the items that match a text, among those that are shown."""
        words = words_of(text)[:MAX_WORDS]
        matches = [self._look_up(word) for word in words]
        self._match_joined(words, matches)
        weight = np.array([match.weight for match in matches])
        matched = weight @ np.array([match.quality for match in matches])
        both_ways = np.minimum(matched / self.total, 1.0)
        starts = matches[words.index(_first(words))].starts
        form_scores = matched / weight.sum() * (0.8 + 0.1 * both_ways + 0.1 * starts)
        score = np.zeros(self.n_items)
        np.maximum.at(score, self.item, form_scores)
        score[~shown] = 0.0
        items = np.flatnonzero(score >= max(MIN_SHARE * score.max(initial=0.0), MIN_SCORE))
        order = np.lexsort((items, -score[items] - FAME * self.fame[items]))
        return Found(items[order], score[items[order]])

    def _look_up(self, word: str) -> "_Match":
        """Return how well each form matches one word of a query."""
        values = self._similar_words(word)
        match = self._forms_with(values, self.rarity[values >= MIN_SURE].max(initial=0.0) or np.log1p(len(self.item)))
        if word.isdecimal() and len(word) == 4:
            match.quality[(match.quality < YEAR) & (self.years == int(word))] = YEAR
        return match

    def _forms_with(self, values: Floats, weight: float) -> "_Match":
        """Return the match of each form, computed from the matches of the words of the vocabulary."""
        return _Match(weight, np.maximum.reduceat(values[self.words], self.begins), values[self.first])

    def _similar_words(self, word: str) -> Floats:
        """Return how well a word of a query matches each word of the vocabulary."""
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import cdist

        values, (start, stop) = np.zeros(len(self.vocabulary)), _bounds(self.vocabulary, word)
        values[start:stop] = PREFIX * (0.9 + 0.1 * len(word) / self.lengths[start:stop])
        if typos := 0 if len(word) < 4 else 1 if len(word) < 7 else 2:
            near = np.flatnonzero(np.abs(self.lengths - len(word)) <= typos)
            candidates = [self.vocabulary[index] for index in near]
            distances = cdist([word], candidates, scorer=OSA.distance, score_cutoff=typos, dtype=np.uint8)[0]
            worth = np.array([1.0, TYPO, TWO_TYPOS if typos > 1 else 0.0, 0.0])
            values[near] = np.maximum(values[near], worth[distances])
            for spelled, index in self.spelled.items():  # "fith" is "fifth", which the vocabulary has as "5th"
                if OSA.distance(word, spelled, score_cutoff=1) <= 1:
                    values[index] = max(values[index], TYPO)
        if start < stop and self.vocabulary[start] == word:
            values[start] = 1.0
        return values

    def _match_joined(self, words: list[str], matches: list["_Match"]) -> None:
        """Match words that are joined ("starwars") or split ("ghost busters") in the query but not in the title."""
        for word, match in zip(words, matches, strict=True):
            for form, first in self.joined.get(word, ()):
                match.quality[form] = max(match.quality[form], JOINED)
                match.starts[form] = max(match.starts[form], JOINED * (self.first[form] == first))
        for (left, one), (right, other) in pairwise(zip(words, matches, strict=True)):
            start, _ = _bounds(self.vocabulary, left + right)
            if self.vocabulary[start : start + 1] == [left + right]:
                values = np.zeros(len(self.vocabulary))
                values[start] = JOINED
                for match in (one, other):
                    match.join(self._forms_with(values, 0.0))


class _Match(NamedTuple):
    """The weight of a query word, and its match with each form and with the first word of each form."""

    weight: float
    quality: Floats
    starts: Floats

    def join(self, other: "_Match") -> None:
        """Keep the better of two matches of each form."""
        np.maximum(self.quality, other.quality, out=self.quality)
        np.maximum(self.starts, other.starts, out=self.starts)


def _first(words: Iterable[str]) -> str:
    words = list(words)
    return next((word for word in words if word not in _ARTICLES), words[0])


def _bounds(vocabulary: Sequence[str], prefix: str) -> tuple[int, int]:
    """Return the range of a sorted vocabulary that begins with a prefix."""
    return bisect_left(vocabulary, prefix), bisect_left(vocabulary, prefix + "\U0010ffff")
