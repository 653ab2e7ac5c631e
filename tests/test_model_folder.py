"""Damaged and forged model folders are refused with the name of the file; none crashes the process."""

import polars as pl
import pytest

import damage
from reelated.errors import InputError
from reelated.recommender import Recommender
from reelated.recommender.model_folder import ModelFolder, naming


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    damage.make_models(folder)
    return folder


@pytest.fixture(scope="module")
def forged(models):
    """The outcome of each forgery, in worker processes."""
    return dict(damage.outcomes(models / "default", "forged", damage.cases("forged", 0)))


@pytest.mark.parametrize("name", damage.cases("forged", 0))
def test_a_forged_model_is_refused_with_the_name_of_the_file(forged, name):
    assert forged[name] == "refused"


@pytest.mark.parametrize("model", damage.RECOMMENDERS)
def test_every_flipped_byte_is_found(models, model):
    found = list(damage.outcomes(models / model, "flipped", damage.cases("flipped", 100), seed=1))
    assert [outcome for _, outcome in found] == ["refused"] * 100


@pytest.mark.parametrize("model", damage.RECOMMENDERS)
def test_a_flipped_byte_with_fitting_checksums_never_crashes(models, model):
    found = damage.outcomes(models / model, "sealed", damage.cases("sealed", 60), seed=2)
    assert not [fault for fault in found if damage.is_fault("sealed", fault[1])]


def test_a_crash_of_a_worker_is_an_outcome_and_the_run_goes_on(models, monkeypatch, tmp_path):
    script = tmp_path / "crash.py"
    script.write_text(
        "import json, os, sys\n"
        "for name in json.load(sys.stdin):\n"
        "    os.abort() if name == '1' else print(json.dumps([name, 'refused']), flush=True)\n"
    )
    monkeypatch.setattr(damage, "__file__", str(script))
    found = dict(damage.outcomes(models / "default", "flipped", damage.cases("flipped", 3)))
    assert found == {"0": "refused", "1": "crash: exit code -6", "2": "refused"}


def test_a_panic_of_polars_is_a_damaged_file(models, monkeypatch):
    def panics(*_):
        raise pl.exceptions.PanicException("range end index out of range")

    monkeypatch.setattr(pl, "read_ipc", panics)
    with pytest.raises(InputError, match=r"damaged model \(item_ids\.arrow: PanicException range end index"):
        Recommender.load(models / "default")


@pytest.mark.parametrize(
    "error", [RecursionError("too deep"), MemoryError(), UnicodeDecodeError("utf-8", b"", 0, 1, "")]
)
def test_every_error_of_a_library_names_the_file(error):
    with pytest.raises(ValueError, match=r"^a\.npy: "), naming("a.npy"):
        raise error


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_damage(interrupt):
    with pytest.raises(interrupt), naming("a.npy"):
        raise interrupt


def test_only_listed_files_are_read(models):
    folder = ModelFolder(models / "default")
    with pytest.raises(ValueError, match=r"counts\.npy: the file is missing in SHA256SUMS"):
        folder.array("counts", None, {})


def test_the_benchmark_counts_outcomes(capsys, monkeypatch):
    monkeypatch.setattr(damage, "RECOMMENDERS", {"default": damage.RECOMMENDERS["default"]})
    monkeypatch.setattr(damage, "cases", lambda kind, count: ["no factors"] if kind == "forged" else ["0", "1"])
    assert not damage.run(flips=2, seed=0, workers=2)
    printed = capsys.readouterr().out
    assert "default flipped      refused                      2" in printed
    assert printed.endswith("5 cases, 0 faults\n")
