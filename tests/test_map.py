"""The map: similar items are close, positions are stable across refits, and any title can be drawn."""

import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.spatial import cKDTree
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.cli.words import TERMINAL
from reelated.errors import InputError
from reelated.map import ItemMap, draw
from reelated.map.item_map import (
    MIN_DISTANCE,
    MIN_TSNE_ITEMS,
    connect_components,
    has_place,
    lay_out,
    neighbor_graph,
    separate,
    sunflower,
)
from reelated.map.labels import MAX_GROUPS, Box, LabelRequest, group_centres, groups_of, place_labels, text_width
from reelated.map.picture import DECADES, GENRES
from reelated.models import Popularity
from reelated.ratings import Dataset
from reelated.recommender import Recommender

PROJECT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"
ODD = [
    "<script>alert(1)</script>", 'Tom & "Jerry"\'s', "\x00\x1b[31m red", "\ud800 half", "千と千尋の神隠し", "]]>",
    "&lt;", "x" * 500, "", "‮ turned", "$\\frac{1}{2}$", "Up",
]  # fmt: skip


@pytest.fixture(scope="module")
def rec(fitted):
    return fitted


@pytest.fixture(scope="module")
def items(rec):
    return ItemMap.of(rec)


def small(n_items, n_users=12, titles=None, genres=None):
    """A recommender fitted to a few items."""
    rng = np.random.default_rng(n_items)
    pairs = [(user, item) for user in range(n_users) for item in range(n_items) if n_items < 4 or rng.random() < 0.7]
    table = {"user_id": [u for u, _ in pairs], "item_id": [m for _, m in pairs]}
    items = {"item_id": range(n_items), "title": titles or [f"Item {at}" for at in range(n_items)]}
    items |= {"genres": genres} if genres else {}
    return Recommender().fit(Dataset.from_frames(table | {"rating": rng.integers(1, 6, len(pairs))}, items))


def ring(n_items):
    """Links of every item to the next."""
    index = np.arange(n_items)
    return sp.csr_array((np.ones(n_items), (index, (index + 1) % n_items)), shape=(n_items, n_items))


def nearest(places):
    """Return the distance of each item to its nearest neighbour."""
    return cKDTree(places).query(places, 2)[0][:, 1]


def moved(before, after):
    """Return the median shift of the items, divided by their mean distance from the centre."""
    return np.median(np.linalg.norm(after - before, axis=1)) / np.linalg.norm(before, axis=1).mean()


def test_similar_items_are_near_each_other(shared_data):
    rec = Recommender(rater=reelated.ItemKNN("cosine")).fit(reelated.read(shared_data / "ml-100k.zip"))
    places, known = ItemMap.of(rec).places, rec.catalogue_.counts >= 20
    near = cKDTree(places).query(places, 11)[1]
    links, shares = neighbor_graph(rec.models_.ranker.item_weights_), []
    for item in np.flatnonzero(known):
        part = slice(*links.indptr[item : item + 2])
        strongest = links.indices[part][np.argsort(-links.data[part])][:10]
        shares.append(np.isin(strongest, near[item]).mean())
    assert np.mean(shares) > 0.3  # of ten random items, fewer than 1 % would be
    genres = rec.catalogue_.genres
    same = [bool(set(genres[at]) & set(genres[other])) for at in np.flatnonzero(known) for other in near[at][1:]]
    blind = np.random.default_rng(0).choice(np.flatnonzero(known), (2000, 2))
    assert np.mean(same) > 1.2 * np.mean([bool(set(genres[a]) & set(genres[b])) for a, b in blind])


def test_the_seed_determines_the_positions(rec, items):
    again, other = ItemMap.of(rec), ItemMap.of(rec, seed=1)
    assert np.array_equal(again.places, items.places)
    assert moved(items.places, other.places) > 0.3


