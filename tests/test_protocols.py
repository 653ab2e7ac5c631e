"""Protocols match their publications: the same splits and metrics."""

import lzma

import numpy as np
import polars as pl
import pytest

from reelated.errors import InputError
from reelated.evaluation import PROTOCOLS, evaluate
from reelated.evaluation.protocols import INTERACTION_PROTOCOLS, movielens_protocols
from reelated.evaluation.protocols.protocol import ProtocolData
from reelated.recommender import Recommender, textbook

OF_INTERACTIONS = [protocol.name for protocol in INTERACTION_PROTOCOLS]


@pytest.fixture(scope="module")
def ml100k(shared_data):
    return shared_data / "ml-100k.zip"


@pytest.fixture(scope="module")
def ml1m(shared_data):
    return shared_data / "ml-1m"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_documented(name):
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert protocol.definition.endswith(".")
    assert protocol.source.endswith(".")
    assert all(len(row.values) == len(protocol.columns) for row in protocol.published)


@pytest.mark.parametrize("name", sorted(PROTOCOLS.keys() - {"ml100k-folds", *OF_INTERACTIONS}))
def test_other_data_is_rejected_with_both_sizes(name):
    with pytest.raises(InputError, match=r"sample': it has 49,653 ratings by 600 users.*needs MovieLens"):
        PROTOCOLS[name].evaluate(Recommender(), "sample")


def test_the_microsoft_split_has_the_published_sizes(ml100k):
    (split,) = PROTOCOLS["ml100k-microsoft"].splits(ml100k)
    assert (len(split.train.ratings), len(split.test)) == (75_066, 24_934)


def test_the_microsoft_split_matches_plain_loops(ml100k):
    """Sort each item's ratings by random numbers in file order; the first three quarters are for training."""
    table = ProtocolData(ml100k).table
    numbers = np.random.RandomState(42).rand(len(table))
    by_item = {}
    for row, item in enumerate(table["item_id"]):
        by_item.setdefault(item, []).append(row)
    hidden = set()
    for rows in by_item.values():
        hidden.update(sorted(rows, key=lambda row: numbers[row])[round(0.75 * len(rows)) :])
    expected = {table.row(row)[:2] for row in hidden}
    (split,) = PROTOCOLS["ml100k-microsoft"].splits(ml100k)
    assert set(split.test.select("user_id", "item_id").iter_rows()) == expected


def test_the_textbook_recommender_has_its_known_audience_metrics(ml100k):
    protocol = PROTOCOLS["ml100k-audience"]
    result = protocol.evaluate(textbook(), ml100k)
    assert protocol.row(result) == pytest.approx((0.010, 0.013, 0.70), abs=6e-3)


def test_the_official_folds_are_five(ml100k):
    splits = PROTOCOLS["ml100k-folds"].splits(ml100k)
    assert [len(split.test) for split in splits] == [20_000] * 5


def test_the_ncf_split_hides_one_rating_of_each_user_among_the_samples(ml1m):
    (split,) = PROTOCOLS["ml1m-ncf"].splits(ml1m)
    assert (len(split.train.ratings), len(split.test)) == (994_169, 6_040)
    assert split.test["user_id"].is_unique().all()
    assert split.candidates.group_by("user_id").len()["len"].unique().to_list() == [100]
    assert len(split.test.join(split.candidates, on=["user_id", "item_id"], how="semi")) == 6_040
    known = split.train.ratings.to_polars()
    assert split.candidates.join(known, on=["user_id", "item_id"], how="semi").is_empty()


def test_the_infinite_ae_split_shows_validation_ratings(ml1m):
    (split,) = PROTOCOLS["ml1m-infinite-ae"].splits(ml1m)
    assert (len(split.train.ratings), len(split.test)) == (791_718, 108_799)
    assert len(split.shown) == 791_718 + 99_692


