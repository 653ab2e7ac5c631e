"""Wording of messages in the terminal: options in place of Python parameters."""

from reelated.cli.sources import RECOMMENDER_SETTINGS
from reelated.errors import Advice, Wording
from reelated.models import MODELS

_SETTINGS = {name for model in MODELS.values() for name in model().get_params()} | RECOMMENDER_SETTINGS
_ARGUMENTS = {"source": "SOURCE ", "folder": "DIR ", "name": "NAME ", "text": "TEXT "}
_SAME = (
    *("by", "columns", "dates", "duplicates", "encoding", "events", "exclude", "feedback", "genres", "highest"),
    *("invalid", "item-columns", "layout", "map", "max-memory", "n", "protocol", "report", "scale", "store", "years"),
)
_OPTIONS = {"user_id": "user", "item_id": "item", "item_ids": "item", "ratings": "rate", "path": "output"}
_OPTIONS |= {option.replace("-", "_"): option for option in _SAME}
_NAME_COLUMNS = "Name the columns with --columns user_id=COLUMN,item_id=COLUMN,rating=COLUMN"
_ADVICE = {
    Advice.FIND_TITLE: "Search by title with: reelated find SOURCE TITLE",
    Advice.ADD_ITEM: "Search by title with: reelated find SOURCE TITLE",
    Advice.NEW_USER: "For a new user give --rate ITEM=RATING.",
    Advice.NO_USERS: "Give --rate ITEM=RATING, or fit it again with --ratings.",
    Advice.SIMILAR: "For items like this one: reelated similar SOURCE --item ITEM",
    Advice.DROP_ROWS: "Correct the data, or drop such rows with --invalid drop.",
    Advice.DROP_LINES: "Correct the line, or drop such lines with --invalid drop.",
    Advice.DUPLICATES: "Choose --duplicates last, first or mean.",
    Advice.NAME_COLUMNS: f"{_NAME_COLUMNS}.",
    Advice.OWN_RATINGS: f"{_NAME_COLUMNS}. If all are of one person: reelated recommend SOURCE --ratings-file FILE.",
    Advice.NAME_RATING: f"{_NAME_COLUMNS}; rating= if there are no ratings.",
    Advice.NAME_ITEM_COLUMNS: "Name the columns with --item-columns item_id=COLUMN,title=COLUMN.",
    Advice.OWN_COLUMNS: "Rename the columns to title, year and rating.",
    Advice.HIGHEST_RATING: "Give the highest possible rating of the file: --highest 10.",
    Advice.NAME_POSITIONS: "Name the columns by position: --columns user_id=1,item_id=2,rating=3.",
    Advice.MAP_WORDS: "Map words to ratings: --map like=1,dislike=0.",
    Advice.WITHOUT_TIMES: "To read without times: --columns timestamp=.",
    Advice.DROP_OR_WITHOUT_TIMES: "Drop such rows with --invalid drop, or read without times: --columns timestamp=.",
    Advice.DATES: "Say --dates day-first or --dates month-first.",
    Advice.ONE_ITEM: "If each field is one item, such as a title: --layout long.",
    Advice.WIDE: "For a matrix with a row for each user and a column for each item: --layout wide.",
    Advice.ENCODING: "Name the encoding, such as --encoding cp1251.",
    Advice.SENTINEL: "keeps them as ratings; --map=VALUE= drops them, and --map=VALUE=1 takes them as likes.",
    Advice.ONE_GENRE: "keeps it; --item-columns genres= leaves it out.",
    Advice.SPLIT: "Name it: --split FOLDER.",
    Advice.LESS_MEMORY: "Raise it, or lower --set n_neighbors=100.",
    Advice.LESS_EASE: "Raise it, or take --ranker item-knn.",
    Advice.COSINE: "Use --set similarity=cosine.",
    Advice.STOPS_AT_ROWS: "stops at the first; --invalid drop drops them.",
    Advice.STOPS_AT_MATRIX: "stops here; --layout wide reads it.",
    Advice.STOPS_AT_DUPLICATES: "stops here; --duplicates last, first or mean continues.",
    Advice.OBSERVES_SCALE: "does so; --scale LOW,HIGH,STEP says otherwise.",
    Advice.KEEPS_OUTLIERS: "keeps them; --scale LOW,HIGH,STEP refuses ratings outside it.",
    Advice.SUMS_EVENTS: "sums them for each user and item; --feedback explicit takes them as ratings.",
    Advice.SKIPS_COLUMNS: "continues; --columns rating=COLUMN names ratings, and --map like=1 gives words numbers.",
    Advice.KEEPS_COLUMNS: "takes them as they are; --columns user_id=COLUMN,item_id=COLUMN names the right ones.",
}
_PARAMETERS = {name: f"--set {name}=" for name in sorted(_SETTINGS)} | _ARGUMENTS
TERMINAL = Wording(_PARAMETERS | {name: f"--{option} " for name, option in _OPTIONS.items()}, _ADVICE)
"""How the terminal writes parameters and advice."""
