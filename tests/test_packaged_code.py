"""Machine code in a wheel is used where it fits exactly; everywhere else kernels are compiled, with the same result."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import machine_code
import numpy as np
import pytest

from reelated._kernels import kernel, packaged_code, topk

TRIPLE, FEATURES = "x86_64-unknown-linux-gnu", "+sse2,+avx2,-avx512f"
KINDS = (int,)
NUMBERS = np.array([1.0, 3.0, 2.0])
BUILD = """
import sys
import numpy as np
from pathlib import Path
import machine_code
workspace = np.dtype(np.int64), 1, "C"
call = "reelated._kernels.topk", "write_top_n", ((np.dtype(float), 1, "C"), int, workspace, workspace)
machine_code.compile_calls([call], sys.argv[2].split(), Path(sys.argv[1]))
"""
USE = """
import sys
import numpy as np
from pathlib import Path
from reelated._kernels import packaged_code, topk
packaged_code.FOLDER = Path(sys.argv[1])
print(topk.top_n(np.array([1.0, 3.0, 2.0]), 2).tolist(), "numba" in sys.modules)
"""


def in_process(script, *words, **env):
    """Run a script in a process of its own and return its output."""
    paths = (Path(packaged_code.__file__).parents[2], Path(machine_code.__file__).parent)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))} | env
    command = [sys.executable, "-W", "error", "-c", script, *map(str, words)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


def pack(folder, name, needed=(), content=b"", **changed):
    """Write an archive with one member, as the tool does; `changed` replaces a part of what made it."""
    python, llvm, sources = packaged_code.toolchain()
    made_by = {"triple": TRIPLE, "python": python, "llvm": llvm, "sources": sources} | changed
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
        file.writestr(packaged_code.member("f", KINDS), content or name)
        file.comment = json.dumps([list(needed), list(made_by.values())]).encode()
    return folder / f"{name}.zip"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder in place of the wheel's."""
    monkeypatch.setattr(packaged_code, "FOLDER", tmp_path)
    packaged_code.best_archive.cache_clear()
    return tmp_path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with real code of `write_top_n`, for any processor of this machine's kind."""
    levels = machine_code.LEVELS.get(machine_code.platform.machine())
    if not levels:
        pytest.skip("no instruction sets are named for this machine")
    cpu, needed = next(iter(levels.items()))
    folder = tmp_path_factory.mktemp("machine_code")
    env = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in needed.split())}
    in_process(BUILD, folder / "base.zip", needed, **env)
    return folder


@pytest.fixture
def top_n(tmp_path, monkeypatch):
    """A function that returns `write_top_n` as at the start of a process, with an empty cache on the disk."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return lambda: kernel.njit_nogil(topk.write_top_n.py_func)


def called(write_top_n):
    """Return the result of a call, and whether it compiled the kernel."""
    compiled = []
    with kernel.on_compile(lambda: compiled.append(1)):
        write_top_n(NUMBERS, 2, np.empty(2, np.int64), result := np.empty(2, np.int64))
    return result.tolist(), len(compiled) > 0


@pytest.fixture
def processor(monkeypatch):
    """A function that sets the platform and the features of the processor."""

    def set_to(features, triple=TRIPLE):
        monkeypatch.setattr(packaged_code, "processor", lambda: (triple, "a processor", features))

    set_to(FEATURES)
    return set_to


def test_the_archive_for_most_instructions_of_the_processor_is_used(folder, processor):
    pack(folder, "base", ["sse2"])
    pack(folder, "avx2", ["sse2", "avx2"])
    pack(folder, "avx512", ["sse2", "avx2", "avx512f"])
    assert packaged_code.load("f", KINDS) == b"avx2"
    assert packaged_code.load("another kernel", KINDS) is None
    assert packaged_code.load("f", (float,)) is None
    processor("+sse2,-avx2")
    assert packaged_code.load("f", KINDS) == b"base"
    processor("")
    assert packaged_code.load("f", KINDS) is None


@pytest.mark.parametrize("part", ["triple", "python", "llvm", "sources"])
def test_code_of_another_platform_python_llvm_or_source_is_not_used(folder, processor, part):
    pack(folder, "other", **{part: "another"})
    assert packaged_code.load("f", KINDS) is None


def test_a_damaged_archive_counts_as_absent(folder, processor):
    path = pack(folder, "base", content=b"code" * 200)
    whole = path.read_bytes()
    assert packaged_code.load("f", KINDS) == b"code" * 200
    for damaged in (whole[:-40], b"noise", b"", whole.replace(b"codecode", b"codeCode", 1)):
        path.write_bytes(damaged)
        packaged_code.best_archive.cache_clear()
        assert packaged_code.load("f", KINDS) is None


def test_packaged_code_depends_on_no_path_and_no_address(built):
    with zipfile.ZipFile(built / "base.zip") as file:
        (content,) = map(file.read, file.namelist())
    assert str(Path(packaged_code.__file__).parents[2]).encode() not in content
    assert b" at 0x" not in content


def test_packaged_code_is_called_without_compiling_and_nothing_is_written(built, top_n, tmp_path, monkeypatch):
    monkeypatch.setattr(packaged_code, "FOLDER", built)
    assert called(top_n()) == ([1, 2], False)
    assert list(tmp_path.rglob("*.nb?")) == []


def test_without_packaged_code_the_kernel_is_compiled_and_kept_on_the_disk(folder, top_n, tmp_path):
    assert called(top_n()) == ([1, 2], True)
    assert list(tmp_path.rglob("*top_n*.nbc")) != []
    assert called(top_n()) == ([1, 2], False)


def test_a_damaged_archive_is_replaced_by_compiling(built, folder, top_n):
    content = bytearray((built / "base.zip").read_bytes())
    content[len(content) // 3] ^= 255
    (folder / "base.zip").write_bytes(content)
    assert called(top_n()) == ([1, 2], True)


def test_packaged_code_is_used_where_nothing_can_be_written(built, tmp_path):
    (blocked := tmp_path / "file").write_text("a file, where a folder would have to be made")
    own = {"NUMBA_CACHE_DIR": str(blocked / "cache"), "NUMBA_DISABLE_JIT": "1"}  # which is for other code
    assert in_process(USE, built, **own) == "[1, 2] False"


def test_a_processor_of_another_name_uses_the_code_if_it_has_the_instructions(built, tmp_path):
    own = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert in_process(USE, built, NUMBA_CPU_NAME="nehalem", **own).endswith("False")
    assert in_process(USE, built, NUMBA_CPU_NAME="generic", **own).endswith("False")  # with no instruction known
