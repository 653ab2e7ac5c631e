"""Write the bundled sample with half stars: `python tools/half_stars.py FOLDER`.

The ratings are simulated: half of those of the sample lose half a star, the same ones on every machine.
The tests and the pictures of the page use this data set, laid out like the MovieLens editions with half stars.
"""

import sys
from pathlib import Path

import polars as pl

from reelated.data.sample import simulate


def write(folder: Path | str) -> Path:
    """Write `ratings.csv` and `movies.csv` into a folder; create the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ratings, items, _ = simulate()
    halved = pl.col("rating") - 0.5 * (pl.col("timestamp") % 2)  # the last second of a time is random in the sample
    ratings.select(
        pl.col("user_id").alias("userId"), pl.col("item_id").alias("movieId"), halved.alias("rating"), "timestamp"
    ).write_csv(folder / "ratings.csv")
    items.select(
        pl.col("item_id").alias("movieId"),
        pl.format("{} ({})", "title", "year").alias("title"),
        pl.col("genres").list.join("|"),
    ).write_csv(folder / "movies.csv")
    return folder


if __name__ == "__main__":
    print(write(sys.argv[1]))
