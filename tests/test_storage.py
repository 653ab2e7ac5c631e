"""A saved model loads with identical bits or is refused with one sentence; a failed save keeps the old model."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import damage
import reelated
from reelated.errors import DataWarning, InputError
from reelated.models import BPMF, EASE, ItemKNN
from reelated.ratings import Dataset
from reelated.recommender import Recommender, storage, textbook
from reelated.recommender.model_folder import CHECKSUMS


def tiny(**options):
    """Return a fitted recommender of lopsided data with times and an unrated item."""
    rng = np.random.default_rng(1)
    pairs = [(u, i) for u in range(17) for i in range(11) if rng.random() < 0.5]
    frame = {
        "user_id": [3 * u for u, _ in pairs],
        "item_id": [5 + i for _, i in pairs],
        "rating": rng.integers(1, 11, len(pairs)) / 2,
        "timestamp": rng.integers(0, 10**9, len(pairs)),
    }
    items = {"item_id": [*range(5, 17)], "title": [f"Nº {i}" for i in range(12)], "genres": ["A|B", "B", "C"] * 4}
    return Recommender(**options).fit(Dataset.from_frames(frame, items, scale=(0.5, 5, 0.5), name="tiny"))


MODELS = {
    "default": tiny,
    "textbook": lambda: textbook().fit(reelated.read("sample")),
    "odd": lambda: tiny(
        ranker=ItemKNN("jaccard", n_neighbors=3), rater=ItemKNN("pearson"), by="rating", fill_with_popular=False
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def pair(request, tmp_path_factory):
    """A fitted recommender and the same after a save and a load."""
    made = MODELS[request.param]()
    return made, Recommender.load(made.save(tmp_path_factory.mktemp("saved") / "my.model"))


@pytest.fixture
def saved(tmp_path):
    return tiny().save(tmp_path / "my.model")


def refused(path):
    with pytest.raises(InputError) as caught:
        Recommender.load(path)
    return str(caught.value)


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---------------------------------------------------------------------------------------------------------- identity
def test_every_answer_of_a_loaded_model_is_the_same(pair):
    made, loaded = pair
    for user in list(made.user_ids)[:12]:
        for by in ("score", "rating"):
            assert loaded.recommend(user, by=by) == made.recommend(user, by=by)
        item = made.item_ids[0]
        assert loaded.explain(user, item) == made.explain(user, item)
        assert loaded.predict(user, item) == made.predict(user, item)
    for item in list(made.item_ids)[:8]:
        assert loaded.similar(item) == made.similar(item)
        assert loaded.audience(item) == made.audience(item)
        assert loaded.recommend(ratings={item: 3}) == made.recommend(ratings={item: 3})
    assert loaded.neighbors().equals(made.neighbors())
    assert loaded.find("n") == made.find("n")
    assert pl.concat(loaded.recommend_batch(5)).equals(pl.concat(made.recommend_batch(5)))
    assert repr(loaded) == repr(made)


def test_the_arrays_are_the_same_bits_and_mapped_from_disk(pair):
    made, loaded = pair
    for one, two in zip(made.models_, loaded.models_, strict=True):
        if one is None:
            assert two is None
            continue
        assert two.get_params() == one.get_params()
        assert two.scale_ == tuple(one.scale_)
        for name in () if isinstance(one, BPMF) else ("item_weights_", "n_common_"):
            for part in ("data", "indices", "indptr"):
                a, b = getattr(getattr(one, name), part), getattr(getattr(two, name), part)
                assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
        for name in one.arrays:
            a, b = getattr(one, name), getattr(two, name)
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        mapped = two.item_factors_ if isinstance(one, BPMF) else two.item_weights_.data
        while mapped is not None and not isinstance(mapped, np.memmap):
            mapped = mapped.base
        assert isinstance(mapped, np.memmap)
    kept, again = made.ratings_, loaded.ratings_
    assert kept.matrix.data.tobytes() == again.matrix.data.tobytes()
    assert np.array_equal(kept.timestamps, again.timestamps)
    assert (loaded.scale_, loaded.name_, loaded.notes_) == (made.scale_, made.name_, made.notes_)


def test_a_loaded_model_can_be_saved_over_itself_and_stays_alive(saved):
    loaded = Recommender.load(saved)
    before = loaded.recommend(3)
    loaded.save(saved)
    assert loaded.recommend(3) == before
    assert Recommender.load(saved).recommend(3) == before


def test_a_loaded_model_can_be_fitted_anew(saved):
    loaded = Recommender.load(saved)
    loaded.fit({"user_id": [1, 1, 2], "item_id": [1, 2, 2], "rating": [1, 2, 3]})
    assert list(loaded.item_ids) == [1, 2]


@pytest.mark.parametrize("ids", [["007", "a/b", "ü\n☃", "", "'; --", "x" * 3000], [-5, 0, 2**40, 7, 8, 9]])
def test_ids_of_any_kind_are_restored(tmp_path, ids):
    frame = {"user_id": ids * 2, "item_id": ids + ids[1:] + ids[:1], "rating": [1, 2, 3, 4, 5, 1] * 2}
    made = Recommender().fit(frame)
    loaded = Recommender.load(made.save(tmp_path / "my.model"))
    assert list(loaded.user_ids) == sorted(ids)
    for user in ids:
        assert loaded.recommend(user) == made.recommend(user)


def test_notes_of_the_data_are_kept(tmp_path):
    frame = {"user_id": [1, 1, 2], "item_id": [1, 1, 2], "rating": [1, 2, 3]}
    with pytest.warns(reelated.errors.DataWarning):
        made = Recommender().fit(frame)
    loaded = Recommender.load(made.save(tmp_path / "my.model"))
    assert loaded.notes_ == made.notes_
    assert "1 repeated rating" in loaded.notes_[0]


def test_another_process_reads_the_same(saved):
    code = "import sys, reelated; print(reelated.Recommender.load(sys.argv[1]).recommend(3).to_dicts())"
    told = subprocess.run([sys.executable, "-c", code, saved], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(tiny().recommend(3).to_dicts())


def test_a_saved_model_may_be_read_by_others(saved):
    umask = os.umask(0)
    os.umask(umask)
    assert saved.stat().st_mode & 0o777 == 0o755 & ~umask


# ---------------------------------------------------------------------------------------------------- without ratings
def test_a_model_without_ratings_serves_new_users_only_and_the_error_says_so(tmp_path):
    made = tiny()
    loaded = Recommender.load(made.save(tmp_path / "my.model", ratings=False))
    assert loaded.recommend(ratings={5: 4, 7: 1}) == made.recommend(ratings={5: 4, 7: 1})
    assert loaded.similar(5) == made.similar(5)
    assert loaded.explain(None, item_id=9, ratings={5: 4}) == made.explain(None, item_id=9, ratings={5: 4})
    for ask in (
        lambda: loaded.recommend(3),
        lambda: loaded.recommend(item_id=5),
        lambda: next(loaded.recommend_batch()),
        lambda: loaded.user_ids,
    ):
        with pytest.raises(InputError) as caught:
            ask()
        assert str(caught.value) == (
            "This model was saved without ratings: only new users can be asked about. "
            "Pass ratings={item_id: rating}, or save it with ratings=True."
        )
    assert repr(loaded).endswith("12 items, no ratings kept")


def test_a_model_without_ratings_contains_no_user_data(tmp_path):
    files = {path.name for path in tiny().save(tmp_path / "my.model", ratings=False).iterdir()}
    assert not [name for name in files if name.startswith(("user", "ratings"))]


def test_saving_without_ratings_removes_those_of_an_earlier_save(saved):
    tiny().save(saved, ratings=False)
    assert not [path for path in saved.iterdir() if path.name.startswith(("user", "ratings"))]


# ------------------------------------------------------------------------------------------------------ where it goes
def test_an_existing_model_is_replaced_as_a_whole(saved):
    Recommender(ranker=None).fit({"user_id": [1, 1, 2], "item_id": [8, 9, 9], "rating": [1, 2, 3]}).save(saved)
    assert list(Recommender.load(saved).item_ids) == [8, 9]
    assert not [path for path in saved.iterdir() if path.name.startswith("ranker")]
    assert [path.name for path in saved.parent.iterdir()] == ["my.model"]


def test_missing_folders_are_created_and_an_empty_one_is_used(tmp_path):
    assert Recommender.load(tiny().save(tmp_path / "deep" / "er" / "my.model")).name_ == "tiny"
    (tmp_path / "empty").mkdir()
    assert Recommender.load(tiny().save(tmp_path / "empty")).name_ == "tiny"


def test_a_relative_path_is_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny().save("my.model")
    assert Recommender.load("my.model").name_ == "tiny"


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_folder_without_a_model_is_never_overwritten(tmp_path, what):
    path = tmp_path / "precious"
    if what == "folder":
        path.mkdir()
        (path / "thesis.txt").write_text("mine")
    else:
        path.write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(InputError, match="exists and is not a saved model: choose another folder"):
        tiny().save(path)
    assert snapshot(tmp_path) == before


def test_an_unwritable_folder_is_reported(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written .*: choose another folder"):
        tiny().save(tmp_path / "file" / "my.model")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storage.tempfile, "mkdtemp", denied)  # root may write anywhere
    with pytest.raises(InputError, match=r"my\.model cannot be written \(Permission denied\): choose another folder"):
        tiny().save(tmp_path / "my.model")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("where", ["_write_csr", "_write_model", "_swap"])
def test_an_interrupted_save_leaves_the_old_model_and_nothing_else(saved, monkeypatch, where, error):
    before, real = snapshot(saved.parent), getattr(storage, where)
    calls = []

    def fails(*arguments):
        calls.append(arguments)
        if len(calls) > 1 or where == "_swap":
            raise error
        return real(*arguments)

    monkeypatch.setattr(storage, where, fails)
    with pytest.raises(type(error)):
        tiny(ranker=ItemKNN(n_neighbors=2)).save(saved)
    assert snapshot(saved.parent) == before


def test_the_old_model_is_restored_if_the_new_one_cannot_replace_it(saved, monkeypatch):
    before, replace = snapshot(saved.parent), os.replace

    def fails(source, target):
        if Path(target) == saved and not str(source).endswith("-old"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(storage.os, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        tiny(ranker=ItemKNN(n_neighbors=2)).save(saved)
    assert snapshot(saved.parent) == before


# ------------------------------------------------------------------------------------------------------------ damage
def test_a_folder_without_a_model_is_reported(tmp_path):
    assert refused(tmp_path / "none") == (
        f"{tmp_path / 'none'} does not exist. Expected a folder that Recommender.save wrote."
    )
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file"):
        assert refused(path).startswith(f"{path} is not a saved model: it has no model.json. Expected a folder")


def test_another_format_is_reported(saved):
    edit(saved, lambda manifest: manifest.update(format=99))
    assert refused(saved) == f"{saved} is of model format 99: this Reelated reads 7. Fit and save it again."


def test_an_earlier_format_without_checksums_is_reported(saved):
    edit(saved, lambda manifest: manifest.update(format=4))
    (saved / CHECKSUMS).unlink()
    assert refused(saved) == f"{saved} is of model format 4: this Reelated reads 7. Fit and save it again."


def edit(folder, change):
    path = folder / "model.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    damage.write_checksums_again(folder)


TABLES = ("ranker.item_weights_", "ratings")
FILES = [
    *("counts.npy", "items.arrow", "item_ids.arrow", "user_ids.arrow", "ratings.timestamps.npy"),
    *(f"ranker.{name}.npy" for name in ("n_common_", *EASE.arrays)),
    *(f"rater.{name}.npy" for name in BPMF.arrays),
    *(f"{table}.{part}.npy" for table in TABLES for part in ("data", "indices", "indptr")),
]


def test_a_model_is_these_files_and_a_manifest(saved):
    assert {path.name for path in saved.iterdir()} == {*FILES, "model.json", CHECKSUMS}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_a_model_can_be_verified_without_reelated(saved):
    assert subprocess.run(["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS], cwd=saved).returncode == 0


@pytest.mark.parametrize("name", FILES)
def test_every_file_must_exist_and_be_intact(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-1])
    assert refused(saved) == f"{saved} is a damaged model ({name}: checksum differs). Fit and save it again."
    (saved / name).unlink()
    assert refused(saved) == f"{saved} is a damaged model ({name}: the file is missing). Fit and save it again."


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "\xff"])
def test_an_unreadable_manifest_is_reported(saved, text):
    (saved / "model.json").write_text(text, encoding="latin-1")
    assert "(model.json: checksum differs)" in refused(saved)
    damage.write_checksums_again(saved)
    assert re.search(r"is a damaged model \((model\.json: )?\w+|is of model format 1", refused(saved))


def rewrite(folder, name, values):
    """Put another array in the place of a file, and make its checksum fit."""
    np.save(folder / name, values)
    damage.write_checksums_again(folder)


def changed(folder, name, change):
    values = np.load(folder / name).copy()
    rewrite(folder, name, change(values))


def with_one(value):
    def change(values):
        values[len(values) // 2] = value
        return values

    return change


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("indices", with_one(10**6)),
        ("indices", with_one(-1)),
        ("indices", lambda values: values[:-1]),
        ("indices", lambda values: values.astype(float)),
        ("indptr", with_one(10**6)),
        ("indptr", with_one(-5)),
        ("indptr", lambda values: values[:-1]),
        ("indptr", lambda values: values + 1),
        ("data", lambda values: values[:-1]),
        ("data", with_one(np.nan)),
        ("data", with_one(np.inf)),
        ("data", lambda values: values.reshape(1, -1)),
        ("data", lambda values: values.astype("U8")),
        ("data", lambda values: values.astype(complex)),
    ],
)
def test_forged_numbers_never_reach_the_kernels(saved, table, part, change):
    changed(saved, f"{table}.{part}.npy", change)
    assert "is a damaged model" in refused(saved)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("counts.npy", lambda values: values[:-1]),
        ("counts.npy", lambda values: values.astype("U4")),
        ("ranker.n_common_.npy", lambda values: values[:-1]),
        ("ranker.truncation_error_.npy", lambda values: values[:-1]),
        ("ranker.truncation_error_.npy", lambda values: values.astype("U4")),
        ("rater.user_mean_.npy", lambda values: values[:-1]),
        ("rater.item_factors_.npy", lambda values: values[:, :-1]),
        ("rater.alpha_.npy", lambda values: values.astype("U4")),
        ("rater.alpha_.npy", lambda values: values * np.nan),
        ("ratings.timestamps.npy", lambda values: values[:-1]),
    ],
)
def test_arrays_that_do_not_fit_the_rest_are_refused(saved, name, change):
    changed(saved, name, change)
    assert "is a damaged model" in refused(saved)


def test_an_array_of_objects_is_never_unpickled(saved):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(saved.parent / "boom"),))

    np.save(saved / "counts.npy", np.array([Bomb()] * 11, object), allow_pickle=True)
    damage.write_checksums_again(saved)
    assert "is a damaged model" in refused(saved)
    assert not (saved.parent / "boom").exists()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("item_ids.arrow", pl.DataFrame({"item_id": [*range(15, 4, -1)]})),
        ("item_ids.arrow", pl.DataFrame({"item_id": [5] * 11})),
        ("item_ids.arrow", pl.DataFrame({"item_id": [5, 6]})),
        ("item_ids.arrow", pl.DataFrame({"item_id": [0.5 + i for i in range(11)]})),
        ("user_ids.arrow", pl.DataFrame({"user_id": [1]})),
        ("items.arrow", pl.DataFrame({"item_id": [5], "title": ["x"], "year": [None], "genres": [["A"]]})),
        ("items.arrow", pl.DataFrame({"item": [5]})),
        ("items.arrow", pl.DataFrame()),
    ],
)
def test_tables_that_do_not_fit_the_rest_are_refused(saved, name, table):
    table.write_ipc(saved / name)
    damage.write_checksums_again(saved)
    assert "is a damaged model" in refused(saved)


def test_noise_in_place_of_any_file_is_refused(saved):
    for name in FILES:
        content = (saved / name).read_bytes()
        (saved / name).write_bytes(np.random.default_rng(1).bytes(len(content)))
        assert f"({name}: checksum differs)" in refused(saved)
        damage.write_checksums_again(saved)
        assert f"({name}: " in refused(saved)
        (saved / name).write_bytes(content)
        damage.write_checksums_again(saved)
    assert Recommender.load(saved)


def leaves(value, path=()):
    """Yield the path of every value in a manifest."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from leaves(value[key], (*path, key))


