"""The cluster beside one machine: python benchmarks/spark/measure.py [part …]; with no part, all.

Two executor processes of one core and 3 GB each on this machine, the session already up and its Python workers warm.
Parts: `fit` (ML-20M's shape, Parquet to saved model, against the local engine on two threads), `alone` (the local
engine in a process without a Spark session), `shuffle` (what `plan` forecast of that fit), `lists` (everybody's),
`join` (ML-1M's shape against a self-join in Spark SQL and ALS), `large` (ML-100M's shape). Each prints a line and adds
it to `results.json`.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import data  # noqa: E402
import reelated  # noqa: E402
from reelated import Dataset, ItemKNN, Recommender  # noqa: E402
from reelated import spark as cluster  # noqa: E402

RESULTS = HERE / "results.json"
CORES, MEMORY = 2, 3072
ROUNDS = 3


def session() -> Any:
    """Return a session with two executor processes, on the loopback address alone."""
    import pyspark
    from pyspark.sql import SparkSession

    os.environ |= {
        "SPARK_HOME": str(Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": tempfile.mkdtemp(prefix="spark-workers-"),
    }  # fmt: skip
    builder = SparkSession.builder.master(f"local-cluster[{CORES},1,{MEMORY}]").appName("reelated benchmark")
    settings = {
        "spark.executor.memory": f"{MEMORY}m", "spark.sql.shuffle.partitions": str(4 * CORES),
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR",
    }  # fmt: skip
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def parquet(name: str) -> Path:
    """Return a folder of Parquet files with the ratings of a shape, made if need be."""
    matrix = data.matrix(name)
    folder = matrix / "parquet"
    if folder.is_dir():
        return folder
    indptr, indices, values = (np.load(matrix / f"{part}.npy", mmap_mode="r") for part in ("indptr", "indices", "data"))
    beside = folder.with_name("parquet-unfinished")
    beside.mkdir(exist_ok=True)
    cuts = np.linspace(0, len(indptr) - 1, max(8, len(indices) // 5_000_000) + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(cuts)):
        part = slice(indptr[start], indptr[stop])
        users = np.repeat(np.arange(start, stop), np.diff(indptr[start : stop + 1]))
        columns = {"user_id": users, "item_id": indices[part].astype(np.int64), "rating": values[part]}
        pl.DataFrame(columns).write_parquet(beside / f"{number:04}.parquet")
    beside.rename(folder)
    return folder


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(works: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median seconds of each, taken in turn, so that all see the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(timed(work))
    return {name: round(statistics.median(taken), 2) for name, taken in seconds.items()}


def shuffled(spark: Any) -> int:
    """Return the bytes that all stages of the session have written for others so far, as Spark counts them."""
    context = spark.sparkContext
    url = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/stages?status=complete"
    with urllib.request.urlopen(url) as answer:
        return sum(stage["shuffleWriteBytes"] for stage in json.load(answer))


def local_fit(source: Path, target: Path) -> None:
    """Do what the cluster does, on one machine: Parquet to saved model."""
    ratings = Dataset.from_frames(pl.read_parquet(source / "*.parquet"))
    Recommender(ranker=None, rater=ItemKNN(), by="rating").fit(ratings).save(target, ratings=False)


def part_fit(spark: Any, folder: Path, name: str = "ml-20m", rounds: int = ROUNDS) -> dict[str, Any]:
    """Fit cosine with 100 neighbours."""
    source = parquet(name)
    found = in_turn(
        {
            "cluster": lambda: cluster.fit(spark.read.parquet(str(source)), ItemKNN(), folder / "cluster"),
            "local": lambda: local_fit(source, folder / "local"),
        },
        rounds,
    )
    return found | {"ratio": round(found["cluster"] / found["local"], 2)}


ALONE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import measure
source, target = measure.parquet("ml-20m"), Path(sys.argv[2])
print(measure.in_turn({"local": lambda: measure.local_fit(source, target)})["local"])
"""


def part_alone(spark: Any, folder: Path) -> dict[str, Any]:
    """Fit on one machine in a process that has no Spark session."""
    run = [sys.executable, "-c", ALONE, str(HERE), str(folder / "alone")]
    return {"local": float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)}


