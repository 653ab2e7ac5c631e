"""Plots show the numbers of the data, are reproducible, and have clear error messages."""

import base64
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from nbclient import NotebookClient
from typer.testing import CliRunner

import reelated
from reelated import plot
from reelated.cli.commands import app
from reelated.cli.words import TERMINAL
from reelated.errors import InputError, InputTypeError, UnknownId
from reelated.models import ItemKNN
from reelated.plot.canvas import wrapped
from reelated.plot.saving import FontWarning
from reelated.ratings import Dataset
from reelated.recommender import Recommender

STAR_WARS, FARGO, ALIEN = 134, 296, 154
SPLIT = 'Title: $\\frac{1}{2}$ & <b>_"a"_ \\$5 \x1b[31m'


@pytest.fixture(scope="module")
def data():
    return reelated.read("sample")


@pytest.fixture(scope="module")
def rec(fitted):
    return fitted


@pytest.fixture(scope="module")
def odd():
    """Few continuous ratings, some negative, of items with titles like formulas and without genres and years."""
    rng = np.random.default_rng(5)
    pairs = [(user, item) for user in range(9) for item in range(12) if rng.random() < 0.7]
    ratings = {
        "user_id": [f"u{user}$" for user, _ in pairs],
        "item_id": [item for _, item in pairs],
        "rating": rng.normal(0, 4, len(pairs)).round(3),
    }
    titles = {"item_id": range(12), "title": [f"{SPLIT} {'long ' * 9 * (item % 3)}{item}" for item in range(12)]}
    data = Dataset.from_frames(ratings, titles)
    return Recommender(ItemKNN("pearson", positive_only=False, n_neighbors=4)).fit(data)


def kinds(rec, user_id=300, item_id=STAR_WARS):
    return {
        "ratings": lambda **how: plot.ratings(rec, **how),
        "similarity": lambda **how: plot.similarity(rec, item_id, **how),
        "neighborhood": lambda **how: plot.neighborhood(rec, item_id, **how),
        "user": lambda **how: plot.user(rec, user_id, **how),
    }


