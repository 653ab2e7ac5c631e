"""End to end: read a file, fit, save and load; Python and the command line return the same list."""

import json

import polars as pl
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app

USER = 42


def test_the_file_the_model_and_the_command_line_give_the_same_list(tmp_path):
    source, model, batch = tmp_path / "ratings.csv", tmp_path / "my.model", tmp_path / "top.parquet"
    reelated.read("sample").ratings.to_polars().sample(fraction=0.5, shuffle=True, seed=1).write_csv(source)

    rec = reelated.Recommender().fit(reelated.read(source))
    rec.save(model)
    expected = rec.recommend(user_id=USER, n=7)
    assert len(expected) == 7
    assert reelated.Recommender.load(model).recommend(user_id=USER, n=7) == expected

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    as_json = json.loads(json.dumps(expected.to_dicts()))
    for origin in (source, model):  # each twice: the second run of the file uses the cache
        for _ in range(2):
            assert json.loads(run("recommend", origin, "--user", USER, "-n", 7, "--json")) == as_json
    run("batch", source, "-n", 7, "-o", batch)
    rows = pl.read_parquet(batch).filter(pl.col("user_id") == USER)
    assert rows["item_id"].to_list() == [row.item_id for row in expected]
    assert rows["score"].to_list() == [row.score for row in expected]

    # without ageing, because the ratings of a new user have no times
    rec = reelated.Recommender(recency_half_life=None).fit(reelated.read(source))
    expected = rec.recommend(user_id=USER, n=7)
    known = rec.ratings_
    indices, stars = known.row(known.user_ids.index_of(USER))
    ratings = {known.item_ids[index]: star for index, star in zip(indices, stars.tolist(), strict=True)}
    new = rec.recommend(ratings=ratings, n=7)  # another predicted rating: the number of ratings is not a feature
    assert [(row.item_id, row.score) for row in new] == [(row.item_id, row.score) for row in expected]
    rates = [argument for item, star in ratings.items() for argument in ("--rate", f"{item}={star}")]
    new_user = json.loads(run("recommend", source, *rates, "-n", 7, "--json", "--set", "recency_half_life=none"))
    assert new_user == json.loads(json.dumps(new.to_dicts())) != as_json
