"""The pages without scripts: sessions, forms, lists, and breakdowns that add up."""

import html
import re
import time

import pytest
from fastapi.testclient import TestClient
from itsdangerous import URLSafeTimedSerializer

import reelated
from conftest import EVIL, HERE
from reelated.ratings import Scale
from reelated.recommender.elicitation import elicitation_order
from reelated.store import StoreUnavailable
from reelated.web import ServiceOptions, create_app
from reelated.web.map_data import MapData
from reelated.web.pages.breakdown import break_down
from reelated.web.pages.list_page import VisitorProfile, known_ratings
from reelated.web.pages.rating_input import RatingInput
from reelated.web.pages.sessions import LIFETIMES, VISITOR

KEY = "a key of more than sixteen characters"
PAGES = ("/", "/list", "/ratings", "/how", "/search?query=alien", "/items/50", "/users", "/users/42", "/docs", "/taste")


def options(place, **more):
    return ServiceOptions(*place, refit_after=10**9, refit_every=10**6, poll=0.05, **more)


@pytest.fixture(scope="module")
def guarded(place):
    """The service with a key."""
    created = create_app(options(place, api_key=KEY, host="0.0.0.0"))
    with TestClient(created, "https://items.example"):
        yield created


def token_of(page):
    return re.search(r'name="token" value="(\w+)"', page.text)[1]


def send(client, address, **form):
    """Submit a form with its CSRF token."""
    form.setdefault("token", token_of(client.get("/")))
    return client.post(address, data=form)


def stars(client):
    """Return the items on the visitor's page of ratings."""
    found = re.findall(r'class="match" data-key="(\d+)".*?</li>', client.get("/ratings").text, re.DOTALL)
    return [int(item_id) for item_id in found]


def listed(page):
    """Return the items of a list by rank."""
    rows = page.text.partition('id="rows"')[2]
    return [int(item_id) for item_id in re.findall(r'data-key="(\d+)" data-name', rows)]


def test_a_rating_is_stored_and_the_next_list_equals_that_of_the_api(visitor, app):
    rated = {50: 5.0, 134: 1.0, 60: 4.0}
    for item_id, rating in rated.items():
        assert send(visitor, "/rate", item_id=item_id, rating=rating, back="/list").url.path == "/list"
    assert sorted(stars(visitor)) == sorted(rated)
    body = {"ratings": [{"item_id": item_id, "rating": rating} for item_id, rating in rated.items()]}
    expected = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    assert listed(visitor.get("/list")) == [row["item_id"] for row in expected]
    assert listed(visitor.get("/"))[:10] == [row["item_id"] for row in expected]


def test_visitors_do_not_share_ratings(visitor, app):
    other = TestClient(app, HERE, headers={"Accept": "text/html"})
    send(visitor, "/rate", item_id=50, rating=5)
    send(other, "/rate", item_id=60, rating=1)
    assert (stars(visitor), stars(other)) == ([50], [60])
    send(other, "/rate", item_id=50, rating="")
    send(other, "/erase")
    assert (stars(visitor), stars(other)) == ([50], [])


@pytest.mark.parametrize("forged", ["", "x.y.z", "ImFubiI.aaaaaa.bbbbbbbbbbbbbbbb"])
def test_a_forged_cookie_gives_a_new_visitor(visitor, forged):
    send(visitor, "/rate", item_id=50, rating=5)
    visitor.cookies.clear()
    visitor.cookies.set(VISITOR, forged)
    assert stars(visitor) == []


def test_a_cookie_expires(visitor, monkeypatch):
    send(visitor, "/rate", item_id=50, rating=5)
    assert stars(visitor) == [50]
    later = int(time.time()) + LIFETIMES[VISITOR] + 60
    monkeypatch.setattr("itsdangerous.TimestampSigner.get_timestamp", lambda _: later)
    assert stars(visitor) == []


def test_cookies_have_security_attributes(visitor, guarded):
    result = visitor.get("/").headers["set-cookie"]
    assert "HttpOnly" in result
    assert "SameSite=lax" in result
    assert "Secure" not in result  # there is no TLS on loopback
    behind = TestClient(guarded, "https://items.example").get("/").headers["set-cookie"]
    assert "Secure" in behind


def test_a_cookie_signed_with_another_secret_is_ignored(visitor):
    visitor.cookies.set(VISITOR, URLSafeTimedSerializer("another", salt=VISITOR).dumps("ann"))
    assert "set-cookie" in visitor.get("/").headers  # a new one


