"""Degree normalisation: both models against the oracle, the same on any number of threads, saved and loaded."""

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import contract
import naive
from contract import rating_tables
from reelated.errors import InputError
from reelated.models import EASE, ItemKNN
from reelated.recommender import Recommender

EXPONENTS = st.sampled_from([(0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (1.0, 1.0)])


@given(rating_tables(), EXPONENTS, st.sampled_from([2, None]))
def test_ease_equals_the_oracle(R, exponents, near):
    X, (user, item) = naive.as_csr(R), exponents
    model = EASE(
        l2=2.0, user_normalization=user, item_normalization=item, n_candidates=near, n_neighbors=None, dtype="float64"
    ).fit(X)
    assume(not naive.hardly_apart(naive.ease_values(R, model), near))
    assert model.item_weights_.toarray() == pytest.approx(naive.ease_weights(R, model), abs=1e-6)


@given(rating_tables(), EXPONENTS)
def test_item_knn_equals_the_oracle(R, exponents):
    user, item = exponents
    model = ItemKNN(user_normalization=user, item_normalization=item, n_neighbors=None, dtype="float64")
    expected, _ = naive.item_similarity(R * naive.degree_factors(R, user, axis=1)[:, None])
    expected *= naive.degree_factors(R, item, axis=0)[:, None]
    assert model.fit(naive.as_csr(R)).item_weights_.toarray() == pytest.approx(expected, abs=1e-9)


def test_users_with_many_ratings_count_less_and_items_with_many_have_lower_scores():
    """User 0 with four ratings of a mean of 2.5 has the factor (4 / 2.5)^-1; item 0 with two of 5/3 (6/5)^-1."""
    X = naive.as_csr(np.array([[1, 1, 1, 1], [1, np.nan, np.nan, np.nan]]))
    plain, scaled = (ItemKNN(item_normalization=exponent, dtype="float64").fit(X) for exponent in (0.0, 1.0))
    ratio = scaled.item_weights_.data / plain.item_weights_.data
    assert ratio[:3] == pytest.approx(1.25 / 2)
    assert ratio[3:] == pytest.approx(1.25 / 1)
    weighted = ItemKNN(user_normalization=1.0, dtype="float64").fit(X).item_weights_.toarray()
    v = 2.5 / 4, 2.5 / 1
    assert weighted[0, 1] == pytest.approx(v[0] / np.hypot(*v))


@pytest.mark.parametrize("model", [EASE(n_candidates=30), EASE(n_candidates=None), ItemKNN(n_neighbors=20)], ids=str)
def test_the_number_of_threads_does_not_change_the_weights(model, monkeypatch):
    X, fits = contract.table(300, 90), []
    model.set_params(user_normalization=0.5, item_normalization=0.3)
    for threads in (1, 2, 16):
        monkeypatch.setattr("reelated.parallel.n_threads", lambda threads=threads: threads)
        fits.append(type(model)(**model.get_params()).fit(X))
    assert contract.same_fit(fits[0], fits[1])
    assert contract.same_fit(fits[0], fits[2])


def test_a_saved_model_keeps_the_exponents_and_the_lists(tmp_path):
    table = pl.DataFrame({"user_id": [1, 1, 2, 2, 3, 3, 3], "item_id": [7, 8, 7, 9, 8, 9, 5], "rating": [1.0] * 7})
    rec = Recommender(EASE(l2=1.0, user_normalization=0.5, item_normalization=0.2)).fit(table)
    loaded = Recommender.load(rec.save(tmp_path / "model"))
    assert loaded.models_.ranker.get_params() == rec.models_.ranker.get_params()
    assert loaded.recommend(user_id=1).to_dicts() == rec.recommend(user_id=1).to_dicts()


@pytest.mark.parametrize("name", ["user_normalization", "item_normalization"])
@pytest.mark.parametrize("model", [EASE, ItemKNN])
def test_an_exponent_outside_0_to_1_is_rejected(model, name):
    for value in (-0.1, 1.5, "much"):
        with pytest.raises(InputError, match=name):
            model(**{name: value}).fit(contract.table())


def test_only_the_cosine_weights_users():
    with pytest.raises(InputError, match=r"user_normalization=0\.5.*similarity='cosine'"):
        ItemKNN("jaccard", user_normalization=0.5).fit(contract.table())
