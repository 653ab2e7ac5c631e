"""Slices of work on several threads: ordered results, progress, interruption and concurrent callers."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import identical, table
from reelated import parallel
from reelated.models import ItemKNN, linear_item, topn
from reelated.parallel import ordered_parallel_map, parallel_concatenate, part_of, shared_pool, split_by_cost
from reelated.similarity import neighbors

FIFTY = [(i, i + 1) for i in range(50)]


@pytest.fixture(params=[1, 2, 5])
def threads(request, monkeypatch):
    """Set the number of threads of `ordered_parallel_map`, whatever the machine has."""
    monkeypatch.setattr(numba, "get_num_threads", lambda: request.param)
    monkeypatch.setattr(parallel, "cpu_quota", lambda: 99)
    return request.param


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40))
def test_slices_cover_all_rows_once_within_the_budget(cost, budget):
    slices = split_by_cost(np.array(cost, np.int64), budget)
    assert [row for start, stop in slices for row in range(start, stop)] == list(range(len(cost)))
    assert all(stop > start for start, stop in slices)
    assert all(sum(cost[start:stop]) <= budget for start, stop in slices if stop - start > 1)


def test_slices_are_as_long_as_the_budget_allows():
    assert split_by_cost(np.array([1, 1, 1, 1, 1, 7, 1]), 3) == [(0, 3), (3, 5), (5, 6), (6, 7)]


def test_results_come_in_the_order_of_the_slices_whichever_finishes_first(threads):
    def task(start, stop):
        time.sleep(0.01 if start % 5 == 0 else 0)
        return start, threading.get_ident()

    results = list(ordered_parallel_map(task, FIFTY))
    assert [start for start, _ in results] == list(range(50))
    assert 1 <= len({ident for _, ident in results}) <= threads
    assert ({ident for _, ident in results} == {threading.get_ident()}) == (threads == 1)


def test_the_arrays_of_all_slices_are_concatenated_in_order(threads):
    def task(start, stop):
        time.sleep(0.01 if start % 5 == 0 else 0)
        return np.arange(start, stop), np.full(stop - start, 2.0)

    numbers, twos = parallel_concatenate(task, FIFTY)
    assert numbers.tolist() == list(range(50))
    assert twos.tolist() == [2.0] * 50


def test_parts_of_a_task_report_their_place_in_the_whole():
    reports = []
    for place in range(4):
        part_of(reports.append, place, 4)(0.5)
    assert reports == [0.125, 0.375, 0.625, 0.875]
    assert part_of(None, 0, 4) is None


def test_an_empty_list_of_slices_gives_no_results(threads):
    assert list(ordered_parallel_map(pytest.fail, [])) == []


def test_progress_increases_with_the_work_and_reaches_one(threads):
    done, reports = [], []

    def task(start, stop):
        done.append(start)

    assert len(list(ordered_parallel_map(task, FIFTY, lambda share: reports.append((share, len(done)))))) == 50
    assert reports == sorted(reports)
    assert reports[-1][0] == 1.0
    assert len(reports) >= 50
    assert all(round(share * 50) <= finished for share, finished in reports), "progress reported for unfinished work"


def test_a_stream_runs_only_a_few_slices_ahead_of_its_consumer(threads):
    started = []
    stream = ordered_parallel_map(lambda start, stop: started.append(start), FIFTY)
    next(stream)
    time.sleep(0.05)
    assert len(started) <= 2 * threads + 1
    stream.close()


def test_an_exception_in_a_task_reaches_the_caller_and_cancels_unstarted_slices(threads):
    started = []

    def task(start, stop):
        started.append(start)
        if start == 3:
            raise ZeroDivisionError("slice 3")
        return start

    results = []
    with pytest.raises(ZeroDivisionError, match="slice 3"):
        results.extend(ordered_parallel_map(task, FIFTY))
    assert results == [0, 1, 2]
    assert len(started) <= 4 + 2 * threads


def test_an_interrupt_cancels_unstarted_slices(threads):
    started, before = [], threading.active_count()

    def interrupted(share):
        if share > 0.05:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ordered_parallel_map(lambda start, stop: started.append(start) or time.sleep(0.002), FIFTY, interrupted))
    assert len(started) <= 4 + 2 * threads
    assert threading.active_count() == before


def test_closing_a_stream_finishes_only_started_slices(threads):
    gate, started = threading.Event(), []

    def task(start, stop):
        started.append(start)
        if start:
            gate.wait(5)

    stream = ordered_parallel_map(task, FIFTY)
    next(stream)
    threading.Timer(0.1, gate.set).start()
    stream.close()
    assert len(started) <= 1 + threads


def test_closing_a_stream_leaves_no_thread_behind(threads):
    before = threading.active_count()
    stream = ordered_parallel_map(lambda start, stop: start, FIFTY)
    assert next(stream) == 0
    stream.close()
    assert threading.active_count() == before


def test_a_shared_pool_serves_several_streams_and_ends_with_its_context(threads):
    gate = threading.Barrier(threads)

    def task(start, stop):
        gate.wait(5)  # forces every thread to take a slice
        return threading.get_ident()

    before, several = threading.active_count(), [(i, i + 1) for i in range(threads)]
    with shared_pool():
        first = set(ordered_parallel_map(task, several))
        with pytest.raises(ZeroDivisionError):
            list(ordered_parallel_map(lambda start, stop: 1 // start, FIFTY))
        assert set(ordered_parallel_map(task, several)) == first
        others = []
        other_caller = threading.Thread(target=lambda: others.extend(ordered_parallel_map(task, several)))
        other_caller.start()
        other_caller.join()
        assert not first & set(others)
    assert threading.active_count() == before
    assert list(ordered_parallel_map(lambda start, stop: start, FIFTY)) == list(range(50))


def test_eight_callers_at_once_fit_and_recommend_the_same(monkeypatch):
    monkeypatch.setattr(neighbors, "SLICE", 300.0)
    monkeypatch.setattr(linear_item, "SLICE", 300.0)
    monkeypatch.setattr(topn, "SLICE", 300.0)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    monkeypatch.setattr(parallel, "cpu_quota", lambda: 99)
    X = table(61, 25)

    def job(_):
        model = ItemKNN(n_neighbors=6).fit(X)
        lists_ = *model.recommend(X, 5, by="rating"), *model.recommend(X, 5), *model.recommend(X[[3]], 5)
        return model.item_weights_.data, *lists_, model.predict_pairs(X, [3, 1], [7, 2])

    expected = job(0)
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(job, range(24)):
            assert all(identical(a, b) for a, b in zip(answer, expected, strict=True))


def test_the_number_of_threads_comes_from_numba(monkeypatch):
    monkeypatch.setattr(parallel, "cpu_quota", lambda: 7)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 5)
    assert parallel.n_threads() == 5


def test_the_number_of_threads_is_the_same_without_numba(monkeypatch):
    monkeypatch.setattr(parallel, "cpu_quota", lambda: 99)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    cores = parallel.n_threads()
    monkeypatch.delitem(sys.modules, "numba")
    assert parallel.n_threads() == cores
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert parallel.n_threads() == 3
    parallel.use_one_thread()
    assert parallel.n_threads() == 1


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("max 100000\n", sys.maxsize),
        ("", sys.maxsize),
    ],
)
def test_the_cpu_quota_of_a_container_is_read_in_whole_cores(tmp_path, cpu_max, cores):
    (tmp_path / "cpu.max").write_text(cpu_max)
    assert parallel.cpu_quota(tmp_path / "cpu.max") == cores
    assert parallel.cpu_quota(tmp_path / "none") == sys.maxsize


def test_threads_are_limited_by_the_cpu_quota(monkeypatch):
    monkeypatch.setattr(numba, "get_num_threads", lambda: 8)
    for cores, expected in ((2, 2), (8, 8), (sys.maxsize, 8)):
        monkeypatch.setattr(parallel, "cpu_quota", lambda cores=cores: cores)
        assert parallel.n_threads() == expected
