"""Machine code in a wheel: the first call of a kernel loads it instead of compiling the kernel.

A wheel carries one archive for each of several instruction sets, built by `tools/machine_code.py`. An archive matches
any processor that has its instructions. An archive that does not match exactly (another LLVM, Python, platform or
kernel source) or is damaged counts as absent.
"""

import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import llvmlite
from llvmlite import binding

FOLDER = Path(__file__).with_name("machine_code")


def load(kernel: str, kinds: tuple[Any, ...]) -> bytes | None:
    """Return the packaged code of a kernel for the given kinds of arguments; None if there is none."""
    triple, _, features = processor()
    with suppress(Exception):
        if archive := best_archive(FOLDER, triple, features):
            with ZipFile(archive) as file:  # a forked process must not share the file position
                return file.read(member(kernel, kinds))
    return None


def member(kernel: str, kinds: tuple[Any, ...]) -> str:
    """Return the name of the code of a kernel in an archive."""
    return hashlib.sha256(repr((kernel, kinds)).encode()).hexdigest()


@cache
def best_archive(folder: Path, triple: str, features: str) -> Path | None:
    """Return the archive for the largest set of instructions that this processor has."""
    supported = {name[1:] for name in features.split(",") if name.startswith("+")}
    usable = {}
    for path in sorted(folder.glob("*.zip")):
        with suppress(Exception), ZipFile(path) as file:
            needed, made_by = json.loads(file.comment)
            if supported.issuperset(needed) and made_by == [triple, *toolchain()]:
                usable[path] = len(needed)
    return max(usable, key=usable.__getitem__, default=None)


@cache
def toolchain() -> tuple[str, ...]:
    """Return what identifies compiled code besides the processor: Python, LLVM and a hash of the kernels' source."""
    # the entry of a kernel reads arrays behind the header of a Python object, whose size depends on the build of Python
    python = f"{sys.version_info[0]}.{sys.version_info[1]}-{object.__basicsize__}"
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return python, llvmlite.__version__, hashlib.sha256(sources).hexdigest()


@cache
def processor() -> tuple[str, str, str]:
    """Return the platform, the processor and its features; numba's environment variables take precedence."""
    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name == "generic" else binding.get_host_cpu_features().flatten()
    return binding.get_process_triple(), name, features
