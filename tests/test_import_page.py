"""The page that imports a visitor's ratings from a file."""

import io
import json
import re
import zipfile

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import expect

from conftest import HERE
from reelated.ratings import Scale
from reelated.web import ServiceOptions, create_app
from reelated.web.pages.import_page import on_step
from reelated.web.pages.uploads import MAX_ROWS, read_multipart

LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2021-01-01,Alien,1979,https://boxd.it/1,4.5
2021-01-02,The Godfather,1972,https://boxd.it/2,5
2021-01-03,Star Wars,1977,https://boxd.it/3,0.5
2021-01-04,<b>No Such</b> Film,2001,https://boxd.it/4,3
"""
IMDB = """Const,Your Rating,Date Rated,Title,Original Title,IMDb Rating,Year,Genres
tt0078748,7,2020-01-01,Alien,Alien,8.5,1979,Horror
"""


def zipped(**texts):
    """Return a zip with these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(f"{name}.csv", text)
    return file.getvalue()


def send(client, content, name="ratings.csv", token=None, **headers):
    """Upload a file."""
    if token is None:
        token = re.search(r'name="token" value="(\w+)"', client.get("/import").text)[1]
    return client.post("/import", data={"token": token}, files={"file": (name, content)}, headers=headers)


def kept(client):
    """Return the visitor's ratings by title, the newest first."""
    return {row["title"]: row["rating"] for row in json.loads(client.get("/my-data").text)["ratings"]}


def test_the_zip_of_letterboxd_is_stored_on_the_scale_and_what_is_not_found_is_listed(visitor):
    page = send(visitor, zipped(watched="Date,Name,Year\n", ratings=LETTERBOXD), "letterboxd.zip")
    assert "Imported 3 ratings" in page.text
    assert "converted to the stars" in page.text
    assert "1 movie not found here" in page.text
    assert "<li>&lt;b&gt;No Such&lt;/b&gt; Film (2001)</li>" in page.text
    assert list(kept(visitor).items()) == [("Star Wars", 1), ("The Godfather", 5), ("Alien", 5)]
    assert "Based on your 3 ratings" in visitor.get("/list").text


def test_ratings_of_ten_points_become_stars_and_replace_earlier_ones(visitor):
    assert "Imported 3 ratings" in send(visitor, LETTERBOXD.encode()).text
    assert "Imported 1 rating." in send(visitor, IMDB.encode()).text
    assert next(iter(kept(visitor).items())) == ("Alien", 4)


