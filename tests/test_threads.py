"""Slices of work on several threads: in order, told, interruptible, and open to many callers at once."""

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
from reelated import _threads
from reelated._threads import crew, in_order, slices_of
from reelated.models import ItemKNN, linear_item, lists
from reelated.similarity import neighbors

FIFTY = [(i, i + 1) for i in range(50)]


@pytest.fixture(params=[1, 2, 5])
def threads(request, monkeypatch):
    """Let `in_order` take this many threads, whatever the machine has."""
    monkeypatch.setattr(_threads.numba, "get_num_threads", lambda: request.param)
    monkeypatch.setattr(_threads, "quota", lambda: 99)
    return request.param


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40))
def test_slices_cover_all_rows_once_within_the_budget(cost, budget):
    cuts = slices_of(np.array(cost, np.int64), budget)
    assert [row for start, stop in cuts for row in range(start, stop)] == list(range(len(cost)))
    assert all(stop > start for start, stop in cuts)
    assert all(sum(cost[start:stop]) <= budget for start, stop in cuts if stop - start > 1)


def test_slices_are_no_shorter_than_they_need_be():
    assert slices_of(np.array([1, 1, 1, 1, 1, 7, 1]), 3) == [(0, 3), (3, 5), (5, 6), (6, 7)]


def test_results_come_in_the_order_of_the_slices_whatever_takes_longest(threads):
    def task(start, stop):
        time.sleep(0.01 if start % 5 == 0 else 0)
        return start, threading.get_ident()

    results = list(in_order(task, FIFTY))
    assert [start for start, _ in results] == list(range(50))
    assert 1 <= len({ident for _, ident in results}) <= threads
    assert ({ident for _, ident in results} == {threading.get_ident()}) == (threads == 1)


def test_nothing_to_do_is_done_at_once(threads):
    assert list(in_order(pytest.fail, [])) == []


def test_progress_rises_with_the_work_and_reaches_one(threads):
    done, told = [], []

    def task(start, stop):
        done.append(start)

    assert len(list(in_order(task, FIFTY, lambda share: told.append((share, len(done)))))) == 50
    assert told == sorted(told)
    assert told[-1][0] == 1.0
    assert len(told) >= 50
    assert all(round(share * 50) <= finished for share, finished in told), "told of work that was not done"


def test_a_stream_runs_only_a_few_slices_ahead_of_what_is_taken(threads):
    begun = []
    stream = in_order(lambda start, stop: begun.append(start), FIFTY)
    next(stream)
    time.sleep(0.05)
    assert len(begun) <= 2 * threads + 1
    stream.close()


def test_an_exception_of_a_task_reaches_the_caller_and_what_has_not_begun_is_left(threads):
    begun = []

    def task(start, stop):
        begun.append(start)
        if start == 3:
            raise ZeroDivisionError("slice 3")
        return start

    results = []
    with pytest.raises(ZeroDivisionError, match="slice 3"):
        results.extend(in_order(task, FIFTY))
    assert results == [0, 1, 2]
    assert len(begun) <= 4 + 2 * threads


def test_an_interruption_of_the_caller_cancels_what_has_not_begun(threads):
    begun, before = [], threading.active_count()

    def interrupted(share):
        if share > 0.05:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_order(lambda start, stop: begun.append(start) or time.sleep(0.002), FIFTY, interrupted))
    assert len(begun) <= 4 + 2 * threads
    assert threading.active_count() == before


def test_of_what_runs_ahead_only_what_has_begun_is_finished(threads):
    gate, begun = threading.Event(), []

    def task(start, stop):
        begun.append(start)
        if start:
            gate.wait(5)

    stream = in_order(task, FIFTY)
    next(stream)
    threading.Timer(0.1, gate.set).start()
    stream.close()
    assert len(begun) <= 1 + threads


def test_a_caller_who_stops_listening_leaves_no_thread_behind(threads):
    before = threading.active_count()
    stream = in_order(lambda start, stop: start, FIFTY)
    assert next(stream) == 0
    stream.close()
    assert threading.active_count() == before


def test_a_crew_is_kept_for_several_streams_and_goes_home_at_the_end(threads):
    gate = threading.Barrier(threads)

    def task(start, stop):
        gate.wait(5)  # so that each of the threads has to take a slice
        return threading.get_ident()

    before, several = threading.active_count(), [(i, i + 1) for i in range(threads)]
    with crew():
        first = set(in_order(task, several))
        with pytest.raises(ZeroDivisionError):
            list(in_order(lambda start, stop: 1 // start, FIFTY))
        assert set(in_order(task, several)) == first
        others = []
        aside = threading.Thread(target=lambda: others.extend(in_order(task, several)))
        aside.start()
        aside.join()
        assert not first & set(others)
    assert threading.active_count() == before
    assert list(in_order(lambda start, stop: start, FIFTY)) == list(range(50))


def test_eight_callers_at_once_fit_and_recommend_the_same(monkeypatch):
    monkeypatch.setattr(neighbors, "SLICE", 300.0)
    monkeypatch.setattr(linear_item, "SLICE", 300.0)
    monkeypatch.setattr(lists, "SLICE", 300.0)
    monkeypatch.setattr(_threads.numba, "get_num_threads", lambda: 3)
    monkeypatch.setattr(_threads, "quota", lambda: 99)
    X = table(61, 25)

    def job(_):
        model = ItemKNN(n_neighbors=6).fit(X)
        lists_ = *model.recommend(X, 5, by="rating"), *model.recommend(X, 5), *model.recommend(X[[3]], 5)
        return model.item_weights_.data, *lists_, model.predict_pairs(X, [3, 1], [7, 2])

    wanted = job(0)
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(job, range(24)):
            assert all(identical(a, b) for a, b in zip(answer, wanted, strict=True))


def test_the_number_of_threads_is_numbas():
    assert _threads.numba is numba


@pytest.mark.parametrize(
    ("said", "cores"),
    [
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("max 100000\n", sys.maxsize),
        ("", sys.maxsize),
    ],
)
def test_a_container_is_held_to_its_share_of_the_cores(tmp_path, said, cores):
    (tmp_path / "cpu.max").write_text(said)
    assert _threads.quota(tmp_path / "cpu.max") == cores
    assert _threads.quota(tmp_path / "none") == sys.maxsize


def test_threads_are_numbas_number_within_the_containers_share(monkeypatch):
    monkeypatch.setattr(_threads.numba, "get_num_threads", lambda: 8)
    for share, wanted in ((2, 2), (8, 8), (sys.maxsize, 8)):
        monkeypatch.setattr(_threads, "quota", lambda share=share: share)
        assert _threads.n_threads() == wanted
