"""Translate error messages of the library: argument names become command-line options."""

import re
from collections.abc import Callable

from reelated.models import MODELS

_SETTINGS = {name for model in MODELS.values() for name in model().get_params()} | {
    "recency_half_life",
    "recency_floor",
}

_WORDS: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"^exclude: item_id=": "--exclude ",
    r"^ratings: item_id=": "--rate ",
    r"^ratings\[(.+?)\]=": r"--rate \1=",
    r"^(No ratings for )?(user|item)_id[= ]": r"\1--\2 ",
    r"^(genres|years|by|n)=": r"--\1 ",
    rf"^({'|'.join(sorted(_SETTINGS - {'max_memory'}))})=": r"--set \1=",
    r"^(.+?: )?(scale|duplicates|invalid)=": r"\1--\2 ",
    r"--scale \((.+?), (.+?), (.+?)\)": r"--scale \1,\2,\3",
    r"^recommend_batch: this": "SOURCE: this",
    r"columns\['(\w+)'\]='(.*?)':": r"--columns \1=\2:",
    r"columns has the key '(\w+)'": r"--columns \1=…",
    r"columns=\{('\w+': (?:'your column'|None)(?:, '\w+': 'your column')*)\}": lambda found: (
        "--columns "
        + re.sub(r"'(\w+)': ", r"\1=", found[1]).replace("'your column'", "COLUMN").replace("None", "").replace(" ", "")
    ),
    r"columns=\{'user_id': …[^}]*\}": "--columns user_id=COLUMN,item_id=COLUMN",
    r"columns=\{'rating': …[^}]*\}": "--columns rating=COLUMN,timestamp=COLUMN",
    r"^max_memory='(.*?)'": r"--max-memory \1",
    r"Raise max_memory, or give models with fewer n_neighbors": "Raise it, or lower --set n_neighbors=100",
    r"[Pp]ass ratings=\{item_id: rating\}": "give --rate ITEM=RATING",
    r"\. give": ". Give",
    r"save it with ratings=True": "fit it again with --ratings",
    r"find\('…'\)": "reelated find SOURCE TITLE",
    r"invalid='drop'": "--invalid drop",
    r"scale=\(low, high, step\)": "--scale LOW,HIGH,STEP",
    r"duplicates='last', 'first' or 'mean'": "--duplicates last, first or mean",
    r"Give an items table": "Give a table of items with --items FILE",
    r"Use similarity='cosine'": "Use --set similarity=cosine",
    r"^path=": "--output ",
    r"split='…'": "--split FOLDER",
    r"^item_ids: ": "--item: ",
    r"^item_ids=": "--item ",
    r"^source=": "SOURCE ",
    r"^protocol=": "--protocol ",
    r"^report=": "--report ",
    r"^folder=": "DIR ",
    r"^name=": "NAME ",
    r"^text=": "TEXT ",
}
"""Regular expression → replacement; a leading `^` keeps a pattern from matching values of the data."""


def in_options(message: str) -> str:
    """Replace Python arguments in a message with command-line options.

    >>> in_options("genres='Comdy': expected one of 'Comedy', 'Drama'.")
    "--genres 'Comdy': expected one of 'Comedy', 'Drama'."
    """
    for pattern, words in _WORDS.items():
        message = re.sub(pattern, words, message)
    return message