def test_the_number_of_threads_changes_nothing():
    script = (
        "import sys, hashlib, numpy as np, scipy.sparse as sp; from reelated.map.item_map import lay_out; "
        "links = sp.random_array((400, 400), density=0.05, rng=np.random.default_rng(3), format='csr'); "
        "print(hashlib.sha256(lay_out(links).tobytes()).hexdigest())"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | dict.fromkeys(names, threads), capture_output=True, text=True, check=True,
        ).stdout
        for threads in ("1", "2")
    }  # fmt: skip
    assert len(hashes) == 1


def test_a_later_map_keeps_items_near_their_positions(sample, items):
    ratings = sample.ratings.to_polars()
    fewer = ratings.filter(pl.Series(np.random.default_rng(1).random(len(ratings)) < 0.97))
    later = Recommender(rater=reelated.ItemKNN("cosine")).fit(Dataset.from_frames(fewer, sample.items))
    known = items.places_of(later.item_ids)
    near, far = (moved(known, ItemMap.of(later, *earlier).places) for earlier in ([items], []))
    assert near < 0.08
    assert far > 3 * near


def test_a_new_item_is_placed_near_its_links():
    links, start = (
        ring(60),
        np.column_stack([np.cos(np.arange(60) / 60 * 2 * np.pi), np.sin(np.arange(60) / 60 * 2 * np.pi)]) * 20,
    )
    start[7] = np.nan
    places = lay_out(links, start)
    assert set(cKDTree(places).query(places[7], 3)[1]) == {6, 7, 8}
    assert moved(np.delete(start, 7, 0), np.delete(places, 7, 0)) < 0.2


def test_an_earlier_map_with_few_of_the_items_is_ignored():
    start = np.full((60, 2), np.nan)
    start[:29] = 1.0
    assert np.array_equal(lay_out(ring(60), start), lay_out(ring(60)))
    start[29] = 1.0
    assert not np.array_equal(lay_out(ring(60), start), lay_out(ring(60)))


@pytest.mark.parametrize("n_items", [1, 2, 3, 4, 5, 8, MIN_TSNE_ITEMS - 1, MIN_TSNE_ITEMS, 45])
def test_few_items_never_overlap(n_items):
    full = sp.csr_array(np.ones((n_items, n_items)) - np.eye(n_items))
    for links in (sp.csr_array((n_items, n_items)), ring(n_items), full, -full):
        places = lay_out(links)
        assert places.shape == (n_items, 2)
        assert np.isfinite(places).all()
        if n_items > 1:
            assert nearest(places).min() > 0.02 * np.abs(places).max()


def test_unlinked_items_surround_the_others():
    links = sp.block_diag([ring(60), sp.csr_array((20, 20))], format="csr")
    far = np.linalg.norm(lay_out(sp.csr_array(links)), axis=1)
    assert far[60:].min() > far[:60].max()
    assert far[60:].max() < 2 * far[:60].max()


def test_unconnected_components_stay_close():
    points = np.random.default_rng(0).normal(size=(200, 3))
    alike = np.exp(-((points[:, None] - points) ** 2).sum(axis=2)) - np.eye(200)
    parts = sp.csr_array(sp.block_diag([alike, *[ring(2)] * 5], format="csr"))
    far = np.linalg.norm(lay_out(parts), axis=1)
    assert far.max() < 2 * np.quantile(far, 0.9)
    bare = neighbor_graph(parts)
    assert sp.csgraph.connected_components(bare, directed=False)[0] == 6
    assert sp.csgraph.connected_components(connect_components(bare), directed=False)[0] == 1


def test_the_graph_has_the_strongest_positive_links_and_is_symmetric():
    rng = np.random.default_rng(2)
    dense = rng.normal(size=(40, 40)) * (rng.random((40, 40)) < 0.8)
    np.fill_diagonal(dense, 0)
    graph = neighbor_graph(sp.csr_array(dense)).toarray()
    expected = np.zeros((40, 40))
    for row in range(40):
        best = [at for at in np.argsort(-dense[row], kind="stable") if dense[row, at] > 0][:10]
        expected[row, best] = dense[row, best] / dense[row, best].sum()
    assert np.allclose(graph, expected + expected.T)


