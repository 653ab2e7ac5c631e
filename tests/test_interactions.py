"""Protocols on interactions: the files of a split, and the published metrics in plain loops."""

from dataclasses import replace

import numpy as np
import pytest

import naive_metrics
from reelated.errors import InputError
from reelated.evaluation import PROTOCOLS
from reelated.evaluation.protocols import INTERACTION_PROTOCOLS
from reelated.models import EASE, Popularity
from reelated.recommender import Recommender

TRAIN = {0: [0, 1], 1: [0, 2], 2: [0, 1, 3], 3: [1, 4], 4: [0]}
TEST = {0: [2, 3], 1: [1], 3: [0, 2, 3]}
SIZE = (16, 5, 5)


def protocol_of(size=SIZE, name="ml1m-lcfn"):
    return replace(PROTOCOLS[name], size=size)


def write_arrays(path, train, test):
    arrays = {}
    for name, part in (("train", train), ("test", test)):
        pairs = np.array([(user, item) for user, items in part.items() for item in items], np.int32)
        arrays |= {f"{name}_user": pairs[:, 0], f"{name}_item": pairs[:, 1]}
    np.savez(path, **arrays)
    return path


@pytest.fixture
def arrays(tmp_path):
    return write_arrays(tmp_path / "small.npz", TRAIN, TEST)


@pytest.fixture
def texts(tmp_path):
    for name, part in (("train", TRAIN), ("test", TEST)):
        lines = [" ".join(map(str, [user, *part.get(user, [])])) + " " * (user not in part) for user in TRAIN]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_metrics_of_most_popular_items_equal_values_by_hand(arrays):
    """The raters of items 0 to 4 are 4, 3, 1, 1 and 1; ties go to the lower index."""
    protocol = protocol_of()
    result = protocol.evaluate(Recommender(Popularity(), rater=None), arrays)
    lists = {0: [2, 3, 4], 1: [1, 3, 4], 3: [0, 2, 3]}
    expected, _ = naive_metrics.mean_over_users(lists, {user: set(items) for user, items in TEST.items()}, 20)
    assert protocol.row(result) == pytest.approx((expected["recall"], expected["ndcg"]))
    assert protocol.row(result) == (1.0, 1.0)


def test_recall_is_divided_by_all_hidden_items_and_the_ideal_is_cut_at_20(tmp_path):
    """User 0 has 30 hidden items; with ties listed by index, the first 20 contain items 2 to 21 of them."""
    train = {0: [0, 1], 1: list(range(40))}
    path = write_arrays(tmp_path / "wide.npz", train, {0: list(range(7, 37))})
    protocol = protocol_of((72, 2, 40))
    recall, ndcg = protocol.row(protocol.evaluate(Recommender(Popularity(), rater=None), path))
    discounts = 1 / np.log2(np.arange(2, 22))
    assert recall == pytest.approx(15 / 30)
    assert ndcg == pytest.approx(discounts[5:].sum() / discounts.sum())


def test_training_items_are_no_candidates_and_all_others_are(arrays):
    (split,) = protocol_of().splits(arrays)
    assert split.candidates is None
    assert split.train.ratings.is_one_valued
    assert (len(split.train.ratings), len(split.test)) == (10, 6)
    known = split.train.ratings.to_polars()
    assert split.test.join(known, on=["user_id", "item_id"], how="semi").is_empty()


def test_text_files_and_arrays_give_the_same_split(arrays, texts):
    one, other = (protocol_of().splits(path)[0] for path in (arrays, texts))
    assert one.test.sort("user_id", "item_id").equals(other.test.sort("user_id", "item_id"))
    assert one.train.ratings.to_polars().equals(other.train.ratings.to_polars())


def test_the_split_is_given_as_the_source_or_by_its_own_argument(texts):
    protocol = protocol_of(name="amazon-book")
    splits = [protocol.splits(texts), protocol.splits("amazon-book", texts), protocol.splits(texts, texts)]
    assert {len(split.test) for (split,) in splits} == {6}
    with pytest.raises(InputError, match=r"amazon-book: the files of the split are all its data.*leave out the split"):
        protocol.splits("sample", texts)


@pytest.mark.parametrize("protocol", INTERACTION_PROTOCOLS, ids=lambda protocol: protocol.name)
def test_other_data_and_missing_files_are_rejected(protocol, arrays, tmp_path):
    with pytest.raises(InputError, match=f"has 16 ratings by 5 users of 5 items, and {protocol.name} needs"):
        protocol.splits(arrays)
    for path in ("sample", tmp_path, tmp_path / "none.npz"):
        with pytest.raises(InputError, match=r"cannot be used.*train_user.*train\.txt"):
            protocol.splits(path)


def test_damaged_files_are_rejected(tmp_path, texts):
    np.savez(tmp_path / "other.npz", data=np.zeros(3))
    np.savez(tmp_path / "short.npz", train_user=[0, 1], train_item=[0], test_user=[0], test_item=[1])
    np.savez(tmp_path / "text.npz", train_user=["a"], train_item=["b"], test_user=["a"], test_item=["c"])
    for name in ("other.npz", "short.npz", "text.npz"):
        with pytest.raises(InputError, match="cannot be used"):
            protocol_of().splits(tmp_path / name)
    (texts / "test.txt").write_text("0 one two\n")
    with pytest.raises(InputError, match="cannot be used"):
        protocol_of().splits(texts)


def test_ease_is_above_the_published_rows_on_ml1m(shared_data):
    protocol = PROTOCOLS["ml1m-lcfn"]
    result = protocol.evaluate(Recommender(EASE(), rater=None), shared_data / "tables" / "ml-1m-lcfn.npz")
    assert protocol.row(result) == pytest.approx((0.2869, 0.2755), abs=2e-4)
