"""Project rules: short files and functions, documented names, and imports of lower layers only."""

import ast
import contextlib
import importlib
import inspect
import os
import pkgutil
import statistics
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import reelated
from reelated.errors import NO_VALUE

PROJECT = Path(__file__).parents[1]
SOURCES = sorted((PROJECT / "src").rglob("*.py"))
LONG_FUNCTIONS: dict[str, str] = {}
"""`file.py:function` → why it may exceed 40 lines."""
SAME_KIND = {
    "bpmf", "csr", "errors", "evaluate", "frames", "gibbs", "ids", "metrics", "posterior", "report", "ridge", "scoring",
}  # fmt: skip
"""Module names that occur in several packages: the kernels of a model, the ids of a data set and of a store."""
INTERFACES = ("atomic", "cache", "cli", "formatting", "parallel", "refit", "similarity", "store", "web")
"""Packages that callers do not import: commands, the service, and parts of the models and results."""


# ------------------------------------------------------------------------------------------------------------ sizes
def functions_of(path):
    """Yield the name and the number of lines, without docstring, of every function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            told = first.end_lineno - first.lineno + 1 if ast.get_docstring(node, clean=False) is not None else 0
            yield f"{path.name}:{node.name}", node.end_lineno - node.lineno + 1 - told


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT / "src" / "reelated")))
def test_no_file_has_more_than_600_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 600


def test_no_function_has_more_than_40_lines_without_a_reason():
    lengths = dict(found for path in SOURCES for found in functions_of(path))
    long = {name for name, lines in lengths.items() if lines > 40}
    assert long == set(LONG_FUNCTIONS)
    assert len(LONG_FUNCTIONS) <= 5
    assert all(LONG_FUNCTIONS.values())
    assert statistics.median(lengths.values()) < 10


def test_no_two_classes_share_a_name():
    classes = [
        node.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(classes) == sorted(set(classes))


def test_a_module_name_repeats_only_for_the_same_kind_of_thing():
    names = [path.stem for path in SOURCES if path.stem not in ("__init__", "__main__")]
    assert {name for name in names if names.count(name) > 1} <= SAME_KIND


NUMBA = {"_getvalue", "_tm", "_get_module_for_linking"}  # parts of numba without a public name
NAMED_TUPLE = {"_asdict", "_replace", "_fields", "_field_defaults", "_make"}


def private_access(path):
    """Yield what a file uses of the private members of other modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own.add(node.target.id)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reelated"):
            yield from (name.name for name in node.names if is_private(name.name) and name.name not in MODULES)
        elif (
            isinstance(node, ast.Attribute)
            and is_private(node.attr)
            and node.attr not in own | NAMED_TUPLE | NUMBA
            and ast.unparse(node.value) not in ("self", "cls")  # a mixin uses what its class has
        ):
            yield ast.unparse(node)


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


MODULES = {"_kernels", "_version"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT / "src" / "reelated")))
def test_no_file_uses_a_private_member_of_another(path):
    assert not list(private_access(path))


