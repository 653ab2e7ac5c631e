"""Each numba kernel agrees with the oracle, and compiles in a read-only package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import naive
from contract import rating_tables
from reelated import _kernels as kernels
from reelated._kernels import CSR, ScoreParams, SimilarityFormula, code_cache, csr, packaged_code, scoring, topk
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.local_ridge import System, conjugate_gradients
from reelated.similarity import as_csc, as_kernel_csr, sizes_and_norms

FEW = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 0.5000001, 1.0, 3.0, np.inf, -np.inf])
SCORE = ScoreParams(False, False, False, 0.0)


def rows_of(R, rule, n):
    """Run the kernel over all rows of a table and return its results as dense matrices."""
    X = naive.as_csr(R).astype(np.float64)
    columns = X.tocsc()
    _, norms = sizes_and_norms(as_kernel_csr(X), R.shape[1])
    result = kernels.similarity_rows(0, R.shape[1], as_kernel_csr(columns), as_kernel_csr(X), norms, rule, n)
    lengths, items, values, common = result
    S, counts = np.zeros((R.shape[1], R.shape[1])), np.zeros((R.shape[1], R.shape[1]), int)
    at = np.repeat(np.arange(R.shape[1]), lengths)
    S[at, items], counts[at, items] = values, common
    return S, counts, result


@given(rating_tables(), st.booleans(), st.sampled_from([0.0, 3.0]), st.integers(1, 3), st.booleans())
def test_similarity_rows_agree_with_the_oracle(R, jaccard, shrinkage, min_common, positive_only):
    S, counts, _ = rows_of(R, SimilarityFormula(jaccard, False, shrinkage, 0.5, min_common, positive_only), R.shape[1])
    expected, common = naive.item_similarity(
        R, "jaccard" if jaccard else "cosine", shrinkage=shrinkage, damping=0.5, min_common=min_common,
        positive_only=positive_only,
    )  # fmt: skip
    assert pytest.approx(expected, abs=1e-9) == S
    assert (counts == np.where(S != 0, common, 0)).all()


@given(rating_tables(), st.integers(1, 3))
def test_rows_computed_in_slices_equal_all_rows_at_once(R, n):
    rule = SimilarityFormula(False, False, 0.0, 0.0, 1, False)
    X = naive.as_csr(R)
    arguments = as_kernel_csr(X.tocsc()), as_kernel_csr(X), sizes_and_norms(as_kernel_csr(X), R.shape[1])[1], rule, n
    pieces = [kernels.similarity_rows(i, i + 1, *arguments) for i in range(R.shape[1])]
    for whole, *parts in zip(kernels.similarity_rows(0, R.shape[1], *arguments), *pieces, strict=True):
        assert np.concatenate(parts).tobytes() == whole.tobytes()


@given(st.lists(FEW, max_size=12), st.integers(1, 14))
def test_keep_top_k_returns_ascending_positions_and_the_lower_position_of_ties(values, n):
    order = sorted(range(len(values)), key=lambda p: (-abs(values[p]), p))[:n]
    positions = np.arange(len(values))
    n_kept = topk.keep_top_k(np.array(values, float), positions, len(values), n, np.empty(len(values)))
    assert positions[:n_kept].tolist() == sorted(order)


def pad_to_simd(numbers, dtype):
    return np.array(numbers + [0] * (-len(numbers) % kernels.LANES), dtype)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=60), st.data())
def test_kth_largest_is_reached_by_at_least_k_and_at_most_k_plus_slack(values, data):
    nonzero = sum(value != 0 for value in values)
    assume(nonzero)
    k, slack = data.draw(st.integers(1, nonzero)), data.draw(st.integers(0, 9))
    guess = data.draw(st.sampled_from([0, 1, 0x3F800000, 0x7F7FFFFF]))
    numbers = pad_to_simd(values, np.float32)
    bits = topk.kth_largest(numbers, k, slack, np.uint64(guess), np.uint64(0x7F800000))
    size, threshold = np.abs(numbers), np.uint32(bits).view(np.float32)
    assert (size >= threshold).sum() >= k
    assert (size > np.nextafter(threshold, np.float32(9))).sum() <= k + slack


@given(st.sets(st.integers(1, 2**64 - 2), min_size=2, max_size=60), st.data())
def test_select_top_k_keeps_the_k_largest_keys_with_their_counts_in_order(keys, data):
    keys, k = data.draw(st.permutations(sorted(keys))), data.draw(st.integers(1, len(keys) - 1))
    numbers, counts = pad_to_simd(keys, np.uint64), np.arange(64, dtype=np.int32)
    threshold = data.draw(st.sampled_from([0.0, 0.25, 1.0]))
    *_, below, least = sorted(keys)[: len(keys) - k + 1]
    assert below < topk.select_top_k(numbers, counts, k, np.float32(threshold)) <= least
    kept = [(key, at) for at, key in enumerate(keys) if key >= least]
    assert [*zip(numbers[:k].tolist(), counts[:k].tolist(), strict=True)] == kept


@given(st.sets(st.integers(0, 9000), max_size=40), st.data())
def test_a_bitset_drains_in_ascending_order_with_positions_and_is_empty_afterwards(numbers, data):
    bitset, order = csr.empty_bitset(9001), data.draw(st.permutations(sorted(numbers)))
    taken, positions = np.zeros(50, np.int64), np.zeros(50, np.int64)
    for position, number in enumerate(order):
        csr.bitset_add(bitset, number, position)
    assert csr.drain_sorted(bitset, taken, positions, 3) == len(numbers)
    assert taken[3 : 3 + len(numbers)].tolist() == sorted(numbers)
    assert [order[position] for position in positions[: len(numbers)]] == sorted(numbers)
    assert not bitset.bits.any()
    assert not bitset.words.any()


@given(rating_tables(), st.sampled_from(["int32", "uint16"]))
def test_csc_equals_scipys(R, numbers):
    X = naive.as_csr(R)
    expected, result = X.tocsc(), as_csc(as_kernel_csr(X), R.shape[1], numbers)
    assert result.indices.dtype == numbers
    for part in ("indptr", "indices", "data"):
        assert getattr(result, part).tolist() == getattr(expected, part).tolist()


@given(st.lists(st.one_of(FEW, st.just(np.nan)), max_size=40), st.integers(0, 45))
def test_top_n_descends_with_ties_ascending_and_without_nan(scores, n):
    assert kernels.top_n(np.array(scores, float), n).tolist() == naive.top_n(scores, n)


def test_top_n_of_many_scores_agrees_with_the_oracle():
    scores = np.random.default_rng(2).integers(0, 300, 5000) / 7
    for n in (1, 2, 3, 10, 500, 5000):
        assert kernels.top_n(scores, n).tolist() == naive.top_n(scores, n)


@pytest.mark.parametrize(
    ("sums", "offset", "params", "expected"),
    [
        ((1.5, 2.0, 2), 9.0, SCORE, 1.5),
        ((0.0, 0.0, 0), 9.0, SCORE, np.nan),
        ((-3.0, 2.0, 1), 4.0, ScoreParams(True, True, False, 0), 2.5),
        ((-30.0, 2.0, 1), 4.0, ScoreParams(True, True, False, 0), -11.0),
        ((30.0, 2.0, 1), 4.0, ScoreParams(True, True, False, 0), 19.0),
        ((30.0, 2.0, 1), 4.0, ScoreParams(True, False, False, 0), 34.0),
        ((0.0, 0.0, 0), 4.0, ScoreParams(True, True, True, 0), 4.0),
        ((0.0, 0.0, 0), 4.0, ScoreParams(True, True, False, 0), np.nan),
        ((0.0, 0.0, 0), np.nan, ScoreParams(True, True, True, 0), np.nan),
        ((1.0, 3.0, 1), 0.0, ScoreParams(True, True, False, 0), 0.333333),
        ((1.0, 3.0, 1), 0.0, ScoreParams(True, True, True, 1), 0.25),
        ((2e14, 2.0, 2), 0.0, ScoreParams(True, True, False, 0), 1e14),
    ],
)
def test_a_score_follows_from_its_sums(sums, offset, params, expected):
    params = params._replace(prior=float(params.prior))
    assert scoring.score_from_sums(*sums, offset, params) == pytest.approx(expected, nan_ok=True, rel=1e-15)


def test_scatter_sums_adds_to_the_items_that_a_row_predicts():
    S = np.array([[0, 0.5, 0], [0.25, 0, -1.0], [0, 0, 0]])  # asymmetric, so that a transposed matrix fails
    influence = as_kernel_csr(naive.as_csr(np.where(S == 0, np.nan, S).T))
    sums = scoring.empty_sums(3)
    scoring.scatter_sums(np.array([0, 2], np.int32), np.array([4.0, 2.0]), influence, sums)
    assert sums.numerator.tolist() == [0, 4 * 0.25 - 2, 0]
    assert sums.weight.tolist() == [0, 1.25, 0]
    assert sums.n_used.tolist() == [0, 2, 0]


def test_pairs_of_several_users_do_not_leak_into_each_other():
    S = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], float)
    similarity = as_kernel_csr(naive.as_csr(np.where(S == 0, np.nan, S)))
    links = kernels.ItemGraph(similarity, similarity, 4)
    R = np.array([[1, 2, np.nan, np.nan], [np.nan, np.nan, np.nan, np.nan], [np.nan, np.nan, 5, np.nan]])
    zeros, nobody, of_users = np.zeros(4), np.array([0, 1, 2], np.int32), np.zeros(3)
    scores, used = kernels.score_pairs(
        0, 3, as_kernel_csr(naive.as_csr(R)), nobody, np.full(3, 3, np.int32), links, zeros, of_users, SCORE
    )
    assert scores == pytest.approx([3, np.nan, 5], nan_ok=True)
    assert used.tolist() == [2, 0, 1]


def test_a_kernel_csr_does_not_copy_its_arrays():
    arrays = np.array([0, 1]), np.array([0], np.int32), np.array([1.0])
    assert CSR(*arrays).data is arrays[2]


KINDS, OTHER = (int,), (int, float)
READ_ONLY_SCRIPT = """
import numpy as np
from reelated import _kernels
print(_kernels.top_n(np.array([1.0, 3.0, 2.0]), 2).tolist())
"""


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_conjugate_gradients_solve_a_system_and_notice_one_that_is_not_positive_definite(dtype, tolerance):
    half = np.random.default_rng(0).normal(size=(40, 30))
    matrix, expected, solution = half.T @ half + np.eye(30), np.arange(30.0), np.empty(30, dtype)
    system, padded = System.empty(30, 0, 0, dtype), np.full((32, 32), np.nan)
    for begin in range(0, 32, 8):  # only the lower triangle and the blocks on the diagonal are read
        padded[begin : begin + 8, : begin + 8] = np.pad(matrix, (0, 2))[begin : begin + 8, : begin + 8]
    system.matrix[:], system.inverse[:30] = padded.ravel(), 1 / matrix.diagonal()
    assert conjugate_gradients((matrix @ expected).astype(dtype), solution, system, tolerance)
    assert solution == pytest.approx(expected, abs=0.02 if dtype == np.float32 else 1e-9)
    system.matrix[:] = -np.eye(32).ravel()
    assert not conjugate_gradients(np.ones(30, dtype), solution, system, tolerance)


@njit_nogil
def _use_elements(line, table, cube, out):
    out[0] = table[1, 2] + cube[1, np.int32(0), np.uint8(1)] + table[np.uint32(1)][0]
    table[1, 2], line[0] = 7, line[2]
    out[1], out[2] = len(line[1:3]), len(line[3:99])  # the end of a slice is cut
    line[1:3] = 5
    row = cube[1, 1]
    row[1] = 9
    cube[0][:, 1] = 4  # not contiguous, as `table`'s second column
    table[:, 1] = 3
    table[0] = 8


def test_kernels_index_and_slice_arrays_as_numpy_does(folder):
    arrays = np.arange(5.0), np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(2, 2, 3), np.zeros(3)
    expected = [array.copy() for array in arrays]
    _use_elements.py_func(*expected)
    _use_elements(*arrays)
    for array, same in zip(arrays, expected, strict=True):
        assert array.tolist() == same.tolist()
    for order in ("F", "A"):  # numba's own code
        arrays = np.arange(5.0), np.arange(6.0).reshape(3, 2).T, np.arange(12.0).reshape(2, 2, 3), np.zeros(3)
        arrays = [np.repeat(array, 2, axis=-1)[..., ::2] if order == "A" else array for array in arrays]
        expected = [array.copy() for array in arrays]
        _use_elements.py_func(*expected)
        _use_elements(*arrays)
        assert [array.tolist() for array in arrays] == [same.tolist() for same in expected]


@pytest.mark.parametrize("cache", ["elsewhere", "nowhere"])
def test_kernels_run_from_a_read_only_package(tmp_path, cache):
    package, blocked = tmp_path / "reelated", tmp_path / "file"
    blocked.write_text("a file, where a folder would have to be made")
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = Path(kernels.__file__).parent
    shutil.copytree(source, package / "_kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "_kernels" / "__pycache__").write_text("no folder either")
    home = tmp_path / "home" if cache == "elsewhere" else blocked / "home"
    settings = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "LOCALAPPDATA": str(home)}
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ_ONLY_SCRIPT],
        env=environment | settings | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.strip() == "[1, 2]", done.stderr
    assert bool(list(tmp_path.rglob("*.nbc"))) == (cache == "elsewhere")


@pytest.fixture(scope="module")
def compiled_cache(tmp_path_factory):
    """A cache folder with the compiled code of `READ_ONLY_SCRIPT`."""
    folder = tmp_path_factory.mktemp("compiled")
    assert run_with_cache(folder).stdout.strip() == "[1, 2]"
    return folder


def run_with_cache(folder):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    command = [sys.executable, "-W", "error", "-c", READ_ONLY_SCRIPT]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def flipped(content):
    """Return content with a flipped byte in each of eight parts, of which one is machine code."""
    damaged = bytearray(content)
    for place in range(len(content) // 16, len(content), len(content) // 8):
        damaged[place] ^= 255
    return bytes(damaged)


@pytest.mark.parametrize("change", [lambda content: content[: len(content) // 2], lambda _: b"noise", flipped])
def test_damaged_compiled_code_is_compiled_again(compiled_cache, tmp_path, change):
    folder = tmp_path / "cache"
    shutil.copytree(compiled_cache, folder)
    files = list(folder.rglob("*.nbc"))
    assert files
    for file in files:
        file.write_bytes(change(file.read_bytes()))
    done = run_with_cache(folder)
    assert (done.returncode, done.stdout.strip()) == (0, "[1, 2]"), done.stderr
    for file in files:
        assert code_cache._verified(file)


def test_compiled_code_is_loaded_from_the_cache(compiled_cache):
    before = {file: file.stat().st_mtime_ns for file in compiled_cache.rglob("*.nb?")}
    assert run_with_cache(compiled_cache).stdout.strip() == "[1, 2]"
    assert {file: file.stat().st_mtime_ns for file in compiled_cache.rglob("*.nb?")} == before


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The folder of the cache, which is empty."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / "reelated"


def cached(kernel="f", kinds=KINDS):
    return code_cache.load(kernel, kinds, bytes)


def test_a_full_disk_does_not_prevent_a_compiled_kernel(monkeypatch, folder):
    code_cache.save("f", KINDS, b"code")
    assert cached() == b"code"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    code_cache.save("f", OTHER, b"more")
    assert (cached(), cached("f", OTHER)) == (b"code", None)
    assert len(list(folder.iterdir())) == 1


def test_code_for_each_kernel_and_kinds_of_arguments_has_its_own_file(folder):
    for kinds, code in ((KINDS, b"1"), (OTHER, b"2"), (KINDS, b"1")):
        code_cache.save("f", kinds, code)
    assert (cached(), cached("f", OTHER), cached("g")) == (b"1", b"2", None)


@pytest.mark.parametrize("part", ["processor", "toolchain"])
def test_code_for_another_processor_or_compiler_is_not_loaded(monkeypatch, folder, part):
    code_cache.save("f", KINDS, b"code")
    own = getattr(packaged_code, part)()
    monkeypatch.setattr(packaged_code, part, lambda: (own[0], "another", own[2]))
    assert cached() is None


def test_code_of_other_sources_is_deleted_and_current_code_stays(folder):
    folder.mkdir()
    stale = [folder / name for name in ("a.f-1.py311.nbi", "a.f-1.py311.1.nbc", "a.f.00.00.part", "x.nbc")]
    for file in stale:
        file.write_bytes(b"")
    code_cache.save("f", KINDS, b"code")
    assert [file for file in stale if file.exists()] == []
    assert cached() == b"code"
    code_cache.drop_stale(folder / "nowhere")
