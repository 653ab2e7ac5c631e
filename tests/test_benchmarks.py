"""The benchmark is fair: wrong results are detected, data are as specified, and figures come from results."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import agreement
import contest
import data
import environments
import interactions
import process
import ranking
import report
import shapes
from memory import measured

GHOST = "import os\n\nNOTES = ''\n\n\ndef version():\n    {does}\n\n\ndef fit(X, n_neighbors, threads):\n    return X\n"
LISTS = """

REFERENCE = None
CALLS = []


def recommend_batch(model, X, n, threads):
    CALLS.append(n)
    if len(CALLS) > 2:  # warm by then
        raise ValueError("too many calls")
"""


@pytest.fixture(scope="module")
def small():
    return shapes.make(shapes.SHAPES["small"])


@pytest.fixture
def judged():
    """Ratings with two equal columns, the reference similarities and the two strongest of each column."""
    dense = np.array([[5, 5, 1, 0, 2], [4, 4, 0, 3, 0], [0, 0, 5, 4, 1], [2, 2, 3, 0, 5]], np.float32)
    X, rows = sp.csr_matrix(dense), np.arange(5)
    wanted = agreement.reference(X, rows)
    found = np.zeros((5, 5))
    for row in rows:
        best = np.argsort(-wanted[row], kind="stable")[:2]
        found[row, best] = wanted[row, best]
    return rows, wanted, found


@pytest.fixture
def ghost(tmp_path, monkeypatch):
    """Make a contender that runs the given code when asked for its version."""
    (tmp_path / "contenders").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda does: (tmp_path / "contenders" / "ghost.py").write_text(does)


def test_the_reference_is_the_cosine_between_columns(judged):
    _, wanted, _ = judged
    assert wanted[0, 1] == pytest.approx(1)
    assert wanted[2, 3] == pytest.approx(20 / (np.sqrt(35) * 5))
    assert not wanted.diagonal().any()


def test_correct_neighbours_agree_whatever_the_order_of_ties(judged):
    rows, wanted, found = judged
    assert agreement.compare(sp.csr_matrix(found), rows, wanted, 2)["agree"] == 1
    kept = agreement.compare(sp.csr_matrix(found[:, [1, 0, 2, 3, 4]][2:]), rows[2:], wanted[2:], 2)
    assert kept == {"rows": 3, "agree": 1, "largest_error": 0}


def test_the_item_itself_and_extra_neighbours_are_accepted(judged):
    rows, wanted, found = judged
    assert agreement.compare(sp.csr_matrix(found + np.eye(5)), rows, wanted, 2)["agree"] == 1
    assert agreement.compare(sp.csr_matrix(wanted), rows, wanted, 2)["agree"] == 1


@pytest.mark.parametrize("fault", ["another neighbour", "one too few", "a value off"])
def test_wrong_neighbours_are_detected(judged, fault):
    rows, wanted, found = judged
    weakest = np.flatnonzero(found[2])[np.argmin(found[2][found[2] > 0])]
    if fault == "a value off":
        found[2, weakest] += 2e-5
    else:
        found[2, weakest] = 0
    if fault == "another neighbour":
        worst = np.argmin(np.where(np.arange(5) == 2, np.inf, wanted[2]))
        found[2, worst] = wanted[2, worst]
    assert agreement.compare(sp.csr_matrix(found), rows, wanted, 2)["agree"] == 4 / 5


def test_wrong_lists_are_detected():
    scores, seen = np.array([[3.0, 2.0, 1.0, 0.5]]), sp.csr_matrix([[1.0, 0, 0, 0]])
    for listed, right in (([1, 2], 1), ([2, 1], 1), ([0, 1], 0), ([1], 0), ([1, 3], 0), ([1, 1], 0)):
        lists = np.array([0, len(listed)]), np.array(listed)
        assert agreement.compare_lists(lists, np.array([0]), scores, seen, 2)["agree"] == right


def test_synthetic_data_have_the_specified_marginals(small):
    shape, users, items = shapes.SHAPES["small"], np.diff(small.indptr), np.bincount(small.indices)
    assert small.shape == (shape.users, shape.items)
    assert small.nnz == users.sum() == shape.ratings
    assert (users.min(), users.max()) == (20, shape.most_active)
    assert np.median(users) == pytest.approx(shape.median_user, rel=0.05)
    assert (users.astype(float) ** 2).sum() == pytest.approx(shape.pairs, rel=0.01)
    assert np.median(items) == pytest.approx(shape.median_item, rel=0.1)
    assert items.max() == pytest.approx(shape.largest_item, rel=0.1)
    assert set(np.unique(small.data)) <= set(shapes.STARS)


def test_synthetic_data_have_no_duplicates_and_depend_on_the_seed(small):
    assert all((np.diff(small.indices[a:b]) > 0).all() for a, b in zip(small.indptr, small.indptr[1:], strict=False))
    assert (shapes.make(shapes.SHAPES["small"]) != small).nnz == 0


def test_missing_data_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setenv("REELATED_TEST_DATA", str(tmp_path))
    with pytest.raises(data.Missing, match="REELATED_TEST_DATA"):
        data.matrix("ml-100k")
    with pytest.raises(data.Missing, match="ml-20m"):
        data.matrix("ml-21m")


def test_a_contender_that_cannot_be_imported_is_skipped_with_a_reason(ghost, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    ghost("import no_such_library\n")
    told = contest.contest(contest.Terms("small", ("ghost", "scikit_learn"), (), 1, 1, environments=False))
    assert told["ghost"] == {"skipped": "ModuleNotFoundError: No module named 'no_such_library'"}
    fit = told["scikit_learn"]["works"]["fit"]
    assert fit["agreement"]["agree"] == 1
    assert [fit["median"]] == fit["seconds"]


def test_a_contender_that_fails_at_one_task_keeps_its_other_results(ghost, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    ghost(GHOST.format(does="return '1'") + LISTS)
    told = contest.contest(contest.Terms("small", ("ghost",), (), 1, 1, environments=False))["ghost"]
    assert told["without"] == {"everyone": "ValueError: too many calls"}
    assert told["works"]["fit"]["median"] >= 0
    assert "skipped" not in told


def test_a_failed_environment_gives_the_reason():
    with pytest.raises(environments.CannotInstall, match="no such package"):
        environments._run(sys.executable, "-c", "import sys; sys.exit('some words\\nno such package')")
    assert environments.contenders()[0] == "reelated"
    assert all(environments.constant(name, "REQUIRES") for name in environments.contenders())


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not hold processes to cores")
def test_a_worker_is_limited_to_its_threads_and_its_output_is_separate(ghost):
    ghost(GHOST.format(does="print('hello'); return [os.environ['OMP_NUM_THREADS'], len(os.sched_getaffinity(0))]"))
    before, worker = os.sched_getaffinity(0), process.Process(Path(sys.executable), "worker.py", 1, "ghost")
    assert worker.ask("hello")["version"] == ["1", 1]
    with pytest.raises(process.Failed, match="AttributeError"):
        worker.ask("nothing")
    worker.close()
    assert os.sched_getaffinity(0) == before


def test_the_death_of_a_worker_is_an_error(ghost):
    ghost(GHOST.format(does="os.write(2, b'out of luck'); os._exit(3)"))
    worker = process.Process(Path(sys.executable), "worker.py", 1, "ghost")
    with pytest.raises(process.Failed, match=r"'hello' with 3: out of luck"):
        worker.ask("hello")
    worker.close()


def test_peak_memory_covers_only_the_measured_task():
    assert np.ones(30_000_000).any()  # a larger peak before is forgotten
    _, told = measured(lambda: np.ones(10_000_000).sum(), memory=True)
    if told["peak"] is None:
        pytest.skip("this system does not tell a process's peak")
    assert told["peak"] == pytest.approx(80_000_000, rel=0.1)


def result(name, ratings, **fits):
    """Return a result in which each contender took the given seconds and megabytes."""
    fit = {"agreement": {"rows": 9, "agree": 1.0, "largest_error": 1e-8}}
    entrants = {
        who: {"version": "1", "notes": "", "first_call": 0.5, "works": {"fit": fit | {"median": s, "peak": s * 1e6}}}
        for who, s in fits.items()
    }
    machine = {"processor": "P", "cores": 2, "memory": 2**34, "system": "S", "python": "3"}
    about = {"shape": [7, 5], "ratings": ratings, "told": "made up"}
    return {"data": name, "about": about, "date": "2020-01-02T03:04:05", "machine": machine, "commit": "c",
            "threads": 2, "rounds": 5, "contenders": entrants | {"surprise": {"skipped": "too large"}}}  # fmt: skip


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a report of two results and return the two pages."""
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(report, "DOCS", tmp_path)
    (tmp_path / "results").mkdir()
    made = [
        result("ml-1m", 10**6, reelated=2.0, implicit=5.0),
        result("ml-20m", 2 * 10**7, reelated=40.0, implicit=30.0),
    ]
    made.append(result("ml-1m", 10**6, reelated=99.0) | {"date": "2019-01-02T03:04:05"})
    other = {"date": "2019-01-02T03:04:05", "machine": made[0]["machine"] | {"processor": "Q"}}
    made.append(result("ml-100m", 10**8, reelated=77.0) | other)
    for number, one in enumerate(made):
        (tmp_path / "results" / f"{number}.json").write_text(json.dumps(one))
    for page in ("README.md", "speed.md"):
        (tmp_path / page).write_text(f"above\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nbelow\n")
    report.write()
    return tmp_path


