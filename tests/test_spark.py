"""Models on a cluster of two executor processes equal those of one machine, even if an executor is killed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pyspark
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql
from sklearn.base import clone
from typer.testing import CliRunner

import naive
import reelated
from reelated import BPMF, EASE, BiasModel, Dataset, ItemKNN, Recommender
from reelated import spark as cluster
from reelated.cli.cluster import check_table
from reelated.cli.commands import app
from reelated.errors import InputError, TooLarge
from reelated.ratings import Scale
from reelated.similarity import SimilarityParams, as_kernel_csr, similarity, sizes_and_norms
from reelated.spark.block_sums import (
    BlockParams,
    Blocks,
    FindCandidates,
    SumBlocks,
    assemble_neighbors,
    choose_blocks,
    choose_triangles,
    send_to_blocks,
)
from reelated.spark.grouping import cap_ratings, group_rows
from reelated.spark.rating_table import count_ratings, rating_files, sum_counts
from reelated.spark.user_rows import UserRows, unpack

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Options of short-lived Java processes: the optimising compiler takes more time than it saves."""


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A cluster of two single-core executor processes; without Java, tests are skipped, or fail if CI is true."""
    if shutil.which("java") is None:
        required = os.environ.get("CI", "").lower() == "true"
        (pytest.fail if required else pytest.skip)("needs a Java runtime (17 or later)")

    own = {
        "SPARK_HOME": str(spark_home(tmp_path_factory.mktemp("home"))), "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(tmp_path_factory.mktemp("workers")),
        "SPARK_SUBMIT_OPTS": JAVA,
    }  # fmt: skip
    with mock.patch.dict(os.environ, own):
        session = configured("local-cluster[2,1,1024]", tmp_path_factory.mktemp("spark")).getOrCreate()
        yield session
        session.stop()


def spark_home(folder):
    """Link the installed Spark without its zipped copy of PySpark, which every Python process would compile again."""
    for part in Path(pyspark.__file__).parent.iterdir():
        if part.name in ("bin", "jars", "sbin"):
            (folder / part.name).symlink_to(part)
    return folder


def configured(master, folder):
    """Configure a quiet session on the loopback address only."""
    settings = {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR",
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2", "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.local.dir": str(folder), "spark.executor.memory": "1g", "spark.executor.extraJavaOptions": JAVA,
    }  # fmt: skip
    builder = SparkSession.builder.master(master).appName("reelated tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder


def parquet(spark, table, folder, name="ratings"):
    """Write a table as Parquet and read it with Spark."""
    file = folder / f"{name}.parquet"
    table.write_parquet(file)
    return spark.read.parquet(str(file))


@pytest.fixture(scope="module")
def ml100k(spark, shared_data, tmp_path_factory):
    """MovieLens 100K as a `Dataset` and as a Spark table."""
    data = reelated.read(shared_data / "ml-100k.zip")
    return data, parquet(spark, data.ratings.to_polars(), tmp_path_factory.mktemp("ml-100k"))


def assert_same(actual, expected, close=1e-6):
    """Check for equal values and equal neighbours; neighbours may differ among tied values."""
    a, b = actual.item_weights_.toarray(), expected.item_weights_.toarray()
    for row, (x, y) in enumerate(zip(a, b, strict=True)):
        assert np.count_nonzero(x) == np.count_nonzero(y), row
        differs = (x != 0) != (y != 0)
        if differs.any():
            smallest = min(np.abs(x[x != 0]).min(), np.abs(y[y != 0]).min())
            assert (np.abs(np.where(x != 0, x, y)[differs]) - smallest).max() <= close  # weights are cut by size
        both = ~differs
        assert np.abs(x[both] - y[both]).max(initial=0) <= close, row
    both = (a != 0) & (b != 0)
    assert (actual.n_common_.toarray()[both] == expected.n_common_.toarray()[both]).all()
    for name in set(expected.arrays) & {"offset_"}:
        np.testing.assert_allclose(getattr(actual, name), getattr(expected, name), atol=1e-9)


class Batch:
    """Stand-in for an Arrow batch of records."""

    def __init__(self, records):
        self.records = records

    def to_pylist(self):
        return self.records


def same(X):
    return X


def by_tasks(X, measure, blocks, folder, pieces=2):
    """Compute the similarity of a matrix by running the two tasks without Spark."""
    order = np.argsort(-np.bincount(X.indices, minlength=X.shape[1]), kind="stable").astype(np.int32)
    ranked = X[:, order]
    ranked.sort_indices()
    users = UserRows.whole(pl.Series(np.arange(X.shape[0])), as_kernel_csr(ranked))
    users = users.take(np.flatnonzero(users.activity)).sorted_by_activity()
    cuts = np.linspace(0, len(users.user_ids), pieces + 1).astype(int)
    cells = [{"body": users.slice(start, stop).pack()} for start, stop in pairwise(cuts) if start < stop]
    send = partial(send_to_blocks, same, blocks, np.arange(len(blocks), dtype=np.int32))
    sent = [{name: column[0] for name, column in cell.items()} for cell in send([Batch(cells)])]
    sent.sort(key=lambda cell: tuple(cell[name] for name in ("block", "band", "ratings", "body")))
    sizes, norms = sizes_and_norms(as_kernel_csr(ranked), X.shape[1])
    params = BlockParams(measure, sizes, norms, order, str(folder), str(X.dtype))
    done = (FindCandidates if blocks.layouts else SumBlocks)(blocks, params)([Batch(sent)])
    lengths = {cell["block"][0]: np.frombuffer(cell["lengths"][0], np.int64) for cell in done}
    return assemble_neighbors(folder, blocks, lengths, params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(seed=st.integers(0, 2**32 - 1), pearson=st.booleans(), n_neighbors=st.sampled_from([1, 3, None]))
def test_block_sums_give_the_local_similarity_bit_for_bit(dtype, seed, pearson, n_neighbors):
    rng = np.random.default_rng(seed)
    density = rng.choice([0.3, 0.9])  # at the high density, much is summed as dense matrices
    X = sp.random_array((rng.integers(1, 400), 27), density=density, rng=rng, dtype=dtype, format="csr")
    X.data[:] = rng.integers(0, 11, X.nnz) / 2
    X.sort_indices()
    measure = SimilarityParams(n_neighbors=n_neighbors, pearson=pearson, positive_only=False, shrinkage=1.0)
    with tempfile.TemporaryDirectory() as folder:
        values, common = by_tasks(X, measure, Blocks(np.array([0, 8, 24, 27]), 0), Path(folder))
        expected = similarity(X, measure)
        for actual, reference in ((values, expected.values), (common, expected.common)):
            for part in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(actual, part), getattr(reference, part))


@given(seed=st.integers(0, 2**32 - 1), pearson=st.booleans(), n_neighbors=st.sampled_from([1, 7, 30]))
def test_triangles_give_the_local_similarity_bit_for_bit(seed, pearson, n_neighbors):
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(800, 1000))
    # at the high density, much of the most popular items is summed as dense matrices
    X = sp.random_array((60, n_items), density=rng.choice([0.02, 0.3]), rng=rng, dtype=np.float32, format="csr")
    X = sp.csr_array(X[:, np.minimum(rng.geometric(0.01, 2 * n_items), n_items) - 1][:, :n_items])
    X.data[:] = rng.integers(0, 11, X.nnz) / 2
    X.sort_indices()
    measure = SimilarityParams(n_neighbors=n_neighbors, pearson=pearson, positive_only=False, shrinkage=1.0)
    cost = np.arange(n_items, dtype=float)
    with mock.patch("reelated.similarity.blocked.MAX_BLOCK_ITEMS", 64), tempfile.TemporaryDirectory() as folder:
        blocks = choose_triangles(cost, measure, (60, X.nnz), 10**9, 2)
        assert len(blocks) > 3
        values, common = by_tasks(X, measure, blocks, Path(folder))
        expected = similarity(X, measure)
        for actual, reference in ((values, expected.values), (common, expected.common)):
            for part in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(actual, part), getattr(reference, part))


def test_triangles_need_rows_in_memory_and_fewer_candidates_than_pairs():
    measure, cost = SimilarityParams(n_neighbors=10), np.ones(2000)
    blocks = choose_triangles(cost, measure, (100, 10_000), 10**9, 2)
    assert blocks.boundaries[[0, -1]].tolist() == [0, 2000]
    assert (blocks.boundaries[1:] <= [layout.n_padded for layout in blocks.layouts]).all()
    assert choose_triangles(cost, measure, (100, 10_000), blocks.table_bytes - 1, 2) is None
    assert choose_triangles(cost, measure, (100, 10_000), 10**9, 100) is None


def test_splitting_a_band_into_batches_changes_only_rounding(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    X = sp.random_array((60, 19), density=0.5, rng=rng, dtype=np.float32, format="csr")
    X.sort_indices()
    monkeypatch.setattr("reelated.spark.block_sums.BATCH_RATINGS", 20)
    actual = by_tasks(X, SimilarityParams(), Blocks(np.array([0, 8, 19]), 0), tmp_path, pieces=10)
    np.testing.assert_allclose(actual.values.toarray(), similarity(X, SimilarityParams()).values.toarray(), atol=1e-6)


def rows_from(table):
    return group_rows(pl.DataFrame(table, schema={"user_id": pl.String, "item": pl.Int32, "rating": pl.Float32}))


def test_packed_rows_are_unpacked_unchanged():
    table = {"user_id": ["ü", "a", "ü", "a", "b"], "item": [4, 1, 2, 0, 3], "rating": [1, 2, 3, 4, 5]}
    users, n_repeated = rows_from(table)
    assert n_repeated == 0
    unpacked = UserRows.unpack([users.slice(0, 1).pack(), users.slice(1, 3).pack()])
    assert unpacked.user_ids.to_list() == ["a", "b", "ü"]
    np.testing.assert_array_equal(unpacked.matrix(5).toarray(), [[4, 2, 0, 0, 0], [0, 0, 0, 5, 0], [0, 0, 3, 0, 1]])
    assert [len(chunk.user_ids) for chunk in unpacked.chunks()] == [3]


def test_repeated_ratings_are_counted():
    assert rows_from({"user_id": ["a", "a", "a", "b"], "item": [1, 1, 1, 1], "rating": [1, 2, 3, 4]})[1] == 2


@given(seed=st.integers(0, 2**32 - 1), text=st.booleans())
def test_ratings_in_any_order_are_grouped_into_sorted_rows(seed, text):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((9, 30)) < 0.3)
    table = pl.DataFrame({"user_id": users * 10**12, "item": items.astype(np.int32), "rating": rng.random(len(users))})
    table = table.with_columns(
        pl.col("rating").cast(pl.Float32), pl.col("user_id").cast(pl.String if text else pl.Int64)
    )
    ordered = table.sort("user_id", "item")
    (user_ids, activity, rows), n_repeated = group_rows(table.sample(fraction=1, shuffle=True, seed=seed))
    assert n_repeated == 0
    assert user_ids.to_list() == ordered["user_id"].unique(maintain_order=True).to_list()
    assert np.repeat(user_ids.to_numpy(), activity).tolist() == ordered["user_id"].to_list()
    assert rows.indices.tolist() == ordered["item"].to_list()
    assert rows.data.tolist() == ordered["rating"].to_list()


def test_counts_of_files_equal_counts_of_tables():
    schema = {"user_id": pl.Int64, "item_id": pl.String, "rating": pl.Float32}
    ratings = [
        (1, "a", 4.3),
        (2, "a", 4.3),
        (2, "b", 1.0),
        (None, "b", 1.0),
        (3, None, 2.0),
        (4, "b", None),
        (5, "c", 9.0),
    ]
    table = pl.DataFrame([*ratings, (6, "c", float("nan"))], schema, orient="row")
    counts = table.group_by("item_id", "rating", anonymous=pl.col("user_id").is_null()).agg(n=pl.len().cast(pl.Int64))
    cells = [{"body": cell["body"][0]} for cell in count_ratings(np.arange(3), table.to_arrow().to_batches(3))]
    scale = Scale(1, 4.3, 0.1)  # float32 has no 4.3
    for (found,) in (sum_counts(scale, True, [Batch(cells)]), sum_counts(scale, False, counts.to_arrow().to_batches())):
        items, ratings = (pl.DataFrame(unpack(found[name][0])) for name in ("items", "ratings"))
        assert dict(items.iter_rows()) == {"a": 2, "b": 3, "c": 2, None: 1}
        assert dict(ratings.group_by("fault").agg(pl.sum("n")).iter_rows()) == {0: 3, 1: 4, 2: 1}


def test_the_cap_is_deterministic_and_keeps_shorter_rows():
    many = {"user_id": ["a"] * 50 + ["b"] * 3, "item": [*range(50), 1, 2, 3], "rating": [1.0] * 53}
    users, _ = rows_from(many)
    first, second = cap_ratings(users, 7), cap_ratings(users, 7)
    assert first.activity.tolist() == [7, 3]
    assert first.rows.indices.tolist() == second.rows.indices.tolist()
    assert sorted(set(first.rows.indices[:7].tolist())) == first.rows.indices[:7].tolist()


def test_blocks_fit_the_memory_and_balance_the_cost():
    cost = 1e5 / np.arange(1, 101)
    blocks = choose_blocks(cost, bytes_per_item=10, memory=250, n_cores=1)
    assert blocks.boundaries.tolist() == [0, 8, 32, 56, 80, 100]
    assert blocks.table_bytes == 240
    with pytest.raises(TooLarge, match="Raise task_memory"):
        choose_blocks(cost, bytes_per_item=32, memory=250, n_cores=1)


SETTINGS = [
    ({"n_neighbors": 3, "damping": 0.5}, {"weighting": "bm25", "n_neighbors": None}),
    (
        {"weighting": "tf-idf", "dtype": "float64", "min_common": 2},
        {"user_normalization": 0.5, "item_normalization": 0.3},
    ),
    ({"similarity": "jaccard", "shrinkage": 3.0}, {"similarity": "pearson", "positive_only": False}),
    (
        {"similarity": "adjusted-cosine", "n_neighbors": 4},
        {"similarity": "residual-pearson", "positive_only": False, "damping": 1.0},
    ),
]
"""Parameters of a ranker and of a rater, fitted together."""
ORACLE = ("weighting", "shrinkage", "damping", "min_common", "positive_only", "n_neighbors")


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    """A small table with text ids, an item and a user with one rating each, and unusual column names."""
    rng = np.random.default_rng(5)
    R = np.where(rng.random((23, 8)) < 0.5, rng.integers(1, 11, (23, 8)) / 2, np.nan)
    R[0], R[:, 7] = np.nan, np.nan
    R[0, 2] = R[4, 7] = 3.0
    R[1, :7] = 4.0
    users, items = np.nonzero(~np.isnan(R))
    table = pl.DataFrame(
        {
            "Member": [f"u{user:02}" for user in users],
            "movieId": items + 100,
            "stars": R[users, items],
        }
    )
    return R, table, parquet(spark, table, tmp_path_factory.mktemp("small"))


def name_of(settings):
    return " ".join(map(str, settings.values()))


@pytest.mark.parametrize(("ranker", "rater"), SETTINGS, ids=name_of)
def test_neighbours_equal_the_reference(small, ranker, rater, tmp_path):
    R, _, frame = small
    model = Recommender(ItemKNN(**ranker), ItemKNN(**rater))
    path = cluster.fit(frame, model, tmp_path / "model", columns={"user_id": "Member"})
    for settings, fitted in zip((ranker, rater), Recommender.load(path).models_, strict=True):
        known = {name: value for name, value in settings.items() if name in ORACLE}
        V = R * naive.degree_factors(R, settings.get("user_normalization", 0.0), axis=1)[:, None]
        S, common = naive.item_similarity(V, settings.get("similarity", "cosine"), **({"n_neighbors": 100} | known))
        S *= naive.degree_factors(R, settings.get("item_normalization", 0.0), axis=0)[:, None]
        found = fitted.item_weights_.toarray()
        np.testing.assert_allclose(found, S, atol=1e-6)
        np.testing.assert_array_equal(fitted.n_common_.toarray(), np.where(found != 0, common, 0))


def test_the_bias_model_equals_the_reference(small, monkeypatch):
    R, _, frame = small
    fitted, item_ids = cluster.baseline(frame, BiasModel(reg_user=3, n_iterations=4), columns={"user_id": "Member"})
    mean, of_item = naive.baseline(R, reg_user=3, rounds=4)
    assert item_ids.to_list() == list(range(100, 108))
    assert fitted.mean_ == pytest.approx(mean)
    np.testing.assert_allclose(fitted.item_bias_, of_item, atol=1e-9)
    monkeypatch.setattr("reelated.spark.grouping.DRIVER_SUMS", 0)  # as for many items: the executors add the sums
    shuffled, _ = cluster.baseline(frame, BiasModel(reg_user=3, n_iterations=4), columns={"user_id": "Member"})
    np.testing.assert_array_equal(shuffled.item_bias_, fitted.item_bias_)


@pytest.mark.parametrize(
    "model",
    [Recommender(EASE(), ItemKNN("residual-cosine", n_neighbors=200, shrinkage=100)), EASE(n_candidates=None)],
    ids=["ease and residual cosine", "closed form"],
)
def test_models_of_ml_100k_equal_the_local_models(ml100k, model, tmp_path):
    data, frame = ml100k
    done = []
    path = cluster.fit(frame, model, tmp_path / "model", progress=done.append)
    fitted = Recommender.load(path)
    wanted = (model.ranker, model.rater) if isinstance(model, Recommender) else (model, None)
    for found, one in zip(fitted.models_, wanted, strict=True):
        if one is not None:
            assert_same(found, clone(one).fit(data.ratings.matrix, scale=data.ratings.scale[:2]))
    assert (type(fitted.models_.ranker), fitted.by) == (EASE, "score")
    assert done == sorted(done)
    assert done[-1] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_the_default_recommender_of_ml_1m_equals_the_local_one(spark, shared_data, tmp_path):
    file = shared_data / "ml-1m" / "ratings.parquet"
    path = cluster.fit(spark.read.parquet(str(file)), Recommender(), tmp_path / "model", task_memory="20MB")
    fitted, ratings = Recommender.load(path), Dataset.from_frames(pl.read_parquet(file)).ratings
    assert type(fitted.models_.ranker) is EASE
    local = fitted.models_.rater.__class__(**fitted.models_.rater.get_params())
    assert_same(fitted.models_.rater, local.fit(ratings.matrix, scale=ratings.scale[:2]))


def test_empty_and_large_partitions_change_nothing(small, spark, tmp_path):
    _, table, frame = small
    crowded = frame.coalesce(1).union(frame.where("stars < 0").repartition(5))
    fitted = Recommender.load(cluster.fit(crowded, ItemKNN(), tmp_path / "model", columns={"user_id": "Member"}))
    local = Recommender(ranker=None, rater=ItemKNN()).fit(Dataset.from_frames(table, columns={"user_id": "Member"}))
    np.testing.assert_array_equal(
        fitted.models_.rater.item_weights_.toarray(), local.models_.rater.item_weights_.toarray()
    )
    assert fitted.catalogue_.counts.tolist() == local.catalogue_.counts.tolist()
    assert (fitted.models_.ranker, fitted.by) == (None, "rating")


@pytest.fixture(scope="module")
def files(spark, tmp_path_factory):
    """A folder of two Parquet files with text ids and several row groups, and the same as a table that is no file."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("some files") / "ratings %20"
    folder.mkdir()
    users, items = np.nonzero(rng.random((60, 9)) < 0.5)
    columns = {"user": [f"Zoë {u}" for u in users], "item": [f"i{i}" for i in items], "when": users}
    table = pl.DataFrame(columns | {"stars": rng.integers(1, 6, len(users)).astype(np.int16)})
    table[:100].write_parquet(folder / "a.parquet", row_group_size=30)
    table[100:].write_parquet(folder / "b.parquet")
    return folder, spark.read.parquet(str(folder))