def test_an_edited_manifest_is_refused_or_still_works(saved):
    whole = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    refusals = 0
    for path in leaves(whole):
        for value in (None, -1, 10**30, "nonsense", [], {}, [[]], 1e308, float("nan")):
            manifest = json.loads(json.dumps(whole))
            inside = manifest
            for key in path[:-1]:
                inside = inside[key]
            if path:
                inside[path[-1]] = value
            (saved / "model.json").write_text(json.dumps(manifest if path else value), encoding="utf-8")
            damage.write_checksums_again(saved)
            try:
                loaded = Recommender.load(saved)
                loaded.recommend(3)
                loaded.recommend(ratings={5: 3}, by="rating")
                loaded.explain(3, 5, by="rating")
            except InputError:
                refusals += 1
    assert refusals > 200


def test_a_model_may_be_moved_and_copied(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    shutil.move(saved, tmp_path / "moved")
    assert Recommender.load(tmp_path / "copy").recommend(3) == Recommender.load(tmp_path / "moved").recommend(3)


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_model_without_ratings_quotes_no_row(tmp_path, reloaded):
    rows = {"user": ["zoe-the-private"] * 3 + ["bob", "bob"], "item": list("aabab"), "stars": [1.0, 2, 3, 4, 9]}
    with pytest.warns(DataWarning):
        data = reelated.read(rows, scale=(1, 5, 1), invalid="drop")
    rec = reelated.Recommender(rater=None).fit(data)
    assert "zoe-the-private" in str(rec.notes_)
    if reloaded:
        rec = reelated.Recommender.load(rec.save(tmp_path / "with"))
    folder = rec.save(tmp_path / "without", ratings=False)
    assert not any(b"zoe-the-private" in file.read_bytes() for file in folder.iterdir())
    assert reelated.Recommender.load(folder).notes_ == tuple(note for note in rec.notes_ if "have a time" in note)