def part_shuffle(spark: Any, folder: Path) -> dict[str, Any]:
    """Compare what was sent with what was forecast."""
    frame = spark.read.parquet(str(parquet("ml-20m")))
    forecast = cluster.plan(frame, ItemKNN())
    before = shuffled(spark)
    cluster.fit(frame, ItemKNN(), folder / "cluster")
    sent = shuffled(spark) - before
    print(forecast)
    return {"forecast": forecast.shuffle, "sent": sent, "ratio": round(forecast.shuffle / sent, 3)}


def part_lists(spark: Any, folder: Path) -> dict[str, Any]:
    """Write ten movies for everybody: Parquet and a saved model to Parquet."""
    source, model = parquet("ml-20m"), folder / "local"
    if not model.exists():
        local_fit(source, model)

    def local() -> None:
        ratings = Dataset.from_frames(pl.read_parquet(source / "*.parquet"))
        made = Recommender.load(model).with_ratings(ratings)
        pl.concat(made.recommend_batch(10, by="rating")).write_parquet(folder / "lists.parquet")

    def spread() -> None:
        lists = cluster.recommend(model, spark.read.parquet(str(source)), 10)
        lists.write.mode("overwrite").parquet(str(folder / "lists"))

    found = in_turn({"cluster": spread, "local": local})
    return found | {"ratio": round(found["cluster"] / found["local"], 2)}


JOIN = """
with norms as (select item_id, sqrt(sum(rating * rating)) as norm from ratings group by item_id),
pairs as (
    select a.item_id as i, b.item_id as j, sum(a.rating * b.rating) as dot, count(*) as common
    from ratings a join ratings b on a.user_id = b.user_id and a.item_id <> b.item_id group by 1, 2
),
ranked as (
    select i, j, dot / (x.norm * y.norm) as similarity, common,
        row_number() over (partition by i order by dot / (x.norm * y.norm) desc, j) as place
    from pairs join norms x on i = x.item_id join norms y on j = y.item_id
)
select i, j, similarity, common from ranked where place <= 100
"""


def part_join(spark: Any, folder: Path) -> dict[str, Any]:
    """Fit ML-1M's shape: ours, the same neighbours by a self-join in SQL, and ALS for orientation."""
    from pyspark.ml.recommendation import ALS

    frame = spark.read.parquet(str(parquet("ml-1m-shape")))
    frame.createOrReplaceTempView("ratings")
    als = ALS(rank=64, maxIter=10, userCol="user_id", itemCol="item_id", ratingCol="rating", seed=0)

    found = in_turn(
        {
            "cluster": lambda: cluster.fit(frame, ItemKNN(), folder / "cluster"),
            "join": lambda: spark.sql(JOIN).write.mode("overwrite").parquet(str(folder / "join")),
            "als": lambda: als.fit(frame).write().overwrite().save(str(folder / "als")),
        }
    )
    return found | {"join / cluster": round(found["join"] / found["cluster"], 1)}


def part_large(spark: Any, folder: Path) -> dict[str, Any]:
    """Fit five times as many people."""
    large, small = (spark.read.parquet(str(parquet(name))) for name in ("ml-100m", "ml-20m"))
    found = in_turn(
        {
            "100m": lambda: cluster.fit(large, ItemKNN(), folder / "large"),
            "20m": lambda: cluster.fit(small, ItemKNN(), folder / "small"),
        },
        rounds=1,
    )
    return found | {"ratio": round(found["100m"] / found["20m"], 2)}


PARTS = {
    "fit": part_fit, "alone": part_alone, "shuffle": part_shuffle, "lists": part_lists, "join": part_join,
    "large": part_large,
}  # fmt: skip


def main(names: list[str]) -> None:
    """Measure the parts and keep what was found."""
    warnings.simplefilter("ignore", FutureWarning)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    spark = session()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cluster.fit(spark.read.parquet(str(parquet("small"))), ItemKNN(), folder / "warm")  # starts the Python workers
        for name in names or list(PARTS):
            found = PARTS[name](spark, folder)
            conditions = {
                "at": time.strftime("%Y-%m-%d"), "load": round(os.getloadavg()[1], 1), "cores": os.cpu_count(),
                "machine": platform.machine(), "spark": spark.version, "reelated": reelated.__version__,
            }  # fmt: skip
            kept[name] = found | conditions
            print(name, json.dumps(kept[name]), flush=True)
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