def test_overlapping_items_are_separated():
    places = separate(np.random.default_rng(0).normal(size=(300, 2)).round(0))
    even = np.quantile(np.linalg.norm(places - places.mean(axis=0), axis=1), 0.9) * np.sqrt(np.pi / 300)
    assert nearest(places).min() > 0.7 * MIN_DISTANCE * even


def test_sunflower_positions_are_evenly_spread():
    gaps = nearest(sunflower(0, 500))
    assert gaps.max() < 1.6 * gaps.min()


def test_a_model_without_links_has_a_map(sample):
    plain = Recommender(Popularity(), rater=reelated.ItemKNN("cosine")).fit(sample)
    places = ItemMap.of(plain).places
    assert has_place(places).all()
    assert nearest(places).min() > 0


@pytest.mark.parametrize("kind", ["int", "str"])
def test_a_saved_map_loads_unchanged_and_without_pickle(kind, items, tmp_path):
    saved = items if kind == "int" else ItemMap(small(5).item_ids, np.arange(10.0).reshape(5, 2))
    if kind == "str":
        saved = ItemMap(reelated.ratings.Ids(pl.Series(["a", "b", "ü", "映", "😀"]), "item"), saved.places)
    saved.save(tmp_path / "a.arrow")
    loaded = ItemMap.load(tmp_path / "a.arrow")
    assert list(loaded.item_ids) == list(saved.item_ids)
    assert np.allclose(loaded.places, saved.places, atol=1e-5)
    assert (tmp_path / "a.arrow").read_bytes().startswith(b"ARROW1")
    assert [path.name for path in tmp_path.iterdir()] == ["a.arrow"]


def test_an_invalid_or_damaged_map_is_rejected(items, tmp_path):
    file = tmp_path / "a.arrow"
    items.save(file)
    content = file.read_bytes()
    nan = pl.DataFrame({"item_id": [1, 2], "x": [0.0, float("nan")], "y": [0.0, 1.0]})
    for spoil in (
        file.unlink,
        lambda: file.write_bytes(content[: len(content) // 2]),
        lambda: file.write_bytes(b"\x80\x04pickle"),
        lambda: nan.write_ipc(file),
        lambda: nan.reverse().with_columns(x=1.0).write_ipc(file),
        lambda: nan.drop("y").write_ipc(file),
        lambda: nan.with_columns(x=pl.lit("a")).write_ipc(file),
    ):
        spoil()
        with pytest.raises(InputError, match=r"is not a map, or is damaged \(.+\)\. Draw it again\."):
            ItemMap.load(file)


def test_items_that_are_not_on_a_map_have_no_position(rec, items):
    other = reelated.ratings.Ids(pl.Series([-5, rec.item_ids[3], 10**9]), "item")
    assert has_place(items.places_of(other)).tolist() == [False, True, False]
    assert np.array_equal(items.places_of(other)[1], items.places[3])
    assert not has_place(items.places_of(reelated.ratings.Ids(pl.Series(["1"]), "item"))).any()


def test_an_item_of_several_genres_has_the_colour_of_the_rarest():
    genres = [["Drama"], ["Drama", "War"], ["Drama", "Comedy"], ["Comedy"], [], ["Drama"]]
    groups = groups_of(small(6, genres=genres).catalogue_)
    assert groups.names == ("Drama", "Comedy", "War")
    assert [groups.names[at] if at >= 0 else None for at in groups.of] == [
        "Drama",
        "War",
        "Comedy",
        "Comedy",
        None,
        "Drama",
    ]


def test_the_number_of_groups_is_limited_to_the_colours():
    genres = [[f"G{at % 14:02}"] for at in range(40)]
    groups = groups_of(small(40, genres=genres).catalogue_)
    assert len(groups.names) == MAX_GROUPS == len(GENRES) == len(DECADES)
    assert (groups.of < 0).sum() == sum(name[0] not in groups.names for name in genres) > 0


def test_decades_are_ordered_and_the_first_includes_earlier_years():
    rec = small(14)
    rec.catalogue_.years[:] = [1890, 1905, 1999, 2000, None, *range(1910, 2000, 10)]
    groups = groups_of(rec.catalogue_, "decades")
    assert groups.names == ("before 1920", *(f"{decade}s" for decade in range(1920, 2010, 10)))[-MAX_GROUPS:]
    labels = [None if at < 0 else groups.names[at] for at in groups.of]
    assert labels[:6] == ["before 1920", "before 1920", "1990s", "2000s", None, "before 1920"]


def test_other_values_of_color_are_rejected(rec, items):
    with pytest.raises(InputError, match="color='genre': expected one of 'genres', 'decades'"):
        draw(rec, items, color="genre")


def test_a_group_is_labelled_where_it_dominates():
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.normal((at, 0), 0.2, (30, 2)) for at in (0, 5, 10)])
    of = np.repeat([0, 1, -1], 30)
    groups = groups_of(small(4).catalogue_)._replace(names=("a", "b", "c"), of=of)
    centres = group_centres(places, groups)
    assert {group: round(places[at][0]) for group, at in centres.items()} == {0: 0, 1: 5}


