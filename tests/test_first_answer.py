"""The first answer: what is imported, which kernels are compiled, and that kernels compile wherever they run."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import reelated

KERNELS = sorted((Path(reelated.__file__).parent / "_kernels").glob("*.py"))
HEAVY = ("numpy", "numba", "polars", "scipy", "sklearn", "pandas", "matplotlib", "typer", "rich", "jinja2", "fastapi")
UNUSED = ("sklearn", "scipy.stats", "scipy.optimize", "scipy.spatial", "pandas", "matplotlib", "typer", "fastapi")
ANSWER = """
import json, sys
import reelated
rec = reelated.Recommender().fit(reelated.read("sample"))
best = rec.recommend(300)[0].item_id
rec.explain(300, best)
"""
LIST_KERNELS = """
from reelated._kernels.kernel import Kernel
modules = [module for name, module in list(sys.modules.items()) if name.startswith("reelated._kernels.")]
kernels = {kernel.name: kernel for module in modules for kernel in vars(module).values() if isinstance(kernel, Kernel)}
called = [name.partition(".")[2] for name, kernel in sorted(kernels.items()) for _ in kernel.entries]
print(json.dumps(called))
"""
# what Python calls from `fit` to `explain`; what these call is compiled with them
FIRST_ANSWER = [
    "_bpmf_pairs", "_check_csr", "_contributions", "_count_common", "_find_pairs", "_list_user_blocks",
    "_merge_buffers", "_sample_rows", "_score_pairs", "_solve_rows", "_sort_rows", "_topn_all", "_topn_positive",
    "_write_dense_widths", "_write_top_n_per_segment", "add_column_stats", "add_dense_products",
    "add_sparse_products", "cross_products", "csr_to_csc", "fill_dense_block", "select_neighbors",
]  # fmt: skip
ALLOWED = {"float32", "float64", "int32", "int64", "uint32", "uint64", "inf", "nan"}
SLOW_TO_COMPILE = {"min", "max", "sum", "round"}  # numba writes them in Python, and compiles that too


def run(script, **settings):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=os.environ | settings, capture_output=True, text=True
    )


def loaded(script, names):
    """Return which of the modules a script imports."""
    done = run(f"{script}\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules))")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_reelated_imports_no_library():
    assert loaded("import reelated", HEAVY) == []


def imported_by(*arguments):
    """Return which libraries and packages a command of the terminal imports."""
    names = (*HEAVY, *UNUSED, "sqlalchemy", "reelated.data", "reelated.evaluation", "reelated.models", "reelated.web")
    done = run(f"""import sys
from reelated.cli import main
sys.argv = {["reelated", *arguments]!r}
try:
    main()
except SystemExit as end:
    assert not end.code
finally:
    print(*(name for name in dict.fromkeys({names!r}) if name in sys.modules), file=sys.stderr)""")
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("arguments", [("--help",), ("recommend", "--help"), ("--version",)])
def test_the_help_of_the_terminal_imports_neither_a_numeric_library_nor_a_package_of_models(arguments):
    assert imported_by(*arguments) == ["typer", "rich"]


def test_a_list_from_a_cached_model_imports_what_it_computes_with():
    imported_by("recommend", "sample", "--user", "300")  # the first time, the model may have to be fitted
    libraries = ["numpy", "polars", "scipy", "typer", "rich", "reelated.models"]
    assert imported_by("recommend", "sample", "--user", "300") == libraries


def test_every_public_name_is_imported_on_first_use():
    assert {name for name in reelated.__all__ if getattr(reelated, name) is None} == set()
    assert set(reelated.__all__) <= set(dir(reelated))
    with pytest.raises(AttributeError, match="no attribute 'recomend'"):
        _ = reelated.recomend


def test_a_first_answer_calls_the_listed_kernels_in_one_specialisation_each_and_no_other_library():
    done = run(ANSWER + LIST_KERNELS + f"print(json.dumps([name for name in {UNUSED!r} if name in sys.modules]))")
    assert done.returncode == 0, done.stderr
    called, imported = map(json.loads, done.stdout.splitlines())
    assert sorted(called) == FIRST_ANSWER
    assert imported == []


def test_kernels_in_the_cache_are_called_without_numba():
    assert loaded(ANSWER, ["numba"]) in ([], ["numba"])  # the first time, they may have to be compiled
    assert loaded(ANSWER, ["numba"]) == []


def kernels():
    """Yield every compiled function of the kernels."""
    for path in KERNELS:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(part) for part in node.decorator_list):
                yield pytest.param(node, id=f"{path.stem}.{node.name}")


@pytest.mark.parametrize("kernel", list(kernels()))
def test_a_kernel_calls_no_numpy_routine_and_raises_nothing(kernel):
    """A call of np.empty or np.sort takes longer to compile than most kernels."""
    body = ast.Module(kernel.body, [])
    named = {
        node.attr
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    assert named <= ALLOWED
    assert not {node.id for node in ast.walk(body) if isinstance(node, ast.Name)} & SLOW_TO_COMPILE
    assert not [node for node in ast.walk(body) if isinstance(node, ast.Pow)]
    assert not [
        node for node in ast.walk(body) if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.ListComp))
    ]


SCRIPT = """
import numpy as np
from reelated import _kernels
print(_kernels.top_n(np.array([1.0, 3.0, 2.0]), 2).tolist())
"""


@pytest.mark.parametrize(
    "settings", [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_CPU_NAME": "generic"}, {"HOME": "", "XDG_CACHE_HOME": ""}]
)
def test_kernels_run_with_unusual_settings(settings, tmp_path):
    done = run(SCRIPT, NUMBA_CACHE_DIR=str(tmp_path), **settings)
    assert done.stdout.strip() == "[1, 2]", done.stderr


def test_two_processes_may_compile_at_once(tmp_path):
    settings = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", SCRIPT], env=settings, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in both] == ["[1, 2]", "[1, 2]"]
    assert not list(tmp_path.rglob("*.tmp*"))
