"""Write the machine code for a wheel: one archive for each instruction set of this platform.

Usage: python tools/machine_code.py FOLDER

The workload below records which kernels it calls with which kinds of arguments. Each instruction set then has a
process that compiles these calls without running them, so any processor can build for all. How the archives are found
and read: `reelated/_kernels/packaged_code.py`. The bytes depend only on the sources and on the versions of Python,
numba and LLVM.
"""

import importlib
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

X86_64_V2 = "cx16 popcnt sahf sse3 sse4.1 sse4.2 ssse3"
X86_64_V3 = f"{X86_64_V2} avx avx2 bmi bmi2 f16c fma lzcnt movbe"
LEVELS = {
    "x86_64": {
        "x86-64": "",
        "x86-64-v3": X86_64_V3,
        "x86-64-v4": f"{X86_64_V3} avx512bw avx512cd avx512dq avx512f avx512vl avx512vpopcntdq",
    },
    "aarch64": {"generic": ""},
    "arm64": {"generic": ""},
}
"""Machine → LLVM's name of a processor → the instruction sets that not every such machine has."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def workload():
    """Call each method of both presets that the terminal and the service call."""
    import reelated

    data = reelated.read("sample")
    for rec in (reelated.Recommender(), reelated.textbook()):
        rec.fit(data)
        item_id = rec.recommend(user_id=300)[0].item_id
        for by in ("score", "rating"):
            rec.recommend(user_id=300, by=by)
            rec.recommend(ratings={item_id: 5}, by=by)
            rec.explain(user_id=300, item_id=item_id)
            list(rec.recommend_batch(by=by))
        rec.predict(user_id=300, item_id=item_id)
        rec.audience(item_id)
        rec.similar(item_id)


def record(target):
    """Run the workload and write the kernels that it calls, with the kinds of their arguments."""
    from reelated._kernels.kernel import Kernel

    workload()
    modules = [module for name, module in sys.modules.items() if name.startswith("reelated._kernels.")]
    kernels = {each.name: each for module in modules for each in vars(module).values() if isinstance(each, Kernel)}
    calls = [
        (each.py_func.__module__, each.py_func.__name__, kinds) for each in kernels.values() for kinds in each.entries
    ]
    target.write_bytes(pickle.dumps(sorted(calls, key=repr)))


def compile_calls(calls, needed, target):
    """Compile recorded calls for the processor in NUMBA_CPU_NAME, and write the archive."""
    from reelated._kernels import compiling, packaged_code

    kernels = [(getattr(importlib.import_module(module), name), kinds) for module, name, kinds in calls]
    codes = {
        packaged_code.member(kernel.name, kinds): compiling.object_code(kernel, kinds) for kernel, kinds in kernels
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, code in sorted(codes.items()):
            file.writestr(zipfile.ZipInfo(name, EPOCH), code, zipfile.ZIP_DEFLATED)
        file.comment = json.dumps([needed, [packaged_code.processor()[0], *packaged_code.toolchain()]]).encode()


def build(folder):
    """Write the archives of this machine into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = LEVELS.get(platform.machine(), {})
    with tempfile.TemporaryDirectory() as scratch:
        own = {"REELATED_CACHE": scratch, "PYTHONHASHSEED": "0"}
        calls = Path(scratch, "calls")
        run_self(own, "--record", calls)
        for cpu, needed in levels.items():
            own |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in needed.split())}
            own["NUMBA_DISABLE_INTEL_SVML"] = "1"  # a library that other installations may not have
            run_self(own, "--compile", calls, needed, folder / f"{cpu}.zip")
    return [folder / f"{cpu}.zip" for cpu in levels]


def run_self(env, *words):
    """Run a step in a separate process, from the sources of this checkout."""
    source = Path(__file__).parents[1] / "src"
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")} | env
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))
    subprocess.run([sys.executable, __file__, *map(str, words)], env=env, check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--record", target]:
            record(Path(target))
        case ["--compile", calls, needed, target]:
            compile_calls(pickle.loads(Path(calls).read_bytes()), needed.split(), Path(target))  # noqa: S301  # its own
        case [folder]:
            for path in build(Path(folder)):
                print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
        case _:
            sys.exit(__doc__)
