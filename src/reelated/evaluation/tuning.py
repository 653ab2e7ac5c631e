"""`tune`: search for the best hyperparameters of a model within a time budget."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from reelated.errors import InputError, check_choice, check_integer, check_number, import_optional
from reelated.evaluation.evaluate import fit_copy, lists_for, predict
from reelated.evaluation.metrics import rmse
from reelated.evaluation.scoring import hold_out, liked_mask, score_lists
from reelated.evaluation.splits import Split, within_users
from reelated.models import MODELS, BiasModel, Popularity
from reelated.ratings import Dataset, FrameLike
from reelated.ratings.dataset import as_dataset
from reelated.recommender import Recommender
from reelated.recommender.fitting import fit_model, set_fitted, unfitted_models
from reelated.recommender.weights import fit_values, model_scale

Goal = Literal["any", "liked", "rating"]
N, SHARE = 10, 0.2
"""Length of the lists, and share of each user's ratings hidden, when a trial is measured."""


Values = list[Any] | tuple[float, ...]
Space = dict[str, Values]
"""Setting → a list of values; or the ends of a range, sampled on a log scale, of integers if both ends are; or the ends
of a range and its step."""
SPACES: dict[str, dict[str, Space]] = {
    "ease": {
        "ranker": {
            "l2": (10.0, 2000.0),
            "dropout": (0.0, 0.9, 0.05),
            "min_weight": [0.0, 0.25, 0.5, 0.75, 1.0],
            "user_normalization": (0.0, 0.5, 0.05),
            "item_normalization": (0.0, 0.3, 0.05),
        }
    },
    "bpmf": {"rater": {"n_factors": (4, 32), "n_implicit_factors": (5, 60)}},
    "item-knn": {
        "ranker": {
            "similarity": ["cosine", "jaccard"],
            "weighting": [None, "tf-idf", "bm25"],
            "n_neighbors": (50, 500),
            "shrinkage": (0.1, 1000.0),
        },
        "rater": {
            "similarity": ["residual-cosine", "residual-pearson", "pearson"],
            "n_neighbors": (50, 500),
            "max_neighbors_used": (10, 100),
            "shrinkage": (1.0, 1000.0),
            "prior_weight": (0.001, 1.0),
        },
    },
}
"""The search space of each model, as a ranker and as a rater."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """The best settings of a model found by `tune`.

    Attributes
    ----------
    model : str
        Its name in the terminal.
    goal : {"any", "liked", "rating"}
        The metric that was optimised: `ndcg@10` of either kind of relevance, or the RMSE of predicted ratings.
    settings : dict
        The best settings found; empty if none were better than `Recommender()`.
    value, default : float
        The metric with these settings, and that of `Recommender()`.
    trials : polars.DataFrame
        All trials: the settings and `value`, null if the settings cannot be combined.
    """

    model: str
    goal: Goal
    settings: dict[str, Any]
    value: float
    default: float
    trials: pl.DataFrame

    @property
    def measure(self) -> str:
        """Name of the optimised metric."""
        return "RMSE" if self.goal == "rating" else f"nDCG@{N}, {'liked' if self.goal == 'liked' else 'rated at all'}"

    @property
    def python(self) -> str:
        """Line of Python that uses the settings."""
        if not self.settings:
            return "Recommender()"
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Recommender({_role(self.goal)}={MODELS[self.model].__name__}({arguments}))"

    @property
    def terminal(self) -> str:
        """Terminal options that use the settings; those of the rater begin with `rater__`."""
        role = _role(self.goal)
        values = {name: "none" if value is None else value for name, value in self.settings.items()}
        prefix = "rater__" * (role == "rater")
        return " ".join(
            [f"--{role} {self.model}", *(f"--set {prefix}{name}={value}" for name, value in values.items())]
        )


def tune(
    data: Dataset | FrameLike,
    goal: Goal | None = None,
    *,
    model: str | None = None,
    minutes: float = 5.0,
    trials: int | None = None,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> Tuning:
    """Search for the best settings of a model on a part of the data.

    A fifth of each user's ratings, chosen at random, is hidden to measure the trials. Optuna proposes the settings
    (tree-structured Parzen estimator, Bergstra et al. 2011). Pass training data alone, and measure the settings found
    on data that `tune` has not seen.

    Parameters
    ----------
    data : Dataset or table
        The data that the settings are measured on.
    goal : {"any", "liked", "rating"}, optional
        Metric to optimise: nDCG with any rated item or only liked items as relevant, or the RMSE of predicted ratings.
        The default is "liked", and "any" for events.
    model : str, optional
        The model's name in the terminal; by default "ease" for lists and "bpmf" for predicted ratings.
    minutes : float, default 5.0
        Time budget in minutes; a running trial is completed.
    trials : int, optional
        Maximum number of trials. The same seed and version of Optuna then give the same result, unless the time runs
        out.
    seed : int, default 0
        Random seed of the hold-out split and the search.
    progress : callable, optional
        Called with the completed fraction and the best value so far.

    Raises
    ------
    InputError
        An argument cannot be used, or Optuna is not installed.
    """
    goal = _check_goal(goal, data := as_dataset(data))
    model = model or ("bpmf" if goal == "rating" else "ease")
    space = _space(goal, model, one_valued=data.ratings.is_one_valued)
    minutes, trials = check_number("minutes", minutes, 0), check_integer("trials", trials, 1, none=True)
    optuna = check_optuna()
    seed, maximize = check_integer("seed", seed, 0), goal != "rating"
    score = _score_function(within_users(data, SHARE, seed=seed), goal)
    default_model = getattr(unfitted_models(Recommender(), data)[0], _role(goal))
    default, results, start = score(default_model), [], time.monotonic()

    def objective(trial: Any) -> float:
        settings = {name: _suggest(trial, name, values) for name, values in space.items()}
        try:
            value = score(MODELS[model](**settings))
        except InputError:  # these settings cannot be combined
            results.append({**settings, "value": None})
            raise optuna.TrialPruned from None
        results.append({**settings, "value": value})
        return value

    def report(study: Any, trial: Any) -> None:
        if progress:
            time_used = (time.monotonic() - start) / (60 * minutes) if minutes else 1.0
            progress(min(1.0, max(time_used, len(results) / (trials or np.inf))), _best(results, maximize, default)[0])

    study = _study(optuna, maximize, seed)
    _begin_with(study, default_model, space, default)
    study.optimize(objective, n_trials=trials, timeout=60 * minutes, callbacks=[report])
    value, settings = _best(results, maximize, default)
    return Tuning(model, goal, settings, value, default, pl.DataFrame(results, infer_schema_length=None))


def _check_goal(goal: Any, data: Dataset) -> Goal:
    """Return a goal that can be measured on the data, or raise `InputError`."""
    if goal is None:
        return "any" if data.ratings.has_no_scale else "liked"
    if check_choice("goal", goal, ("any", "liked", "rating")) != "any" and data.ratings.has_no_scale:
        reason = "all ratings are equal" if data.ratings.is_one_valued else "events have no ratings"
        raise InputError(f"{reason}, so the only goal is 'any'.", parameter="goal", value=goal)
    return cast(Goal, goal)


def _space(goal: Goal, model: str, *, one_valued: bool) -> Space:
    """Return the search space of a model, or name the models that can be tuned for the goal."""
    role = _role(goal)
    space = SPACES[check_choice("model", model, [name for name, spaces in SPACES.items() if role in spaces])][role]
    return {name: kind for name, kind in space.items() if not (one_valued and name == "min_weight")}


def _role(goal: Goal) -> str:
    return "rater" if goal == "rating" else "ranker"


def check_optuna() -> Any:
    """Return Optuna with its log silenced, or raise an error that says how to install it."""
    optuna = import_optional("optuna", "evaluate", "Optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(optuna: Any, maximize: bool, seed: int) -> Any:
    """Return a study that learns from its first trial on, because the defaults are a good start."""
    sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=seed)
    return optuna.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)


def _begin_with(study: Any, model: Any, space: Space, value: float) -> None:
    """Report a model's value to a study if it has all settings of the space, so that the search starts from them."""
    if not all(hasattr(model, name) for name in space):
        return
    study.enqueue_trial({name: getattr(model, name) for name in space})
    trial = study.ask()
    for name, values in space.items():
        _suggest(trial, name, values)
    study.tell(trial, value)


