"""The contract of every estimator: the promises of `recommend`, and those of scikit-learn.

A promise is a function of an unfitted estimator and a users × items CSR; `test_models` calls each for every model in
several settings. `EVERY` holds the promises of all models, `ITEM_ITEM` those of models with an item × item matrix.
"""

import warnings
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import naive
from reelated.errors import InputError


def table(n_users=23, n_items=14, seed=5):
    """Return a non-square CSR matrix of stars with ties, an empty row and an empty column."""
    rng = np.random.default_rng(seed)
    R = rng.integers(1, 6, (n_users, n_items)).astype(float)
    R[rng.random(R.shape) < 0.6] = np.nan
    R[4], R[:, 6] = np.nan, np.nan
    R[7], R[8, :] = R[9], R[9]  # three users with equal ratings
    R[:, 3] = R[:, 2]  # and two items that are one
    return naive.as_csr(R)


STARS = ([1, 2, 3, 4, 5], [0, 1], [0.5, 2.5, 5], [-10, -3.25, 0, 7.75], [3], [0], [1, 1000000])


@st.composite
def rating_tables(draw):
    """Draw a non-square dense table, NaN for missing ratings: empty rows and columns, ties, one user or item, zeros."""
    n_users, n_items = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)).filter(lambda shape: shape[0] != shape[1]))
    stars = draw(st.sampled_from(STARS))
    cell = st.one_of(st.just(np.nan), st.sampled_from(stars))
    cells = draw(st.lists(cell, min_size=n_users * n_items, max_size=n_users * n_items))
    return np.array(cells, float).reshape(n_users, n_items)


def strangers(X, seed=11):
    """Return rows that were not in a fit to `X`, the third of them empty."""
    rng = np.random.default_rng(seed)
    R = rng.integers(1, 6, (9, X.shape[1])).astype(float)
    R[rng.random(R.shape) < 0.5] = np.nan
    R[2] = np.nan
    return naive.as_csr(R)


def every_pair(X):
    """Return all row and item indices in shuffled order."""
    rows, items = (part.ravel() for part in np.indices(X.shape))
    order = np.random.default_rng(3).permutation(len(rows))
    return rows[order], items[order]


def of_pairs(model, X, rows, items):
    """Return the numbers of pairs: predicted ratings, or the scores of a ranker."""
    if "rating" in model.numbers:
        return model.predict_pairs(X, rows, items)
    return model.score_pairs(X, rows, items)[0]


def dense(model, X, by):
    """Return the model's number for every row and item, as lists are sorted by it."""
    return model.score_items(X, by=by)


def shown(model, X, by):
    """Return the displayed numbers: predicted ratings clipped to the scale."""
    return model.score_items(X, by=by) if by == "score" else model.predict(X)


