"""`reelated demo`: the main features on the bundled sample."""

import shlex

from rich.text import Text

from reelated.cli.show import console, print_about, print_answers
from reelated.cli.sources import Options, find_item, open_source

USER, ITEM = 300, "Star Wars"


def run_demo() -> None:
    """Print recommendations with reasons, the audience of an item, similar items, and further commands."""
    rec, out = open_source("sample", Options()), console()
    print_about(rec)
    out.print()
    print_answers(rec.recommend(user_id=USER), "table")
    out.print()
    item_id = find_item(rec, ITEM)
    print_answers(rec.audience(item_id), "table", hint="These are users who have not rated it.")
    out.print()
    print_answers(rec.similar(item_id), "table")
    out.print()
    out.print(Text("Try next", style="bold"))
    for line in (
        f"reelated explain sample --user {USER} --item {shlex.quote(rec.recommend(user_id=USER)[0].title)}",
        "reelated recommend sample --rate 'Alien=5' --rate 'Notting Hill=2'",
        "reelated fetch ml-100k && reelated recommend ml-100k --user 196",
    ):
        out.print(Text(f"  {line}"))