def _suggest(trial: Any, name: str, values: Values) -> Any:
    """Sample a value with Optuna; numbers are rounded to three significant digits."""
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    low, high, *step = values
    if isinstance(low, int):
        return trial.suggest_int(name, low, high, log=True)
    steps = {"step": step[0]} if step else {"log": True}
    return float(f"{trial.suggest_float(name, low, high, **steps):.3g}")


def _best(results: list[dict[str, Any]], maximize: bool, default: float) -> tuple[float, dict[str, Any]]:
    """Return the best value and its settings, which are empty if the default is best."""
    best, settings = default, {}
    for result in results:
        value = result["value"]
        if value is not None and (value > best if maximize else value < best):
            best, settings = value, {name: setting for name, setting in result.items() if name != "value"}
    return best, settings


def _score_function(split: Split, goal: Goal) -> Callable[[Any], float]:
    """Return a function that fits a model to the training part and measures it on the hidden part."""
    if goal == "rating":
        return lambda model: _rmse(model, split)
    rec = fit_copy(Recommender(Popularity(), BiasModel()), split.train)  # cheap to fit
    return lambda model: _ndcg(model, split, rec, goal)


def _ndcg(model: Any, split: Split, rec: Recommender, goal: Goal) -> float:
    """Return the nDCG of a recommender's lists with the model as its ranker."""
    train, test = split.train.ratings, split.test
    fit_model(model, fit_values(train), model_scale(train.scale, train.feedback), rec.catalogue_)
    liked, _ = liked_mask(test, train, None)
    hidden = hold_out(test["user_id"], test["item_id"], train.item_ids, liked)
    models = rec.models_._replace(ranker=model)
    rec = set_fitted(copy.copy(rec), models, rec.catalogue_, rec.scale_, rec.ratings_)
    lists, able = lists_for(rec, split, hidden, N, "items")
    metrics = {(values.measure, values.relevance): values for values in score_lists(lists, able, hidden, [N])}
    ndcg = metrics[f"ndcg@{N}", goal]
    if not ndcg.weights.sum():
        remedy = "Choose another goal, or give more ratings."
        raise InputError("no hidden rating counts as a hit.", parameter="goal", value=goal, remedy=remedy)
    return float(ndcg.totals.sum() / ndcg.weights.sum())


def _rmse(model: Any, split: Split) -> float:
    """Return the RMSE of a model's predicted ratings; the mean replaces missing predictions."""
    rec = fit_copy(Recommender(Popularity(), model), split.train)  # passes the side information
    train, test = rec.kept_ratings(), split.test
    users, items = train.user_ids.indices_of(test["user_id"]), train.item_ids.indices_of(test["item_id"])
    predicted, _ = predict(rec, users, items, float(train.matrix.data.mean(dtype=np.float64)))
    return rmse(predicted, test["rating"].to_numpy().astype(np.float64))
