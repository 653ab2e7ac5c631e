"""One list all the way: a file is read, fitted, saved, loaded, and the terminal says what Python says."""

import json

import polars as pl
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app

WHO = 42


def test_the_same_list_comes_from_the_file_the_model_and_the_terminal(tmp_path):
    source, model, batch = tmp_path / "ratings.csv", tmp_path / "my.model", tmp_path / "top.parquet"
    reelated.read("sample").ratings.to_polars().sample(fraction=0.5, shuffle=True, seed=1).write_csv(source)

    made = reelated.Recommender().fit(reelated.read(source))
    made.save(model)
    wanted = made.recommend(user_id=WHO, n=7)
    assert len(wanted) == 7
    assert reelated.Recommender.load(model).recommend(user_id=WHO, n=7) == wanted

    def told(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    as_json = json.loads(json.dumps(wanted.to_dicts()))
    for place in (source, model):  # the file twice: fitted, and from the cache
        for _ in range(2):
            assert json.loads(told("recommend", place, "--user", WHO, "-n", 7, "--json")) == as_json
    told("batch", source, "-n", 7, "-o", batch)
    mine = pl.read_parquet(batch).filter(pl.col("user_id") == WHO)
    assert mine["item_id"].to_list() == [row.item_id for row in wanted]
    assert mine["score"].to_list() == [row.score for row in wanted]

    made = reelated.Recommender(recency_half_life=None).fit(
        reelated.read(source)
    )  # of a newcomer's ratings no times are known
    wanted = made.recommend(user_id=WHO, n=7)
    kept = made.ratings_
    indices, stars = kept.row(kept.user_ids.index_of(WHO))
    ratings = {kept.item_ids[index]: star for index, star in zip(indices, stars.tolist(), strict=True)}
    assert list(made.recommend(ratings=ratings, n=7)) == list(wanted)
    rates = [word for item, star in ratings.items() for word in ("--rate", f"{item}={star}")]
    told_now = json.loads(told("recommend", source, *rates, "-n", 7, "--json", "--set", "recency_half_life=none"))
    assert told_now == json.loads(json.dumps(wanted.to_dicts())) != as_json