def circles(svg):
    return [circle for circle in ET.fromstring(svg).iter(f"{SVG}circle") if len(circle)]


@pytest.mark.parametrize("color", ["genres", "decades"])
def test_every_item_is_a_dot_with_its_title_and_its_colour(rec, items, color):
    svg, groups = draw(rec, items, color=color), groups_of(rec.catalogue_, color)
    classes = {circle[0].text: circle.get("class") for circle in circles(svg)}
    assert len(circles(svg)) == len(rec.item_ids)
    for item in range(len(rec.item_ids)):
        group = groups.of[item]
        assert classes[rec.catalogue_.title(item)] == (f"c{group}" if group >= 0 else "co")
    assert draw(rec, items, color=color) == svg
    for name in groups.names:
        assert f">{name}</text>" in svg.replace("&#x27;", "'")


def test_distances_are_kept_and_dot_sizes_follow_rating_counts(rec, items):
    dots = circles(draw(rec, items))
    xy = np.array([[float(circle.get("cx")), float(circle.get("cy"))] for circle in dots])
    places = items.places[rec.catalogue_.by_popularity]
    apart = [np.linalg.norm(of[:1] - of, axis=1)[1:] for of in (xy, places)]
    assert np.allclose(apart[0] / apart[1], (apart[0] / apart[1])[0], rtol=0.05)
    radii = [float(circle.get("r")) for circle in dots]
    assert radii == sorted(radii, reverse=True)
    assert radii[0] > 2 * radii[-1]


def test_texts_do_not_overlap_and_stay_inside_the_picture(rec, items):
    svg = ET.fromstring(draw(rec, items))
    _, _, width, height = map(float, svg.get("viewBox").split())
    boxes = []
    for text in svg.iter(f"{SVG}text"):
        kind, x, y = text.get("class", ""), float(text.get("x")), float(text.get("y"))
        size = {"small": 11, "heading": 22, "quiet": 13, "": 13}.get(kind, 17)
        wide = text_width(text.text, size)
        left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor", "start")]
        boxes.append(Box(left, y - 0.8 * size, left + wide, y + 0.2 * size))
        assert 0 <= left <= left + wide <= width
        assert 0 <= y <= height
    assert len(boxes) > 60
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_an_overlapping_label_is_moved_to_the_other_side_or_left_out():
    room = Box(0, 0, 300, 100)
    requests = [
        LabelRequest("first", 100, 50, 5, 13),
        LabelRequest("second", 110, 52, 5, 13),
        LabelRequest("third", 105, 51, 5, 13),
    ]
    first, second = place_labels(requests, [], room)
    assert (first.text, first.anchor, second.text, second.anchor) == ("first", "start", "second", "end")
    assert place_labels([LabelRequest("far too long for this room" * 3, 10, 50, 5, 13)], [], room) == []
    assert place_labels(requests, [Box(0, 0, 300, 100)], room) == []


