"""Settings are tried on a part of the data, the same for the same seed, and never kept where they are worse."""

import json
import sys

import pytest
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.cli.shared_options import as_settings
from reelated.errors import InputError
from reelated.evaluation import evaluate, tune, tuning, within_users
from reelated.evaluation.tuning import SPACES, Either, Real, Whole
from reelated.models import BPMF, EASE, MODELS, ItemKNN
from reelated.recommender import Recommender


@pytest.fixture(scope="module")
def sample():
    return reelated.read("sample")


@pytest.fixture
def quick(monkeypatch):
    """Judge by the settings alone, without a fit: the less shrinkage the better, and the defaults are the worst."""
    monkeypatch.setattr(tuning, "_judge_of", lambda split, goal: lambda model: 1 / (1 + shrinkage_of(model)))


def shrinkage_of(model):
    return model.get_params().get("shrinkage", 1e9)


def test_the_same_seed_tries_the_same(sample, quick):
    first, again, other = (tune(sample, model="item-knn", trials=8, seed=seed) for seed in (1, 1, 2))
    assert again.trials.equals(first.trials)
    assert again.settings == first.settings
    assert not other.trials.equals(first.trials)


def test_the_best_is_kept(sample, quick):
    found = tune(sample, model="item-knn", trials=8)
    assert len(found.trials) == 8
    assert found.value == max(found.trials["value"]) > found.default
    best = found.trials.filter(found.trials["value"] == found.value).drop("value").row(0, named=True)
    assert found.settings == best


def test_of_errors_the_least_is_kept(sample, quick):
    found = tune(sample, "rating", trials=8)
    assert found.value == min([found.default, *found.trials["value"]])


@pytest.mark.parametrize(("goal", "measure"), [("any", "ndcg@10"), ("liked", "ndcg@10"), ("rating", "rmse")])
def test_the_value_is_what_evaluate_measures_with_the_printed_line(goal, measure, sample):
    found = tune(sample, goal, trials=3)
    split = within_users(sample)
    names = {"Recommender": Recommender, "EASE": EASE, "BPMF": BPMF, "ItemKNN": ItemKNN}
    relevance = None if goal == "rating" else goal
    assert evaluate(eval(found.python, names), split).value(measure, relevance) == pytest.approx(found.value)
    assert evaluate(Recommender(), split).value(measure, relevance) == pytest.approx(found.default)
    better = found.value <= found.default if goal == "rating" else found.value >= found.default
    assert better


def test_every_model_that_ranks_can_be_tuned(sample):
    for name, spaces in SPACES.items():
        if "ranker" in spaces:
            found = tune(sample, "any", model=name, trials=2)
            assert found.trials["value"].drop_nulls().is_between(0, 1).all()
            assert MODELS[name].__name__ in found.python or not found.settings


def test_without_time_the_defaults_are_kept(sample):
    found = tune(sample, minutes=0)
    assert (found.settings, found.python, found.value) == ({}, "Recommender()", found.default)


def test_settings_that_do_not_go_together_are_passed_over(sample):
    trials = tune(sample, model="item-knn", trials=12).trials
    impossible = (trials["similarity"] == "jaccard") & trials["weighting"].is_not_null()
    assert impossible.any()
    assert trials.filter(impossible)["value"].null_count() == impossible.sum()
    assert trials.filter(~impossible)["value"].null_count() == 0


def test_progress_never_falls_and_ends_with_all(sample, quick):
    told = []
    tune(sample, model="item-knn", trials=4, progress=lambda done, best: told.append((done, best)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == 1
    assert [best for _, best in told] == sorted(best for _, best in told)


@pytest.mark.parametrize("name", SPACES)
def test_what_is_tried_are_settings_of_the_model(name):
    for space in SPACES[name].values():
        assert space.keys() <= MODELS[name]().get_params().keys()
        for kind in space.values():
            assert len(kind.values) > 1 if isinstance(kind, Either) else 0 < kind.low < kind.high
            assert isinstance(kind, (Either, Whole, Real))


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
def test_wrong_arguments_are_named(sample, options, message):
    with pytest.raises(InputError, match=message):
        tune(sample, **options)


def test_without_optuna_it_is_said_how_to_get_it(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install '\.\[evaluate\]'"):
        tune(sample)
    told = CliRunner().invoke(app, ["tune", "no such source"])  # before anything is read
    assert "Optuna is not installed" in str(told.exception)


def test_the_terminal_prints_the_lines_that_use_the_settings(sample, quick):
    words = ["tune", "sample", "--model", "item-knn", "--trials", "8"]
    (told,) = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    found = tune(sample, model="item-knn", trials=8)
    assert (told["settings"], told["python"], told["value"]) == (found.settings, found.python, found.value)
    shown = CliRunner().invoke(app, words).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("Terminal: reelated ")]
    model, *settings = line.removeprefix("Terminal: reelated recommend sample --model ").split(" --set ")
    assert (model, as_settings(settings)) == ("item-knn", found.settings)
    assert f"Python:   {found.python}" in shown
