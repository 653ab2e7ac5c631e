"""The watcher of the model: it replaces a damaged or missing model, and survives every error of a library."""

import json
import logging
import shutil
from types import SimpleNamespace

import polars as pl
import pytest

import reelated
from reelated.errors import InputError
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.web import ServiceOptions, model_watcher
from reelated.web.model_watcher import ModelWatcher
from reelated.web.service import Service

TABLE = {"user": [1, 1, 1, 2, 2, 3, 3, 4], "item": [7, 8, 9, 7, 9, 8, 9, 7], "stars": [5, 4, 2, 4, 2, 3, 1, 5]}


@pytest.fixture(autouse=True)
def _heard(monkeypatch):
    """Propagate log records to caplog, even after a command has configured logging for a service."""
    monkeypatch.setattr(logging.getLogger("reelated"), "propagate", True)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A watcher of a service with two versions of the model, and the refits that it starts."""
    store, versions = Store(f"sqlite:///{tmp_path}/store.db").upgrade(), Versions(tmp_path / "models")
    store.import_data(reelated.read(TABLE, scale=(1, 5, 1)), "eight")
    refit(store, versions)
    refit(store, versions)
    started = []

    def start(**variables):
        started.append(SimpleNamespace(variables=variables, poll=lambda: None, terminate=list, wait=list))
        return started[-1]

    monkeypatch.setattr(model_watcher, "start_refit", start)
    options = ServiceOptions(str(store.url), refit_after=10**6, refit_every=10**6)
    watcher = ModelWatcher(Service(store, versions), options)
    yield watcher, started
    store.close()


def damage_model(watcher, number):
    path = watcher.service.versions.folder / f"{number:06}.model" / "counts.npy"
    path.write_bytes(path.read_bytes()[:-1])


def test_the_last_good_model_is_served_in_place_of_a_damaged_one(watched, caplog):
    watcher, started = watched
    damage_model(watcher, 2)
    watcher._poll()
    assert watcher.service.served.version.number == 1
    assert "000002.model is a damaged model (counts.npy: checksum differs)" in caplog.text
    assert [process.variables["REELATED_INSTEAD_OF"] for process in started] == ["2"]
    caplog.clear()
    watcher._poll()  # the damaged model is not read again in every round
    assert not caplog.text
    assert len(started) == 1


def test_a_model_that_a_refit_replaces_while_it_is_loaded_is_not_taken_for_damaged(watched, monkeypatch, caplog):
    watcher, started = watched
    load = Service.load_current

    def replaced(service):
        (service.versions.folder / "current.json").write_text('{"number": 1, "latest": 2}')
        monkeypatch.setattr(Service, "load_current", load)
        raise InputError("its files are gone")

    monkeypatch.setattr(Service, "load_current", replaced)
    watcher._poll()
    assert not caplog.text
    assert not started
    watcher._poll()
    assert watcher.service.served.version.number == 1


def test_without_a_good_model_a_refit_starts_at_once(watched):
    watcher, started = watched
    damage_model(watcher, 1)
    damage_model(watcher, 2)
    watcher._poll()
    assert not watcher.service.is_ready
    assert len(started) == 1
    refit(watcher.service.store, watcher.service.versions, instead_of=2)
    watcher._poll()
    assert watcher.service.served.version.number == 3


def test_a_missing_model_is_fitted_again(watched):
    watcher, started = watched
    shutil.rmtree(watcher.service.versions.folder)
    watcher._poll()
    assert not watcher.service.is_ready
    assert [process.variables["REELATED_INSTEAD_OF"] for process in started] == ["0"]


def test_a_model_from_before_an_erasure_never_replaces_a_damaged_one(watched):
    watcher, started = watched
    watcher.service.store.forget(3)
    damage_model(watcher, 2)
    watcher._poll()
    assert not watcher.service.is_ready
    assert len(started) == 1


def test_the_watcher_survives_every_error_of_a_library(watched, monkeypatch, caplog):
    watcher, started = watched
    error = pl.exceptions.PanicException("range end index out of range")
    monkeypatch.setattr(Service, "load_current", lambda _: (_ for _ in ()).throw(error))
    monkeypatch.setattr(Service, "load_fallback", lambda _: (_ for _ in ()).throw(error))
    watcher._poll()
    assert "PanicException: range end index out of range" in caplog.text
    assert len(started) == 1


def test_a_version_that_a_dying_refit_completed_is_served(watched, monkeypatch):
    watcher, started = watched
    service = watcher.service
    watcher._poll()
    service.store.forget(3)
    watcher._poll()
    write = Versions._write

    def dies(self, name, value):
        if name == "current":
            raise KeyboardInterrupt
        write(self, name, value)

    with monkeypatch.context() as patch:
        patch.setattr(Versions, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            refit(service.store, service.versions)
    started[-1].poll = lambda: -9
    watcher._poll()
    watcher._poll()
    assert service.served.version.number == 3
    assert [version.number for version in service.versions.all()] == [3]


def test_a_refit_that_died_is_started_again_after_a_pause(watched, caplog):
    watcher, started = watched
    watcher.service.store.forget(3)
    watcher._poll()
    started[-1].poll = lambda: -9
    watcher._poll()
    assert "the refit died with exit code -9" in caplog.text
    assert len(started) == 1
    watcher._next_refit = 0
    watcher._poll()
    assert len(started) == 2


def test_an_erasure_makes_a_refit_due_although_a_newer_version_was_not_switched_to(watched):
    watcher, _ = watched
    service = watcher.service
    service.store.forget(3)
    newer = json.loads((service.versions.folder / "000002.json").read_text()) | {"number": 3, "forgotten": 1}
    (service.versions.folder / "000003.json").write_text(json.dumps(newer))
    assert watcher._is_due(service.store.about())
