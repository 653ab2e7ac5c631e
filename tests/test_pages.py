"""The pages as a browser without scripts gets them: whose visit it is, what may be sent, and that sums are sums."""

import html
import re
import time

import pytest
from fastapi.testclient import TestClient
from itsdangerous import URLSafeTimedSerializer

import reelated
from reelated.ratings import Scale
from reelated.refit import Versions, refit
from reelated.store import Store, StoreUnavailable
from reelated.web import ServiceOptions, create_app
from reelated.web.elicitation import elicitation_order
from reelated.web.pages.breakdown import break_down
from reelated.web.pages.list_page import VisitorProfile, known_ratings
from reelated.web.pages.rating_input import RatingInput
from reelated.web.pages.sessions import LIFETIMES, VISITOR

KEY = "a key of more than sixteen characters"
HERE = "http://127.0.0.1:8000"
PAGES = ("/", "/list", "/ratings", "/how", "/search?query=alien", "/items/50", "/users", "/users/42", "/docs")
EVIL = '"><script>alert(1)</script><b>bold</b>'


@pytest.fixture(scope="module")
def place(tmp_path_factory, sample):
    """A store with the sample and one item whose title is no friend, and a model of it."""
    file = tmp_path_factory.mktemp("pages") / "store.db"
    store = Store(f"sqlite:///{file}").upgrade()
    store.import_data(sample, "sample")
    store.put_item(66_666, EVIL, 1999, ["<i>Horror</i>"])
    store.rate(42, 66_666, 5)
    refit(store, Versions(file.with_name("models")))
    store.close()
    return f"sqlite:///{file}", str(file.with_name("models"))


def options(place, **more):
    return ServiceOptions(*place, refit_after=10**9, refit_every=10**6, poll=0.05, **more)


@pytest.fixture(scope="module")
def app(place):
    """The service, open to this machine."""
    made = create_app(options(place))
    with TestClient(made, HERE):
        yield made


@pytest.fixture
def visitor(app):
    """A browser of its own."""
    return TestClient(app, HERE, raise_server_exceptions=False, headers={"Accept": "text/html"})


@pytest.fixture(scope="module")
def guarded(place):
    """The service with a key."""
    made = create_app(options(place, api_key=KEY, host="0.0.0.0"))
    with TestClient(made, "https://items.example"):
        yield made


def token_of(page):
    return re.search(r'name="token" value="(\w+)"', page.text)[1]


def send(client, address, **form):
    """Send a form as the page would."""
    form.setdefault("token", token_of(client.get("/")))
    return client.post(address, data=form)


def stars(client):
    """Return what the visitor's page of stars lists."""
    found = re.findall(r'class="match" data-key="(\d+)".*?</li>', client.get("/ratings").text, re.DOTALL)
    return [int(item_id) for item_id in found]


def listed(page):
    """Return the items of a list by rank."""
    rows = page.text.partition('id="rows"')[2]
    return [int(item_id) for item_id in re.findall(r'data-key="(\d+)" data-name', rows)]


# ------------------------------------------------------------------------------------------------------ whose it is
def test_a_rating_is_kept_and_the_very_next_list_is_the_apis(visitor, app):
    rated = {50: 5.0, 134: 1.0, 60: 4.0}
    for item_id, rating in rated.items():
        assert send(visitor, "/rate", item_id=item_id, rating=rating, back="/list").url.path == "/list"
    assert sorted(stars(visitor)) == sorted(rated)
    body = {"ratings": [{"item_id": item_id, "rating": rating} for item_id, rating in rated.items()]}
    wanted = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    assert listed(visitor.get("/list")) == [row["item_id"] for row in wanted]
    assert listed(visitor.get("/"))[:10] == [row["item_id"] for row in wanted]