def test_the_own_download_can_be_imported_again_in_the_same_order(visitor, app):
    send(visitor, LETTERBOXD.encode())
    token = re.search(r'name="token" value="(\w+)"', visitor.get("/").text)[1]
    visitor.post("/dismiss", data={"token": token, "item_id": 60})
    download, before = visitor.get("/my-data").content, kept(visitor)
    other = TestClient(app, HERE, headers={"Accept": "text/html"})
    assert "Imported 3 ratings" in send(other, download, "reelated.json").text
    assert list(kept(other).items()) == list(before.items())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "none was chosen"),
        (b"\x89PNG\r\n\0\0", "holds no text"),
        (b"\x1f\x8b123", "holds no text"),
        (b"SQLite format 3\0" + b"x" * 99, "holds no text"),
        (b"PK\x03\x04damaged", "zip is damaged"),
        (zipped(watched="Date,Name\n"), "has no ratings.csv"),
        (zipped(ratings=LETTERBOXD + "0" * 5_000_000), "larger than 4,000,000 bytes"),
        (zipped(ratings=LETTERBOXD).replace(b"Date", b"Dote"), "Imported|damaged"),
        (b"name,stars\nAlien,5\n" * (MAX_ROWS + 1), "more than 20,000 rows"),
        (b"a" * 257 + b"ustar\n1,2,3\n", "damaged"),
        (b"{" * 900_000, "more than 20,000 rows|damaged"),
        (b'{"x": ' + b"[" * 500_000, "damaged"),
        (b'{"less_like": []}', "holds no ratings"),
        (b'{"ratings": [1]}', "holds no ratings"),
        (b'{"ratings": []}', "no ratings|no rows|no JSON"),
        (b"a,b\n1,2\n", "Expected the columns title, year and rating"),
        (b"title,rating\nAlien,11\n", "above the highest rating"),
        (b"title,rating\nAlien,good\n", "rating"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(visitor, content, why):
    page = send(visitor, content)
    assert page.status_code in (200, 422)
    assert re.search(why, page.text), re.findall(r'role="\w+">(.*?)</p>', page.text)
    assert not re.search(r"columns=|invalid=|highest=|--", page.text.partition("<main")[2].partition("</main")[0])
    assert 'name="file"' in page.text


def test_a_large_file_and_a_form_from_elsewhere_are_refused(visitor, place):
    assert send(visitor, b"x" * 1_000_001).status_code == 413
    assert send(visitor, LETTERBOXD.encode(), token="").status_code == 403
    assert visitor.post("/import", data={"token": ""}).status_code == 403
    headers = {"content-type": "multipart/form-data"}
    assert visitor.post("/import", content=b"--x", headers=headers).status_code == 422
    guarded = create_app(ServiceOptions(*place, api_key="0123456789abcdefghij", host="0.0.0.0"))
    with TestClient(guarded, "https://items.example", headers={"Accept": "text/html"}) as client:
        assert send(client, LETTERBOXD.encode(), Origin="https://evil.example").status_code == 403
        assert kept(client) == {}
        assert send(client, LETTERBOXD.encode(), Origin="https://items.example").status_code == 200


def test_an_import_counts_towards_a_refit_if_the_model_learns_from_visitors(place, monkeypatch):
    learning, counted = create_app(ServiceOptions(*place, learn_from_visitors=True)), []
    monkeypatch.setattr(learning.state.service, "count", lambda n, *, by_visitors: counted.append((n, by_visitors)))
    with TestClient(learning, HERE, headers={"Accept": "text/html"}) as client:
        send(client, LETTERBOXD.encode())
    assert counted == [(3, True)]


def test_a_form_with_a_file_is_read_byte_for_byte():
    content = bytes(range(256)) * 3 + b"\r\n--b\r\n\r\n--not the boundary\n"
    body = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xc3\xa9 1\r\n--xyz\r\nContent-Disposition: '
    body += b'form-data; name="f"; filename="\xc3\xa9\\"x.csv"\r\nContent-Type: text/csv\r\n\r\n' + content
    fields, file = read_multipart(body + b"\r\n--xyz--\r\n", 'multipart/form-data; boundary="xyz"')
    assert (fields, file) == ({"a": "é 1"}, content)


def test_ratings_are_rounded_to_the_steps_of_a_scale():
    stars, halves, fine = Scale(1, 5, 1), Scale(0.5, 5, 0.5), Scale(-10, 10, 0)
    assert [on_step(rating, stars) for rating in (0.5, 1.4, 2.5, 3.5, 5)] == [1, 1, 3, 4, 5]
    assert [on_step(rating, halves) for rating in (0.5, 1.25, 3.3)] == [0.5, 1.5, 3.5]
    assert on_step(3.123, fine) == 3.123


@pytest.mark.parametrize("scripts", [True, False])
def test_a_browser_imports_a_file(visit, scripts):
    page = visit(java_script_enabled=scripts)
    page.get_by_role("link", name="Import your ratings").click()
    export = {"name": "letterboxd.zip", "mimeType": "application/zip", "buffer": zipped(ratings=LETTERBOXD)}
    page.get_by_label("File of at most 1 MB").set_input_files(export)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Imported 3 ratings.")).to_be_visible()
    expect(page.locator(".unmatched li")).to_have_text(["<b>No Such</b> Film (2001)"])
    page.get_by_role("link", name="See your list").click()
    expect(page.locator("#rows > li")).to_have_count(10)
    page.get_by_role("link", name="Your stars", exact=True).click()
    expect(page.locator("main .match")).to_have_count(3)