def imported_modules(name, files):
    """Return the modules that a module imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(files[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{part.name}" for part in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {part.name for part in node.names}
    return {module for module in found if module in files and not name.startswith(module)}


def test_no_modules_import_each_other_in_a_circle():
    files = {
        ".".join(path.relative_to(PROJECT / "src").with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCES
    }
    files = {name: path for name, path in files.items() if path.name != "__init__.py"}
    graph = {name: imported_modules(name, files) for name in files}
    assert list(TopologicalSorter(graph).static_order())


def test_no_module_has_a_catch_all_name():
    lumber = {"utils", "common", "core", "base", "helpers", "settings"}
    assert not [path for path in SOURCES if path.stem.strip("_") in lumber or path.parent.name in lumber]


# ------------------------------------------------------------------------------------------------------------- docs
def public_names():
    """Return the public names by dotted name: those of every package except the interfaces."""
    packages = ["reelated"] + [
        f"reelated.{package.name}"
        for package in pkgutil.iter_modules(reelated.__path__)
        if not package.name.startswith("_") and package.name not in INTERFACES
    ]
    found = {}
    for package in map(importlib.import_module, packages):
        own = [name for name, thing in vars(package).items() if getattr(thing, "__module__", None) == package.__name__]
        for name in getattr(package, "__all__", own):
            thing = getattr(package, name)
            if not name.startswith("_") and (inspect.isclass(thing) or inspect.isfunction(thing)):
                found[f"{thing.__module__}.{name}"] = thing
    return found


def methods_of(kind):
    """Return the public methods of a class that are defined in reelated, by name."""
    return {
        name: function
        for name, function in inspect.getmembers(kind, inspect.isroutine)
        if not name.startswith("_") and (getattr(function, "__module__", "") or "").startswith("reelated")
    }


def documented_callables():
    """Return every public function, method and constructor with its documented parameters."""
    cases = {}
    for name, thing in public_names().items():
        if inspect.isfunction(thing):
            cases[name] = thing, FunctionDoc(thing)
            continue
        made_by_hand = inspect.isfunction(vars(thing).get("__init__")) and not hasattr(thing, "__dataclass_fields__")
        if made_by_hand:
            cases[name] = thing.__init__, ClassDoc(thing, config={"show_class_members": False})
        for method, function in methods_of(thing).items():
            cases[f"{name}.{method}"] = function, FunctionDoc(function)
    return cases


PUBLIC, CALLABLES = public_names(), documented_callables()


def documented(doc):
    """Return name → documented type, with one entry each for `a, b : float, default 1 and 2`."""
    told = {}
    for names, kind, _ in doc["Parameters"]:
        apart = [name.strip() for name in names.split(",")]
        head, default, values = kind.partition("default ")
        each = values.split(" and ") if default and len(apart) > 1 else [values] * len(apart)
        assert len(each) in (1, len(apart)), f"{names}: one default for each"
        each = each if len(each) == len(apart) else each * len(apart)
        told |= {name: head + default + value for name, value in zip(apart, each, strict=True)}
    return told


def default_of(kind):
    """Return the default that a documented type names, or `empty`."""
    _, said, value = kind.partition("default ")
    if said == "default " and value == "NO_VALUE":
        return NO_VALUE
    if said:
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(value.strip().rstrip("."))
        return f"not a literal: {value}"
    return None if "optional" in kind or kind == "ignored" else inspect.Parameter.empty


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_docstring_starts_with_one_sentence(name):
    told = inspect.getdoc(PUBLIC[name])
    assert told
    first = told.split("\n\n")[0]
    assert first.endswith(".")
    assert "\n" not in first


def described_once(name):
    """Return the parameters that the class of a method, or another of its methods, describes."""
    owner = name.rpartition(".")[0]
    if owner not in PUBLIC:
        return set()
    doc = ClassDoc(PUBLIC[owner], config={"show_class_members": False})
    told = {part.strip() for names, *_ in doc["Other Parameters"] for part in names.split(",")}
    methods = [documented(other) for method, (_, other) in CALLABLES.items() if method.rpartition(".")[0] == owner]
    return told.union(*methods)


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_documented_with_its_default_once_in_a_class(name):
    function, doc = CALLABLES[name]
    signature = inspect.signature(function).parameters
    wanted = {
        str(p).split(":")[0].split("=")[0].strip(): p for p in signature.values() if p.name not in ("self", "cls")
    }
    told = documented(doc)
    if name.startswith("reelated.errors.") and not told:
        return  # argument checks are internal
    assert list(told) == [parameter for parameter in wanted if parameter in told]
    assert set(wanted) - set(told) <= described_once(name)
    for parameter, kind in told.items():
        if kind:  # `a, b` alone says that they are as elsewhere
            assert default_of(kind) == wanted[parameter].default, parameter


@pytest.mark.parametrize("name", CALLABLES)
def test_a_section_on_the_return_value_says_more_than_the_annotation(name):
    function, doc = CALLABLES[name]
    assert doc["Summary"]
    assert name in PUBLIC or inspect.signature(function).return_annotation is not inspect.Signature.empty
    for _, kind, description in [*doc["Returns"], *doc["Yields"]]:
        assert description or "shape" in kind or len(doc["Returns"]) > 1


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if inspect.isclass(thing)])
def test_documented_fields_match_the_record(name):
    kind = PUBLIC[name]
    fields = list(getattr(kind, "__dataclass_fields__", None) or getattr(kind, "_fields", ()))
    told = [
        field.strip()
        for names, *_ in ClassDoc(kind, config={"show_class_members": False})["Attributes"]
        for field in names.split(",")
    ]
    if (fields and len(fields) > 3) or (told and fields):  # `Scale(low, high, step)` may say it in its sentence
        assert told == fields


def test_learned_attributes_are_documented():
    from reelated.models import MODELS

    for model in MODELS.values():
        fitted = model().fit([[5, 3, 0], [4, 0, 1]])
        told = {attribute.name for attribute in ClassDoc(model, config={"show_class_members": False})["Attributes"]}
        ours = {name for name in vars(fitted) if name.endswith("_")} - {"n_features_in_"}
        assert ours == told


# ---------------------------------------------------------------------------------------------------------- imports
def test_packages_import_only_lower_layers():
    linter = Path(sys.executable).with_name("lint-imports")  # in a separate process: it disables other loggers
    command = [linter, "--config", PROJECT / "pyproject.toml", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_reelated_loads_no_interface_no_database_and_no_cluster():
    script = "import sys, reelated; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert "reelated" in loaded
    heavy = {
        "fastapi",
        "starlette",
        "uvicorn",
        "jinja2",
        "typer",
        "click",
        "sqlalchemy",
        "pyspark",
        "numpydoc",
        "pytest",
    }
    assert not loaded & heavy


def imports_of(path):
    """Return the modules that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom)} | {
        name.name for node in nodes if isinstance(node, ast.Import) for name in node.names
    }


def test_kernels_import_only_numpy_and_numba():
    files = [path for path in SOURCES if "_kernels" in (path.stem, path.parent.name)]
    imported = {module for path in files for module in imports_of(path) if not module.startswith("reelated._kernels")}
    others = {module.split(".")[0] for module in imported} - set(sys.stdlib_module_names)
    assert others - {"llvmlite"} == {"numpy", "numba"}  # llvmlite is what numba itself is made of


def test_the_oracle_imports_nothing_from_reelated():
    assert imports_of(PROJECT / "tests" / "naive.py") == {"math", "numpy", "scipy.sparse"}