def test_files_are_fitted_like_any_other_table(files, tmp_path):
    _, frame = files
    assert len(rating_files(frame, None, 2).groups) == 5
    fitted = [
        Recommender.load(cluster.fit(table, ItemKNN(), tmp_path / name))
        for name, table in (("files", frame), ("table", frame.where("stars > 0")))
    ]
    assert list(fitted[0].item_ids) == list(fitted[1].item_ids)
    assert fitted[0].catalogue_.counts.tolist() == fitted[1].catalogue_.counts.tolist()
    assert_same(*(rec.models_.rater for rec in fitted), close=0)


def test_only_whole_parquet_files_are_read_by_the_tasks(files, spark, tmp_path):
    folder, frame = files
    for table in (frame.where("stars > 1"), frame.select("user", "item", "stars"), frame.limit(3), frame.union(frame)):
        assert rating_files(table, None, 2) is None
    for name, column in (("csv", "stars"), ("decimal", "cast(stars as decimal(3, 1)) stars")):
        written = frame.selectExpr("user", "item", column)
        getattr(written.write, name if name == "csv" else "parquet")(str(tmp_path / name))
    assert rating_files(spark.read.csv(str(tmp_path / "csv")).toDF("user", "item", "stars"), None, 2) is None
    assert rating_files(spark.read.parquet(str(tmp_path / "decimal")), None, 2) is None
    frame.write.partitionBy("item").parquet(str(tmp_path / "parted"))
    assert rating_files(spark.read.parquet(str(tmp_path / "parted")), None, 2) is None
    assert rating_files(frame, {"rating": None}, 2) is None
    pl.read_parquet(folder / "a.parquet").with_columns(pl.col("stars").cast(pl.Float64)).write_parquet(
        tmp_path / "c.parquet"
    )
    mixed = spark.read.schema("user string, item string, stars double").parquet(
        str(tmp_path / "c.parquet"), str(folder / "a.parquet")
    )
    assert rating_files(mixed, None, 2) is None


