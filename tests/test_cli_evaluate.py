"""`reelated evaluate` prints the results of `evaluate`."""

import json

import pytest
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.cli.words import TERMINAL
from reelated.errors import InputError
from reelated.evaluation import PROTOCOLS, evaluate, leave_last_out, within_items, within_users
from reelated.models import ItemKNN
from reelated.recommender import Recommender, textbook


def run(*words, code=0):
    result = CliRunner().invoke(app, ["evaluate", *map(str, words)], env={"COLUMNS": "110"})
    if code == 1:
        assert isinstance(result.exception, InputError), result
        return result.exception.render(TERMINAL)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def measures(*words):
    (output,) = json.loads(run(*words, "--json").stdout)
    return output["measures"]


@pytest.fixture(scope="module")
def sample():
    return reelated.read("sample")


def test_the_command_prints_the_results_of_evaluate(sample):
    assert measures("sample") == evaluate(Recommender(), within_users(sample)).to_dicts()


def test_options_select_split_length_target_and_model(sample):
    output = measures(
        "sample", "--split", "within-items", "--seed", 3, "--target", "users", "-n", 5, "--preset", "textbook"
    )
    assert output == evaluate(textbook(), within_items(sample, seed=3), 5, target="users").to_dicts()
    output = measures("sample", "--split", "last", "--ranker", "item-knn", "--set", "n_neighbors=20")
    assert output == evaluate(Recommender(ItemKNN(n_neighbors=20)), leave_last_out(sample)).to_dicts()


def test_both_kinds_of_relevance_are_columns_with_intervals():
    shown = run("sample").stdout
    assert "rated at all" in shown
    assert "liked" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("nDCG@10")]
    assert line.count("–") == 2


def test_popularity_has_no_errors_of_predicted_ratings(shared_data):
    asked = "sample", "--ranker", "popularity"
    shown = run(*asked).stdout
    assert "nDCG@10" in shown
    assert all(measure not in shown for measure in ("RMSE", "MAE", "80 %"))
    assert {"rmse", "mae", "interval_coverage"}.isdisjoint(row["measure"] for row in measures(*asked))
    asked = shared_data / "ml-100k.zip", "--protocol", "ml100k-folds", "--ranker", "popularity"
    (output,) = json.loads(run(*asked, "--json").stdout)
    assert output["protocol"]["ours"] == {"RMSE": None, "MAE": None}
    assert "Reelated: popularity" in run(*asked).stdout


def test_left_out_users_are_noted():
    output = run("sample", "--split", "last").stderr
    assert "left out of the means for liked:" in output
    assert "users of 600" in output


def test_a_protocol_prints_our_row_below_the_published_ones(shared_data):
    path, protocol = shared_data / "ml-100k.zip", PROTOCOLS["ml100k-microsoft"]
    shown = run(path, "--protocol", "ml100k-microsoft").stdout
    assert "BiVAE" in shown
    assert "Reelated: default" in shown
    assert " ".join(protocol.definition.split()) in " ".join(shown.split())
    (output,) = json.loads(run(path, "--protocol", "ml100k-microsoft", "--json").stdout)
    (split,) = protocol.splits(path)
    assert output["protocol"]["ours"]["nDCG@10"] == evaluate(Recommender(), split).value("ndcg@10", "any")
    assert output["protocol"]["published"][0]["nDCG@10"] == 0.4751


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "often"], "--split 'often': expected one of within-users, "),
        (["--protocol", "ml100k"], "--protocol 'ml100k': expected one of 'ml100k-folds', "),
        (["--protocol", "ml100k-microsoft"], "SOURCE 'sample': it has 49,653 ratings"),
        (["--protocol", "ml100k-microsoft", "-n", 5], "Leave out -n, --target and the reading options."),
    ],
)
def test_error_messages_name_options(words, message):
    assert message in run("sample", *words, code=1)


def test_a_missing_split_file_message_names_the_option(shared_data, tmp_path):
    output = run(shared_data / "ml-1m", "--protocol", "ml1m-ncf", "--split", tmp_path, code=1)
    assert output.endswith("Name it: --split FOLDER.")