def test_one_visitors_stars_are_never_another_ones(visitor, app):
    other = TestClient(app, HERE, headers={"Accept": "text/html"})
    send(visitor, "/rate", item_id=50, rating=5)
    send(other, "/rate", item_id=60, rating=1)
    assert (stars(visitor), stars(other)) == ([50], [60])
    send(other, "/rate", item_id=50, rating="")
    send(other, "/erase")
    assert (stars(visitor), stars(other)) == ([50], [])


@pytest.mark.parametrize("forged", ["", "x.y.z", "ImFubiI.aaaaaa.bbbbbbbbbbbbbbbb"])
def test_a_forged_cookie_is_a_new_visitor(visitor, forged):
    send(visitor, "/rate", item_id=50, rating=5)
    visitor.cookies.clear()
    visitor.cookies.set(VISITOR, forged)
    assert stars(visitor) == []


def test_a_cookie_ends_when_its_time_is_over(visitor, monkeypatch):
    send(visitor, "/rate", item_id=50, rating=5)
    assert stars(visitor) == [50]
    later = int(time.time()) + LIFETIMES[VISITOR] + 60
    monkeypatch.setattr("itsdangerous.TimestampSigner.get_timestamp", lambda _: later)
    assert stars(visitor) == []


def test_cookies_are_for_the_server_alone(visitor, guarded):
    told = visitor.get("/").headers["set-cookie"]
    assert "HttpOnly" in told
    assert "SameSite=lax" in told
    assert "Secure" not in told  # there is no TLS on loopback
    behind = TestClient(guarded, "https://items.example").get("/").headers["set-cookie"]
    assert "Secure" in behind


def test_a_cookie_signed_with_another_secret_is_worth_nothing(visitor):
    visitor.cookies.set(VISITOR, URLSafeTimedSerializer("another", salt=VISITOR).dumps("ann"))
    assert "set-cookie" in visitor.get("/").headers  # a new one


