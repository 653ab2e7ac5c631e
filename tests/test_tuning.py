"""`tune`: trials are reproducible, and the result is never worse than the defaults."""

import json
import sys

import pytest
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.cli.shared_options import as_settings
from reelated.errors import InputError
from reelated.evaluation import evaluate, tune, tuning, within_users
from reelated.evaluation.tuning import SPACES
from reelated.models import BPMF, EASE, MODELS, ItemKNN
from reelated.recommender import Recommender


@pytest.fixture(scope="module")
def sample():
    return reelated.read("sample")


@pytest.fixture
def quick(monkeypatch):
    """Score settings without a fit: lower shrinkage is better, and the defaults are the worst."""
    monkeypatch.setattr(tuning, "_score_function", lambda split, goal: lambda model: 1 / (1 + shrinkage_of(model)))


def shrinkage_of(model):
    return model.get_params().get("shrinkage", 1e9)


def test_the_seed_determines_the_trials(sample, quick):
    first, again, other = (tune(sample, model="item-knn", trials=8, seed=seed) for seed in (1, 1, 2))
    assert again.trials.equals(first.trials)
    assert again.settings == first.settings
    assert not other.trials.equals(first.trials)


def test_the_best_settings_are_returned(sample, quick):
    result = tune(sample, model="item-knn", trials=8)
    assert len(result.trials) == 8
    assert result.value == max(result.trials["value"]) > result.default
    best = result.trials.filter(result.trials["value"] == result.value).drop("value").row(0, named=True)
    assert result.settings == best


def test_the_lowest_error_is_returned(sample, quick):
    result = tune(sample, "rating", trials=8)
    assert result.value == min([result.default, *result.trials["value"]])


@pytest.mark.parametrize(("goal", "measure"), [("any", "ndcg@10"), ("liked", "ndcg@10"), ("rating", "rmse")])
def test_evaluate_gives_the_same_value_for_the_printed_line(goal, measure, sample):
    result = tune(sample, goal, trials=3)
    split = within_users(sample)
    names = {"Recommender": Recommender, "EASE": EASE, "BPMF": BPMF, "ItemKNN": ItemKNN}
    relevance = None if goal == "rating" else goal
    assert evaluate(eval(result.python, names), split).value(measure, relevance) == pytest.approx(result.value)
    assert evaluate(Recommender(), split).value(measure, relevance) == pytest.approx(result.default)
    better = result.value <= result.default if goal == "rating" else result.value >= result.default
    assert better


def test_every_ranker_can_be_tuned(sample):
    for name, spaces in SPACES.items():
        if "ranker" in spaces:
            result = tune(sample, "any", model=name, trials=2)
            assert result.trials["value"].drop_nulls().is_between(0, 1).all()
            assert MODELS[name].__name__ in result.python or not result.settings


def test_without_time_the_defaults_are_returned(sample):
    result = tune(sample, minutes=0)
    assert (result.settings, result.python, result.value) == ({}, "Recommender()", result.default)


def test_settings_that_cannot_be_combined_are_pruned(sample):
    trials = tune(sample, model="item-knn", trials=12).trials
    impossible = (trials["similarity"] == "jaccard") & trials["weighting"].is_not_null()
    assert impossible.any()
    assert trials.filter(impossible)["value"].null_count() == impossible.sum()
    assert trials.filter(~impossible)["value"].null_count() == 0


@pytest.mark.parametrize("table", [{"user": [1] * 6 + [2] * 6 + [3] * 6, "item": list(range(6)) * 3}])
def test_the_default_goal_fits_the_data(table, sample, quick):
    assert tune(table, model="item-knn", trials=1).goal == "any"  # also from a table
    assert tune(sample, model="item-knn", trials=1).goal == "liked"


@pytest.mark.parametrize("table", [{"user": [1] * 6 + [2] * 6, "item": list(range(6)) * 2}])
def test_the_weight_of_the_lowest_rating_is_not_tuned_if_all_are_equal(table, quick):
    assert set(tune(table, model="ease", trials=1).trials.columns) == {*SPACES["ease"]["ranker"], "value"} - {
        "min_weight"
    }


def test_the_search_departs_from_the_defaults(sample, monkeypatch):
    known = []
    monkeypatch.setattr(tuning, "_score_function", lambda split, goal: lambda model: 0.25)
    monkeypatch.setattr("optuna.study.Study.optimize", lambda study, objective, **_: known.append(study.best_trial))
    tune(sample, trials=1)
    assert known[0].value == 0.25
    assert known[0].params == {name: getattr(EASE(), name) for name in SPACES["ease"]["ranker"]}


def test_progress_never_decreases_and_ends_at_1(sample, quick):
    calls = []
    tune(sample, model="item-knn", trials=4, progress=lambda done, best: calls.append((done, best)))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == 1
    assert [best for _, best in calls] == sorted(best for _, best in calls)


@pytest.mark.parametrize("name", SPACES)
def test_search_spaces_hold_settings_of_the_model(name):
    for space in SPACES[name].values():
        assert space.keys() <= MODELS[name]().get_params().keys()
        for kind in space.values():
            assert isinstance(kind, (list, tuple))
            if isinstance(kind, list):
                assert len(kind) > 1
            elif len(kind) == 3:
                assert 0 <= kind[0] < kind[0] + kind[2] < kind[1]
            else:
                assert 0 < kind[0] < kind[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": "good"}, "goal='good': expected"),
        ({"model": "knn"}, "model='knn': expected"),
        ({"model": "ease", "goal": "rating"}, "model='ease': expected one of 'bpmf', 'item-knn'"),
        ({"minutes": -1}, "minutes=-1: expected"),
        ({"trials": 0}, "trials=0: expected"),
    ],
)
def test_error_messages_name_the_argument(sample, options, message):
    with pytest.raises(InputError, match=message):
        tune(sample, **options)


def test_without_optuna_the_message_says_how_to_install_it(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install '\.\[evaluate\]'"):
        tune(sample)
    result = CliRunner().invoke(app, ["tune", "no such source"])  # before anything is read
    assert "Optuna is not installed" in str(result.exception)


def test_the_terminal_prints_the_lines_that_use_the_settings(sample, quick):
    words = ["tune", "sample", "--model", "item-knn", "--trials", "8"]
    (output,) = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    result = tune(sample, model="item-knn", trials=8)
    assert (output["settings"], output["python"], output["value"]) == (result.settings, result.python, result.value)
    shown = CliRunner().invoke(app, words).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("Terminal: reelated ")]
    model, *settings = line.removeprefix("Terminal: reelated recommend sample --ranker ").split(" --set ")
    assert (model, as_settings(settings)) == ("item-knn", result.settings)
    assert f"Python:   {result.python}" in shown
