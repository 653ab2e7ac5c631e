"""Refits: validation, versions, locking, erasure of users, and the map of the items."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import polars as pl
import pytest

import reelated
from reelated import Recommender
from reelated.cli.service_commands import prepare
from reelated.errors import InputError
from reelated.map import ItemMap
from reelated.refit import Version, Versions, models_folder, refit
from reelated.refit.refitting import holdout_accuracy
from reelated.store import Store

TABLE = {"user": [1, 1, 1, 2, 2, 3, 3, 4], "item": [7, 8, 9, 7, 9, 8, 9, 7], "stars": [5, 4, 2, 4, 2, 3, 1, 5]}


@pytest.fixture
def versions(tmp_path):
    return Versions(tmp_path / "models")


@pytest.fixture
def rated(tmp_path):
    """A store with eight ratings."""
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    store.import_data(reelated.read(TABLE, scale=(1, 5, 1)), "eight")
    yield store
    store.close()


def test_a_refit_serves_the_fitted_model(rated, versions):
    assert versions.current() is None
    assert versions.last_attempt() is None
    attempt = refit(rated, versions)
    assert (attempt.outcome, attempt.counts) == ("switched", {"switched": 1})
    version = versions.current()
    assert (version.number, version.users, version.items, version.ratings, version.changes) == (1, 4, 3, 8, 8)
    expected = Recommender().fit(reelated.read(TABLE, scale=(1, 5, 1))).recommend(ratings={7: 5})
    assert versions.load(version).recommend(ratings={7: 5}) == expected


def test_a_saved_version_contains_no_users(rated, versions):
    refit(rated, versions)
    model = versions.load(versions.current())
    assert model.ratings_ is None
    assert not list(versions.folder.rglob("user_ids*"))
    assert not list(versions.folder.rglob("ratings*"))


def test_two_versions_are_kept_and_can_be_switched(rated, versions):
    for _ in range(4):
        refit(rated, versions)
    assert [version.number for version in versions.all()] == [4, 3]
    assert versions.switch(3, forgotten=0) == versions.current()
    refit(rated, versions)
    assert [version.number for version in versions.all()] == [5, 3]
    with pytest.raises(InputError, match=r"version 4: there is no such version of the model\. There are: 3, 5"):
        versions.switch(4, forgotten=0)


def test_a_version_fitted_to_a_forgotten_user_is_not_switched_to(rated, versions):
    refit(rated, versions)
    refit(rated, versions)
    rated.forget(3)
    with pytest.raises(InputError, match="version 1 was fitted to users who have been erased since"):
        versions.switch(1, rated.about().forgotten)
    assert versions.current().number == 2


def test_a_refit_removes_versions_fitted_to_forgotten_users(rated, versions):
    refit(rated, versions)
    refit(rated, versions)
    rated.forget(3)
    assert [version.number for version in versions.all()] == [2, 1]
    refit(rated, versions)
    assert [(version.number, version.users, version.forgotten) for version in versions.all()] == [(3, 3, 1)]
    assert not (versions.folder / "000001.model").exists()
    assert not (versions.folder / "000002.model").exists()


def test_a_model_with_far_fewer_ratings_is_served_after_an_erasure(rated, versions):
    refit(rated, versions)
    rated.forget(1, 2)
    assert refit(rated, versions).outcome == "switched"
    assert [(version.number, version.ratings) for version in versions.all()] == [(2, 3)]


def test_a_model_with_far_fewer_ratings_is_rejected(rated, versions):
    refit(rated, versions)
    for user, item in ((1, 7), (1, 8), (1, 9), (2, 7), (2, 9)):
        rated.unrate(user, item)
    attempt = refit(rated, versions)
    assert (attempt.outcome, attempt.why) == (
        "refused",
        "The new model knows 3 ratings, the previous one 8. It is not served.",
    )
    assert versions.current().number == 1
    assert attempt == versions.last_attempt()
    assert attempt.counts == {"switched": 1, "refused": 1}


def test_a_model_that_is_not_finite_is_rejected(rated, versions, monkeypatch):
    fit = Recommender.fit

    def broken(self, data, **how):
        fitted = fit(self, data, **how)
        fitted.models_.ranker.item_weights_.data[0] = np.nan
        return fitted

    monkeypatch.setattr(Recommender, "fit", broken)
    assert refit(rated, versions).outcome == "refused"
    assert versions.current() is None


def test_a_failed_refit_reports_the_reason_and_keeps_the_served_version(rated, versions, monkeypatch):
    refit(rated, versions)
    monkeypatch.setattr(Recommender, "save", lambda *_args, **_how: (_ for _ in ()).throw(OSError(28, "No space left")))
    attempt = refit(rated, versions)
    assert attempt.outcome == "failed"
    assert attempt.why == "The model cannot be written ([Errno 28] No space left). Is there room on the disk?"
    assert versions.current().number == 1


def test_an_empty_store_cannot_be_fitted(tmp_path, versions):
    store = Store(f"sqlite:///{tmp_path}/empty.db").upgrade()
    assert refit(store, versions).why == "The store holds no ratings yet. Import some, or rate items."
    store.close()


def test_only_one_process_refits_at_a_time(rated, versions):
    with versions.lock() as first, Versions(versions.folder).lock() as second:
        assert (first, second) == (True, False)
        assert refit(rated, versions) is None
    assert refit(rated, versions).outcome == "switched"


def test_is_refitting_does_not_block_a_refit(rated, versions):
    with versions.lock():
        assert Versions(versions.folder).is_refitting()
    assert not versions.is_refitting()
    asked = threading.Event()

    def ask():
        with versions.lock():  # as `is_refitting` does, and longer than it does
            asked.set()
            time.sleep(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    asked.wait()
    assert refit(rated, versions).outcome == "switched"
    thread.join()


def test_a_refit_of_a_replaced_version_does_nothing(rated, versions):
    refit(rated, versions)
    assert refit(rated, versions, instead_of=0) is None
    assert refit(rated, versions, instead_of=1).outcome == "switched"


def test_a_refit_in_its_own_process_removes_remains_of_killed_ones(rated, versions):
    (versions.folder / ".000001.model-half").mkdir(parents=True)
    (versions.folder / ".000001.model-half" / "counts.npy").write_bytes(b"half")
    env = os.environ | {"REELATED_STORE": str(rated.url), "REELATED_MODELS": str(versions.folder)}
    subprocess.run([sys.executable, "-W", "error", "-m", "reelated.refit"], env=env, check=True, timeout=300)
    assert versions.current().ratings == 8
    assert [path.name for path in versions.folder.iterdir() if path.is_dir()] == ["000001.model"]


def test_a_half_written_version_is_ignored(rated, versions):
    refit(rated, versions)
    (versions.folder / "000002.json").write_text('{"number": 2, "made')
    assert [version.number for version in versions.all()] == [1]
    (versions.folder / "000003.json").write_text('{"number": 3}')
    (versions.folder / "000004.json").write_text((versions.folder / "000001.json").read_text())
    assert [version.number for version in versions.all()] == [1]
    (versions.folder / "current.json").write_text("")
    assert versions.current() is None
    (versions.folder / "attempt.json").write_text("{}")
    assert versions.last_attempt() is None


@pytest.mark.parametrize("name", ["000001", "current", "attempt"])
@pytest.mark.parametrize("text", ["[" * 200_000, "[1]", "null", '{"number": "1", "latest": [1]}'])
def test_a_forged_file_of_a_version_is_ignored(rated, versions, name, text):
    refit(rated, versions)
    (versions.folder / f"{name}.json").write_text(text)
    assert (versions.last_attempt() if name == "attempt" else versions.current()) is None


def test_a_version_whose_numbers_are_text_is_ignored(rated, versions):
    version = refit(rated, versions) and versions.current()
    (versions.folder / "000001.json").write_text(json.dumps(dataclasses.asdict(version) | {"forgotten": "0"}))
    assert versions.all() == []


# ----------------------------------------------------------------------------------------------------------- healing
def damage(versions, number):
    path = versions.folder / f"{number:06}.model" / "counts.npy"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def dies_before_the_switch(monkeypatch):
    """A refit dies between the metadata of the new version and the switch."""
    write = Versions._write

    def dies(self, name, value):
        if name == "current":
            raise KeyboardInterrupt
        write(self, name, value)

    def during(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(Versions, "_write", dies)
            with pytest.raises(KeyboardInterrupt):
                function(*arguments)

    return during


def test_an_interrupted_switch_is_finished_and_removes_models_of_forgotten_users(
    rated, versions, dies_before_the_switch
):
    refit(rated, versions)
    rated.forget(3)
    dies_before_the_switch(refit, rated, versions)
    assert versions.current().number == 1
    versions.repair()
    assert (versions.current().number, versions.current().users) == (2, 3)
    assert [version.number for version in versions.all()] == [2]
    assert not (versions.folder / "000001.model").exists()


def test_an_interrupted_first_switch_is_finished(rated, versions, dies_before_the_switch):
    dies_before_the_switch(refit, rated, versions)
    assert versions.current() is None
    prepare(rated, versions.folder, None)
    assert versions.current().number == 1


def test_a_damaged_note_of_the_current_version_is_repaired(rated, versions):
    refit(rated, versions)
    refit(rated, versions)
    (versions.folder / "current.json").write_bytes(b'{"number": \xff')
    versions.repair()
    assert versions.current().number == 2


def test_a_repair_keeps_a_version_that_was_chosen(rated, versions):
    refit(rated, versions)
    refit(rated, versions)
    versions.switch(1, forgotten=0)
    versions.repair()
    assert versions.current().number == 1


def test_a_damaged_new_version_is_not_switched_to(rated, versions, dies_before_the_switch, caplog):
    refit(rated, versions)
    dies_before_the_switch(refit, rated, versions)
    damage(versions, 2)
    versions.repair()
    assert versions.current().number == 1
    assert "version 2 was not switched to" in caplog.text


def test_a_repair_waits_for_a_running_refit(rated, versions, dies_before_the_switch):
    refit(rated, versions)
    dies_before_the_switch(refit, rated, versions)
    with Versions(versions.folder).lock():
        versions.repair()
        assert versions.current().number == 1


def test_a_damaged_version_is_replaced_by_the_last_good_one(rated, versions):
    refit(rated, versions)
    refit(rated, versions)
    assert versions.first_good(0).number == 2
    damage(versions, 2)
    assert versions.first_good(0).number == 1
    assert versions.first_good(1) is None  # version 1 is from before an erasure
    damage(versions, 1)
    assert versions.first_good(0) is None


def test_a_service_without_a_good_model_fits_one_when_it_starts(rated, versions):
    refit(rated, versions)
    damage(versions, 1)
    prepare(rated, versions.folder, None)
    assert versions.current().number == 2
    assert versions.load(versions.current()).recommend(ratings={7: 5})


def test_a_service_with_a_good_model_starts_without_a_fit(rated, versions):
    refit(rated, versions)
    refit(rated, versions)
    damage(versions, 2)
    prepare(rated, versions.folder, None)
    assert [version.number for version in versions.all()] == [2, 1]


def test_a_small_model_is_served_in_place_of_a_damaged_one(rated, versions):
    refit(rated, versions)
    damage(versions, 1)
    for user, item in ((1, 7), (1, 8), (1, 9), (2, 7), (2, 9)):
        rated.unrate(user, item)
    assert refit(rated, versions).outcome == "switched"


def test_the_models_folder_depends_on_the_url_without_its_password(tmp_path):
    assert models_folder(Store(f"sqlite:///{tmp_path}/store.db")) == tmp_path / "store.models"
    one, two = (models_folder(Store(f"postgresql://me:secret@host/{name}")) for name in ("one", "two"))
    assert one != two
    assert "secret" not in str(one)


def test_the_accuracy_is_measured_on_held_out_ratings(sample):
    accuracy = holdout_accuracy(Recommender(), sample)
    matrix = sample.ratings.matrix
    holdout = np.sort(np.random.default_rng(0).permutation(matrix.nnz)[: matrix.nnz // 20])
    table = sample.ratings.to_polars().with_row_index("at")
    rest = table.filter(~pl.col("at").is_in(holdout.tolist())).drop("at")
    model = Recommender().fit(reelated.Dataset.from_frames(rest, sample.items, scale=sample.ratings.scale))
    pairs = table.filter(pl.col("at").is_in(holdout.tolist())).select("user_id", "item_id", "rating").rows()
    predicted = [model.predict(user, item).predicted_rating for user, item, _ in pairs[:200]]
    assert accuracy["n"] == len(pairs)
    ours = rmse_of_pairs(predicted, [rating for *_, rating in pairs[:200]])
    assert abs(accuracy["rmse"] - ours) < 0.1
    assert holdout_accuracy(Recommender(), reelated.read(TABLE, scale=(1, 5, 1))) is None


def rmse_of_pairs(predicted, rated):
    """Return the root of the mean squared error by plain loops."""
    return (sum((p - r) ** 2 for p, r in zip(predicted, rated, strict=True)) / len(rated)) ** 0.5


def test_the_metadata_of_a_version_is_plain_json(rated, versions):
    refit(rated, versions)
    metadata = json.loads((versions.folder / "000001.json").read_text())
    assert Version(**metadata) == versions.current()


@pytest.fixture
def drawn(monkeypatch):
    """The starting positions of every map."""
    starts, of = [], ItemMap.of

    def recorded(rec, start=None):
        starts.append(start)
        return of(rec, start)

    monkeypatch.setattr(ItemMap, "of", recorded)
    return starts


def test_a_map_of_the_served_model_starts_from_the_previous_map(rated, versions, drawn):
    refit(rated, versions)
    first = ItemMap.load(versions.map_file)
    assert list(first.item_ids) == [7, 8, 9]
    rated.rate(4, 8, 3.0)
    refit(rated, versions)
    assert drawn[0] is None
    assert np.array_equal(drawn[1].places, first.places)


def test_the_map_is_drawn_after_the_switch(rated, versions, monkeypatch):
    seen = []
    monkeypatch.setattr(ItemMap, "of", lambda *_: seen.append((versions.current().number, versions.last_attempt())))
    refit(rated, versions)  # the fake map has no `save`
    assert [(number, attempt.outcome) for number, attempt in seen] == [(1, "switched")]


@pytest.mark.parametrize(
    "error",
    [InputError("openTSNE is not installed."), OSError(28, "No space"), pl.exceptions.PanicException("out of range")],
)
def test_a_refit_succeeds_if_the_map_fails(rated, versions, monkeypatch, caplog, error):
    caplog.set_level("INFO")
    refit(rated, versions)
    before = versions.map_file.read_bytes()
    monkeypatch.setattr(ItemMap, "of", lambda *_: (_ for _ in ()).throw(error))
    assert refit(rated, versions).outcome == "switched"
    assert versions.map_file.read_bytes() == before
    assert "no new map of the items" in caplog.text


def test_a_damaged_map_is_replaced(rated, versions, drawn):
    refit(rated, versions)
    versions.map_file.write_bytes(b"half")
    refit(rated, versions)
    assert drawn == [None, None]
    assert list(ItemMap.load(versions.map_file).item_ids) == [7, 8, 9]


def test_a_rejected_model_leaves_the_map_unchanged(rated, versions, drawn):
    refit(rated, versions)
    for user, item in ((1, 7), (1, 8), (1, 9), (2, 7), (2, 9)):
        rated.unrate(user, item)
    assert refit(rated, versions).outcome == "refused"
    assert len(drawn) == 1


def test_a_missing_map_is_drawn_when_the_service_starts(rated, versions, drawn):
    refit(rated, versions)
    prepare(rated, versions.folder, None)
    assert len(drawn) == 1
    versions.map_file.unlink()
    prepare(rated, versions.folder, None)
    assert list(ItemMap.load(versions.map_file).item_ids) == [7, 8, 9]