# --------------------------------------------------------------------------------------------------- what may be sent
def test_a_form_without_the_token_or_from_elsewhere_is_refused(visitor, guarded):
    assert send(visitor, "/rate", item_id=50, rating=5, token="").status_code == 403
    other = TestClient(visitor.app, HERE)
    stolen = token_of(other.get("/"))
    assert send(visitor, "/rate", item_id=50, rating=5, token=stolen).status_code == 403
    outside = TestClient(guarded, "https://items.example")
    form = {"token": token_of(outside.get("/")), "item_id": 50, "rating": 5}
    for origin, status in (("https://evil.example", 403), ("null", 403), ("https://items.example", 303)):
        told = outside.post("/rate", data=form, headers={"Origin": origin}, follow_redirects=False)
        assert told.status_code == status
    assert stars(visitor) == []


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"item_id": "4711", "rating": "5"}, 404, "no such item"),
        ({"item_id": "x", "rating": "5"}, 404, "whole numbers"),
        ({"item_id": "50", "rating": "11"}, 422, "from 1 to 5"),
        ({"item_id": "50", "rating": "nan"}, 422, "finite"),
        ({"item_id": "50", "rating": "many"}, 422, "expected a number"),
        ({"rating": "5"}, 404, "whole numbers"),
    ],
)
def test_what_cannot_be_used_is_told_on_a_page_and_changes_nothing(visitor, form, status, said):
    told = send(visitor, "/rate", **form)
    assert (told.status_code, told.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in told.text
    assert stars(visitor) == []


@pytest.mark.parametrize("address", ["/list?n=0", "/list?n=x", "/list?by=luck", "/list?years=abc", "/?wall=999999"])
def test_an_address_that_asks_the_impossible_gets_a_page_that_says_so(visitor, address):
    told = visitor.get(address)
    assert told.status_code == 422
    assert "expected" in told.text


def test_a_genre_that_no_item_has_gives_an_empty_list(visitor):
    told = visitor.get("/list?genres=Nonsense")
    assert told.status_code == 200
    assert "Nothing matches." in told.text


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_on_to_another_site(visitor, to):
    form = {"token": token_of(visitor.get("/")), "item_id": 50, "rating": 5, "back": to}
    assert visitor.post("/rate", data=form, follow_redirects=False).headers["location"] == "/"


def test_a_form_of_a_thousand_fields_is_refused(visitor):
    told = visitor.post("/rate", content="&".join(f"a{at}=1" for at in range(1000)))
    assert (told.status_code, "too many fields" in told.text) == (422, True)


def test_a_problem_is_told_in_words_for_people(visitor):
    for address in ("/items/99999", "/list?without=50&of=99999", "/users/99999", "/nowhere"):
        told = html.unescape(visitor.get(address).text)
        assert not re.search(r"find\(|ratings=|openapi|GET /", told)


def test_a_large_form_and_a_missing_page_are_told_as_pages(visitor):
    assert "Too much data" in visitor.post("/rate", content=b"x" * 1_000_001).text
    told = visitor.get("/nowhere")
    assert (told.status_code, "Not found" in told.text) == (404, True)
    assert visitor.get("/api/nowhere").json()["detail"]


def test_a_store_that_is_gone_is_told_with_a_way_to_try_again(visitor, app, monkeypatch):
    def gone(*_):
        raise StoreUnavailable("secret details")

    monkeypatch.setattr(app.state.service.store, "visitor_ratings", gone)
    told = visitor.get("/list")
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert "Try again" in told.text
    assert "secret" not in told.text


def test_pages_allow_nothing_from_elsewhere_and_nothing_inline(visitor):
    send(visitor, "/rate", item_id=50, rating=5)
    for page in PAGES:
        told = visitor.get(page)
        policy = told.headers["content-security-policy"]
        assert told.status_code == 200
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert f"Reelated {reelated.__version__}." in told.text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|https?://", told.text)
        assert visitor.get(page, headers={"Accept": "*/*"}).headers["cache-control"] == "no-store"


def test_titles_and_genres_are_text_whatever_they_hold(visitor):
    send(visitor, "/rate", item_id=66_666, rating=5)
    for page in (*PAGES, "/items/66666?audience", "/search?query=script", "/list?without=66666&of=50"):
        told = visitor.get(page).text
        assert "<script>alert" not in told
        assert "<b>bold" not in told
        assert "<i>Horror" not in told
    assert html.escape(EVIL) in visitor.get("/ratings").text.replace("&#34;", "&quot;")


def test_the_files_of_pages_may_be_kept_and_others_are_not_given(visitor):
    address = re.search(r'href="(/static/\w+/)page\.css"', visitor.get("/").text)[1]
    for name in ("page.css", "page.js", "moves.js", "star.svg"):
        told = visitor.get(address + name)
        assert (told.status_code, "immutable" in told.headers["cache-control"]) == (200, True)
    for name in ("page.py", "..%2fapp.py", "nothing.css"):
        assert visitor.get(address + name).status_code == 404
    assert visitor.get("/static/0/page.css").status_code == 404


# --------------------------------------------------------------------------------------------------------- operators
def test_only_who_shows_the_key_is_an_operator(guarded):
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    told = client.get("/how")
    assert "/sign-in" in told.text
    assert send(client, "/sign-in", key="wrong").status_code == 401
    assert "Sign out" not in client.get("/").text
    assert send(client, "/sign-in", key=KEY, back="/how").url.path == "/how"
    assert "Sign out" in client.get("/").text
    client.cookies.set(VISITOR, "")
    send(client, "/sign-out")
    assert "Sign out" not in client.get("/").text


def test_users_and_audiences_are_for_operators_alone(guarded):
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    for address in ("/users", "/users/42", "/users?user_id=42", "/users/nobody"):
        told = client.get(address, follow_redirects=False)
        assert (told.status_code, told.headers["location"].partition("?")[0]) == (303, "/sign-in")
    assert "Audience" not in client.get("/items/50?audience").text
    assert 'href="/users' not in client.get("/items/50").text
    assert send(client, "/sign-in", key=KEY, back="/users/42").url.path == "/users/42"
    assert "Audience" in client.get("/items/50").text


def test_the_page_of_a_user_tells_what_the_api_tells(visitor):
    told = visitor.get("/users/42").text
    wanted = visitor.get("/api/users/42/recommendations").json()["recommendations"]
    rows = re.findall(r'data-key="(\d+)"', told)
    assert [int(item_id) for item_id in rows] == [row["item_id"] for row in wanted]
    rated = visitor.get("/api/users/42/ratings?n=50").json()["ratings"]
    titles = [html.unescape(title) for title in re.findall(r'class="title"[^>]*>(.*?)</a>', told)]
    assert titles[10:] == [row["title"] for row in rated]
    assert visitor.get("/users?user_id=42").url.path == "/users/42"
    for address in ("/users/99999", "/users/x", "/users?user_id=x", "/items/99999", "/items/x"):
        assert visitor.get(address).status_code == 404


def test_the_page_of_an_item_tells_what_the_api_tells(visitor, app):
    told = visitor.get("/items/50?audience").text
    counts = app.state.service.store.histogram(50)
    figures = [int(text) for text in re.findall(r'class="figure">(\d+)</td>', told)]
    assert figures == [counts.get(float(stars), 0) for stars in (5, 4, 3, 2, 1)]
    similar = visitor.get("/api/items/50/similar").json()["recommendations"]
    for row in similar:
        assert f"{row['common_raters']} people rated both" in told or row["common_raters"] == 1
    audience = visitor.get("/api/items/50/audience").json()["recommendations"]
    assert re.findall(r'href="/users/(\d+)"', told) == [str(row["user_id"]) for row in audience]
    app.state.service.store.put_item(70_002, "Brand New")
    assert "does not know this movie yet" in visitor.get("/items/70002").text


def test_a_hidden_item_is_on_no_page_but_among_the_visitors_own_stars(visitor, app):
    item_id = int(re.search(r'data-key="tile (\d+)"', visitor.get("/").text)[1])
    title = html.escape(app.state.service.store.item(item_id).title)
    app.state.service.store.set_hidden(item_id, True)
    for address in ("/", "/list?n=100", f"/search?query={title}", "/map.svg"):
        assert f"/items/{item_id}" + '"' not in visitor.get(address).text, address
    gone = visitor.get(f"/items/{item_id}")
    assert gone.status_code == 404
    assert "this item is hidden" in gone.text
    assert visitor.get(f"/map?item={item_id}").status_code == 404
    send(visitor, "/rate", item_id=item_id, rating=5)
    assert stars(visitor) == [item_id]
    app.state.service.store.set_hidden(item_id, False)
    assert visitor.get(f"/items/{item_id}").status_code == 200


def test_the_page_of_the_api_names_every_call_and_every_field(visitor, app):
    page, told = html.unescape(visitor.get("/docs").text), app.openapi()
    for path, methods in told["paths"].items():
        for method, call in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in page
            assert call["description"] in page
    for name, schema in told["components"]["schemas"].items():
        for field in schema.get("properties", ()):
            assert f"<code>{field}</code>" in page, name
    assert "Authorization: Bearer KEY" in page


def test_what_an_item_would_get_does_not_look_at_what_it_got(visitor):
    for item_id in (60, 134):
        send(visitor, "/rate", item_id=item_id, rating=5)
    before = re.search(r'class="predicted"><b>(.*?)</b>', visitor.get("/items/50").text)[1]
    send(visitor, "/rate", item_id=50, rating=1)
    told = visitor.get("/items/50").text
    assert "You gave it 1. Without your rating, we would predict" in told
    assert re.search(r'class="predicted"><b>(.*?)</b>', told)[1] == before


# ---------------------------------------------------------------------------------------------------------- the list
def test_filters_and_order_are_the_apis(visitor):
    for item_id in (50, 60, 134):
        send(visitor, "/rate", item_id=item_id, rating=5)
    body = {"ratings": [{"item_id": item_id, "rating": 5} for item_id in (50, 60, 134)]}
    body |= {"genres": ["Drama"], "years": [1990, 1999], "by": "rating", "n": 20}
    wanted = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    told = visitor.get("/list?genres=Drama&years=1990-1999&by=rating&n=20")
    assert listed(told) == [row["item_id"] for row in wanted]


def test_less_like_this_leaves_out_the_item_and_those_most_like_it(visitor):
    send(visitor, "/rate", item_id=50, rating=5)
    first = listed(visitor.get("/list"))[0]
    like_it = {row["item_id"] for row in visitor.get(f"/api/items/{first}/similar").json()["recommendations"]}
    told = send(visitor, "/dismiss", item_id=first, back="/list?n=100")
    assert not ({first} | like_it) & set(listed(told))
    assert "Less like" in told.text
    again = send(visitor, "/dismiss", item_id=first, back="/list", again=1)
    assert listed(again)[0] == first


def test_without_one_reason_the_list_is_that_of_who_never_rated_it(visitor, app):
    for item_id, rating in ((50, 5), (60, 4), (134, 5)):
        send(visitor, "/rate", item_id=item_id, rating=rating)
    rec = app.state.service.served.recommender
    left = {50: 5, 60: 4}
    ranks = {row: rec.explain(ratings=left, item_id=row).rank for row in listed(visitor.get("/list"))}
    first, rank = next((row, rank) for row, rank in ranks.items() if rank)
    told = visitor.get(f"/list?without=134&of={first}")
    body = {"ratings": [{"item_id": 50, "rating": 5}, {"item_id": 60, "rating": 4}], "exclude": [134]}
    wanted = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    assert listed(told) == [row["item_id"] for row in wanted]
    assert f"rank {rank}" in told.text
    assert "Put it back" in told.text
    assert visitor.get("/list").text.count("Put it back") == 0


@pytest.mark.parametrize("by", ["score", "rating"])
def test_the_written_parts_of_every_sum_add_up_to_the_last_digit(visitor, by):
    for item_id, rating in ((50, 5), (60, 1), (134, 5), (249, 2), (272, 4), (84, 3)):
        send(visitor, "/rate", item_id=item_id, rating=rating)
    page = visitor.get(f"/list?n=40&by={by}").text
    tables = re.findall(r'<table class="breakdown">(.*?)</table>', page, re.DOTALL)
    assert len(tables) == 40
    for table in tables:
        figures = re.findall(r'class="figure">(.*?)<', table)
        *parts, total = [round(float(figure.replace("−", "-")) * 10**6) for figure in figures]
        assert sum(parts) == total


def test_a_sum_says_because_of_what_adds_most_and_although_of_what_was_rated_low(sample):
    rec = reelated.Recommender().fit(sample)
    told = rec.explain(ratings={50: 5, 60: 1, 134: 5, 249: 1, 272: 4}, item_id=84, by="rating", ranks=False)
    made = break_down(told)
    assert made.because == list(told.for_it[:2])
    assert all(reason.contribution > 0 for reason in made.because)
    assert all(reason.contribution < 0 and reason.rating == 1 for reason in made.although)
    assert sum(part.width for part in made.parts) == pytest.approx(100, abs=0.1)
    assert told.rank is None


# --------------------------------------------------------------------------------------------------------- the start
def test_the_first_items_are_known_and_tell_of_different_tastes(sample):
    rec = reelated.Recommender().fit(sample)
    order = elicitation_order(rec)
    known = rec.catalogue_.by_popularity[: len(order)]
    assert sorted(order) == sorted(known)
    first = order[:12]
    assert rec.catalogue_.counts[first].mean() > rec.catalogue_.counts[known].mean()
    genres = {genre for item in first for genre in rec.catalogue_.genres[item]}
    plain = {genre for item in known[:12] for genre in rec.catalogue_.genres[item]}
    assert len(genres) >= len(plain)


def test_of_two_items_that_tell_the_same_only_one_is_asked_about_early():
    twins = {user: {1: stars, 2: stars, 3: 6 - stars if user % 3 else stars} for user, stars in zip(
        range(90), [1, 5, 2, 4, 3] * 18, strict=True)}  # fmt: skip
    rows = [(user, item, stars) for user, given in twins.items() for item, stars in given.items()]
    table = dict(zip(("user", "item", "stars"), map(list, zip(*rows, strict=True)), strict=True))
    rec = reelated.Recommender().fit(reelated.read(table, scale=(1, 5, 1)))
    order = elicitation_order(rec).tolist()
    assert abs(order.index(0) - order.index(1)) == 2


def test_items_that_were_rated_make_room_for_others(visitor):
    first = re.findall(r'data-key="tile (\d+)"', visitor.get("/").text)
    send(visitor, "/rate", item_id=first[0], rating=4)
    now = re.findall(r'data-key="tile (\d+)"', visitor.get("/").text)
    assert now[:11] == first[1:]
    assert now[11] not in first
    others = re.findall(r'data-key="tile (\d+)"', visitor.get("/?wall=2").text)
    assert not set(others) & set(now)


def test_search_forgives_typos_and_finds_what_was_added_today(visitor, app):
    assert "The Godfather" in visitor.get("/search?query=godfahter").text
    assert "No title matches" in visitor.get("/search?query=qqqqqqqqqq").text
    app.state.service.store.put_item(70_001, "Zebra Crossing", 2026)
    assert "Zebra Crossing" in visitor.get("/search?query=zebra").text
    send(visitor, "/rate", item_id=70_001, rating=5)
    assert stars(visitor) == [70_001]
    assert visitor.get("/list").status_code == 200


@pytest.mark.parametrize(
    ("scale", "count", "halves"),
    [((1, 5, 1), 5, False), ((0.5, 5, 0.5), 10, True), ((1, 10, 1), 10, False), ((-10, 10, 0.01), 0, False)],
)
def test_every_scale_can_be_rated_on(scale, count, halves):
    made = RatingInput.of(Scale(*map(float, scale)))
    assert (len(made.buttons), made.halves) == (count, halves)
    if count:
        assert made.buttons[0].label.endswith("hated it")
        assert made.buttons[-1].label.endswith("loved it")


# ------------------------------------------------------------------------------------------------------ how it works
def test_erasing_removes_everything_and_the_cookie(visitor, app):
    def kept():
        with app.state.service.store._reading() as connection:
            tables = ("visitors", "visitor_ratings", "dismissed")
            return [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in tables]

    before = kept()
    send(visitor, "/rate", item_id=50, rating=5)
    send(visitor, "/dismiss", item_id=60)
    assert kept() == [count + 1 for count in before]
    assert "Your stars for 1 movie and 1 movie that you want less of" in visitor.get("/how").text
    cookie = visitor.cookies[VISITOR]
    told = send(visitor, "/erase")
    assert "has been erased" in told.text
    assert "Nothing yet" in told.text
    assert kept() == before
    assert visitor.cookies[VISITOR].partition(".")[0] != cookie.partition(".")[0]


@pytest.mark.parametrize("learns", [False, True])
def test_what_visitors_rate_counts_for_a_refit_only_where_it_is_learned_from(place, monkeypatch, learns):
    made, counted = create_app(options(place, learn_from_visitors=learns)), []
    monkeypatch.setattr(made.state.service, "count", counted.append)
    with TestClient(made, HERE, headers={"Accept": "text/html"}) as client:
        send(client, "/rate", item_id=50, rating=5)
        assert counted == [1] * learns
        assert ("does not learn" in client.get("/how").text) != learns


def test_stars_beyond_the_scale_of_the_model_count_as_its_ends_until_the_next_refit(app):
    rec = app.state.service.served.recommender
    assert known_ratings(rec, VisitorProfile([], {50: 10.0, 60: 0.5, 84: 3.0, -1: 5.0}, [])) == {50: 5, 60: 1, 84: 3}
