"""`--engine spark`: run `fit` and `batch` on a Spark cluster."""

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import reelated.data
from reelated.cli.progress import working
from reelated.cli.shared_options import as_filters
from reelated.cli.sources import Options, is_model
from reelated.errors import InputError, shorten
from reelated.recommender import Recommender

NO_JAVA = "Spark needs a Java runtime, 17 or later. Install one, for example with: apt install default-jre-headless"


@contextmanager
def spark_session(engine: str) -> Iterator[Any]:
    """Open a Spark session for the value of `--engine`; raise an `InputError` if something is missing."""
    name, _, master = engine.partition("=")
    if name != "spark":
        raise InputError(f"--engine {shorten(engine)}: expected spark, or spark=MASTER such as spark=local[4].")
    import reelated.spark  # noqa: F401  # raises an error with the install command if PySpark is missing

    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise InputError(NO_JAVA)
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    # Without this, workers run the first `python3` on the PATH, which may lack Reelated.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    active = SparkSession.getActiveSession()
    logging = Path(__file__).with_name("log4j2.properties").as_uri()
    builder = SparkSession.builder.appName("reelated")
    builder = builder.config("spark.driver.defaultJavaOptions", f"-Dlog4j2.configurationFile={logging}")
    builder = builder.config("spark.ui.showConsoleProgress", "false")  # we show our own progress bar
    with warnings.catch_warnings(action="ignore"):  # Spark warns about the versions of other packages
        try:
            with filtered_stderr():
                session = (builder.master(master) if master else builder).getOrCreate()
        except (PySparkException, OSError) as error:
            raise InputError(f"--engine {engine}: no session ({_error_line(error)}).") from None
        try:
            yield session
        except (PySparkException, Py4JJavaError) as error:
            raise InputError(f"--engine {engine}: {_error_line(error)}") from None
        finally:
            if active is None:  # a session that was already open belongs to the caller
                session.stop()


@contextmanager
def filtered_stderr() -> Iterator[None]:
    """Filter the "incubator modules" notice of a starting Java runtime out of stderr."""
    # No Java option suppresses the notice. The runtime keeps the stderr that it starts with, so the thread continues
    # to copy after the block ends.
    stderr, (reading, writing) = os.dup(2), os.pipe()

    def copy_lines() -> None:
        with os.fdopen(reading, "rb") as lines, os.fdopen(stderr, "wb", buffering=0) as out:
            for line in lines:
                if b"Using incubator modules" not in line:
                    out.write(line)

    os.dup2(writing, 2)
    os.close(writing)
    Thread(target=copy_lines, daemon=True).start()
    try:
        yield
    finally:
        os.dup2(stderr, 2)


def _error_line(error: BaseException) -> str:
    """Return one line: the root cause of a Java exception, or the Reelated error of a task's traceback."""
    text, cause = str(error), getattr(error, "java_exception", None)
    while cause is not None:
        text, cause = cause.getMessage() or cause.toString(), cause.getCause()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if "reelated.errors." in line]
    return own[-1].partition(": ")[2] if own else shorten(lines[0] if lines else type(error).__name__, 300)


_AS_PARQUET = "reelated.read({!r}{}).ratings.to_polars().write_parquet('ratings.parquet')"


def check_table(source: str) -> None:
    """Refuse sources that Spark cannot read, such as archives and models, before Spark starts."""
    path, name = Path(source), _without_compression(source)
    if is_model(source):
        raise InputError(f"SOURCE {shorten(source)}: expected ratings, and this is a saved model.")
    if name.endswith((".csv", ".tsv", ".orc", ".parquet")) and not path.is_dir():
        return
    files = (
        [file for file in path.rglob("*") if file.is_file() and file.name[0] not in "._"] if path.is_dir() else [path]
    )
    if source.endswith(".zip") or (path.exists() and not all(map(_is_parquet, files))):
        tables = [path / table for table in ("ratings.parquet", "ratings.csv") if (path / table).is_file()]
        remedy = f"Give {tables[0]}." if tables else f"Write its ratings as Parquet: {_AS_PARQUET.format(source, '')}."
        raise InputError(
            f"{shorten(source)} with --engine spark: expected Parquet, ORC or CSV files, a folder of Parquet or the "
            f"name of a table. {remedy}"
        )


def _is_parquet(file: Path) -> bool:
    """Return whether a file is Parquet, by its suffix or its magic bytes."""
    if file.suffix == ".parquet":
        return True
    with file.open("rb") as opened:
        return opened.read(4) == b"PAR1"


def _without_compression(source: str) -> str:
    """Remove the suffix of a compression method from a file name."""
    return source.removesuffix(".gz").removesuffix(".zst")


def ratings_table(session: Any, source: str) -> Any:
    """Read ratings with Spark: Parquet, ORC or CSV files, a folder of Parquet, or a table by its name."""
    name = _without_compression(source)
    if name.endswith((".csv", ".tsv")):
        separator = "\t" if name.endswith(".tsv") else ","
        return session.read.csv(source, header=True, inferSchema=True, sep=separator)
    if name.endswith(".orc"):
        return session.read.orc(source)
    if name.endswith(".parquet") or "/" in source or Path(source).exists():
        return session.read.parquet(source)
    return session.table(source)


def fit_on_cluster(source: str, options: Options, output: Path | None, engine: str) -> str:
    """Fit on a cluster and save the model to `output`; without `output`, return the cost estimate as text."""
    check_cluster_options(source, options)
    check_table(source)
    with spark_session(engine) as session:
        from reelated import spark

        given = options.reading
        reading: dict[str, Any] = {name: given.get(name) for name in ("columns", "scale")}
        ratings, model = ratings_table(session, source), options.recommender()
        if output is None:
            return str(spark.plan(ratings, model, **reading))
        names = given.get("item_columns")
        items = reelated.data.read_items(given["items"], item_columns=names) if "items" in given else None
        reading |= {"name": Path(source).name, "noun": given.get("noun", "item")}
        with working("Fitting on Spark") as progress:
            spark.fit(ratings, model, output, **reading, items=items, progress=progress)
    return ""


def check_cluster_options(ratings: str, options: Options) -> None:
    """Refuse options that are not supported on a cluster."""
    for name, value in options.reading.items():
        if name in ("columns", "item_columns", "scale", "items", "noun") or (name, value) == ("duplicates", "error"):
            continue
        read = _AS_PARQUET.format(ratings, f", {name}={value!r}")
        raise InputError(
            f"--{name} with --engine spark: not supported on a cluster, which rejects repeated and "
            f"unusable rows. Leave it out, or use it to write the ratings as Parquet: {read}."
        )


def batch_on_cluster(
    source: str, ratings: str | None, output: Path, engine: str, options: Options, *, n: int, by: Any, filters: Any
) -> int:
    """Write the recommendations of all users as a folder of Parquet files; return the number of rows."""
    if not is_model(source) or ratings is None:
        raise InputError("--engine spark: expected a saved model as SOURCE, and --ratings with a table of ratings.")
    if output.suffix != ".parquet":
        raise InputError(f"--output {output}: expected a name that ends in .parquet, for a folder of Parquet files.")
    check_cluster_options(ratings, options)
    check_table(ratings)
    filter_values = as_filters(Recommender.load(source), *filters)
    with spark_session(engine) as session:
        from reelated import spark

        table = ratings_table(session, ratings)
        lists = spark.recommend(source, table, n, by=by, **filter_values, columns=options.reading.get("columns"))
        lists.write.mode("overwrite").parquet(str(output))
        return int(session.read.parquet(str(output)).count())
