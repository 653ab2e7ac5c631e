"""`tune`: search the hyperparameters of a model within a time budget."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import polars as pl

from reelated.errors import InputError, check_choice, check_integer, check_number, not_installed
from reelated.evaluation import asking
from reelated.evaluation.judging import asked_of, liked_of, of_lists
from reelated.evaluation.metrics import rmse
from reelated.evaluation.running import lists_for
from reelated.evaluation.splits import Split, within_users
from reelated.models import MODELS, BiasModel, Popularity
from reelated.ratings import Dataset, FrameLike
from reelated.ratings.dataset import as_dataset
from reelated.recommender import Recommender
from reelated.recommender.defaults import fit_model

Goal = Literal["any", "liked", "rating"]
N, SHARE = 10, 0.2
"""Length of the lists, and share of each user's ratings hidden, when a trial is measured."""


class Whole(NamedTuple):
    """Integers from low to high, sampled on a log scale."""

    low: int
    high: int


class Real(NamedTuple):
    """Numbers from low to high, sampled on a log scale."""

    low: float
    high: float


class Either(NamedTuple):
    """One of several values."""

    values: tuple[Any, ...]


Space = dict[str, Whole | Real | Either]
SPACES: dict[str, dict[str, Space]] = {
    "ease": {
        "ranker": {
            "l2": Real(10, 2000),
            "dropout": Either((0.0, 0.2, 0.35, 0.5, 0.65, 0.8)),
            "min_weight": Either((0.0, 0.25, 0.5, 1.0)),
        },
    },
    "bpmf": {"rater": {"n_factors": Whole(4, 32), "n_tastes": Whole(5, 60)}},
    "item-knn": {
        "ranker": {
            "similarity": Either(("cosine", "jaccard")),
            "weighting": Either((None, "tf-idf", "bm25")),
            "n_neighbors": Whole(50, 500),
            "shrinkage": Real(0.1, 1000),
        },
        "rater": {
            "similarity": Either(("residual-cosine", "residual-pearson", "pearson")),
            "n_neighbors": Whole(50, 500),
            "max_neighbors_used": Whole(10, 100),
            "shrinkage": Real(1, 1000),
            "prior_weight": Real(0.001, 1),
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
        The best settings found; empty where none were better than `Recommender()`.
    value, default : float
        The metric with these settings, and that of `Recommender()`.
    trials : polars.DataFrame
        All trials: the settings and `value`, null where the settings cannot be combined.
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
        given = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Recommender({_role(self.goal)}={MODELS[self.model].__name__}({given}))"

    @property
    def terminal(self) -> str | None:
        """Terminal options that use the settings; None for predicted ratings: the terminal sets only the ranker."""
        if _role(self.goal) == "rater":
            return None
        said = {name: "none" if value is None else value for name, value in self.settings.items()}
        return " ".join([f"--model {self.model}", *(f"--set {name}={value}" for name, value in said.items())])


def tune(
    data: Dataset | FrameLike,
    goal: Goal = "liked",
    *,
    model: str | None = None,
    minutes: float = 5.0,
    trials: int | None = None,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> Tuning:
    """Search the settings of a model on a part of the data, and return the best.

    A fifth of each user's ratings, chosen at random, is hidden to measure the trials. Optuna proposes the settings
    (tree-structured Parzen estimator, Bergstra et al. 2011). Pass training data alone, and measure the settings found
    on data that `tune` has not seen.

    Parameters
    ----------
    data : Dataset or table
        The data to search on.
    goal : {"any", "liked", "rating"}, default "liked"
        Metric to optimise: nDCG with any rated item or only liked items as relevant, or the RMSE of predicted ratings.
    model : str, optional
        Its name in the terminal; by default "ease" for lists and "bpmf" for predicted ratings.
    minutes : float, default 5.0
        Time budget in minutes; a trial that has begun is finished.
    trials : int, optional
        Maximum number of trials. The same seed then gives the same result, unless the time runs out.
    seed : int, default 0
        Random seed of the hold-out split and the search.
    progress : callable, optional
        Called with the completed share and the best value so far.

    Returns
    -------
    Tuning

    Raises
    ------
    InputError
        An argument cannot be used, or Optuna is not installed.
    """
    goal = _check_goal(goal, data)
    model = model or ("bpmf" if goal == "rating" else "ease")
    space = _space(goal, model)
    minutes, trials = check_number("minutes", minutes, 0), check_integer("trials", trials, 1, none=True)
    optuna = check_optuna()
    judge = _judge_of(within_users(data := as_dataset(data), SHARE, seed=check_integer("seed", seed, 0)), goal)
    default, tried, began = judge(getattr(Recommender().unfitted_models(data)[0], _role(goal))), [], time.monotonic()
    up = goal != "rating"

    def objective(trial: Any) -> float:
        settings = {name: _suggested(trial, name, kind) for name, kind in space.items()}
        try:
            value = judge(MODELS[model](**settings))
        except InputError:  # these settings cannot be combined
            tried.append({**settings, "value": None})
            raise optuna.TrialPruned from None
        tried.append({**settings, "value": value})
        return value

    def told(study: Any, trial: Any) -> None:
        if progress:
            shares = [(time.monotonic() - began) / (60 * minutes) if minutes else 1.0, len(tried) / (trials or np.inf)]
            progress(min(1.0, max(shares)), _best(tried, up, default)[0])

    study = optuna.create_study(
        direction="maximize" if up else "minimize", sampler=optuna.samplers.TPESampler(seed=seed)
    )
    study.optimize(objective, n_trials=trials, timeout=60 * minutes, callbacks=[told])
    value, settings = _best(tried, up, default)
    return Tuning(model, goal, settings, value, default, pl.DataFrame(tried, infer_schema_length=None))


def _check_goal(goal: Any, data: Dataset) -> Goal:
    """Return a goal that the data can measure, or raise `InputError`."""
    if check_choice("goal", goal, ("any", "liked", "rating")) != "any" and data.ratings.is_one_valued:
        raise InputError(f"goal={goal!r}: all ratings are equal, so the one goal that means anything is 'any'.")
    return cast(Goal, goal)


def _space(goal: Goal, model: str) -> Space:
    """Return the search space of a model, or name the models that can be tuned for the goal."""
    role = _role(goal)
    return SPACES[check_choice("model", model, [name for name, spaces in SPACES.items() if role in spaces])][role]


def _role(goal: Goal) -> str:
    return "rater" if goal == "rating" else "ranker"


def check_optuna() -> Any:
    """Return Optuna with its log silenced, or say how to install it."""
    try:
        import optuna
    except ImportError:
        raise not_installed("Optuna", "evaluate") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _suggested(trial: Any, name: str, kind: Whole | Real | Either) -> Any:
    """Let Optuna choose a value; numbers are rounded to three significant digits."""
    if isinstance(kind, Either):
        return trial.suggest_categorical(name, kind.values)
    if isinstance(kind, Whole):
        return trial.suggest_int(name, kind.low, kind.high, log=True)
    return float(f"{trial.suggest_float(name, kind.low, kind.high, log=True):.3g}")


def _best(tried: list[dict[str, Any]], up: bool, default: float) -> tuple[float, dict[str, Any]]:
    """Return the best value and its settings, which are empty where the default is best."""
    best, settings = default, {}
    for one in tried:
        if one["value"] is not None and (one["value"] > best if up else one["value"] < best):
            best, settings = one["value"], {name: value for name, value in one.items() if name != "value"}
    return best, settings


def _judge_of(split: Split, goal: Goal) -> Callable[[Any], float]:
    """Return a function that fits a model to the training part and measures it on the hidden part."""
    if goal == "rating":
        return lambda model: _rmse(model, split)
    bare = asking.fitted(Recommender(Popularity(), BiasModel()), split.train)  # cheap to fit
    return lambda model: _ndcg(model, split, bare, goal)


def _ndcg(model: Any, split: Split, bare: Recommender, goal: Goal) -> float:
    """Return the nDCG of the lists that a recommender makes with the model as its ranker."""
    kept, test = split.train.ratings, split.test
    fit_model(model, kept.matrix, kept.scale[:2], bare.catalogue_)
    liked, _ = liked_of(test, kept, None)
    asked = asked_of(test["user_id"], test["item_id"], kept.item_ids, liked)
    lists, able = lists_for(asking.with_ranker(bare, model), split, asked, N, "items", lambda done: None)
    found = {(one.measure, one.relevance): one for one in of_lists(lists, able, asked, [N])}
    ndcg = found[f"ndcg@{N}", goal]
    if not ndcg.weights.sum():
        raise InputError(f"goal={goal!r}: no hidden rating counts as a hit. Choose another goal, or give more ratings.")
    return float(ndcg.totals.sum() / ndcg.weights.sum())


def _rmse(model: Any, split: Split) -> float:
    """Return the RMSE of a model's predicted ratings; the mean replaces missing predictions."""
    rec = asking.fitted(Recommender(Popularity(), model), split.train)  # passes the side information
    kept, test, model = rec.kept_ratings(), split.test, rec.models_.rater
    users, items = kept.user_ids.indices_of(test["user_id"]), kept.item_ids.indices_of(test["item_id"])
    predicted, known = np.full(len(users), np.nan), (users >= 0) & (items >= 0)
    predicted[known] = model.predict_pairs(kept.matrix, users[known], items[known])
    predicted = np.nan_to_num(predicted, nan=float(kept.matrix.data.mean(dtype=np.float64)))
    return rmse(predicted, test["rating"].to_numpy().astype(np.float64))
