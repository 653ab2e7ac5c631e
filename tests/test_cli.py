"""The commands return the results of the library, as tables, JSON or CSV, and report errors in one message."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

import reelated
from reelated._kernels.kernel import Kernel
from reelated.cli import progress as progress_bars
from reelated.cli import sources
from reelated.cli.batch import write_batch
from reelated.cli.commands import app
from reelated.cli.progress import working
from reelated.cli.words import TERMINAL
from reelated.data import cache_folder
from reelated.errors import DataWarning, InputError
from reelated.models import EASE, MODELS, BiasModel, ItemKNN, Popularity
from reelated.ratings import Dataset
from reelated.recommender import Recommender, textbook

ITEM = [
    "rank",
    "item_id",
    "title",
    "year",
    "genres",
    "score",
    "predicted_rating",
    "n_neighbors_used",
    "source",
    "reasons",
]
COMMANDS = sorted(get_command(app).commands)
STAR_WARS, FARGO = 134, 296


def run(*args, code=0, **env):
    """Run a command in this process; return the error message if `code` is 1."""
    result = CliRunner().invoke(app, [str(word) for word in args], env={"COLUMNS": "120", **env})
    if code == 1:
        assert isinstance(result.exception, InputError), result
        return result.exception.render(TERMINAL)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def as_process(*args, **options):
    """Run a command in a new process."""
    env = {**os.environ, "COLUMNS": "120", **options.pop("env", {})}
    command = [sys.executable, "-m", "reelated", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, **options)


def rows(*args):
    return json.loads(run(*args, "--json").stdout)


def plain(answers):
    return json.loads(json.dumps(answers.to_dicts()))


@pytest.fixture(scope="module")
def rec(fitted):
    return fitted


@pytest.fixture(scope="module")
def model(rec, tmp_path_factory):
    return rec.save(tmp_path_factory.mktemp("models") / "my.model")


@pytest.fixture
def table(tmp_path):
    """A small table with text ids and a repeated rating, and a table of items with titles that look like ids."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "ratings.csv").write_text(
        "user,item,stars\nann,m 1,5\nann,m2,3\nben,m 1,4\nben,m3,1\ncy,m2,4\ncy,m3,5\ncy,m4,2\ncy,m4,3\n"
    )
    (folder / "movies.csv").write_text(
        'item_id,title,year,genres\nm 1,m2,1999,Drama\nm2,A=B,2000,Comedy\nm3,300,2006,War\nm4,"Up, Up",2009,Comedy\n'
    )
    return folder


def test_recommend_prints_the_result_of_the_library(rec):
    actual = rows("recommend", "sample", "--user", 42, "-n", 5)
    assert actual == plain(rec.recommend(42, n=5))
    assert list(actual[0]) == [*ITEM, "other"]


def test_recommend_applies_every_filter(rec):
    actual = rows(
        *("recommend", "sample", "--user", 42, "--genres", "comedy, Drama", "--years", "1990-1999"),
        *("--exclude", "359,252", "--by", "rating", "--n", 4),
    )
    expected = rec.recommend(42, genres=["Comedy", "Drama"], years=(1990, 1999), exclude=[359, 252], by="rating", n=4)
    assert actual == plain(expected)
    assert rows("recommend", "sample", "--user", 42, "--years", 1994) == plain(rec.recommend(42, years=1994))


@pytest.mark.parametrize("command", [("audience",), ("recommend",)])
def test_recommend_with_an_item_prints_the_audience(rec, command):
    actual = rows(*command, "sample", "--item", "Star Wars", "--by", "rating")
    assert actual == plain(rec.audience(STAR_WARS, by="rating"))
    assert list(actual[0]) == [
        "rank",
        "user_id",
        "score",
        "predicted_rating",
        "n_neighbors_used",
        "adjusted_score",
        "above_user_mean",
    ]


def test_a_list_of_users_has_a_hint_about_similar_items():
    lines = run("recommend", "sample", "--item", STAR_WARS).stdout.splitlines()
    assert lines[0] == "Users for Star Wars (1977), by adjusted score"
    assert lines[1].startswith("These are users who have not rated it.")
    assert lines[1].endswith("reelated similar SOURCE --item 134")


def test_audience_of_several_items_limits_lists_per_user(rec):
    expected = rec.audience_batch([STAR_WARS, 300], n=3, per_user=1)
    args = ("audience", "sample", "--item", "Star Wars", "--item", 300, "-n", 3, "--per-user", 1)
    assert json.loads(run(*args, "--json").stdout) == json.loads(json.dumps(expected.to_dicts()))
    assert run(*args, "--csv").stdout == expected.write_csv()
    assert len(run(*args).stdout.splitlines()) == 2 + len(expected) == 8
    by_rating = rec.audience_batch([STAR_WARS, 300], n=3, by="rating")
    output = json.loads(run(*args[:-2], "--by", "rating", "--json").stdout)
    assert output == json.loads(json.dumps(by_rating.to_dicts()))


def test_similar_shows_the_number_of_common_raters(rec):
    assert rows("similar", "sample", "--item", "star wars", "--genres", "War", "-n", 3) == plain(
        rec.similar(STAR_WARS, genres=["War"], n=3)
    )
    assert "rated both" in run("similar", "sample", "--item", "star wars").stdout