def test_items_without_sampled_ratings_have_no_neighbours(small, tmp_path):
    _, _, frame = small
    path = cluster.fit(frame, ItemKNN(), tmp_path / "m", columns={"user_id": "Member"}, max_ratings_per_user=1)
    assert Recommender.load(path).models_.rater.item_weights_.nnz == 0


REFUSED = [
    ("(null, 7, 3.0), (2, null, 1.0), (3, 7, double('NaN')), (4, 8, 2.0)", "3 rows without a user"),
    ("(1, 7, 3.0), (1, 7, 4.0), (1, 7, 5.0), (2, 7, 5.0)", "2 repeated ratings of an item by the same user"),
    ("(1, 7, 3.0), (2, 7, 9.0)", "1 row with a rating outside the scale"),
]


@pytest.mark.parametrize(("rows", "message"), REFUSED)
def test_bad_rows_are_rejected_with_their_number(spark, rows, message, tmp_path):
    frame = spark.sql(f"select * from values {rows} as t(user_id, item_id, rating)")
    file = tmp_path / "ratings.parquet"
    frame.write.parquet(str(file))
    for table in (frame, spark.read.parquet(str(file)).withColumn("x", sql.lit(1)), spark.read.parquet(str(file))):
        with pytest.raises(InputError, match=message):
            cluster.fit(table, ItemKNN(), tmp_path / "model", scale=(1, 5, 1))
    assert list(tmp_path.iterdir()) == [file]


