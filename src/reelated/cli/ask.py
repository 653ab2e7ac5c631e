"""The commands that ask for lists, predictions and explanations."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelated.cli.registry import command
from reelated.cli.shared_options import (
    AudienceBy,
    By,
    Exclude,
    Form,
    Genres,
    Highest,
    Item,
    Items,
    N,
    OptionalItem,
    Rate,
    RatingsFile,
    User,
    Years,
    as_filters,
    as_own_ratings,
    as_ratings,
    as_user,
    with_recommender,
)
from reelated.cli.show import print_answers, print_audiences, print_prediction, print_table, print_why
from reelated.cli.sources import find_item
from reelated.errors import plural_of

if TYPE_CHECKING:
    from reelated.recommender import Recommender


@command("Ask", "reelated recommend sample --user 300 --genres Comedy,Drama --years 1990-1999")
@with_recommender("user", "item", "rate", "ratings_file", "users")
def recommend(
    rec: "Recommender",
    user: User = None,
    item: Items = None,
    rate: Rate = None,
    ratings_file: RatingsFile = None,
    highest: Highest = None,
    users: str | None = None,
    n: N = 10,
    by: By = None,
    genres: Genres = None,
    years: Years = None,
    exclude: Exclude = None,
    why: Annotated[bool, typer.Option("--why", help="Show the contributions to each score.")] = False,
    form: Form = "table",
) -> None:
    """Recommend items to users, or users for an item.

    Several users: --users 1,2,3, or a file with one id in each line or a column user_id.
    """
    filters = as_filters(rec, genres, years, exclude)
    if users is not None:
        from reelated.cli.batch import as_users, print_lists

        return print_lists(rec.recommend_batch(n, by=by, users=as_users(rec, users), **filters), rec.noun_, form)
    if item is not None and (rec.is_events or len(item) > 1):
        items = [find_item(rec, text) for text in item]
        return print_answers(rec.recommend(items=items, n=n, by=by, **filters), form, why=why)
    if item is not None:
        if any(value is not None for value in filters.values()):
            raise typer.BadParameter("--genres, --years and --exclude cannot be used with --item, which lists users.")
        return _audience(rec, item[0], n, by, form)
    query = _user_or_ratings(rec, user, rate, ratings_file, highest)
    print_answers(rec.recommend(**query, n=n, by=by, **filters), form, why=why)
    return None


@command("Ask", 'reelated audience sample --item "Star Wars"')
@with_recommender()
def audience(
    rec: "Recommender",
    item: Annotated[
        list[str],
        typer.Option("--item", "--movie", help="An item id or title; title:300 forces the title. Repeatable."),
    ],
    n: N = 10,
    by: AudienceBy = None,
    per_user: Annotated[
        int | None,
        typer.Option(
            "--per-user", min=1, metavar="<int>", help="With several items: maximum number of lists per user."
        ),
    ] = None,
    form: Form = "table",
) -> None:
    """List the best users for an item.

    Only users who have not rated the item are listed.
    """
    if len(item) == 1:
        return _audience(rec, item[0], n, by, form)
    item_ids = [find_item(rec, text) for text in item]
    print_audiences(rec.audience_batch(item_ids, n=n, by=by, per_user=per_user), rec.noun_, form)
    return None


def _audience(rec: "Recommender", item: str, n: int, by: AudienceBy, form: Form) -> None:
    item_id = find_item(rec, item)
    similar = f"reelated similar SOURCE --item {shlex.quote(str(item_id))}"
    unknown = "do not have it" if rec.is_events else "have not rated it"
    hint = f"These are users who {unknown}. For {plural_of(rec.noun_)} like it: {similar}"
    print_answers(rec.audience(item_id, n=n, by=by), form, hint=hint)


@command("Ask", 'reelated similar sample --item "Star Wars"')
@with_recommender()
def similar(
    rec: "Recommender",
    item: Item,
    n: N = 10,
    genres: Genres = None,
    years: Years = None,
    exclude: Exclude = None,
    form: Form = "table",
) -> None:
    """List the items most similar to an item."""
    print_answers(rec.similar(find_item(rec, item), n=n, **as_filters(rec, genres, years, exclude)), form)


@command("Ask", "reelated predict sample --user 300 --item Fargo")
@with_recommender("user", "rate", "ratings_file", "pairs")
def predict(
    rec: "Recommender",
    item: OptionalItem = None,
    user: User = None,
    rate: Rate = None,
    ratings_file: RatingsFile = None,
    highest: Highest = None,
    pairs: Annotated[str | None, typer.Option(help="A table of pairs of user_id and item_id.")] = None,
    form: Form = "table",
) -> None:
    """Predict the rating of an item, or the ratings for a table of pairs."""
    if (item is None) == (pairs is None):
        raise typer.BadParameter(f"got {'neither' if item is None else 'both'}: expected --item or --pairs.")
    if pairs is not None:
        from reelated.cli.batch import read_pairs

        return print_table(rec.predict_batch(read_pairs(rec, pairs)), form)
    query = _user_or_ratings(rec, user, rate, ratings_file, highest)
    print_prediction(rec.predict(**query, item_id=find_item(rec, item or "")), rec.noun_, form)
    return None


@command("Ask", "reelated explain sample --user 300 --item Fargo --by rating")
@with_recommender("user", "rate", forms=("json",))
def explain(
    rec: "Recommender", item: Item, user: User = None, rate: Rate = None, by: By = None, form: Form = "table"
) -> None:
    """Show the parts of a score or of a predicted rating."""
    print_why(rec.explain(**_user_or_ratings(rec, user, rate), item_id=find_item(rec, item), by=by), rec.noun_, form)


def _user_or_ratings(
    rec: "Recommender", user: str | None, rate: list[str] | None, file: str | None = None, highest: float | None = None
) -> dict[str, Any]:
    ratings = as_ratings(rec, rate) if file is None else as_own_ratings(rec, file, highest)
    return {"user_id": as_user(rec, user), "ratings": ratings}


@command("Ask", "reelated find sample 'star wasr'")
@with_recommender()
def find(
    rec: "Recommender",
    text: Annotated[str, typer.Argument(help="A title or a part of one; typos are tolerated.", metavar="TEXT")],
    n: N = 10,
    form: Form = "table",
) -> None:
    """Find items by title."""
    print_answers(rec.find(text, n=n), form)