KINDS = ("ratings", "similarity", "neighborhood", "user")


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def run(*words, code=0):
    result = CliRunner().invoke(app, ["plot", *map(str, words)], env={"COLUMNS": "200"})
    if code == 1:
        assert isinstance(result.exception, InputError), result
        return result.exception.render(TERMINAL)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_as_reproducible_png_and_svg(rec, kind, dark, tmp_path):
    for ending in ("png", "svg"):
        files = [plot.save(kinds(rec)[kind](dark=dark), tmp_path / f"{at}.{ending}") for at in range(2)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert (tmp_path / "0.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "0.svg").read_text(encoding="utf-8")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "dc:date" not in svg


@pytest.mark.parametrize("kind", KINDS)
def test_dark_plots_have_light_text(rec, kind):
    light, dark = (np.mean(kinds(rec)[kind](dark=dark).get_facecolor()[:3]) for dark in (False, True))
    assert light == 1
    assert dark < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_ignores_and_keeps_the_settings_of_the_caller(rec, kind, tmp_path):
    import matplotlib

    before = plot.save(kinds(rec)[kind](), tmp_path / "a.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "none"}):
        after = plot.save(kinds(rec)[kind](), tmp_path / "b.svg").read_bytes()
        assert matplotlib.rcParams["font.size"] == 20
    assert after == before


def test_a_file_is_written_atomically(rec, tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    file.write_bytes(b"before")

    def fails(*_, **__):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(Figure, "savefig", fails)
    with pytest.raises(RuntimeError):
        plot.save(plot.ratings(rec), file)
    assert file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.gif", "a", "png", "a.pdf"])
def test_other_extensions_are_rejected(rec, name, tmp_path):
    with pytest.raises(InputError, match=r"expected a file that ends in \.png or \.svg"):
        plot.save(plot.ratings(rec), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_rejected(rec, tmp_path):
    with pytest.raises(InputError, match="a folder that exists"):
        plot.save(plot.ratings(rec), tmp_path / "none" / "a.png")


def test_bars_are_rating_shares_and_the_tail_is_item_counts(data):
    stars, tail = plot.ratings(data).axes
    values = data.ratings.matrix.data
    assert [bar.get_height() for bar in stars.patches] == [np.mean(values == star) for star in (1, 2, 3, 4, 5)]
    counts = np.sort(np.bincount(data.ratings.matrix.indices))[::-1]
    outline, head = (patch.get_data().values for patch in tail.patches[:2])
    assert outline.tolist() == counts.tolist()
    assert head.sum() >= counts.sum() / 2 > head[:-1].sum()
    assert f"{len(head)} of {len(counts)} movies" in tail.get_title(loc="left")


def test_ratings_come_from_a_recommender_a_dataset_ratings_or_a_table(rec, data):
    heights = [
        [bar.get_height() for bar in plot.ratings(source).axes[0].patches]
        for source in (rec, data, data.ratings, data.ratings.to_polars())
    ]
    assert all(height == heights[0] for height in heights)


def test_continuous_ratings_are_binned(odd):
    bars = plot.ratings(odd).axes[0].patches
    assert len(bars) == 20
    values = odd.ratings_.matrix.data
    counts = np.histogram(values, 20)[0]
    assert np.allclose([bar.get_height() for bar in bars], counts / len(values))


def test_a_heat_map_shows_each_similarity_once(rec):
    chosen = [FARGO, STAR_WARS, ALIEN]
    axes = plot.similarity(rec, chosen).axes[0]
    table = rec.neighbors()
    known = {(a, b): value for a, b, value, _ in table.iter_rows() if a in chosen and b in chosen}
    drawn = axes.images[0].get_array()
    assert drawn.count() == sum((a, b) in known or (b, a) in known for a, b in [(296, 134), (296, 154), (134, 154)])
    for row in range(3):
        for column in range(3):
            pair, turned = (chosen[row], chosen[column]), (chosen[column], chosen[row])
            if row <= column or (pair not in known and turned not in known):
                assert np.ma.is_masked(drawn[row, column])
            else:
                assert drawn[row, column] == known.get(pair, known.get(turned))
    assert [label.get_text() for label in axes.get_yticklabels()][1] == "Star Wars (1977)"


def test_a_pair_is_drawn_if_either_keeps_the_other(odd):
    drawn = plot.similarity(odd, range(12)).axes[0].images[0].get_array()
    known = {(a, b): value for a, b, value, _ in odd.neighbors().iter_rows()}
    one_sided = [(a, b) for a, b in known if (b, a) not in known]
    assert any(a < b for a, b in one_sided)
    assert any(a > b for a, b in one_sided)
    for a, b in one_sided:
        assert drawn[max(a, b), min(a, b)] == known[a, b]


def test_a_single_item_is_joined_by_its_nearest_neighbours(rec):
    labels = [
        text.get_text().replace("\n", " ") for text in plot.similarity(rec, STAR_WARS, n=4).axes[0].get_yticklabels()
    ]
    assert labels == ["Star Wars (1977)", *(f"{row.title} ({row.year})" for row in rec.similar(STAR_WARS, n=3))]


def test_missing_pairs_are_marked_and_not_drawn_as_zero(odd):
    axes = plot.similarity(odd, range(12)).axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert shown.count("–") == 66 - axes.images[0].get_array().count() > 0
    assert any(text.startswith("−0.") for text in shown)


def test_a_neighborhood_shows_the_rows_of_similar(rec):
    figure = plot.neighborhood(rec, STAR_WARS, n=7)
    shown = [text.replace("\n", " ") for text in texts(figure)]
    rows = rec.similar(STAR_WARS, n=7)
    for row in rows:
        assert f"{row.title} ({row.year})" in shown
        assert f"{row.similarity:.2f} · {row.common_raters:,} in common" in shown
    widths = [line.get_linewidth() for line in figure.axes[0].lines]
    assert len(widths) == 7
    assert widths == sorted(widths, reverse=True)


def test_thin_lines_join_neighbors_that_are_close_to_each_other(rec):
    rows = list(rec.similar(STAR_WARS, n=6))
    near = {row.item_id: {other.item_id for other in rec.similar(row.item_id, n=6)} for row in rows}
    ids = list(near)
    expected = sum(a in near[b] or b in near[a] for at, a in enumerate(ids) for b in ids[:at])
    assert len(plot.neighborhood(rec, STAR_WARS, n=6).axes[0].collections[0].get_segments()) == expected > 0


def test_a_profile_shows_the_numbers_of_the_user_and_of_everyone(rec, data):
    stars, genres, decades = plot.user(rec, 300).axes
    table = data.ratings.to_polars().join(data.items.select("item_id", "year", "genres"), on="item_id")
    user_rows = table.filter(table["user_id"] == 300)
    assert np.allclose(
        [bar.get_height() for bar in stars.patches], [(user_rows["rating"] == s).mean() for s in (1, 2, 3, 4, 5)]
    )
    assert np.allclose(stars.lines[0].get_ydata(), [(table["rating"] == s).mean() for s in (1, 2, 3, 4, 5)])
    labels = [label.get_text().rsplit("  ", 1) for label in genres.get_yticklabels()]
    for (genre, count), own, other in zip(
        labels, genres.lines[0].get_xdata(), genres.lines[1].get_xdata(), strict=True
    ):
        in_genre = [rows.filter(rows["genres"].list.contains(genre))["rating"] for rows in (user_rows, table)]
        assert int(count) == len(in_genre[0])
        assert np.allclose([own, other], [ratings.mean() for ratings in in_genre])
    for bar, other in zip(decades.patches, decades.lines[0].get_ydata(), strict=True):
        decade = round(bar.get_x() + bar.get_width() / 2)
        shares = [(rows["year"] // 10 * 10 == decade).mean() for rows in (user_rows, table)]
        assert np.allclose([bar.get_height(), other], shares)


def test_a_profile_without_genres_and_years_says_so(odd):
    shown = texts(plot.user(odd, "u3$"))
    assert "No genres are known for these items." in shown
    assert "No years are known for these items." in shown


@pytest.mark.parametrize("kind", KINDS)
def test_special_characters_are_drawn_literally_and_not_cut_off(odd, kind, tmp_path):
    figure = kinds(odd, "u3$", 2)[kind]()
    plot.save(figure, tmp_path / "a.svg")
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())
    assert "\x1b" not in "".join(texts(figure))
    figure.draw_without_rendering()
    page = figure.bbox
    for text in figure.findobj(Text):
        if not re.fullmatch(r"[−\d.,]*", text.get_text()):  # numbers beside an axis are kept off the edge unseen
            box = text.get_window_extent()
            assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1, text
            assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1, text


def boxes(texts):
    """Return the bounding boxes of drawn texts."""
    return [text.get_window_extent() for text in texts if text.get_text()]


@pytest.mark.parametrize("title", ["x" * 3000, "W" * 90, "MANY LOUD WORDS " * 40, "word " * 600, "A"])
@pytest.mark.parametrize("kind", ["similarity", "neighborhood", "ratings"])
def test_titles_of_any_width_stay_inside_the_plot(title, kind):
    rng = np.random.default_rng(3)
    items = {"item_id": range(4), "title": [title] * 4}
    table = {"user_id": np.repeat(range(30), 4), "item_id": np.tile(range(4), 30), "rating": rng.integers(1, 6, 120)}
    figure = kinds(Recommender().fit(Dataset.from_frames(table, items, name=title)), item_id=0)[kind]()
    figure.draw_without_rendering()
    for box in boxes(text for text in figure.findobj(Text) if not re.fullmatch(r"[−\d.,]*", text.get_text())):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("n_items", [1, 2, 3, 12])
def test_the_label_of_a_flat_tail_overlaps_neither_title_nor_edge(n_items):
    table = {"user_id": np.repeat(range(5), n_items), "item_id": np.tile(range(n_items), 5)}
    figure = plot.ratings(table | {"rating": [3] * (5 * n_items)})
    figure.draw_without_rendering()
    tail = figure.axes[1]
    (label,) = boxes(tail.texts)
    (title,) = boxes(text for text in tail.findobj(Text) if text.get_text().startswith("The long tail"))
    assert label.y1 < title.y0
    assert tail.bbox.x0 < label.x0 < label.x1 <= tail.bbox.x1


def test_a_single_rating_value_is_a_narrow_bar():
    (bar,) = plot.ratings({"user_id": [1], "item_id": [1], "rating": [3]}).axes[0].patches
    low, high = bar.axes.get_xlim()
    assert bar.get_width() < (high - low) / 4


@pytest.mark.parametrize("steps", [5, 10, 11])
def test_the_shares_above_the_bars_do_not_overlap(steps):
    table = {"user_id": np.repeat(range(9), steps), "item_id": np.tile(range(steps), 9)}
    figure = plot.ratings(table | {"rating": np.tile(range(steps), 9) / 2})
    figure.draw_without_rendering()
    shown = boxes(figure.axes[0].texts)
    assert len(shown) == steps
    assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(shown))


@pytest.mark.parametrize(("text", "expected"), [("abc def ghi", "abc\ndef…"), ("aaaabbbbcccc", "aaaa\nbbb…")])
def test_a_text_that_is_too_long_ends_with_an_ellipsis(text, expected):
    assert wrapped(text, 4, 2) == expected


def test_wide_characters_count_twice():
    assert wrapped("寄生獣寄生獣", 6, 2) == "寄生獣\n寄生獣"


def test_missing_glyphs_cause_a_warning(tmp_path):
    titles = {"item_id": [1, 2], "title": ["\U00030000\U00030001", "Heat"]}
    table = {"user_id": [1, 1, 2, 2], "item_id": [1, 2, 1, 2], "rating": [5, 4, 4, 3]}
    rec = reelated.textbook().fit(Dataset.from_frames(table, titles))
    figure = plot.similarity(rec, [1, 2])
    with pytest.warns(FontWarning, match=r"No installed font has 2 characters \(. .\)\. They appear as boxes\."):
        plot.save(figure, tmp_path / "a.png")
    model = rec.save(tmp_path / "odd.model")
    result = run(model, "similarity", "--item", 1, "-o", tmp_path / "b.png")
    assert "note: No installed font has 2 characters" in result.stderr
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_minimal_data_can_be_plotted(tmp_path):
    least = Recommender().fit({"user_id": [1], "item_id": [1], "rating": [3]})
    for figure in (plot.ratings(least), plot.user(least, 1), plot.neighborhood(least, 1)):
        plot.save(figure, tmp_path / "a.png")
    assert any("Nothing is linked to it." in text for text in texts(plot.neighborhood(least, 1)))
    with pytest.raises(InputError, match="nothing is linked to this item"):
        plot.similarity(least, 1)


def test_unknown_items_and_users_are_rejected(rec):
    for asked in (lambda: plot.neighborhood(rec, 99999), lambda: plot.similarity(rec, [STAR_WARS, 99999])):
        with pytest.raises(UnknownId, match="item_id"):
            asked()
    with pytest.raises(UnknownId, match="user_id=99999: no ratings"):
        plot.user(rec, 99999)
    with pytest.raises(InputTypeError, match="user_id='300'"):
        plot.user(rec, "300")


def test_numbers_out_of_range_are_rejected(rec):
    for call, message in [
        (lambda: plot.neighborhood(rec, STAR_WARS, n=0), "n=0: expected an integer of 1 or more"),
        (lambda: plot.neighborhood(rec, STAR_WARS, n=31), "n=31: expected at most 30 neighbours"),
        (lambda: plot.similarity(rec, STAR_WARS, n=1), "n=1: expected an integer of 2 or more"),
        (lambda: plot.similarity(rec, STAR_WARS, n=26), "n=26: expected from 2 to 25 items"),
        (lambda: plot.similarity(rec, []), "item_ids: got 0, expected from 2 to 25"),
        (lambda: plot.similarity(rec, list(rec.item_ids)[:26]), "item_ids: got 26, expected from 2 to 25"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


def test_only_fitted_recommenders_are_accepted(data):
    for asked in (plot.neighborhood, plot.similarity, plot.user):
        with pytest.raises(InputTypeError, match="expected a fitted Recommender"):
            asked(data, 1)
        with pytest.raises(InputError, match="not fitted yet"):
            asked(Recommender(), 1)


def test_a_model_without_ratings_names_the_remedy(rec, tmp_path):
    bare = Recommender.load(rec.save(tmp_path / "bare.model", ratings=False))
    for asked in (lambda: plot.ratings(bare), lambda: plot.user(bare, 300)):
        with pytest.raises(InputError, match="saved without ratings"):
            asked()
    assert isinstance(plot.neighborhood(bare, STAR_WARS), Figure)
    assert isinstance(plot.similarity(bare, STAR_WARS), Figure)


@pytest.mark.parametrize("kind", KINDS)
def test_without_matplotlib_it_says_how_to_install_it(rec, kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    remedy = "In a copy of the repository: pip install '.[plot]', or: pip install matplotlib"
    message = f"matplotlib is not installed. {remedy}"
    with pytest.raises(InputError) as caught:
        kinds(rec)[kind]()
    assert str(caught.value) == message
    assert run("sample", "ratings", "-o", tmp_path / "a.png", code=1) == message


def test_importing_reelated_loads_no_matplotlib():
    script = "import sys, reelated, reelated.cli.commands; print('matplotlib' in sys.modules, reelated.plot.__name__)"
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "reelated.plot"]


def test_drawing_loads_no_pyplot(tmp_path):
    script = (
        "import sys; from reelated import plot; "
        "plot.save(plot.ratings({'user_id': [1], 'item_id': [1], 'rating': [3]}), sys.argv[1]); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.svg")],
        env=os.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        (("ratings",), lambda rec: plot.ratings(rec)),
        (("neighborhood", "--item", "Star Wars", "-n", 5), lambda rec: plot.neighborhood(rec, STAR_WARS, n=5)),
        (
            ("similarity", "--item", "Fargo", "--item", STAR_WARS),
            lambda rec: plot.similarity(rec, [FARGO, STAR_WARS]),
        ),
        (("similarity", "--item", "Fargo"), lambda rec: plot.similarity(rec, FARGO)),
        (("user", "--user", 300, "--dark"), lambda rec: plot.user(rec, 300, dark=True)),
    ],
)
def test_the_command_draws_the_same_plots_as_the_library(rec, words, drawn, tmp_path):
    result = run("sample", *words, "-o", tmp_path / "a.svg")
    assert result.stdout == f"Written to {tmp_path / 'a.svg'}.\n"
    assert (tmp_path / "a.svg").read_bytes() == plot.save(drawn(rec), tmp_path / "b.svg").read_bytes()


def test_the_command_draws_from_a_saved_model(rec, tmp_path):
    model = rec.save(tmp_path / "my.model")
    run(model, "ratings", "-o", tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == plot.save(plot.ratings(rec), tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("neighborhood",), "got no --item"),
        (("similarity",), "got no --item"),
        (("user",), "got no --user"),
        (("ratings", "--user", 1), "--user does not go with ratings"),
        (("user", "--user", 1, "-n", 5), "-n does not go with user"),
        (("user", "--user", 1, "--item", 1), "--item does not go with user"),
        (("neighborhood", "--item", 1, "--item", 2), "a neighborhood plot takes one item"),
        (("similarity", "--item", 1, "--item", 2, "-n", 5), "-n goes with one item"),
        (("pie",), "pie"),
    ],
)
def test_usage_errors_are_reported_before_reading_data(words, message, tmp_path):
    assert message in run("no such source", *words, "-o", tmp_path / "a.png", code=2).output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ratings", "-o", "a.gif"), "--output 'a.gif': expected a file that ends in .png or .svg."),
        (("ratings", "-o", "none/a.png"), "--output 'none/a.png': expected a file in a folder that exists."),
        (("neighborhood", "--item", "zzzzqq", "-o", "a.png"), "--item 'zzzzqq': no item has such an id or title."),
        (
            ("similarity", "--item", "Fargo", "--item", 296, "--item", "qqzz", "-o", "a.png"),
            "--item 'qqzz': no item",
        ),
        (("user", "--user", 99999, "-o", "a.png"), "--user 99999: no ratings"),
        (("neighborhood", "--item", "Fargo", "-n", 31, "-o", "a.png"), "--n 31: expected at most 30 neighbours."),
    ],
)
def test_invalid_input_is_an_error_and_nothing_is_written(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("sample", *words, code=1).startswith(message)
    assert not list(tmp_path.iterdir())


def test_an_invalid_output_path_is_reported_before_reading_data(tmp_path):
    assert run("no such source", "ratings", "-o", tmp_path / "a.gif", code=1).startswith("--output ")


def test_an_unwritable_folder_is_an_error(rec, tmp_path, monkeypatch):
    def refuses(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuses)
    with pytest.raises(InputError, match=r"path='.*: cannot be written \(Permission denied\)\."):
        plot.save(plot.ratings(rec), tmp_path / "a.png")


def test_a_single_item_appears_in_messages_as_passed(tmp_path):
    file = tmp_path / "one.csv"
    file.write_text("user_id,item_id,rating\n1,1,3\n")
    message = run(file, "similarity", "--item", 1, "-o", tmp_path / "a.png", code=1)
    assert message == "--item 1: nothing is linked to this item. Give several."


def test_the_help_says_that_a_user_plot_is_personal_data():
    assert "The plot of a user is personal data: show it to that user only." in run("-h").output


IN_A_NOTEBOOK = """
import reelated
data = reelated.read({"user": [1, 1, 2, 2], "item": [1, 2, 1, 3], "rating": [5, 3, 4, 1]}, scale=(1, 5, 1))
reelated.plot.ratings(data)
"""


def test_a_notebook_shows_a_figure_once_with_and_without_the_inline_backend(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    cells = [nbformat.v4.new_code_cell(code) for code in (IN_A_NOTEBOOK, "%matplotlib inline", IN_A_NOTEBOOK)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    for cell in (cells[0], cells[2]):
        (shown,) = cell.outputs
        assert base64.b64decode(shown.data["image/png"]).startswith(b"\x89PNG")
    assert cells[0].outputs[0].metadata["image/png"] == {"width": 864, "height": 374}


def test_a_figure_in_a_notebook_equals_the_saved_file(rec, tmp_path):
    figure = plot.ratings(rec)
    assert figure._repr_png_()[0] == plot.save(figure, tmp_path / "a.png").read_bytes()