def test_unsupported_models_and_tables_are_rejected(small, tmp_path):
    _, table, frame = small
    for model, message in [
        (Recommender(rater=BPMF()), r"rater=BPMF\(\): a cluster fits ItemKNN and EASE"),
        (BPMF(), r"expected a Recommender, an ItemKNN or an EASE"),
        (EASE(max_memory=100), "the matrix of 8 × 8 items takes 256 bytes on the driver"),
    ]:
        with pytest.raises(InputError, match=message):
            cluster.fit(frame, model, tmp_path / "model", columns={"user_id": "Member"})
    with pytest.raises(InputError, match="expected a Spark DataFrame"):
        cluster.fit(table, ItemKNN(), tmp_path / "model")
    with pytest.raises(InputError, match="rating is a column of type string: expected numbers"):
        cluster.fit(frame.selectExpr("Member user_id", "movieId", "'5' rating"), ItemKNN(), tmp_path / "model")
    with pytest.raises(InputError, match="is not a saved model: choose another folder"):
        cluster.fit(frame, ItemKNN(), Path(__file__), columns={"user_id": "Member"})


@pytest.fixture(scope="module")
def served(ml100k, tmp_path_factory):
    """A recommender with a ranker and a rater, in memory and as a folder."""
    data, _ = ml100k
    rec = Recommender(EASE(n_candidates=50), ItemKNN("residual-cosine", shrinkage=100)).fit(data)
    return rec, rec.save(tmp_path_factory.mktemp("served") / "model", ratings=False)


