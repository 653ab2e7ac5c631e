"""A rating of a known moment leans on the person's other ratings of that moment, and on nothing of later."""

import numpy as np
import pytest

import contract
from reelated.errors import InputError
from reelated.models import BPMF, BiasModel, ItemKNN
from reelated.models.sittings import predict_at

X = contract.table()
TIMES = np.random.default_rng(8).integers(0, 200, X.nnz)


@pytest.mark.parametrize(
    "model", [BiasModel(), ItemKNN("residual-cosine"), ItemKNN(), BPMF(n_factors=2, n_samples=2)], ids=str
)
def test_predictions_move_by_the_surprises_of_their_moment(model):
    model.fit(X, scale=(-9, 15))
    rows, items = contract.every_pair(X)
    moments = np.random.default_rng(9).integers(0, 200, len(rows))
    found = predict_at(model, X, TIMES, rows, items, moments, span=20, prior=0.5)
    plain = model.predict_pairs(X, rows, items)
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    surprises = X.data - model.predict_pairs(X, users, X.indices)
    for at, (u, i) in enumerate(zip(rows, items, strict=True)):
        if np.isnan(plain[at]):
            assert np.isnan(found[at])
            continue
        others = [p for p in range(X.indptr[u], X.indptr[u + 1]) if X.indices[p] != i]
        near = [1 / (1 + abs(moments[at] - TIMES[p]) / 20) for p in others]
        shift = sum(w * np.nan_to_num(surprises[p]) for w, p in zip(near, others, strict=True)) / (0.5 + sum(near))
        assert found[at] == pytest.approx(plain[at] + shift, abs=2e-6)


def test_what_is_far_away_in_time_does_not_count_and_predictions_stay_on_the_scale():
    model = BiasModel().fit(X)
    rows, items = contract.every_pair(X)
    late = predict_at(model, X, TIMES, rows, items, np.full(len(rows), 10**12))
    assert late == pytest.approx(model.predict_pairs(X, rows, items), abs=1e-5)
    near = predict_at(model, X, np.zeros(X.nnz), rows, items, np.zeros(len(rows)), prior=0)
    assert near.min() >= 1
    assert near.max() <= 5
    assert np.abs(near - late).max() > 0.3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"times": TIMES[1:]}, r"times of type int64 and shape \(\d+,\): expected \d+ seconds"),
        ({"times": TIMES * np.nan}, "times of type float64"),
        ({"moments": [1, 2]}, r"moments of type int64 and shape \(2,\): expected 1 seconds"),
        ({"moments": ["1"]}, "moments of type <U1"),
        ({"span": 0}, "span=0: expected seconds above 0"),
        ({"span": -1}, "span=-1"),
        ({"prior": -1}, "prior=-1"),
        ({"rows": [99]}, "rows=99"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(wrong, words):
    asked = {"times": TIMES, "rows": [0], "items": [1], "moments": [5]} | wrong
    with pytest.raises(InputError, match=words):
        predict_at(BiasModel().fit(X), X, **asked)
