"""Every interface names the strongest reasons: the items with the largest contributions, in descending order."""

import html
import re

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app as terminal
from reelated.formatting import with_year
from reelated.models import ItemKNN
from reelated.ratings import Scale
from reelated.recommender.explanation import liked_above
from reelated.recommender.query import query_of_ratings
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.web import ServiceOptions, create_app
from reelated.web.pages.breakdown import break_down

SIZES = (1, 2, 3, 5, 10)
HERE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module", params=["sample", "ml-100k"])
def data(request):
    """Two data sets: real profiles and simulated ones."""
    if request.param == "sample":
        return request.getfixturevalue("sample")
    return reelated.read(request.getfixturevalue("shared_data") / "ml-100k.zip")


@pytest.fixture(scope="module")
def rec(data):
    """A recommender with a fast rater."""
    return reelated.Recommender(rater=ItemKNN("residual-cosine", n_neighbors=50)).fit(data)


@pytest.fixture(scope="module")
def profiles(data):
    """Profiles of about twelve users, with the lengths in `SIZES` in turn."""
    chosen = range(5, len(data.ratings.user_ids), len(data.ratings.user_ids) // 12)
    found = []
    for at, user in enumerate(chosen):
        items, given = data.ratings.row(user)
        few = SIZES[at % len(SIZES)]
        step = max(len(items) // few, 1)
        ids = data.ratings.item_ids.take(items[::step][:few]).to_list()
        found.append({item_id: float(rating) for item_id, rating in zip(ids, given[::step][:few], strict=True)})
    return found


@pytest.fixture(scope="module")
def web(rec, data, tmp_path_factory):
    """A service with the same data and models."""
    folder = tmp_path_factory.mktemp("reasons")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    store.import_data(data, "data")
    how = reelated.Recommender(rater=rec.rater)
    assert refit(store, Versions(folder / "models"), how).outcome == "switched"
    store.close()
    options = ServiceOptions(f"sqlite:///{folder}/store.db", str(folder / "models"), refit_after=10**9, poll=60.0)
    app = create_app(options)
    with TestClient(app, HERE):
        yield app


def strongest(rec, item_id, n=3, by="score", **who):
    """Return the titles of the largest positive contributions of the full sum."""
    parts = rec.explain(who.pop("user_id", None), item_id, by=by, ranks=False, **who).contributions
    falling = sorted((part for part in parts if part.contribution > 0), key=lambda part: -part.contribution)
    return [with_year(part.title, part.year) for part in falling[:n]]


@pytest.mark.parametrize("by", ["score", "rating"])
def test_python_names_the_strongest_reasons_of_every_row(rec, profiles, by):
    named = 0
    for ratings in profiles:
        for row in rec.recommend(ratings=ratings, by=by):
            if row.source == "model":
                assert list(row.because) == strongest(rec, row.item_id, by=by, ratings=ratings)
                named += bool(row.because)
    assert named > 20


def test_one_rating_or_equal_ratings_give_a_reason_for_every_row_of_the_model(rec, profiles):
    for size, stars in ((1, 5.0), (1, 2.0), (4, 5.0), (4, 3.0)):
        ratings = dict.fromkeys(list(max(profiles, key=len))[:size], stars)
        rows = [row for row in rec.recommend(ratings=ratings) if row.source == "model" and row.score > 0]
        assert rows
        assert all(row.because for row in rows)


def test_the_terminal_names_the_strongest_reasons_of_every_row(rec, profiles, tmp_path):
    folder = rec.save(tmp_path / "model")
    for ratings in profiles:
        given = [word for item_id, rating in ratings.items() for word in ("--rate", f"{item_id}={rating}")]
        shown = CliRunner().invoke(terminal, ["recommend", str(folder), *given], env={"COLUMNS": "400"}).stdout
        heading, _, *lines = shown.splitlines()[1:]
        assert heading.rstrip().endswith("because you rated")
        at = heading.index("because you rated")
        rows = rec.recommend(ratings=ratings)
        for row, line in zip(rows, lines, strict=True):
            if row.source == "model":
                assert line[at:].strip() == ", ".join(strongest(rec, row.item_id, ratings=ratings))


def test_the_api_gives_the_strongest_reasons_of_every_row_first(rec, profiles, web):
    client = TestClient(web, HERE)
    for ratings in profiles:
        body = {"ratings": [{"item_id": item_id, "rating": rating} for item_id, rating in ratings.items()]}
        told = client.post("/api/recommendations", json=body).json()["recommendations"]
        for row in told:
            if row["source"] == "model":
                named = [with_year(one["title"], one["year"]) for one in row["reasons"] if one["contribution"] > 0]
                assert named == strongest(rec, row["item_id"], ratings=ratings)


def test_a_prediction_of_the_api_names_the_strongest_reasons_first(rec, data, web):
    client, user = TestClient(web, HERE), data.ratings.user_ids[7]
    for row in rec.recommend(user)[:5]:
        told = client.get(f"/api/users/{user}/predictions/{row.item_id}").json()
        named = [with_year(one["title"], one["year"]) for one in told["reasons"] if one["contribution"] > 0]
        assert named == strongest(rec, row.item_id, by="rating", user_id=user)


@pytest.mark.parametrize("by", ["score", "rating"])
def test_the_page_names_the_strongest_reasons_of_every_row(rec, profiles, web, by):
    for ratings in profiles[:6]:
        client = TestClient(web, HERE, headers={"Accept": "text/html"})
        token = re.search(r'name="token" value="(\w+)"', client.get("/").text)[1]
        for item_id, rating in ratings.items():
            client.post("/rate", data={"token": token, "item_id": item_id, "rating": rating})
        page = client.get(f"/list?by={by}").text
        rows = rec.recommend(ratings=ratings, by=by)
        said = [sentence(text) for text in re.findall(r'<p class="why">(.*?)</p>', page, re.DOTALL)]
        assert len(said) == len(rows)
        for row, text in zip(rows, said, strict=True):
            named = strongest_rated(rec, ratings, row.item_id, by)
            if row.source == "popular":
                assert text == "Popular with everyone."
            elif named:
                assert text.startswith("Because you rated " + " and ".join(named))
            else:
                assert text.startswith(("Based on its usual rating", "Loosely related"))


def test_the_operators_page_of_a_user_names_their_strongest_reasons(rec, data, web):
    client, user = TestClient(web, HERE, headers={"Accept": "text/html"}), data.ratings.user_ids[3]
    page = client.get(f"/users/{user}").text
    said = [sentence(text) for text in re.findall(r'<span class="small">((?:because|popular).*?)</span>', page)]
    rows = rec.recommend(user)
    assert said == [f"because they rated {' and '.join(strongest(rec, r.item_id, 2, user_id=user))}" for r in rows]


def sentence(markup):
    """Return the visible text."""
    return " ".join(html.unescape(re.sub("<.*?>", "", markup)).split())


def strongest_rated(rec, ratings, item_id, by):
    """Return the two strongest reasons as the page names them: title and rating."""
    parts = rec.explain(None, item_id, ratings=ratings, by=by, ranks=False).contributions
    falling = sorted((part for part in parts if part.contribution > 0), key=lambda part: -part.contribution)
    return [" ".join(f"{part.title} {part.rating:g}".split()) for part in falling[:2]]


# ------------------------------------------------------------------------------------------------ liked, and although
@pytest.mark.parametrize(
    ("given", "bar"),
    [
        ({50: 5, 60: 4}, 4.5),  # their own mean
        ({50: 5}, 3.0),  # nothing to compare with: the middle of the scale
        ({50: 3, 60: 3}, 3.0),
        ({50: 1, 60: 1, 134: 1}, 3.0),
    ],
)
def test_liked_means_above_the_users_mean_or_above_the_middle_if_all_ratings_are_equal(sample, given, bar):
    rec = reelated.Recommender(rater=None).fit(sample)
    assert rec.scale_ == Scale(1, 5, 1)
    assert liked_above(query_of_ratings(given, rec), rec.scale_) == bar
    for reason in rec.recommend(ratings=given)[0].reasons:
        assert reason.liked == (reason.rating > bar)


def test_although_names_only_an_item_with_a_low_rating(rec, profiles):
    said = 0
    for ratings in profiles:
        for row in rec.recommend(ratings=ratings, by="rating", n=30):
            made = break_down(rec.explain(None, row.item_id, ratings=ratings, by="rating", ranks=False))
            for reason in made.although:
                assert reason.contribution < 0
                assert reason.rating <= sum(ratings.values()) / len(ratings)
                assert all(reason.rating < other.rating for other in made.because)
                said += 1
            shown = [part.reason for part in made.parts]
            assert all(reason in shown for reason in made.because)
    assert said