def test_predict_shows_the_number_of_neighbors_used_and_the_interval(rec):
    (actual,) = rows("predict", "sample", "--user", 42, "--item", "Casablanca")
    known = rec.predict(42, actual["item_id"])
    assert actual["predicted_rating"] == known.predicted_rating
    output = " ".join(run("predict", "sample", "--user", 42, "--item", "Casablanca").stdout.split())
    assert f"{known.predicted_rating:.2f} (from {known.n_neighbors_used} rated movies;" in output
    assert f"80 % interval {known.low:.1f} to {known.high:.1f})." in output


def test_predict_shows_the_actual_rating(rec):
    item = rec.item_ids[rec.ratings_.row(rec.user_ids.index_of(42))[0][0]]
    output = " ".join(run("predict", "sample", "--user", 42, "--item", item).stdout.split())
    assert "The actual rating is" in output
    assert "the prediction does not use it" in output


def test_explain_shows_contributions_that_add_up(rec):
    (actual,) = rows("explain", "sample", "--user", 42, "--item", "Fargo", "--by", "rating")
    assert actual == json.loads(json.dumps(rec.explain(42, FARGO, by="rating").to_dict()))
    lines = run("explain", "sample", "--user", 42, "--item", "Fargo", "--by", "rating").stdout.splitlines()
    assert lines[0].startswith("Fargo (1996): predicted rating ")
    numbers = [float(line.split()[0]) for line in lines if re.match(r"\s*[+-]?\d", line)]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.01)
    assert sum(line.startswith("Without ") for line in lines) == 3


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_bars_of_an_explanation_are_never_cut(width):
    output = run("explain", "sample", "--user", 42, "--item", "Fargo", COLUMNS=str(width)).stdout
    assert "█…" not in output
    assert ("█" * 10 in output) == (width > 60)


def test_why_shows_the_contributions_to_each_score(rec):
    first = rec.recommend(42)[0]
    lines = run("recommend", "sample", "--user", 42, "-n", 2, "--why").stdout.splitlines()
    made_of = " ".join(lines[-6:])
    assert f"1. {first.title} ({first.year}): {first.score:.3f} = {first.reasons[0].contribution:+.3f} " in made_of
    assert made_of.count("all else") == 2
    assert "(you: " in made_of


def test_find_lists_titles(rec):
    assert rows("find", "sample", "star wasr", "-n", 2) == plain(rec.find("star wasr", n=2))
    assert run("find", "sample", "qqqqzzzz").stdout.splitlines()[1].strip() == "(none)"


@pytest.mark.parametrize("command", [*COMMANDS, "store scale"])
def test_every_command_has_help_with_an_example(command):
    output = run(*command.split(), "--help").stdout
    assert f"Example: reelated {command}" in output
    assert f"Example: reelated {command}" in run(*command.split(), "-h").stdout
    assert "<bool>" not in output


def test_commands_are_grouped_with_the_demo_first():
    output = run("--help").stdout
    words = (
        "─ Start ",
        "demo ",
        "─ Ask ",
        "recommend ",
        "─ Look ",
        "map ",
        "─ Measure ",
        "evaluate ",
        "─ Serve ",
        "serve ",
    )
    places = [output.index(word) for word in words]
    assert places == sorted(places)


def test_the_list_of_commands_is_complete():
    expected = {"recommend", "audience", "similar", "predict", "explain", "fit", "batch", "sample", "fetch", "demo"}
    expected |= {"check", "evaluate", "find", "plot", "map", "tune"}
    expected |= {"import", "export", "forget", "models", "refit", "serve"}
    expected |= {"store"}
    assert set(COMMANDS) == expected
    assert run("--version").stdout == f"reelated {reelated.__version__}\n"


def test_the_examples_of_the_help_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, about in get_command(app).commands.items():
        if command not in ("fit", "batch", "fetch", "demo", "sample", "serve"):
            run(*shlex.split(about.epilog.removeprefix("Example: reelated ")))


def test_demo_shows_three_lists_and_three_further_commands():
    lines = run("demo").stdout.splitlines()
    assert [line for line in lines if ", by " in line] == [
        "Movies for user 300, by score",
        "Users for Star Wars (1977), by adjusted score",
        "Movies similar to Star Wars (1977), by similarity",
    ]
    assert lines[-4] == "Try next"
    assert all(line.startswith("  reelated ") for line in lines[-3:])
    for line in lines[-3:-1]:
        run(*shlex.split(line)[1:])


def test_demo_names_the_program_by_its_path_if_it_is_not_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "the bin" / "reelated"), "demo"])
    assert "  'the bin/reelated' recommend sample --rate" in run("demo").stdout


def test_sample_writes_a_readable_folder(tmp_path):
    output = run("sample", tmp_path / "mine").stdout
    assert "simulated" in output
    assert rows("recommend", tmp_path / "mine", "--user", 42)


def test_json_is_one_array_and_stderr_says_why_a_list_is_short():
    result = run("recommend", "sample", "--user", 42, "--genres", "Western", "-n", 30, "--json", COLUMNS="40")
    assert len(json.loads(result.stdout)) == 5
    assert result.stderr == "short: 5 of 30: nothing else is left to choose from (no_candidates_left)\n"
    empty = run("recommend", "sample", "--user", 42, "--years", 1800, "--json")
    assert json.loads(empty.stdout) == []