def test_a_form_without_a_valid_token_or_from_another_site_is_refused(visitor, guarded):
    assert send(visitor, "/rate", item_id=50, rating=5, token="").status_code == 403
    other = TestClient(visitor.app, HERE)
    stolen = token_of(other.get("/"))
    assert send(visitor, "/rate", item_id=50, rating=5, token=stolen).status_code == 403
    outside = TestClient(guarded, "https://items.example")
    form = {"token": token_of(outside.get("/")), "item_id": 50, "rating": 5}
    for origin, status in (("https://evil.example", 403), ("null", 403), ("https://items.example", 303)):
        result = outside.post("/rate", data=form, headers={"Origin": origin}, follow_redirects=False)
        assert result.status_code == status
    assert stars(visitor) == []


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"item_id": "4711", "rating": "5"}, 404, "There is no movie with the id 4711."),
        ({"item_id": "x", "rating": "5"}, 404, "There is no movie with the id &#39;x&#39;."),
        ({"item_id": "50", "rating": "11"}, 422, "from 1 to 5"),
        ({"item_id": "50", "rating": "nan"}, 422, "finite"),
        ({"item_id": "50", "rating": "many"}, 422, "expected a number"),
        ({"rating": "5"}, 404, "There is no movie with the id &#39;&#39;."),
    ],
)
def test_an_invalid_rating_gets_an_error_page_and_changes_nothing(visitor, form, status, said):
    result = send(visitor, "/rate", **form)
    assert (result.status_code, result.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in result.text
    assert stars(visitor) == []


@pytest.mark.parametrize("address", ["/list?n=0", "/list?n=x", "/list?by=luck", "/list?years=abc", "/?page=999999"])
def test_an_invalid_query_parameter_gets_an_error_page(visitor, address):
    result = visitor.get(address)
    assert result.status_code == 422
    assert "expected" in result.text


def test_a_genre_that_no_item_has_gives_an_empty_list(visitor):
    result = visitor.get("/list?genres=Nonsense")
    assert result.status_code == 200
    assert "Nothing matches." in result.text


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_redirects_to_other_sites_are_refused(visitor, to):
    form = {"token": token_of(visitor.get("/")), "item_id": 50, "rating": 5, "back": to}
    assert visitor.post("/rate", data=form, follow_redirects=False).headers["location"] == "/"


def test_a_form_with_too_many_fields_is_refused(visitor):
    result = visitor.post("/rate", content="&".join(f"a{at}=1" for at in range(1000)))
    assert (result.status_code, "too many fields" in result.text) == (422, True)


def test_error_pages_do_not_address_programmers(visitor):
    for address in ("/items/99999", "/list?without=50&of=99999", "/users/99999", "/nowhere"):
        result = html.unescape(visitor.get(address).text)
        assert not re.search(r"find\(|ratings=|openapi|GET /", result)


def test_a_large_form_and_a_missing_page_get_error_pages(visitor):
    assert "Too much data" in visitor.post("/rate", content=b"x" * 1_000_001).text
    result = visitor.get("/nowhere")
    assert (result.status_code, "Not found" in result.text) == (404, True)
    assert visitor.get("/api/nowhere").json()["detail"]


def test_an_outage_of_the_store_gets_a_page_with_a_retry_button(visitor, app, monkeypatch):
    def gone(*_):
        raise StoreUnavailable("secret details")

    monkeypatch.setattr(app.state.service.store, "visitor_ratings", gone)
    result = visitor.get("/list")
    assert (result.status_code, result.headers["retry-after"]) == (503, "5")
    assert "Try again" in result.text
    assert "secret" not in result.text


def test_pages_load_nothing_from_other_sites_and_nothing_inline(visitor):
    send(visitor, "/rate", item_id=50, rating=5)
    for page in PAGES:
        result = visitor.get(page)
        policy = result.headers["content-security-policy"]
        assert result.status_code == 200
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert f"Reelated {reelated.__version__}." in result.text
        tags = "".join(re.findall("<[^>]*>", result.text))
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|https?://", tags)
        assert visitor.get(page, headers={"Accept": "*/*"}).headers["cache-control"] == (
            "no-store" if page.startswith("/users") else "private, no-cache"
        )


def test_titles_and_genres_are_escaped(visitor):
    send(visitor, "/rate", item_id=66_666, rating=5)
    for page in (*PAGES, "/items/66666?audience", "/search?query=script", "/list?without=66666&of=50"):
        result = visitor.get(page).text
        assert "<script>alert" not in result
        assert "<b>bold" not in result
        assert "<i>Horror" not in result
    assert EVIL in html.unescape(visitor.get("/ratings").text)


def test_static_files_are_cacheable_and_no_other_file_is_served(visitor):
    address = re.search(r'href="(/static/\w+/)page\.css"', visitor.get("/").text)[1]
    for name in ("page.css", "page.js", "moves.js", "tiles.js", "star.svg"):
        result = visitor.get(address + name)
        assert (result.status_code, "immutable" in result.headers["cache-control"]) == (200, True)
    for name in ("page.py", "..%2fapp.py", "nothing.css"):
        assert visitor.get(address + name).status_code == 404
    assert visitor.get("/static/0/page.css").status_code == 404


def test_operators_sign_in_with_the_key(guarded):
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    result = client.get("/how")
    assert "/sign-in" in result.text
    assert send(client, "/sign-in", key="wrong").status_code == 401
    assert "Sign out" not in client.get("/").text
    assert send(client, "/sign-in", key=KEY, back="/how").url.path == "/how"
    assert "Sign out" in client.get("/").text
    client.cookies.delete(VISITOR)
    send(client, "/sign-out")
    assert "Sign out" not in client.get("/").text


def test_signing_out_ends_the_session_in_every_browser_that_has_the_cookie(guarded):
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    client.get("/")
    send(client, "/sign-in", key=KEY)
    cookies = dict(client.cookies)
    other = TestClient(guarded, "https://items.example", cookies=cookies)
    assert other.get("/users", follow_redirects=False).status_code == 200
    assert "Sign out" in client.get("/how").text
    send(client, "/sign-out")
    other = TestClient(guarded, "https://items.example", cookies=cookies)
    assert other.get("/users", follow_redirects=False).status_code == 303
    send(client, "/sign-in", key=KEY)
    assert client.get("/users", follow_redirects=False).status_code == 200


def test_users_and_audiences_are_for_operators_only(guarded):
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    for address in ("/users", "/users/42", "/users?user_id=42", "/users/nobody"):
        result = client.get(address, follow_redirects=False)
        assert (result.status_code, result.headers["location"].partition("?")[0]) == (303, "/sign-in")
    assert "Audience" not in client.get("/items/50?audience").text
    assert 'href="/users' not in client.get("/items/50").text
    assert send(client, "/sign-in", key=KEY, back="/users/42").url.path == "/users/42"
    assert "Audience" in client.get("/items/50").text


def test_operators_see_the_state_and_can_request_a_refit(guarded, monkeypatch):
    requests = []
    monkeypatch.setattr(guarded.state.service, "request_refit", lambda: requests.append(1))
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    token = token_of(client.get("/"))
    answer = client.post("/refit", data={"token": token}, follow_redirects=False)
    assert answer.headers["location"].startswith("/sign-in")
    send(client, "/sign-in", key=KEY)
    page = " ".join(client.get("/users").text.split())
    size = guarded.state.service.store.size()
    assert f"{size['users']:,} users, {size['items']:,} movies, {size['ratings']:,} ratings" in page
    assert "Last refit" in page
    assert ": switched. Version 1:" in page
    assert "Users with" in client.get("/users?user_id=0").text
    assert send(client, "/refit", token="").status_code == 403
    assert requests == []
    assert send(client, "/refit").url.path == "/users"
    assert requests == [1]
    monkeypatch.setattr(guarded.state.service.versions, "is_refitting", lambda: True)
    assert "A refit is running" in client.get("/users").text


def test_ratings_are_counted_for_operators_once_a_minute_or_when_their_number_changes(visitor, app, monkeypatch):
    store, counted = app.state.service.store, []
    real = store.most_active
    monkeypatch.setattr(store, "most_active", lambda n: counted.append(n) or real(n))
    monkeypatch.setattr("reelated.web.pages.user_pages.time.time", lambda: 60.0 * 30_000_000)
    for _ in range(2):
        page = visitor.get("/users").text
    assert len(counted) == 1
    user_id, n_ratings = real(1)[0]
    assert f'>{user_id}</a> <span class="small">{n_ratings} movies' in page
    missing = next(
        item for item in range(1, 491) if item not in {row.item_id for row in store.ratings_of(user_id, n=999)}
    )
    store.rate(user_id, missing, 4)
    assert f"{n_ratings + 1} movies" in visitor.get("/users").text
    assert len(counted) == 2
    store.unrate(user_id, missing)


def test_operators_can_serve_an_earlier_version_but_none_of_erased_users(guarded):
    service = guarded.state.service
    first = service.versions.current()
    second = service.versions.add(service.served.recommender, first)
    client = TestClient(guarded, "https://items.example", headers={"Accept": "text/html"})
    client.get("/")
    assert send(client, "/serve-version", version=first.number).url.path == "/sign-in"
    send(client, "/sign-in", key=KEY)
    page = " ".join(client.get("/users").text.split())
    assert f'name="version" value="{first.number}"' in page
    assert f'name="version" value="{second.number}"' not in page  # it is served already
    for number in ("77", "", "x"):
        assert send(client, "/serve-version", version=number).status_code == 422
    assert service.versions.current().number == second.number
    assert send(client, "/serve-version", version=first.number).url.path == "/users"
    assert service.versions.current().number == first.number
    service.store.rate(70_003, 50, 5)
    service.store.forget(70_003)
    assert 'name="version"' not in client.get("/users").text
    assert send(client, "/serve-version", version=second.number).status_code == 422


def test_a_user_page_agrees_with_the_api(visitor):
    result = visitor.get("/users/42").text
    expected = visitor.get("/api/users/42/recommendations").json()["recommendations"]
    rows = re.findall(r'data-key="(\d+)"', result)
    assert [int(item_id) for item_id in rows] == [row["item_id"] for row in expected]
    rated = visitor.get("/api/users/42/ratings?n=50").json()["ratings"]
    titles = [html.unescape(title) for title in re.findall(r'class="title"[^>]*>(.*?)</a>', result)]
    assert titles[10:] == [row["title"] for row in rated]
    assert visitor.get("/users?user_id=42").url.path == "/users/42"
    for address in ("/users/99999", "/users/x", "/users?user_id=x", "/items/99999", "/items/x"):
        assert visitor.get(address).status_code == 404


def test_an_item_page_agrees_with_the_api(visitor, app):
    result = visitor.get("/items/50?audience").text
    counts = app.state.service.store.histogram(50)
    figures = [int(text) for text in re.findall(r'class="figure">(\d+)</td>', result)]
    assert figures == [counts.get(float(stars), 0) for stars in (5, 4, 3, 2, 1)]
    similar = visitor.get("/api/items/50/similar").json()["recommendations"]
    for row in similar:
        assert f"{row['common_raters']} people rated both" in result or row["common_raters"] == 1
    audience = visitor.get("/api/items/50/audience").json()["recommendations"]
    assert re.findall(r'href="/users/(\d+)"', result) == [str(row["user_id"]) for row in audience]
    app.state.service.store.put_item(70_002, "Brand New")
    assert "does not know this movie yet" in visitor.get("/items/70002").text


def test_a_hidden_item_is_only_among_the_visitors_own_ratings(visitor, app):
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


def test_the_api_reference_has_every_route_and_every_field(visitor, app):
    page, result = html.unescape(visitor.get("/docs").text), app.openapi()
    for path, methods in result["paths"].items():
        for method, call in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in page
            assert call["description"] in page
    for name, schema in result["components"]["schemas"].items():
        for field in schema.get("properties", ()):
            assert f"<code>{field}</code>" in page, name
    assert "Authorization: Bearer KEY" in page


def test_a_prediction_does_not_use_the_visitors_own_rating_of_the_item(visitor):
    for item_id in (60, 134):
        send(visitor, "/rate", item_id=item_id, rating=5)
    before = re.search(r'class="predicted"><b>(.*?)</b>', visitor.get("/items/50").text)[1]
    send(visitor, "/rate", item_id=50, rating=1)
    result = visitor.get("/items/50").text
    assert "You rated it 1. We would have guessed" in result
    assert re.search(r'class="predicted"><b>(.*?)</b>', result)[1] == before


def test_filters_and_order_agree_with_the_api(visitor):
    for item_id in (50, 60, 134):
        send(visitor, "/rate", item_id=item_id, rating=5)
    body = {"ratings": [{"item_id": item_id, "rating": 5} for item_id in (50, 60, 134)]}
    body |= {"genres": ["Drama"], "years": [1990, 1999], "by": "rating", "n": 20}
    expected = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    result = visitor.get("/list?genres=Drama&years=1990-1999&by=rating&n=20")
    assert listed(result) == [row["item_id"] for row in expected]


def test_less_like_this_excludes_the_item_and_the_most_similar_ones(visitor):
    send(visitor, "/rate", item_id=50, rating=5)
    first = listed(visitor.get("/list"))[0]
    like_it = {row["item_id"] for row in visitor.get(f"/api/items/{first}/similar").json()["recommendations"]}
    result = send(visitor, "/dismiss", item_id=first, back="/list?n=100")
    assert not ({first} | like_it) & set(listed(result))
    assert "Less like" in result.text
    again = send(visitor, "/dismiss", item_id=first, back="/list", again=1)
    assert listed(again)[0] == first


def test_the_list_without_a_reason_is_the_list_without_that_rating(visitor, app):
    for item_id, rating in ((50, 5), (60, 4), (134, 5)):
        send(visitor, "/rate", item_id=item_id, rating=rating)
    rec = app.state.service.served.recommender
    left = {50: 5, 60: 4}
    ranks = {row: rec.explain(None, row, ratings=left).rank for row in listed(visitor.get("/list"))}
    first, rank = next((row, rank) for row, rank in ranks.items() if rank)
    result = visitor.get(f"/list?without=134&of={first}")
    body = {"ratings": [{"item_id": 50, "rating": 5}, {"item_id": 60, "rating": 4}], "exclude": [134]}
    expected = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    assert listed(result) == [row["item_id"] for row in expected]
    assert f"rank {rank}" in result.text
    assert ">Undo</a>" in result.text
    assert ">Undo</a>" not in visitor.get("/list").text


@pytest.mark.parametrize("by", ["score", "rating"])
def test_the_printed_parts_of_a_breakdown_add_up_to_the_last_digit(visitor, by):
    for item_id, rating in ((50, 5), (60, 1), (134, 5), (249, 2), (272, 4), (84, 3)):
        send(visitor, "/rate", item_id=item_id, rating=rating)
    page = visitor.get(f"/list?n=40&by={by}").text
    tables = re.findall(r'<table class="breakdown">(.*?)</table>', page, re.DOTALL)
    assert len(tables) == 40
    for table in tables:
        figures = re.findall(r'class="figure">(.*?)<', table)
        *parts, total = [round(float(figure.replace("−", "-")) * 10**6) for figure in figures]
        assert sum(parts) == total


def test_a_breakdown_names_the_largest_contributions_and_a_low_rating(fitted):
    result = fitted.explain(None, 84, ratings={50: 5, 60: 1, 134: 5, 249: 1, 272: 4}, by="rating", ranks=False)
    breakdown = break_down(result)
    assert breakdown.because == list(result.positive[:2])
    assert all(reason.contribution > 0 for reason in breakdown.because)
    assert all(reason.contribution < 0 and reason.rating == 1 for reason in breakdown.although)
    assert sum(part.width for part in breakdown.parts) == pytest.approx(100, abs=0.1)
    assert result.rank is None


def test_the_table_of_a_breakdown_is_the_legend_of_its_bar(visitor, app):
    for item_id, rating in ((50, 5), (60, 4), (84, 1)):
        send(visitor, "/rate", item_id=item_id, rating=rating)
    page = visitor.get("/items/61").text
    bar, table = page.partition('class="bar"')[2].partition("</svg>")[::2]
    shades = re.findall('<rect class="([^"]+)"', bar)
    assert len(set(shades)) == len(shades) > 1
    assert re.findall('class="bar key"[^>]*><rect class="([^"]+)"', table.partition("</table>")[0]) == shades
    rec = app.state.service.served.recommender
    breakdown = break_down(rec.explain(None, 61, ratings={50: 5, 60: 4, 84: 1}))._replace(because=[])
    parts = app.state.site.renderer.templates.get_template("parts.html.j2").module
    assert "<svg" not in parts.bar(breakdown)  # without a positive part it would be a black strip
    assert "<svg" not in parts.breakdown_table(breakdown, "Score")


def test_the_first_items_to_rate_are_well_known_and_diverse(fitted):
    rec = fitted
    order = elicitation_order(rec)
    known = rec.catalogue_.by_popularity[: len(order)]
    assert sorted(order) == sorted(known)
    first = order[:12]
    assert rec.catalogue_.counts[first].mean() > rec.catalogue_.counts[known].mean()
    genres = {genre for item in first for genre in rec.catalogue_.genres[item]}
    plain = {genre for item in known[:12] for genre in rec.catalogue_.genres[item]}
    assert len(genres) >= len(plain)


def test_of_two_redundant_items_only_one_is_elicited_early():
    twins = {user: {1: stars, 2: stars, 3: 6 - stars if user % 3 else stars} for user, stars in zip(
        range(90), [1, 5, 2, 4, 3] * 18, strict=True)}  # fmt: skip
    rows = [(user, item, stars) for user, given in twins.items() for item, stars in given.items()]
    table = dict(zip(("user", "item", "stars"), map(list, zip(*rows, strict=True)), strict=True))
    rec = reelated.Recommender().fit(reelated.read(table, scale=(1, 5, 1)))
    order = elicitation_order(rec).tolist()
    assert abs(order.index(0) - order.index(1)) == 2


def test_rated_items_are_replaced_on_the_start_page(visitor):
    first = re.findall(r'data-key="tile (\d+)"', visitor.get("/").text)
    send(visitor, "/rate", item_id=first[0], rating=4)
    now = re.findall(r'data-key="tile (\d+)"', visitor.get("/").text)
    assert now[:11] == first[1:]
    assert now[11] not in first
    others = re.findall(r'data-key="tile (\d+)"', visitor.get("/?page=2").text)
    assert not set(others) & set(now)


def test_search_allows_typos_and_finds_new_items(visitor, app):
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
def test_every_scale_has_buttons_or_a_number_field(scale, count, halves):
    rating_input = RatingInput.of(Scale(*map(float, scale)))
    assert (len(rating_input.buttons), rating_input.halves) == (count, halves)
    if count:
        assert rating_input.buttons[0].label.endswith("hated it")
        assert rating_input.buttons[-1].label.endswith("loved it")


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
    result = send(visitor, "/erase")
    assert "has been erased" in result.text
    assert "Nothing yet" in result.text
    assert kept() == before
    assert visitor.cookies[VISITOR].partition(".")[0] != cookie.partition(".")[0]


@pytest.mark.parametrize("learns", [False, True])
def test_ratings_of_visitors_count_towards_a_refit_only_if_the_model_learns_from_them(place, monkeypatch, learns):
    created, counted = create_app(options(place, learn_from_visitors=learns)), []
    monkeypatch.setattr(created.state.service, "count", lambda n, *, by_visitors: counted.append((n, by_visitors)))
    with TestClient(created, HERE, headers={"Accept": "text/html"}) as client:
        send(client, "/rate", item_id=50, rating=5)
        assert counted == [(1, True)] * learns
        assert ("does not learn" in client.get("/how").text) != learns


def test_ratings_beyond_the_scale_of_the_model_are_clipped(app):
    rec = app.state.service.served.recommender
    assert known_ratings(rec, VisitorProfile([], {50: 10.0, 60: 0.5, 84: 3.0, -1: 5.0}, [])) == {50: 5, 60: 1, 84: 3}


def test_another_title_in_brackets_is_shown_on_the_page_of_the_item_only(visitor, app):
    store = app.state.service.store
    store.put_item(70_003, "The Glass Harbour (Le Port de verre)", 1991)
    assert ">The Glass Harbour</a>" in visitor.get("/search?query=glass harbour").text
    page = visitor.get("/items/70003").text
    assert "<h1><bdi>The Glass Harbour</bdi></h1>" in page
    assert "<bdi>The Glass Harbour (Le Port de verre)</bdi></p>" in page


def test_other_titles_in_brackets_are_left_out_of_every_other_page(visitor, app, monkeypatch):
    service, mark = app.state.service, " (Der andere Titel)"
    catalogue = service.served.recommender.catalogue_
    monkeypatch.setattr(catalogue, "titles", [title + mark for title in catalogue.titles])
    items = {item_id: service.store.item(item_id).title for item_id in (50, 60, 84, 134)}
    for item_id, title in items.items():
        service.store.put_item(item_id, title + mark)
    try:
        for item_id, rating in ((50, 5), (60, 4), (84, 1)):
            send(visitor, "/rate", item_id=item_id, rating=rating)
        send(visitor, "/dismiss", item_id=134)
        without = f"/list?without=50&of={listed(visitor.get('/list'))[0]}"
        for path in ("/", without, "/ratings", "/taste", "/users/300", "/map?item=50", "/map?query=star+wars"):
            assert "andere Titel" not in visitor.get(path).text, path
        assert mark not in "".join(MapData(service.served.recommender, service.map_data().item_map).columns["title"])
    finally:
        for item_id, title in items.items():
            service.store.put_item(item_id, title)