def identical(a, b):
    """Return whether two arrays are identical bit for bit."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def learned(model):
    """Return the learned arrays by name."""
    found = {}
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            parts = (value.data, value.indices, value.indptr) if sp.issparse(value) else (value,)
            found[name] = [np.asarray(part) for part in parts]
    return found


def same_fit(one, other):
    """Return whether two models have identical learned arrays."""
    one, other = learned(one), learned(other)
    return one.keys() == other.keys() and all(
        identical(a, b) for name in one for a, b in zip(one[name], other[name], strict=True)
    )


# ----------------------------------------------------------------------------------------------------- every model
def a_second_fit_equals_the_first(estimator, X):
    model = clone(estimator).fit(X)
    first = {name: [part.copy() for part in parts] for name, parts in learned(model).items()}
    model.fit(X)
    assert first, "nothing was learned"
    for name, parts in learned(model).items():
        assert all(identical(a, b) for a, b in zip(first[name], parts, strict=True)), name


def a_fit_to_other_data_leaves_nothing_of_the_first(estimator, X):
    smaller = X[:, : X.shape[1] - 3]
    assert same_fit(clone(estimator).fit(X).fit(smaller), clone(estimator).fit(smaller))


def the_input_is_not_modified(estimator, X):
    shuffled = X.copy()
    for u in range(X.shape[0]):  # columns descend within rows: a fit must sort a copy, not the input
        part = slice(*X.indptr[u : u + 2])
        shuffled.indices[part], shuffled.data[part] = X.indices[part][::-1].copy(), X.data[part][::-1].copy()
    shuffled.has_sorted_indices = shuffled.has_canonical_format = False
    before = [part.copy() for part in (shuffled.indptr, shuffled.indices, shuffled.data)]
    model = clone(estimator).fit(shuffled)
    rows, items = every_pair(X)
    predicted = of_pairs(model, shuffled, rows, items)
    for was, part in zip(before, (shuffled.indptr, shuffled.indices, shuffled.data), strict=True):
        assert identical(was, part)
    assert same_fit(model, clone(estimator).fit(X))
    assert identical(predicted, of_pairs(model, X, rows, items))


def parameters_are_only_stored(estimator, X):
    model = clone(estimator).fit(X)
    assert model.get_params() == estimator.get_params()
    assert not [name for name in vars(estimator) if name.endswith("_")]


def every_form_of_the_same_ratings_gives_the_same_fit(estimator, X):
    wanted = clone(estimator).fit(X)
    wide = sp.csr_array((X.data.astype(np.float64), X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape)
    full = X.toarray()
    forms = (wide, sp.csr_matrix(X), X.tocsc(), X.tocoo(), X.tolil(), full, full.astype(int), np.asfortranarray(full))
    rows, items = every_pair(X)
    for form in (*forms, full.tolist()):
        assert same_fit(clone(estimator).fit(form), wanted), type(form)
        assert identical(of_pairs(wanted, form, rows, items), of_pairs(wanted, X, rows, items)), type(form)


def a_pair_alone_equals_the_pair_in_a_batch(estimator, X):
    model, newcomers = clone(estimator).fit(X), strangers(X)
    rows, items = every_pair(newcomers)
    together = of_pairs(model, newcomers, rows, items)
    alone = [of_pairs(model, newcomers[[u]], [0], [i])[0] for u, i in zip(rows, items, strict=True)]
    assert identical(together, alone)


def predictions_stay_on_the_scale(estimator, X):
    for scale in (None, (2, 4), (0, 10)):
        model = clone(estimator).fit(X, scale=scale)
        low, high = scale or (1, 5)
        assert model.scale_ == (low, high)
        if "rating" not in model.numbers:
            continue
        predicted = of_pairs(model, X, *every_pair(X))
        assert np.nanmin(predicted) >= low
        assert np.nanmax(predicted) <= high
        assert np.isfinite(predicted).mean() > 0.5


def an_impossible_scale_is_refused_in_words(estimator, X):
    for scale in ((5, 1), (1,), 5, (1, float("nan")), "15", (None, 5)):
        with pytest.raises(InputError, match="scale"):
            clone(estimator).fit(X, scale=scale)


def what_is_not_fitted_says_so(estimator, X):
    with pytest.raises(NotFittedError):
        of_pairs(clone(estimator), X, [0], [0])


def pairs_that_are_not_there_are_refused_by_name(estimator, X):
    model = clone(estimator).fit(X)
    for rows, items, words in (
        ([-1], [0], "rows=-1: expected numbers from 0 to 22"),
        ([0], [14], "items=14: expected numbers from 0 to 13"),
        ([0.0], [1], "rows of type float64"),
        ([True], [1], "rows of type bool"),
        ([[0]], [1], r"rows of type int64 and shape \(1, 1\)"),
        ([0, 1], [1], "rows has 2 numbers and items has 1"),
    ):
        with pytest.raises(InputError, match=words):
            of_pairs(model, X, rows, items)
    assert of_pairs(model, X, [], []).shape == (0,)


def what_is_not_finite_is_refused(estimator, X):
    model = clone(estimator).fit(X)
    for wrong in (np.nan, np.inf):
        broken = X.copy()
        broken.data[3] = wrong
        for form in (broken, broken.toarray(), broken.tocsc()):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                of_pairs(model, form, [0], [0])
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                clone(estimator).fit(form)


def rows_of_another_width_are_refused(estimator, X):
    model = clone(estimator).fit(X)
    for narrow in (X[:, :5], X[:, :5].toarray(), X[:, :5].tocsc()):
        with pytest.raises(ValueError, match="5 features"):
            of_pairs(model, narrow, [0], [0])


# ------------------------------------------------------------------------------------------ models with a similarity
def exactly_n_come_where_n_candidates_have_a_score(estimator, X):
    model, allowed = clone(estimator).fit(X), np.arange(X.shape[1]) % 3 != 0
    for by in estimator.numbers:
        has_score = ~np.isnan(dense(model, X, by))
        unseen = np.isnan(naive.as_dense(X))
        for n in (0, 1, 3, X.shape[1], 1000):
            for keep_seen in (False, True):
                found = model.recommend(X, n, by=by, item_mask=allowed, exclude_seen=not keep_seen)
                candidates = (has_score & allowed & (unseen | keep_seen)).sum(axis=1)
                assert np.diff(found.indptr).tolist() == np.minimum(n, candidates).tolist()
                assert len(found.items) == len(found.scores) == found.indptr[-1]
                assert np.isfinite(found.scores).all()


def what_is_seen_or_not_allowed_is_absent(estimator, X):
    model, allowed = clone(estimator).fit(X), np.arange(X.shape[1]) % 3 != 0
    for by in estimator.numbers:
        found = model.recommend(X, X.shape[1], by=by, item_mask=allowed)
        for u in range(X.shape[0]):
            assert not set(found.row(u)[0]) & set(X.indices[X.indptr[u] : X.indptr[u + 1]])
        assert allowed[found.items].all()
        assert len(found.items)


def rows_fall_by_the_number_and_ties_ascend(estimator, X):
    model = clone(estimator).fit(X)
    for by in estimator.numbers:
        numbers = dense(model, X, by)
        for keep_seen in (False, True):
            found = model.recommend(X, 8, by=by, exclude_seen=not keep_seen)
            for u in range(X.shape[0]):
                seen = () if keep_seen else X.indices[X.indptr[u] : X.indptr[u + 1]]
                items, scores = found.row(u)
                assert items.tolist() == naive.top_n(numbers[u], 8, seen)
                assert identical(scores, numbers[u][items])


def ratings_are_ranked_before_they_are_clipped_and_shown_clipped(estimator, X):
    if "rating" not in estimator.numbers:
        return
    model, low, high, told_apart = clone(estimator).fit(X, scale=(2.5, 3.5)), 2.5, 3.5, 0
    numbers, predicted = model.score_items(X, by="rating"), model.predict(X)
    for u, i in np.ndindex(*X.shape):
        number = numbers[u, i]
        wanted = number if np.isnan(number) else min(max(number, low), high)
        assert identical(predicted[u, i], np.float64(wanted))
        told = model.explain_pair(X[[u]], i, by="rating")
        assert identical(told.score, predicted[u, i])
        if not np.isnan(number):
            assert told.base + told.contributions.sum() == pytest.approx(number, abs=1e-5)
    rows, items = every_pair(X)
    assert identical(of_pairs(model, X, rows, items), predicted[rows, items])
    for u in range(X.shape[0]):
        items, scores = model.recommend(X[[u]], X.shape[1], by="rating", exclude_seen=False).row(0)
        assert items.tolist() == naive.top_n(numbers[u], X.shape[1])
        told_apart += sum(a > b >= high for a, b in pairwise(scores))
    for i in range(X.shape[1]):
        raters = np.flatnonzero(~np.isnan(naive.as_dense(X)[:, i]))
        assert model.audience(X, i, 99, by="rating").tolist() == naive.top_n(numbers[:, i], 99, raters)
    assert told_apart, "nothing was clipped"


def one_row_alone_equals_the_row_in_a_batch(estimator, X):
    model, everybody = clone(estimator).fit(X), sp.vstack([X, strangers(X)], format="csr")
    for by in estimator.numbers:
        together, numbers = model.recommend(everybody, 6, by=by), dense(model, everybody, by)
        for u in range(everybody.shape[0]):
            alone = model.recommend(everybody[[u]], 6, by=by)
            assert identical(alone.items, together.row(u)[0])
            assert identical(alone.scores, together.row(u)[1])
            assert identical(dense(model, everybody[[u]], by)[0], numbers[u])


def pairs_rows_and_audiences_are_the_same_numbers(estimator, X):
    model = clone(estimator).fit(X)
    rows, items = every_pair(X)
    for by in estimator.numbers:
        numbers = dense(model, X, by)
        of_pairs, support = np.full(X.shape, np.nan), np.zeros(X.shape, np.int32)
        of_pairs[rows, items], support[rows, items] = model.score_pairs(X, rows, items, by=by)
        assert identical(of_pairs, numbers)
        used = naive.support(
            naive.as_dense(X), model.item_weights_.toarray(), getattr(model, "max_neighbors_used", None)
        )
        assert support.tolist() == used.tolist()
        for form in (X, X.tocsc(), X.toarray(), X.tocsc().astype(np.float64), X.toarray().tolist()):
            for i in range(X.shape[1]):
                scores, used = model.score_users(form, i, by=by)
                assert identical(scores, np.ascontiguousarray(numbers[:, i]))
                assert identical(used, np.ascontiguousarray(support[:, i]))
        scorer = model.scorer(X, by=by)
        assert identical(scorer.users(2, scorer.columns())[0], np.ascontiguousarray(numbers[:, 2]))


def an_audience_is_the_best_of_those_who_have_not_rated_it(estimator, X):
    model, rated = clone(estimator).fit(X), ~np.isnan(naive.as_dense(X))
    for by in estimator.numbers:
        numbers, asked = dense(model, X, by), 0
        for i, n in np.ndindex(X.shape[1], 8):
            found = model.audience(X, i, n * 4, by=by)
            assert found.tolist() == naive.top_n(numbers[:, i], n * 4, np.flatnonzero(rated[:, i]))
            asked += len(found)
        assert asked
    with pytest.raises(InputError, match="n=-3"):
        model.audience(X, 0, -3)


def the_parts_of_an_explanation_add_up(estimator, X):
    model, people = clone(estimator).fit(X), naive.as_dense(X)
    S, low, high, clipped = model.item_weights_.toarray(), *model.scale_, 0
    common = naive.common_raters(people)
    for by in estimator.numbers:
        numbers = shown(model, X, by)
        for u, i in np.ndindex(*X.shape):
            told = model.explain_pair(X[[u]], i, by=by)
            neighbours = naive.neighbours_of(people[u], S, i, getattr(model, "max_neighbors_used", None))
            assert identical(told.score, numbers[u, i])
            assert told.items.tolist() == neighbours
            assert told.ratings.tolist() == people[u, neighbours].tolist()
            assert told.similarities.tolist() == S[i, neighbours].tolist()
            assert told.common.tolist() == common[i, neighbours].tolist()
            if np.isnan(told.score):
                assert len(told.contributions) == 0
                continue
            parts = told.base + told.contributions.sum()
            assert parts + told.clip == pytest.approx(told.score, abs=1e-5)
            wanted = parts if by == "score" else min(max(parts, low), high)
            assert told.score == pytest.approx(wanted, abs=1e-5)  # the clip is the change by clipping only
            clipped += abs(told.clip) > 1e-5
    with pytest.raises(InputError, match="X of 2 rows: expected a single row"):
        model.explain_pair(X[:2], 0)


def a_rating_above_the_mean_pushes_up_and_one_below_pushes_down(estimator, X):
    model = clone(estimator).fit(X)
    if "rating" not in model.numbers or model.falls_back or (model.item_weights_.data < 0).any():
        return  # their contributions are relative to another number than the user's mean
    for u, i in np.ndindex(*X.shape):
        told = model.explain_pair(X[[u]], i, by="rating")
        if len(told.items):
            mean = X.data[X.indptr[u] : X.indptr[u + 1]].mean(dtype=np.float64)
            assert np.sign(told.contributions).tolist() == np.sign(told.ratings - mean).tolist()


def stars_count(estimator, X):
    """Lower one rating by a star: positively linked items do not rise, and unlinked items do not change.

    The score decreases strictly for a positive link, increases for a negative one, and is identical bit for bit
    without a link. The predicted rating of a positively linked item never rises either.
    """
    model, people = clone(estimator).fit(X), naive.as_dense(X)
    S, before = model.item_weights_.toarray(), {by: dense(model, X, by) for by in estimator.numbers}
    lowered_any = False
    for at in range(0, X.nnz, 5):
        if X.data[at] <= 1:
            continue
        lowered, u, j = X.copy(), int(np.searchsorted(X.indptr, at, side="right") - 1), X.indices[at]
        lowered.data[at] -= 1
        counts = [
            j in naive.neighbours_of(people[u], S, i, getattr(model, "max_neighbors_used", None)) for i in range(len(S))
        ]
        link = np.where(counts, S[:, j], 0)
        if "score" in model.numbers:
            relevance, was = dense(model, lowered[[u]], "score")[0], before["score"][u]
            assert (relevance[link > 0] < was[link > 0]).all()
            assert (relevance[link < 0] > was[link < 0]).all()
            assert identical(relevance[link == 0], was[link == 0])
        if "rating" in model.numbers:
            rating, was = dense(model, lowered[[u]], "rating")[0], before["rating"][u]
            assert (rating[link > 0] <= was[link > 0] + 1e-6).all()
        lowered_any = True
    assert lowered_any


def an_item_is_not_its_own_neighbour_and_rows_are_sorted(estimator, X):
    model = clone(estimator).fit(X)
    S = model.item_weights_
    assert S.shape == (X.shape[1], X.shape[1])
    assert not S.diagonal().any()
    assert S.has_sorted_indices
    assert all((np.diff(S.indices[a:b]) > 0).all() for a, b in zip(S.indptr, S.indptr[1:], strict=False))
    assert np.count_nonzero(S.data) == S.nnz > 0
    assert (model.n_common_.toarray() == np.where(S.toarray() != 0, naive.common_raters(naive.as_dense(X)), 0)).all()


def nobody_and_nothing_are_answered(estimator, X):
    model = clone(estimator).fit(X)
    nobody, silent = X[:0], sp.csr_array((2, X.shape[1]), dtype=np.float32)
    for by in estimator.numbers:
        assert model.recommend(nobody, 5, by=by).indptr.tolist() == [0]
        assert dense(model, nobody, by).shape == (0, X.shape[1])
    assert model.recommend(silent, 5).indptr.tolist() == [0, 0, 0]
    assert np.isnan(model.score_items(silent)).all()


def allowed_must_be_a_boolean_for_each_item(estimator, X):
    model = clone(estimator).fit(X)
    for allowed in ([True], np.ones(X.shape[1] + 1, bool), np.ones(X.shape[1]), [1, 2], np.ones((2, X.shape[1]), bool)):
        with pytest.raises(InputError, match=r"item_mask of type .* expected a boolean for each of 14 items"):
            model.recommend(X, item_mask=allowed)


def audiences_check_their_input(estimator, X):
    with pytest.raises(NotFittedError):
        clone(estimator).score_users(X, 0)
    model = clone(estimator).fit(X)
    for item in (-1, 14, 1.0, True, "3", None):
        with pytest.raises(InputError, match="item="):
            model.score_users(X, item)
    with pytest.raises(ValueError, match="5 features"):
        model.score_users(X[:, :5].tocsc(), 2)
    broken = X.tocsc()
    broken.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.score_users(broken, 2)


def a_wrong_question_is_refused_by_name(estimator, X):
    model = clone(estimator).fit(X)
    for wrong, words in (
        ({"n": -1}, "n=-1"),
        ({"n": 2.5}, "n=2.5"),
        ({"by": "stars"}, f"by='stars'.*'{estimator.numbers[0]}'"),
    ):
        with pytest.raises(InputError, match=words):
            model.recommend(X, **wrong)


def progress_reaches_the_end(estimator, X):
    seen = []
    model = clone(estimator).fit(X, progress=seen.append)
    assert seen[-1] == 1.0
    seen.clear()
    model.recommend(X, 3, progress=seen.append)
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


def a_dense_answer_beyond_max_memory_is_refused_with_the_bytes(estimator, X):
    model = clone(estimator).fit(X).set_params(max_memory="2KB")
    with pytest.raises(MemoryError, match=r"max_memory='2KB': 23 rows × 14 items need 2\.6 KB"):
        model.score_items(X)
    assert model.score_items(X[:10]).shape == (10, 14)


def callers_of_the_same_model_do_not_disturb_each_other(estimator, X):
    from concurrent.futures import ThreadPoolExecutor

    model = clone(estimator).fit(X)
    wanted = model.recommend(X, 5)
    with ThreadPoolExecutor(8) as pool, warnings.catch_warnings():
        for found in pool.map(lambda _: model.recommend(X, 5), range(32)):
            assert identical(found.items, wanted.items)
            assert identical(found.scores, wanted.scores)


EVERY = [
    a_second_fit_equals_the_first,
    a_fit_to_other_data_leaves_nothing_of_the_first,
    the_input_is_not_modified,
    parameters_are_only_stored,
    every_form_of_the_same_ratings_gives_the_same_fit,
    a_pair_alone_equals_the_pair_in_a_batch,
    predictions_stay_on_the_scale,
    an_impossible_scale_is_refused_in_words,
    what_is_not_fitted_says_so,
    pairs_that_are_not_there_are_refused_by_name,
    what_is_not_finite_is_refused,
    rows_of_another_width_are_refused,
]
ITEM_ITEM = [
    exactly_n_come_where_n_candidates_have_a_score,
    what_is_seen_or_not_allowed_is_absent,
    rows_fall_by_the_number_and_ties_ascend,
    ratings_are_ranked_before_they_are_clipped_and_shown_clipped,
    one_row_alone_equals_the_row_in_a_batch,
    pairs_rows_and_audiences_are_the_same_numbers,
    an_audience_is_the_best_of_those_who_have_not_rated_it,
    the_parts_of_an_explanation_add_up,
    a_rating_above_the_mean_pushes_up_and_one_below_pushes_down,
    stars_count,
    an_item_is_not_its_own_neighbour_and_rows_are_sorted,
    nobody_and_nothing_are_answered,
    allowed_must_be_a_boolean_for_each_item,
    audiences_check_their_input,
    a_wrong_question_is_refused_by_name,
    progress_reaches_the_end,
    a_dense_answer_beyond_max_memory_is_refused_with_the_bytes,
    callers_of_the_same_model_do_not_disturb_each_other,
]