def polars(frame):
    return pl.DataFrame(frame.toPandas())


def test_recommendations_equal_the_local_batch(served, ml100k):
    rec, path = served
    expected = pl.concat(rec.recommend_batch(4, genres=["Comedy"]))
    found = polars(cluster.recommend(path, ml100k[1], 4, genres=["Comedy"]))
    assert found.columns == expected.columns
    assert found.sort("user_id", "rank").equals(
        expected.with_columns(pl.col("rank", "n_neighbors_used").cast(pl.Int32))
    )


def test_equal_ratings_are_fitted_without_a_rater(spark, tmp_path):
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 9)) < 0.4)
    table = pl.DataFrame({"user_id": users, "item_id": items})
    frame, columns = parquet(spark, table, tmp_path), {"rating": None}
    found = Recommender.load(cluster.fit(frame, Recommender(), tmp_path / "model", columns=columns))
    local = Recommender().fit(reelated.read(table, columns=columns))
    assert (found.models_.rater, found.feedback_) == (local.models_.rater, local.feedback_) == (None, "implicit")
    lists = polars(cluster.recommend(tmp_path / "model", frame, 3, columns=columns)).sort("user_id", "rank")
    assert lists["item_id"].to_list() == pl.concat(local.recommend_batch(3))["item_id"].to_list()
    assert lists["predicted_rating"].null_count() == len(lists)
    with pytest.raises(InputError, match="predicts no ratings"):
        cluster.recommend(tmp_path / "model", frame, 3, by="rating", columns=columns)


