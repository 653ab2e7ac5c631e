"""The HTML report is self-contained, complete, and escapes all names."""

import re
import sys
from html.parser import HTMLParser

import pytest
from markupsafe import escape
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.errors import InputError
from reelated.evaluation import PROTOCOLS, charts, evaluate, leave_last_out, within_users, write_report
from reelated.evaluation.report import check_report, render
from reelated.recommender import Recommender, textbook

VOID = {"meta"}


class Page(HTMLParser):
    """The tags, the text and the attributes of a page; tags must close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.values = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.values += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.strip())


@pytest.fixture(scope="module")
def results():
    split = within_users(reelated.read("sample"))
    return {"default": evaluate(Recommender(), split), "textbook": evaluate(textbook(), split)}


@pytest.fixture(scope="module")
def page(results):
    return render(results)


def test_a_report_is_self_contained(page):
    assert not re.search(r"(?i)https?:|url\(|@import|<script|<link|<img|<iframe|src=|href=", page)


def test_a_report_is_well_formed_and_accessible(page):
    parsed = Page(page)
    assert parsed.tags.count("svg") == 5
    named = [value for tag, name, value in parsed.values if (tag, name) == ("svg", "aria-label")]
    assert len(named) == 5
    assert "prefers-color-scheme: dark" in page


def test_a_report_has_every_metric_of_every_model_with_its_interval(results, page):
    text = Page(page).text
    for result in results.values():
        for row in result.rows():
            assert f"{row.value:.3f}" in text
            assert row.low is None or f"{row.low:.3f}–{row.high:.3f}" in text


def test_a_report_starts_with_a_summary(results, page):
    hits = 10 * results["default"].value("precision@10", "any")
    assert f"on average {hits:.1f} are among those hidden" in page
    assert f"off by {results['default'].value('mae'):.2f} on average" in page


def test_a_report_has_its_date_and_the_settings_of_each_model(results, page):
    assert re.search(r"Made on \d{4}-\d\d-\d\d by Reelated", page)
    for name, result in results.items():
        assert result.settings.startswith("Recommender(ranker=")
        assert escape(f"“{name}” is {result.settings}.") in page


def test_model_names_are_escaped(results):
    named = render({"<b>&": results["default"], "</title><script>": results["textbook"]})
    assert "<script>" not in named
    assert "&lt;b&gt;&amp;" in named
    Page(named)


def test_a_report_notes_users_without_relevant_items():
    split = within_users(reelated.read("sample"))
    text = Page(render({"only": evaluate(Recommender(), split, liked=5.5)})).text
    assert "–" in text
    assert any("600 of 600 users have no list or no hidden rating that counts as liked" in part for part in text)


@pytest.mark.parametrize("target", ["items", "users"])
def test_a_report_of_few_ratings_works(target):
    table = {
        "user_id": [1, 1, 1, 2, 2, 3, 3, 3],
        "item_id": [7, 8, 9, 7, 8, 8, 9, 7],
        "rating": [1, 3, 5, 2, 4, 4, 3, 1],
    }
    data = reelated.read(table | {"timestamp": range(8)})
    Page(render({"only": evaluate(Recommender(), leave_last_out(data), 2, target=target)}))


def test_a_report_of_a_protocol_shows_the_published_figures(shared_data):
    protocol = PROTOCOLS["ml100k-microsoft"]
    result = protocol.evaluate(Recommender(), shared_data / "ml-100k.zip")
    text = Page(render({"default": result}, protocol)).text
    assert "BiVAE" in text
    assert f"{result.value('ndcg@10', 'any'):.4f}" in text


def test_a_report_replaces_an_existing_file_atomically(results, page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    assert write_report(results, path) == path
    assert path.read_text(encoding="utf-8") == page
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_is_an_error(results, tmp_path, monkeypatch):
    for path in (tmp_path / "report.pdf", tmp_path / "no" / "report.html"):
        with pytest.raises(InputError, match=r"report='.*expected an \.html file in a folder that exists"):
            write_report(results, path)
    with pytest.raises(InputError, match="results of 0 models"):
        write_report({}, tmp_path / "report.html")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"pip install '\.\[evaluate\]'"):
        check_report(tmp_path / "report.html")


def test_the_command_writes_a_report_with_reference_models(tmp_path):
    path = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["evaluate", "sample", "--report", str(path)])
    assert result.exit_code == 0, result.exception
    assert str(path) in result.stderr.replace("\n", "")
    text = Page(path.read_text(encoding="utf-8")).text
    assert "textbook" in text
    for measure in ("RMSE", "MAE", "In the 80 % interval"):  # of default, popularity and recipe
        cells = [part for part in text[text.index(measure) + 2 :] if part and not re.fullmatch(r".*\d–\d.*", part)][:3]
        assert cells[1] == "–"
        assert re.fullmatch(r"0\.\d{3}", cells[0])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.8, 1.3), (0, 0.0137), (1, 5), (-3, 250)])
def test_ticks_are_few_round_and_inside_the_range(low, high):
    ticks = charts.ticks(low, high)
    assert 3 <= len(ticks) <= 7
    assert low <= ticks[0] < ticks[-1] <= high
    assert all(len(f"{tick:g}".strip("-0.").rstrip("0")) <= 3 for tick in ticks)