def test_csv_is_a_header_and_rows(rec):
    text = run("recommend", "sample", "--user", 42, "-n", 3, "--csv").stdout
    table = list(csv.DictReader(io.StringIO(text)))
    assert list(table[0]) == [*ITEM, "other"]
    assert [row["item_id"] for row in table] == [str(row.item_id) for row in rec.recommend(42, n=3)]
    first = rec.recommend(42)[0]
    assert table[0]["genres"].split("|") == list(first.genres)
    assert table[0]["reasons"].split("|") == [f"{reason.title} ({reason.year})" for reason in first.reasons]
    for args in (("similar", "--item", 134), ("audience", "--item", 134), ("predict", "--user", 42, "--item", 134)):
        text = run(args[0], "sample", *args[1:], "--csv").stdout
        assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize(
    "args",
    [
        ("recommend", "sample", "--user", 42, "--why"),
        ("audience", "sample", "--item", "Star Wars"),
        ("similar", "sample", "--item", "Star Wars"),
        ("explain", "sample", "--user", 42, "--item", "Fargo"),
        ("find", "sample", "the"),
        ("predict", "sample", "--user", 42, "--item", "Fargo"),
        ("demo",),
    ],
    ids=lambda args: args[0],
)
def test_no_line_is_longer_than_the_terminal(args, width):
    result = run(*args, COLUMNS=str(width))
    assert max(map(cell_len, result.stdout.splitlines())) <= width
    assert "\x1b" not in result.stdout


def test_60_columns_cut_neither_headings_nor_numbers(sample, tmp_path):
    few = tmp_path / "few.csv"  # an evaluation of all users takes seconds
    sample.ratings.to_polars().filter(pl.col("user_id") <= 100).write_csv(few)
    for args in (
        ("audience", "sample", "--item", "Star Wars", "-n", 3),
        ("audience", "sample", "--item", 50, "--item", 134, "-n", 3),
        ("evaluate", few),
        ("evaluate", few, "--protocol", "new-users"),
    ):
        output = run(*args, COLUMNS="60").stdout
        assert "…" not in output, args
        assert max(map(cell_len, output.splitlines())) <= 60
    assert "(" in run("evaluate", few, COLUMNS="80").stdout.partition("nDCG@10")[2]  # there is room for intervals


def test_wide_characters_and_long_ids_keep_the_width(tmp_path):
    items = [f"{i:032x}-the-longest-of-all-ids" for i in range(9)]
    frame = {"user_id": [1] * 3 + [2] * 9, "item_id": items[:3] + items, "rating": [1, 5, 3] * 4}
    titles = {"item_id": items, "title": ["七人の侍" * 20, "\x1b[31m[bold]x\n", *map("m{}".format, range(7))]}
    titles["genres"] = ["\x1b[32m"] * 9
    path = Recommender().fit(Dataset.from_frames(frame, titles)).save(tmp_path / "my.model")
    for width in (60, 80, 120):
        result = run("recommend", path, "--user", 1, COLUMNS=str(width)).stdout
        assert max(map(cell_len, result.splitlines())) <= width
        assert len(result.splitlines()) == 3 + 6
        assert "because" in result
        assert (items[8][:25] in result) == (width >= 90)  # ids give way to reasons
    similar = run("similar", path, "--item", items[2], COLUMNS="200").stdout
    assert "?[31m[bold]x?" in similar
    assert "\x1b" not in similar


def test_a_table_of_one_rating_is_counted_in_the_singular_and_has_no_empty_columns(tmp_path):
    (tmp_path / "one.csv").write_text("user,item,rating\nann,alien,4\n")
    for command in (("recommend", "--user", "ann"), ("find", "alien")):
        result = run(command[0], tmp_path / "one.csv", *command[1:], COLUMNS="120")
        assert "one: 1 interaction by 1 user of 1 item\n" in result.stderr
        assert "genres" not in result.stdout


def test_check_words_an_error_of_the_table_of_items_for_the_terminal(tmp_path, table):
    (tmp_path / "twice.csv").write_text("item_id,title\nm1,One\nm1,Uno\n")
    command = ["check", str(table / "ratings.csv"), "--items", str(tmp_path / "twice.csv")]
    shown = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert shown.exit_code == 1
    assert "item_id='m1' occurs more than once in the table of items." in shown.stdout
    assert "drop such rows with --invalid drop." in shown.stdout


def test_the_next_command_can_be_copied_to_a_shell(tmp_path):  # however long it is
    (tmp_path / "two.csv").write_text("user,item,rating\nann b,alien,4\nann b,up,3\nben,up,4\n")
    shown = run("fit", tmp_path / "two.csv", "-o", tmp_path / "my model").stdout
    assert f"Next: reelated recommend '{tmp_path / 'my model'}' --user 'ann b'\n" in shown


def test_an_id_takes_precedence_unless_title_forces_the_title(table):
    def item(text):
        return rows("predict", table, "--user", "ann", "--item", text)[0]["item_id"]

    assert item("m2") == "m2"
    assert item("title:m2") == "m 1"
    assert item("title: M2 ") == "m 1"
    assert item("300") == item("title:300") == "m3"
    assert item("m 1") == "m 1"


def test_a_number_is_an_id_unless_it_equals_a_title():
    assert run("similar", "sample", "--item", "1917").stdout.startswith("Movies similar to 1917 (2019)")
    assert run("similar", "sample", "--item", "title:1917").stdout.startswith("Movies similar to 1917 (2019)")
    assert run("similar", "sample", "--item", "191").stdout.startswith("Movies similar to ")
    assert run("similar", "sample", "--item", "19170", code=1) == (
        "--item '19170': no item has such an id or title. Search with: reelated find"
    )


def test_a_title_may_have_a_year_or_a_typo():
    for text in ("Star Wars (1977)", "star wars", "title:Star Wars", "star wasr"):
        assert run("similar", "sample", "--item", text).stdout.startswith("Movies similar to Star Wars (1977)")


