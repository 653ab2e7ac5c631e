"""The taste page, the links that hold ratings, the picture, the examples and the download."""

import base64
import json
import logging
import re
import zlib

import numpy as np
import pytest
from fastapi.testclient import TestClient

from conftest import HERE
from reelated.errors import InputError
from reelated.web.pages.taste import MAX_SHARED, pack, unpack


def rate(visitor, **ratings):
    token = re.search('name="token" value="([^"]+)"', visitor.get("/ratings").text + visitor.get("/").text)[1]
    for item_id, rating in ratings.items():
        form = {"token": token, "item_id": item_id.lstrip("m"), "rating": rating, "back": "/how"}
        assert visitor.post("/rate", data=form).status_code == 200


def test_a_link_holds_the_latest_ratings_and_a_damaged_one_is_refused():
    ratings = {item: 1 + item % 5 for item in range(400)}
    assert unpack(pack(ratings)) == {item: ratings[item] for item in range(MAX_SHARED)}
    assert len(pack(ratings)) < 1500
    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" + b" " * 10**7 + b"]")).decode()
    many = base64.urlsafe_b64encode(zlib.compress(str([[item, 5] for item in range(MAX_SHARED + 1)]).encode())).decode()
    for text in ("", "x", "!", pack(ratings)[:-9], pack({}), "A" * 10**6, bomb, many):
        with pytest.raises(InputError, match="damaged"):
            unpack(text)


def test_a_shared_taste_shows_the_ratings_of_the_sender_and_stores_nothing(app, visitor):
    rate(visitor, m50=5, m60=1, m134=4)
    own = visitor.get("/taste").text
    link = re.search(r'href="(/shared\?r=[\w-]+)"', own)[1]
    friend = TestClient(app, HERE, headers={"Accept": "text/html"})
    page = friend.get(link)
    assert "3 movies, compared with everyone" in page.text
    assert "Because of" in page.text
    assert "Because you" not in page.text
    assert f'content="{HERE}/shared.png{link[7:]}"' in page.text
    assert "You have not rated anything" in friend.get("/ratings").text
    picture = friend.get(link.replace("/shared", "/shared.png"))
    assert picture.content.startswith(b"\x89PNG")
    assert friend.get("/shared?r=x").status_code == 422
    assert friend.get("/shared.png?r=x").status_code == 422


def test_the_log_does_not_hold_the_link(visitor, caplog):
    with caplog.at_level(logging.INFO, logger="reelated"):
        logging.getLogger("reelated").propagate = True
        for address in ("/shared", "/shared.png"):
            visitor.get(f"{address}?r={pack({50: 5, 60: 1})}")
    assert all("?r=" not in str(vars(record)) for record in caplog.records if record.name.startswith("reelated"))


def test_shares_are_those_of_the_ratings(app, visitor):
    rate(visitor, m50=5, m60=1, m134=4)
    rec = app.state.service.served.recommender
    catalogue, items = rec.catalogue_, [rec.item_ids.index_of(item_id) for item_id in (50, 60, 134)]
    page = visitor.get("/taste").text
    for genre in {genre for item in items for genre in catalogue.genres[item]}:
        own = np.mean([genre in catalogue.genres[item] for item in items])
        has = np.array([genre in names for names in catalogue.genres])
        everyone = catalogue.counts[has].sum() / catalogue.counts.sum()
        row = re.search(rf'<th scope="row">{re.escape(genre)}</th>.*?</tr>', page.replace("&#39;", "'"), re.DOTALL)[0]
        assert re.findall(r'"figure">(\d+) %', row) == [f"{100 * own:.0f}", f"{100 * everyone:.0f}"]


def test_examples_can_be_tried_until_the_list_is_good(visitor):
    page = visitor.get("/").text
    names = re.findall(r'<a href="(/shared\?r=[\w-]+)">(a [^<]+)</a>', page)
    assert [name for _, name in names] == ["a horror fan", "a parent", "a student of the nineties"]
    assert "The taste of a horror fan" in visitor.get(names[0][0]).text
    items = list(dict.fromkeys(re.findall(r'name="item_id" value="(\d+)"', page)))
    rate(visitor, **{f"m{item}": 4 for item in items[:5]})
    assert "a horror fan" in visitor.get("/").text
    more = re.findall(r'name="item_id" value="(\d+)"', visitor.get("/").text)
    rate(visitor, **{f"m{item}": 4 for item in [*items, *more]})
    assert "a horror fan" not in visitor.get("/").text


def test_all_data_can_be_downloaded(visitor):
    rate(visitor, m50=5, m60=1)
    answer = visitor.get("/my-data")
    assert "attachment" in answer.headers["content-disposition"]
    ratings = json.loads(answer.text)["ratings"]
    assert {row["item_id"]: row["rating"] for row in ratings} == {50: 5.0, 60: 1.0}
    assert all(row["time"].endswith("Z") for row in ratings)


def test_erasing_asks_first_and_is_offered_only_if_something_is_kept(visitor):
    assert "Erase it all now" not in visitor.get("/how").text
    rate(visitor, m50=5)
    page = visitor.get("/how").text
    assert "This deletes your ratings of 1 movie." in page
    assert "<details" in page


def test_pages_are_compressed_and_forms_without_cookies_explain(visitor):
    page = visitor.get("/")
    assert page.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in visitor.get("/", headers={"Accept-Encoding": "identity"}).headers
    tokens = {re.search('name="token" value="([^"]+)"', visitor.get("/").text)[1] for _ in range(2)}
    assert len(tokens) == 2  # masked, so that compression does not give the token away
    visitor.cookies.clear()
    answer = visitor.post("/rate", data={"token": tokens.pop(), "item_id": "50", "rating": "5"})
    assert answer.status_code == 403
    assert "Allow cookies" in answer.text