def test_the_table_shows_the_latest_results(written):
    page = (written / "README.md").read_text()
    assert page.startswith("above\n")
    assert page.endswith("below\n")
    assert "old" not in page
    assert "99" not in page
    assert "77" not in page  # another machine's times cannot be compared
    assert "| implicit 1 | 5 s | 2.5× | 5 MB | all | 1e-08 |" in page
    assert "* surprise is left out: too large" in page


def test_both_pages_list_our_losses(written):
    for page in ("README.md", "speed.md"):
        lost = (written / page).read_text().split("Where we lose")[1]
        assert "* ml-20m, 2 threads, fit: we 40 s, implicit 30 s" in lost
        assert "ml-1m" not in lost


def test_reports_are_reproducible_and_the_chart_has_every_contender(written):
    pages = ("README.md", "speed.md", "images/speed.svg")
    before = [(written / page).read_bytes() for page in pages]
    report.write()
    assert [(written / page).read_bytes() for page in pages] == before
    assert all(name in before[2].decode() for name in ("reelated", "implicit"))


def test_agreement_below_1_is_never_shown_as_all():
    assert report.share({"agree": 0.999999}) == "99.99%"
    assert report.share({"agree": 1.0}) == "all"


# ------------------------------------------------------------------------------------------------------ interactions
@pytest.fixture
def measured_split(tmp_path, monkeypatch):
    """Return a page and a saved result of one split."""
    page = tmp_path / "accuracy.md"
    page.write_text(f"before\n\n{interactions.BEGIN}\n\nold\n\n{report.END}\n\nafter\n")
    monkeypatch.setattr(interactions, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(interactions, "PAGE", page)
    row = {"R@20": 0.19, "nDCG@20": 0.16, "seconds": 12.3, "processor_seconds": 20.6, "date": "2026-01-02", "load": 1.0}
    for label, extra in (("tuned", {"settings": "EASE(l2=70.0)"}), ("defaults", {})):
        interactions.save({"protocol": "gowalla", "machine": {"cores": 2}, "rows": {label: row | extra}})
    return page


def test_the_section_shows_our_rows_and_the_best_published_of_each_column(measured_split, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["interactions.py", "--table"])
    interactions.main()
    text = measured_split.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text  # noqa: PT018
    assert "| gowalla | defaults | 0.1900 | 0.1600 | 12.3 | 20.6 |" in text
    assert text.index("| gowalla | defaults |") < text.index("| gowalla | tuned |")
    assert "* `gowalla`: `EASE(l2=70.0)`" in text
    assert "| gowalla | best published | 0.1941 (ChebyCF) | 0.1616 (ChebyCF) |" in text
    assert "Not measured: `ml1m-lcfn`" in text


def test_the_best_published_figure_of_a_column_skips_rows_without_one():
    protocol = interactions.PROTOCOLS["ml1m-lcfn"]
    assert interactions.best_published(protocol) == [(0.2802, "SimpleX"), (0.2670, "SimpleX")]


def test_rankers_of_a_split_are_measured_with_recall_and_ndcg(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(4)
    pairs = np.argwhere(rng.random((60, 30)) < 0.4)
    is_test = rng.random(len(pairs)) < 0.2
    parts = {"train": pairs[~is_test].T, "test": pairs[is_test].T}
    arrays = {
        f"{part}_{who}": ids for part, both in parts.items() for who, ids in zip(("user", "item"), both, strict=True)
    }
    np.savez(tmp_path / "tiny.npz", **arrays)
    monkeypatch.setattr(ranking, "contenders", lambda kind: ["reelated", "missing"])
    monkeypatch.setattr(ranking, "python_of", lambda name, kind: Path(sys.executable))
    rows = ranking.measure(tmp_path / "tiny.npz", 1, 1)
    assert [row["model"] for row in rows] == ["Recommender()", "neighbours"]
    assert all(0.3 < row["R@20"] <= 1 and 0 < row["nDCG@20"] <= 1 and row["seconds"] > 0 for row in rows)
    assert "missing: skipped" in capsys.readouterr().out


def test_recall_and_ndcg_follow_their_definitions():
    hidden = sp.csr_matrix(np.array([[1, 0, 1, 0], [0, 0, 0, 1]]))
    recall, ndcg = ranking.accuracy(np.array([[3, 2], [0, -1]]), hidden)
    assert recall == pytest.approx((1 / 2 + 0) / 2)
    assert ndcg == pytest.approx(np.mean([(1 / np.log2(3)) / (1 + 1 / np.log2(3)), 0]))