@pytest.mark.parametrize("by", [None, "rating"])
def test_an_audience_equals_the_local_one(served, ml100k, by):
    rec, path = served
    expected = rec.audience_batch([300, 50], n=6, by=by)
    found = polars(cluster.audience(path, ml100k[1], [300, 50], 6, by=by))
    assert found.equals(expected)


def test_recommend_rejects_ratings_unlike_those_of_the_fit(served, spark):
    _, path = served
    for rows, message in [
        ("(1, 50, 9.0)", "1 row with a rating outside the scale of the fit"),
        ("(1, 50, double(null))", "1 row without a user"),
        ("(1, 'x', 3.0)", "item_id is of type str: expected int"),
    ]:
        with pytest.raises(InputError, match=message):
            cluster.recommend(path, spark.sql(f"select * from values {rows} as t(user_id, item_id, rating)"))


def test_the_plan_estimates_tasks_and_shuffle(ml100k):
    _, frame = ml100k
    plan = cluster.plan(frame, Recommender(ItemKNN(), ItemKNN("residual-cosine")), task_memory="2MB")
    assert (plan.users, plan.items, plan.ratings, plan.sample) == (943, 1682, 100_000, 1)
    assert [step.tasks >= 11 and step.task_memory <= 2e6 for step in plan.steps] == [True, True]
    assert plan.steps[0].replication > 5
    assert plan.shuffle == plan.rows + sum(step.shuffle for step in plan.steps)
    assert "100,000 ratings of 1,682 items by about 943 users (sample: all users)" in str(plan)