def test_an_ambiguous_title_lists_items_with_their_ids():
    output = run("similar", "sample", "--item", "star trek", code=1).splitlines()
    assert output[0] == "--item 'star trek' matches several items. Give an id or more of the title:"
    assert "  303  Star Trek: First Contact (1996)" in output
    assert run("recommend", "sample", "--rate", "star trek=5", code=1).startswith("--rate 'star trek' matches several")


def test_the_ids_of_an_ambiguous_title_are_right_aligned(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating\n1,5,4\n1,1234,3\n2,5,5\n2,1234,2\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n5,Hamlet (1948),Drama\n1234,Hamlet (1996),Drama\n")
    output = run("similar", tmp_path, "--item", "Hamlet", code=1).splitlines()
    assert {"     5  Hamlet (1948)", "  1234  Hamlet (1996)"} <= set(output)


def test_rate_splits_at_the_last_equals_sign(table):
    actual = rows("recommend", table, "--rate", "A=B=4", "--rate", "m3=1.5")
    with pytest.warns(DataWarning, match="1 repeated rating"):
        model = Recommender().fit(reelated.read(table))
    assert actual == plain(model.recommend(ratings={"m2": 4, "m3": 1.5}))


def test_a_new_user_can_rate_by_id_and_by_title(rec):
    assert rows("recommend", "sample", "--rate", f"{STAR_WARS}=5", "--rate", "Fargo=4") == plain(
        rec.recommend(ratings={STAR_WARS: 5, FARGO: 4})
    )
    (actual,) = rows("predict", "sample", "--rate", "Fargo=4", "--item", "Star Wars")
    assert actual["user_id"] is None
    assert (
        "You would rate Star Wars (1977)" in run("predict", "sample", "--rate", "Fargo=4", "--item", "Star Wars").stdout
    )


def test_the_textbook_preset_equals_the_textbook_recommender():
    expected = textbook().fit(reelated.read("sample")).recommend(42)
    assert rows("recommend", "sample", "--user", 42, "--preset", "textbook") == plain(expected)
    assert run("recommend", "sample", "--user", 42, "--preset", "textbook").stdout.startswith(
        "Movies for user 42, by predicted rating"
    )


def test_settings_are_passed_to_the_ranking_model(sample):
    def listed(*words):
        return rows("recommend", "sample", "--user", 42, "--rater", "none", *words)

    def expected(ranker, **how):
        return plain(Recommender(ranker, None, **how).fit(sample).recommend(42))

    ranker = ItemKNN(weighting="bm25", n_neighbors=7, shrinkage=0.5, positive_only=False)
    args = ("weighting=bm25", "n_neighbors=7", "shrinkage=.5", "positive_only=False")
    settings = [word for setting in args for word in ("--set", setting)]
    assert listed(*settings, "--ranker", "item-knn") == expected(ranker)
    args = ("--ranker", "item-knn", "--set", "similarity=jaccard", "--set", "n_neighbors=None", "--set", "shrinkage=10")
    assert listed(*args) == expected(ItemKNN("jaccard", n_neighbors=None, shrinkage=10))
    args = ("--set", "l2=30", "--set", "n_candidates=50", "--set", "recency_half_life=none")
    assert listed(*args) == expected(EASE(l2=30, n_candidates=50), recency_half_life=None)
    args = ("--ranker", "popularity", "--set", "recency_floor=.1")
    assert listed(*args) == expected(Popularity(), recency_floor=0.1)


@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
@pytest.mark.parametrize("role", ["ranker", "rater"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_accepted_in_its_role_or_refused_by_name(name, role, table):
    args = ("recommend", table, "--user", "ann", f"--{role}", name)
    try:
        expected = Recommender(**{role: MODELS[name]()}).fit(reelated.read(table)).recommend("ann")
    except InputError:
        message = run(*args, code=2).stderr
        assert f"Invalid value for '--{role}':" in message
        assert f"'{name}' is not one of" in message
    else:
        assert rows(*args) == plain(expected)


@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
def test_settings_of_the_rater_begin_with_its_role(table):
    expected = Recommender(None, BiasModel(reg_user=3, reg_item=2)).fit(reelated.read(table)).recommend("ann")
    args = ("--ranker", "none", "--rater", "bias", "--set", "rater__reg_user=3", "--set", "rater__reg_item=2")
    assert rows("recommend", table, "--user", "ann", *args) == plain(expected)
    without = rows("recommend", table, "--user", "ann", "--rater", "none")
    assert {row["predicted_rating"] for row in without} == {None}
    output = run("recommend", table, "--user", "ann", "--rater", "bias", "--set", "rater__n_factors=3", code=1)
    assert "--set 'rater__n_factors': expected a setting of bias: rater__max_memory" in output
    assert "To set it, give --rater bpmf." in " ".join(output.split())
    for name in ("model__l2", "__l2", "rater__"):
        assert f"--set {name!r}: expected a setting of ease" in run(
            "recommend", table, "--user", "ann", "--set", f"{name}=3", code=1
        )


def test_a_saved_model_is_a_source(model, rec):
    assert rows("recommend", model, "--user", 42) == plain(rec.recommend(42))
    output = run("recommend", model, "--user", 42, "--set", "n_neighbors=3", code=1)
    assert "options for reading or fitting with a saved model" in output
    for args in (("fit", model, "-o", "x"), ("fit", model, "--plan")):
        assert "expected ratings, and this is a saved model" in run(*args, code=1)


def test_fit_saves_a_model_and_suggests_the_next_command(tmp_path, rec):
    path = tmp_path / "my.model"
    output = run("fit", "sample", "-o", path).stdout
    assert f"Next: reelated recommend {path} --user 1" in " ".join(output.split())
    assert Recommender.load(path).recommend(42) == rec.recommend(42)
    run(*shlexed(output))


def shlexed(output):
    """Return the suggested next command, at any terminal width."""
    return shlex.split(" ".join(output.split()).partition("Next: reelated ")[2])


def test_fit_without_ratings_suggests_a_command_for_new_users(tmp_path):
    output = run("fit", "sample", "-o", tmp_path / "my.model", "--no-ratings").stdout
    assert "--rate" in output
    run(*shlexed(output))
    refused = run("recommend", tmp_path / "my.model", "--user", 42, code=1)
    assert refused == (
        "This model was saved without ratings: only new users can be asked about. Give --rate ITEM=RATING, or fit it "
        "again with --ratings."
    )


def test_a_plan_estimates_memory_without_a_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(Recommender, "fit", None)
    output = run("fit", "sample", "--plan").stdout
    assert "49,653 ratings" in output
    assert re.search(r"The fit may need up to \d+\.\d MB in addition to the data\.", output)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REELATED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def fits(monkeypatch):
    """Count the fits."""
    counted, real = [], Recommender.fit

    def fit(self, *args, **options):
        counted.append(self)
        return real(self, *args, **options)

    monkeypatch.setattr(Recommender, "fit", fit)
    return counted


def test_the_second_call_uses_the_cache_and_repeats_the_notes(own_cache, fits, table):
    first = run("recommend", table, "--user", "ann")
    second = run("recommend", table, "--user", "ann")
    assert len(fits) == 1
    assert first.stdout == second.stdout
    for result in (first, second):
        assert "note: 1 repeated rating" in result.stderr
        assert "small: 7 ratings by 3 users of 4 movies" in result.stderr
    assert len(list(own_cache.glob("*.model"))) == 1


def test_cached_models_are_private_in_a_cache_folder_that_is_not(own_cache, fits, table):
    own_cache.mkdir(parents=True, mode=0o755)
    run("recommend", table, "--user", "ann")
    assert list(own_cache.glob("*.model"))
    assert own_cache.stat().st_mode & 0o077 == 0


def test_changed_data_or_options_cause_a_new_fit(own_cache, fits, table):
    run("recommend", table, "--user", "ann")
    run("recommend", table, "--user", "ann", "--set", "n_neighbors=2")
    run("recommend", table, "--user", "ann", "--duplicates", "first")
    with (table / "ratings.csv").open("a") as file:
        file.write("dee,m3,4\n")
    run("recommend", table, "--user", "dee")
    (table / "movies.csv").write_text((table / "movies.csv").read_text().replace("Up, Up", "Up"))
    assert '"Up"' in run("recommend", table, "--user", "ann", "-n", 9, "--json").stdout
    assert len(fits) == 5


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbage", "header", "signs", "file"])
def test_a_damaged_cache_is_fitted_again(own_cache, fits, table, damage):
    expected = run("recommend", table, "--user", "ann").stdout
    (kept,) = own_cache.glob("*.model")
    if damage == "truncated":
        path = kept / "ranker.item_weights_.data.npy"
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "emptied":
        for path in kept.iterdir():
            path.unlink()
    elif damage == "header":  # a header that Python's tokenizer fails on
        path = kept / "counts.npy"
        path.write_bytes(path.read_bytes().replace(b"{'descr'", b"{'descr(", 1))
    elif damage == "signs":  # a valid model with other results
        path = kept / "ranker.item_weights_.data.npy"
        np.save(path, -np.load(path))
    elif damage == "file":
        shutil.rmtree(kept)
        kept.write_text("a file in the way")
    else:
        (kept / "model.json").write_text("{}")
    assert run("recommend", table, "--user", "ann").stdout == expected
    assert run("recommend", table, "--user", "ann").stdout == expected
    assert len(fits) == 2


def test_a_read_only_cache_does_not_prevent_the_result(fits, table, own_cache, monkeypatch):
    own_cache.parent.mkdir()
    own_cache.write_text("a file in the way")
    assert run("recommend", table, "--user", "ann").stdout == run("recommend", table, "--user", "ann").stdout
    assert len(fits) == 2


def test_the_cache_evicts_the_least_recently_used_models(own_cache, table, monkeypatch):
    monkeypatch.setattr(sources, "MAX_CACHED", 2)
    for n_neighbors in (1, 2, 3):
        run("recommend", table, "--user", "ann", "--set", f"n_neighbors={n_neighbors}")
        time.sleep(0.02)
    assert len(list(own_cache.glob("*.model"))) == 2


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_batch_writes_the_lists_of_all_users(tmp_path, rec, ending):
    path = tmp_path / f"top.{ending}"
    output = run("batch", "sample", "-o", path, "-n", 3, "--genres", "Drama").stdout
    expected = pl.concat(rec.recommend_batch(3, genres="Drama"))
    actual = pl.read_parquet(path) if ending == "parquet" else pl.read_csv(path)
    assert actual.columns == [
        "user_id",
        "item_id",
        "title",
        "rank",
        "score",
        "predicted_rating",
        "n_neighbors_used",
        "source",
    ]
    assert actual.rows() == expected.rows()
    assert f"{len(expected):,} rows written to" in output
    assert [path.name for path in tmp_path.iterdir()] == [f"top.{ending}"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), InputError("no")])
def test_an_interrupted_batch_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "top.csv"
    path.write_text("old")

    def tables():
        yield pl.DataFrame({"user_id": [1]})
        raise error

    with pytest.raises(type(error)):
        write_batch(tables(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["top.csv"]
    assert path.read_text() == "old"


def test_the_parts_of_a_batch_are_written_in_order(tmp_path):
    tables = (pl.DataFrame({"user_id": [start, start + 1], "title": ["a", 'b,"\n']}) for start in range(0, 40, 2))
    assert write_batch(tables, tmp_path / "top.csv") == 40
    assert pl.read_csv(tmp_path / "top.csv")["user_id"].to_list() == list(range(40))


BAD = {
    ("recommend", "nowhere", "--user", "1"): "SOURCE 'nowhere': there is no such folder, zip or file",
    (
        "recommend",
        "sample",
        "--user",
        "9999",
    ): "--user 9999: no ratings by this user. For a new user give --rate ITEM=RATING.",
    ("recommend", "sample", "--user", "ann"): ("--user 'ann': the user ids of this data are whole numbers, such as 1."),
    ("recommend", "sample", "--user", "4\x1b[31m2"): "--user '4\\x1b[31m2': the user ids of this data are whole",
    ("recommend", "sample", "--user", "9" * 30): "--user '999999999999999999999999999999': the user ids",
    (
        "recommend",
        "sample",
        "--user",
        "42",
        "--years",
        "x",
    ): "--years 'x': expected a year or a range, such as 1990-",
    ("recommend", "sample", "--user", "42", "--years", "1999-1990"): (
        "--years '1999-1990': expected the earlier year first."
    ),
    ("recommend", "sample", "--user", "42", "--exclude", "Fargo"): (
        "--exclude 'Fargo': the item ids of this data are whole numbers, such as 1."
    ),
    ("recommend", "sample", "--users", "42,ann"): "--users 'ann': the user ids of this data are whole numbers",
    ("models", "--store", "mysql://me:secret@host/x"): "--store 'host/x': expected sqlite:///path/to/store.db or ",
    ("recommend", "sample", "--rate", "Fargo"): "--rate 'Fargo': expected item=rating, such as 50=5 or 'Fargo=4'.",
    ("recommend", "sample", "--rate", "=5"): "--rate '=5': expected item=rating",
    ("recommend", "sample", "--rate", "Fargo=good"): "--rate 'Fargo=good': expected item=rating",
    ("recommend", "sample", "--rate", "Fargo=9"): (
        "--rate 'Fargo=9': expected a rating from 1 to 5, the scale of this data."
    ),
    ("recommend", "sample", "--rate", "Fargo=nan"): "--rate 'Fargo=nan': expected a rating from 1 to 5",
    ("similar", "sample", "--item", ""): "--item '': expected the id of an item, or its title.",
    ("similar", "sample", "--item", "title:"): "--item 'title:': expected the id of an item, or its title.",
    ("similar", "sample", "--item", "qqqqzzzz"): "--item 'qqqqzzzz': no item has such an id or title.",
    ("similar", "sample", "--item", "\udcff"): "--item '\\udcff': no item has such an id or title.",
    ("find", "sample", " "): "TEXT ' ': expected a part of a title.",
    ("recommend", "sample", "--user", "42", "--set", "n_neighbors"): "--set 'n_neighbors': expected name=value,",
    ("recommend", "sample", "--user", "42", "--set", "k=3"): "--set 'k': expected a setting of ease: dropout, ",
    ("recommend", "sample", "--user", "42", "--set", "n_neighbors=0"): (
        "--set n_neighbors=0: expected an integer of 1 or more, or None."
    ),
    (
        "recommend",
        "sample",
        "--user",
        "42",
        "--ranker",
        "item-knn",
        "--set",
        "similarity=cosin",
    ): "--set similarity='cosin': expected one of",
    ("recommend", "sample", "--user", "42", "--set", "similarity=jaccard"): (
        "--set 'similarity': expected a setting of ease: dropout, dtype, item_normalization, l2, max_memory, "
        "min_weight, n_candidates, n_neighbors, user_normalization, recency_floor, recency_half_life. To set it, give "
        "--ranker item-knn."
    ),
    (
        "recommend",
        "sample",
        "--user",
        "42",
        "--ranker=item-knn",
        "--set",
        "weighting=bm25",
        "--set",
        "similarity=jaccard",
    ): ("--set weighting='bm25': with similarity='jaccard', ratings cannot be weighted. Use --set similarity"),
    ("recommend", "sample", "--user", "42", "--preset", "textbook", "--set", "shrinkage=1"): (
        "--preset textbook has fixed models and settings: leave out --ranker, --rater and --set."
    ),
    ("recommend", "sample", "--user", "42", "--max-memory", "1KB"): "--max-memory '1KB': the fit may need ",
    ("recommend", "sample", "--user", "42", "--max-memory", "x"): "--max-memory 'x': expected a size such as '2GB'",
    ("batch", "sample", "-o", "top.xlsx"): "--output top.xlsx: expected a file that ends in .parquet or .csv.",
    ("batch", "sample", "-o", "nowhere/top.csv"): "--output nowhere/top.csv: expected a file in a folder that exists.",
    ("fetch", "ml-5k"): "NAME 'ml-5k': expected one of 'ml-100k',",
}
BAD_TABLE = {
    ("--columns", "who"): "--columns 'who': expected name=column, such as user_id=who.",
    (
        "--columns",
        "who=user",
    ): "--columns who=user: no such column in Reelated: expected one of 'user_id', 'item_id', 'rating',",
    ("--columns", "user=who"): "--columns user_id=who: the table has no such column. Its columns: 'user',",
    ("--scale", "1"): "--scale '1': expected low,high,step, such as 1,5,1.",
    ("--scale", "5,1,1"): "--scale 5.0,1.0,1.0: expected low < high",
    ("--scale", "2,5,1"): "ratings: 1 row with a rating outside the scale (2 to 5 in steps of 1)",
    ("--duplicates", "error"): "ratings: 1 repeated rating of an item by the same user, for example user_id='cy', ",
    ("--items", "nowhere.csv"): "nowhere.csv",
}


def test_the_error_for_a_table_without_ratings_names_the_option(tmp_path):
    path = tmp_path / "likes.csv"
    path.write_text("who,product_id\n1,10\n2,20\n")
    output = run("recommend", path, "--user", "1", code=1)
    assert output.endswith("--columns user_id=COLUMN,item_id=COLUMN,rating=COLUMN; rating= if there are no ratings.")
    assert run("check", path, "--columns", "user_id=who,rating=").exit_code == 0


@pytest.mark.parametrize("option", ["--user", "--by", "-n", "--columns"])
def test_a_single_valued_option_is_rejected_twice(option):
    output = run("recommend", "sample", option, "1", option, "2", code=2).stderr
    assert f"got {option.replace('-n', '--n')} 2 times: expected it once." in output
    run("find", "sample", "fargo", "--json", "--json")


def test_unknown_ids_and_genres_are_ignored_with_notes():
    known = run("recommend", "sample", "--rate", "50=5", "--csv")
    found = run("recommend", "sample", "--rate", "50=5", "--rate", "9999=4", "--exclude", "9998", "--csv")
    assert found.stdout == known.stdout
    assert "note: --rate 9999=4: ignored, because the item is not in the model" in found.stderr
    assert {row["source"] for row in rows("recommend", "sample", "--rate", "9999=4")} == {"popular"}
    found = run("recommend", "sample", "--user", "42", "--genres", "Comdy")
    assert "(none)" in found.stdout
    assert "note: --genres: no item has 'Comdy'; known: Action, Adventure," in found.stderr
    assert "Did you mean 'Comedy'?" in found.stderr
    assert "short: 0 of 10: no item has any of these genres (unknown_genre)" in found.stderr


@pytest.mark.parametrize("args", BAD, ids=" ".join)
def test_errors_name_command_line_options(args):
    output = run(*args, code=1)
    assert output.startswith(BAD[args])
    assert not re.search(r"item_id=|ratings=|find\('|genres=", output.removeprefix("--columns user_id=who"))


@pytest.mark.parametrize("args", BAD_TABLE, ids=" ".join)
def test_errors_of_reading_name_command_line_options(table, args):
    items = () if "--items" in args else ("--items", table / "movies.csv")
    output = run("recommend", table / "ratings.csv", "--user", "ann", *items, *args, code=1)
    assert BAD_TABLE[args] in output
    assert not re.search("invalid='|duplicates='|columns=", output)


WRONG = [
    (),
    ("recommend",),
    ("recommend", "sample"),
    ("recommend", "sample", "--user", "42", "--item", "134"),
    ("recommend", "sample", "--user", "42", "--rate", "134=5"),
    ("recommend", "sample", "--item", "134", "--genres", "War"),
    ("recommend", "sample", "--user", "42", "--json", "--csv"),
    ("recommend", "sample", "--user", "42", "-n", "0"),
    ("recommend", "sample", "--user", "42", "-n", "ten"),
    ("recommend", "sample", "--user", "42", "--by", "stars"),
    ("recommend", "sample", "--user", "42", "--preset", "best"),
    ("recommend", "sample", "--user", "42", "--ranker", "svd"),
    ("recommend", "sample", "--user", "42", "--duplicates", "all"),
    ("recommend", "sample", "--usr", "42"),
    ("predict", "sample", "--item", "134"),
    ("predict", "sample", "--user", "42"),
    ("explain", "sample", "--user", "42", "--item", "134", "--csv"),
    ("similar", "sample"),
    ("fit", "sample"),
    ("batch", "sample"),
    ("conjure", "sample"),
]


@pytest.mark.parametrize("args", WRONG, ids=" ".join)
def test_wrong_usage_exits_with_2_and_shows_the_usage(args):
    result = run(*args, code=2)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Usage: " in result.stderr + result.stdout


def test_wrong_usage_is_reported_before_reading(monkeypatch):
    monkeypatch.setattr("reelated.cli.shared_options.open_source", None)
    for args in (WRONG[2], WRONG[3], WRONG[6], WRONG[14]):
        run(*args, code=2)
    run("batch", "sample", "-o", "top.xlsx", code=1)


def test_values_of_the_data_are_not_translated_into_options(tmp_path):
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\n,1,3\n2,1,4\n")
    message = run("recommend", tmp_path / "ratings.csv", "--user", 2, code=1)
    assert "--invalid drop" in message
    assert "--user" not in message
    assert "--item" not in message


def test_the_process_prints_only_the_array_in_a_pipe(rec):
    result = as_process("recommend", "sample", "--user", 42, "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout) == plain(rec.recommend(42))
    assert result.stderr == ""


def test_the_installed_command_works():
    command = Path(sys.executable).with_name("reelated")
    if not command.exists():
        pytest.skip("needs the installed command beside this Python")
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"reelated {reelated.__version__}\n"


def test_the_exit_codes_of_the_process():
    bad = as_process("recommend", "sample", "--user", "9999")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert (
        bad.stderr.splitlines()[-1]
        == "Error: --user 9999: no ratings by this user. For a new user give --rate ITEM=RATING."
    )
    wrong = as_process("recommend", "sample")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    for result in (bad, wrong):
        assert "Traceback" not in result.stderr
        assert "\x1b" not in result.stderr


def test_a_system_error_has_no_traceback(tmp_path):
    code = "import sys; from reelated.cli import main; sys.argv = ['reelated', 'demo']; " + (
        "import reelated.cli.commands as c; c.open_source = lambda *_: open('/nowhere/at/all'); main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "Error: /nowhere/at/all: No such file or directory.\n"


def test_an_interrupt_exits_with_130_and_leaves_no_files(tmp_path):
    code = (
        "import sys, time, reelated.cli.batch as b; from reelated.cli import main; "
        "from reelated.recommender import Recommender; real = Recommender.recommend_batch\n"
        "def slow(self, *a, **k):\n"
        "    yield from real(self, 3)\n"
        "    print('ready', flush=True); time.sleep(60)\n"
        "Recommender.recommend_batch = slow\n"
        f"sys.argv = ['reelated', 'batch', 'sample', '-o', {str(tmp_path / 'top.csv')!r}]; main()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert [path.name.startswith(".top.csv-") for path in tmp_path.iterdir()] == [True]
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("n", "reader", "seen"), [(200, "head -c 1", "["), (1, "true", "")])
def test_a_closed_pipe_is_no_error(n, reader, seen):
    if os.name != "posix" or shutil.which("bash") is None:
        pytest.skip("needs a shell with pipes")
    command = f"{shlex.quote(sys.executable)} -m reelated recommend sample --user 42 -n {n} --json"
    result = subprocess.run(["bash", "-c", f"{command} | {reader}"], capture_output=True, text=True, check=False)
    assert result.stdout == seen
    assert result.stderr == ""


def test_output_works_in_an_ascii_terminal():
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    result = as_process("similar", "sample", "--item", "Amélie", env=env)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    array = as_process("find", "sample", "amelie", "--json", env=env)
    assert json.loads(array.stdout)[0]["title"] == "Amélie"


def test_tests_use_their_own_cache_folder():
    assert "cache" in cache_folder().name
    assert str(cache_folder()).startswith(os.environ["REELATED_CACHE"])


def test_a_misspelt_title_causes_a_note():
    near = run("predict", "sample", "--user", 300, "--item", "Matrx")
    assert near.stderr.splitlines()[-1] == "note: 'Matrx' is taken to mean The Matrix (1999)"
    assert "The Matrix (1999)" in near.stdout
    assert "taken to mean" not in run("predict", "sample", "--user", 300, "--item", "the matrix").stderr
    assert "taken to mean" not in run("predict", "sample", "--user", 300, "--item", "The Matrix (1999)").stderr


def test_the_current_folder_is_called_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("nothing here", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run("recommend", ".", "--user", 1, code=1).startswith(f"{tmp_path.name} contains no ratings")


def test_columns_of_the_sample_are_rejected():
    assert "the sample's columns are known" in run(
        "recommend", "sample", "--user", 1, "--columns", "rating=stars", code=1
    )


def test_recommend_works_without_a_cache_folder(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    nowhere = str(tmp_path / "file" / "cache")
    answer = run("recommend", "sample", "--user", 300, "-n", 3, "--json", REELATED_CACHE=nowhere)
    assert len(json.loads(answer.stdout)) == 3


COMPILING = "Compiling the engine, once: this takes some seconds.\n"


def freshly_made(monkeypatch, cache):
    """Return a kernel as at the start of a process, with an empty cache."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    return Kernel(lowest_of)


def lowest_of(a, b):
    return a if a < b else b  # kernels have no `min`


def test_a_note_about_compilation_is_printed_only_when_compiling(capsys, monkeypatch, tmp_path):
    kernel = freshly_made(monkeypatch, tmp_path)
    with working():
        pass
    assert capsys.readouterr().err == ""
    with working() as progress:
        progress(0.5)
        assert kernel(1, 2) == 1
        assert kernel(1.0, 2.0) == 1  # compiled once more: one line is enough
    assert capsys.readouterr().err == COMPILING
    with working():
        kernel(1, 2)
    assert capsys.readouterr().err == ""


def test_a_second_run_compiles_nothing(tmp_path):
    command = [sys.executable, "-m", "reelated", "recommend", "sample", "--user", "300", "-n", "1"]
    for run_ in ("first", "second"):
        own = os.environ | {"REELATED_CACHE": str(tmp_path / run_)}  # each of them fits
        done = subprocess.run(command, env=own, capture_output=True, encoding="utf-8", check=True)
    assert "ompil" not in done.stderr


def test_the_progress_bar_keeps_its_width_below_the_compiler_note(monkeypatch, tmp_path):
    screen = Console(file=io.StringIO(), width=80, force_terminal=True)
    monkeypatch.setattr(progress_bars, "errors", screen)
    with working("Evaluating default") as progress:
        freshly_made(monkeypatch, tmp_path)(1, 2)
        progress(0.4)
        time.sleep(0.3)  # the bar is drawn ten times a second
    lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.file.getvalue()).replace("\r", "\n").splitlines()
    assert COMPILING.strip() in lines
    bar = next(line for line in lines if line.startswith("Evaluating default") and "40%" in line)
    assert bar.count("━") + bar.count("╺") + bar.count("╸") >= 40