def test_titles_are_escaped():
    titles = [title.encode("utf-8", "replace").decode() for title in ODD]
    rec = small(len(titles), titles=titles)
    rec.catalogue_.titles[:] = ODD  # a title with a lone surrogate cannot come from a table
    rec.name_ = "<b>&"
    genres = ["<i>", '"', "&"]
    rec.catalogue_.genres[:] = [(genres[at % 3],) for at in range(len(ODD))]
    svg = draw(rec, ItemMap.of(rec), link=lambda item_id: f'/items/{item_id}?a=1&b="<')
    svg.encode("utf-8")
    root = ET.fromstring(svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "text",
        "circle",
        "a",
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert "<script>alert(1)</script>" in {circle[0].text for circle in root.iter(f"{SVG}circle") if len(circle)}
    assert next(link.get("href") for link in root.iter(f"{SVG}a")).endswith('?a=1&b="<')


def test_the_picture_is_self_contained_with_light_and_dark_colours(rec, items):
    svg = draw(rec, items)
    assert re.findall(r"(?i)https?:[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"(?i)@import|@font-face|<script|<image|<use|href=|url\(", svg)
    assert "@media(prefers-color-scheme:dark)" in svg


@pytest.mark.parametrize("n_items", [1, 2, 3, 7, 40])
def test_few_items_without_genres_can_be_drawn(n_items):
    rec = small(n_items)
    svg = draw(rec, ItemMap.of(rec))
    assert len(circles(svg)) == n_items
    assert "nan" not in svg
    assert "Item 0" in svg
    assert "other" not in svg


def test_items_that_are_not_on_the_map_are_not_drawn(rec, items):
    part = ItemMap(reelated.ratings.Ids(rec.item_ids.values[:100], "item"), items.places[:100])
    assert len(circles(draw(rec, part))) == 100
    none = ItemMap(reelated.ratings.Ids(pl.Series([], dtype=pl.Int64), "item"), np.empty((0, 2)))
    assert not circles(draw(rec, none))


def run(*words, code=0):
    result = CliRunner().invoke(app, ["map", *map(str, words)], env={"COLUMNS": "200"})
    if code == 1:
        assert isinstance(result.exception, InputError), result
        return result.exception.render(TERMINAL)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def test_the_command_draws_the_same_map_as_the_library(rec, items, tmp_path):
    for words, color in (((), "genres"), (("--color", "decades"), "decades")):
        output = run("sample", "-o", tmp_path / "a.svg", *words).stdout
        assert output == f"490 movies drawn to {tmp_path / 'a.svg'}.\n"
        assert (tmp_path / "a.svg").read_text(encoding="utf-8") == draw(rec, items, color=color)


def test_an_invalid_output_path_is_reported_before_reading_data(tmp_path):
    assert run("no such source", "-o", "a.png", code=1) == "--output 'a.png': expected a file that ends in .svg."
    assert "expected a file in a folder" in run("no such source", "-o", tmp_path / "none" / "a.svg", code=1)
    assert "--color" in run("no such source", "-o", tmp_path / "a.svg", "--color", "stars", code=2).output


def test_without_opentsne_the_message_says_how_to_install_it(rec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    message = "openTSNE is not installed. In a copy of the repository: pip install '.[map]', or: pip install openTSNE"
    assert run("no such source", "-o", tmp_path / "a.svg", code=1) == message
    with pytest.raises(InputError) as caught:
        ItemMap.of(rec)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_the_picture_in_the_documentation_shows_the_sample(rec):
    svg = (PROJECT / "docs" / "images" / "map.svg").read_text(encoding="utf-8")
    assert {circle[0].text for circle in circles(svg)} == {rec.catalogue_.title(at) for at in range(len(rec.item_ids))}