def test_the_command_line_fits_and_recommends_on_a_cluster(ml100k, tmp_path):
    data, _ = ml100k
    ratings, model, lists = tmp_path / "ratings.parquet", tmp_path / "my.model", tmp_path / "lists.parquet"
    data.ratings.to_polars().write_parquet(ratings)
    arguments = ["fit", str(ratings), "-o", str(model), "--ranker", "item-knn", "--set", "n_neighbors=20"]
    result = CliRunner().invoke(app, [*arguments, "--engine", "spark"], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    assert f"Saved to {model}" in result.stdout
    arguments = ["batch", str(model), "--ratings", str(ratings), "-o", str(lists), "-n", "3", "--engine", "spark"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert f"{943 * 3:,} rows written" in result.stdout
    expected = pl.concat(Recommender.load(model).with_ratings(data.ratings).recommend_batch(3))
    assert pl.read_parquet(lists / "*.parquet").sort("user_id", "rank")["item_id"].equals(expected["item_id"])


@pytest.mark.parametrize(
    ("option", "value", "argument"),
    [
        ("--map", "like=1", "map={'like': 1.0}"),
        ("--layout", "wide", "layout='wide'"),
        ("--feedback", "implicit", "feedback='implicit'"),
        ("--invalid", "drop", "invalid='drop'"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "batch"])
def test_options_that_a_cluster_lacks_are_refused_with_the_code_that_applies_them(
    tmp_path, command, option, value, argument
):
    (tmp_path / "model.json").write_text("{}")
    source = ["r.csv", "-o", "m"] if command == "fit" else [str(tmp_path), "--ratings", "r.csv", "-o", "l.parquet"]
    result = CliRunner().invoke(app, [command, *source, "--engine", "spark", option, value])
    code = f"reelated.read('r.csv', {argument}).ratings.to_polars().write_parquet('ratings.parquet')"
    assert f"{option} with --engine spark: not supported" in str(result.exception)
    assert code in str(result.exception)


def test_the_command_line_reports_wrong_sources_and_options(monkeypatch, tmp_path):
    folder, mixed, parts = (tmp_path / name for name in ("ml-latest", "mixed", "parts"))
    for new_folder in (folder, mixed, parts):
        new_folder.mkdir()
    for file, begins in (
        (folder / "u.data", b"1\t2\t3\t4"), (mixed / "ratings.csv", b"userId,"), (tmp_path / "ml.zip", b"PK"),
        (mixed / "movies.csv", b"movieId,"), (parts / "part-0", b"PAR1"), (parts / "_SUCCESS", b""),
    ):  # fmt: skip
        file.write_bytes(begins)
    check_table(str(parts))
    check_table("a_table")
    for source, remedy in [
        (tmp_path / "ml.zip", "Write its ratings as Parquet: reelated.read('"), (folder, "Write its ratings"),
        ("hdfs://host/ml.zip", "Write its ratings"), (folder / "u.data", "Write its ratings"),
        (mixed, f"Give {mixed}/ratings.csv."),
    ]:  # fmt: skip
        result = CliRunner().invoke(app, ["fit", str(source), "-o", str(tmp_path / "m"), "--engine", "spark"])
        assert (
            "with --engine spark: expected Parquet, ORC or CSV files, a folder of Parquet or the name of a table. "
            f"{remedy}" in str(result.exception)
        )
    for arguments, message in [
        (["--engine", "sprak"], "--engine 'sprak': expected spark, or spark=MASTER"),
        (["--engine", "spark", "--duplicates", "mean"], "--duplicates with --engine spark"),
    ]:
        result = CliRunner().invoke(app, ["fit", "no.parquet", "-o", str(tmp_path / "m"), *arguments])
        assert message in str(result.exception)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    result = CliRunner().invoke(app, ["fit", "no.parquet", "-o", str(tmp_path / "m"), "--engine", "spark"])
    assert "Spark needs a Java runtime" in str(result.exception)


def test_without_pyspark_the_error_tells_how_to_install_it():
    code = "import importlib.util as u; found = u.find_spec; "
    code += "u.find_spec = lambda name, *rest: None if name == 'pyspark' else found(name, *rest); import reelated.spark"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Spark is not installed. In a copy of the repository: pip install '.[spark]'" in done.stderr


def test_the_code_of_the_guide_runs(ml100k, tmp_path):
    data, _ = ml100k
    data.ratings.to_polars().write_parquet(tmp_path / "ratings.parquet")
    text = (Path(__file__).parents[1] / "docs" / "spark.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for name in ("ratings.parquet", "my.model", "lists.parquet"):  # Spark has its own working folder
        code = code.replace(f'"{name}"', repr(str(tmp_path / name)))
    names = {}
    exec(compile(code, "docs/spark.md", "exec"), names)
    assert names["users"].count() == 10
    assert len(pl.read_parquet(tmp_path / "lists.parquet" / "*.parquet")) == 9430


def executors(spark):
    """Return the process ids of this session's executors, identified by the application id."""
    app, found = spark.sparkContext.applicationId, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if app in arguments and any("CoarseGrainedExecutorBackend" in word for word in arguments):
            found.append(int(folder.name))
    return found


class KillOne:
    """A progress callback that kills one executor when tasks run after a given fraction is done."""

    def __init__(self, spark, after):
        self.spark, self.after, self.killed, self.thread = spark, after, [], None

    def __call__(self, done):
        if done >= self.after and self.thread is None:
            self.thread = threading.Thread(target=self.watch)
            self.thread.start()

    def watch(self):
        tracker, until = self.spark.sparkContext.statusTracker(), time.monotonic() + 60
        while time.monotonic() < until and not any(
            (stage := tracker.getStageInfo(one)) and stage.numActiveTasks for one in tracker.getActiveStageIds()
        ):
            time.sleep(0.01)
        victim = executors(self.spark)[0]
        os.kill(victim, signal.SIGKILL)
        self.killed.append(victim)


def test_killing_an_executor_changes_nothing(spark, ml100k, served, tmp_path):
    data, frame = ml100k
    kill = KillOne(spark, 0.2)
    path = cluster.fit(frame, ItemKNN(), tmp_path / "model", progress=kill)
    kill.thread.join()
    assert len(kill.killed) == 1
    assert_same(Recommender.load(path).models_.rater, ItemKNN().fit(data.ratings.matrix, scale=(1, 5)))
    kill = KillOne(spark, 0)
    kill(0)
    found = polars(cluster.recommend(served[1], frame, 3)).sort("user_id", "rank")
    kill.thread.join()
    assert len(kill.killed) == 1
    assert found["item_id"].to_list() == pl.concat(served[0].recommend_batch(3))["item_id"].to_list()


ALONE = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_spark import configured
from reelated import ItemKNN
from reelated import spark as cluster
from reelated.cli import main
for file in ("ratings.csv", "broken.parquet"):
    sys.argv = ["reelated", "fit", file, "--plan", "--engine", "spark=local[1]"]
    try:
        main()
    except SystemExit:
        pass
print("the end of the terminal's lines", file=sys.stderr, flush=True)
def stop(done):
    if done >= 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
spark = configured("local[1]", ".").getOrCreate()
cluster.fit(spark.read.csv("ratings.csv", header=True, inferSchema=True), ItemKNN(), "models/model", progress=stop)
"""


@pytest.fixture(scope="module")
def alone(spark, tmp_path_factory):
    """A process with its own Java runtime: it plans two fits in the terminal, then is killed during a third."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "ratings.csv").write_text("user_id,item_id,rating\n1,1,4\n1,2,5\n2,1,3\n2,3,4\n")
    (folder / "broken.parquet").write_bytes(b"no Parquet at all")
    command = [sys.executable, "-c", ALONE.format(tests=str(Path(__file__).parent))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    return folder, done


def test_the_command_line_shows_no_log_lines_of_spark(alone):
    _, done = alone
    lines, end, _ = done.stderr.partition("the end of the terminal's lines")
    assert end
    assert "4 ratings of 3 items by about 2 users" in done.stdout
    assert "is not a Parquet file" in lines
    for line in ("WARN", "log4j", "log level", "at org.apache", "ERROR"):
        assert line not in lines


def test_a_killed_job_leaves_no_partial_model_and_can_be_repeated(alone, spark):
    folder, done = alone
    path = folder / "models" / "model"
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert path.parent.exists()
    assert not path.exists()
    ratings = spark.read.csv(str(folder / "ratings.csv"), header=True, inferSchema=True)
    cluster.fit(ratings, ItemKNN(), path)
    assert len(Recommender.load(path).item_ids) == 3