@pytest.mark.parametrize(("name", "site"), [("ml1m-ncf", "neural_collaborative"), ("ml1m-infinite-ae", "infinite_ae")])
def test_a_missing_split_file_is_named_with_its_source(name, site, ml1m, tmp_path):
    with pytest.raises(InputError, match=f"no file .* in .*published at .*{site}.*split="):
        PROTOCOLS[name].evaluate(Recommender(), ml1m, tmp_path)


def test_split_files_of_other_data_are_rejected(ml1m, tmp_path):
    np.savez(tmp_path / "infinite.npz", data=np.zeros(5, int))
    with pytest.raises(InputError, match="marks 5 ratings, and the data has 1,000,209"):
        PROTOCOLS["ml1m-infinite-ae"].splits(ml1m, tmp_path)
    (tmp_path / "a.test.rating").write_text("0\t3000\t5\t0\n1\t3001\t5\t0\n")
    (tmp_path / "a.test.negative").write_text("(0,3000)\t7\n(1,3001)\t8\n")
    with pytest.raises(InputError, match="2 of 2 ratings of the split's test file are not in the data"):
        PROTOCOLS["ml1m-ncf"].splits(ml1m, tmp_path / "a.test.rating")
    (tmp_path / "a.test.negative").unlink()
    (tmp_path / "a.test.negative.xz").write_bytes(lzma.compress(b"(0,3000)\tx\n"))
    with pytest.raises(InputError, match="files of the split cannot be used"):
        PROTOCOLS["ml1m-ncf"].splits(ml1m, tmp_path)


def test_the_random_folds_of_ml1m_have_equal_sizes(ml1m):
    splits = PROTOCOLS["ml1m-folds"].splits(ml1m)
    assert [len(split.test) for split in splits] == [200_042] * 4 + [200_041]


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    """A small table in the format of MovieLens 20M."""
    rng = np.random.default_rng(5)
    users, items = np.nonzero(rng.random((60, 25)) < 0.5)
    rating = rng.choice([2.5, 3.0, 3.5, 4.0, 4.5, 5.0], len(users))
    table = {"userId": users + 1, "movieId": 2 * items + 1, "rating": rating, "timestamp": np.arange(len(users))}
    path = tmp_path_factory.mktemp("ml-20m") / "ratings.csv"
    pl.DataFrame(table).write_csv(path)
    return path


def test_the_liang_split_matches_plain_loops(twenty):
    rows = [(u, m) for u, m, r, _ in pl.read_csv(twenty).iter_rows() if r > 3.5]
    theirs = {u: [m for v, m in rows if v == u] for u in {u for u, _ in rows}}
    users = sorted(u for u, items in theirs.items() if len(items) >= 5)
    users = [users[at] for at in np.random.RandomState(98765).permutation(len(users))]
    train, test = users[:-14], users[-7:]
    known = {m for u in train for m in theirs[u]}
    rng, hidden = np.random.RandomState(98765), set()
    for user in sorted(test):
        items = [m for m in theirs[user] if m in known]
        if len(items) >= 5:
            chosen = rng.choice(len(items), size=int(0.2 * len(items)), replace=False)
            hidden |= {(user, items[at]) for at in chosen}
    (split,) = movielens_protocols.liang(ProtocolData(twenty), held_out=7)
    assert set(split.test.select("user_id", "item_id").iter_rows()) == hidden
    assert set(split.train.ratings.user_ids) == set(train)
    assert len(split.train.ratings) == sum(len(theirs[u]) for u in train)
    shown = {(u, m) for u in test for m in theirs[u] if m in known} - hidden
    assert set(split.shown.to_polars().select("user_id", "item_id").iter_rows()) == shown


def test_the_liang_protocol_gives_the_published_metrics(twenty):
    protocol = PROTOCOLS["ml20m-liang"]
    result = evaluate(Recommender(), movielens_protocols.liang(ProtocolData(twenty), held_out=7), protocol.n)
    assert all(0 < value <= 1 for value in protocol.row(result))
