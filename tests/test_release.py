"""A release is described once: versions, dependencies and the files of the build agree."""

import json
import re
import sys
import tomllib
from pathlib import Path

import dist
import environment
import lowest
import version

import reelated

PROJECT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def read(name):
    return (PROJECT / name).read_text(encoding="utf-8")


def test_the_version_has_one_place(capsys):
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert re.search(r'__version__ = "(.+)"', version.SOURCE.read_text())[1] == reelated.__version__
    assert not re.search(r"(?m)^version:", read("CITATION.cff"))
    assert f'version: "{reelated.__version__}"' in read("packaging/conda/recipe.yaml")


def test_the_conda_recipe_has_the_dependencies_of_the_package():
    needed = read("packaging/conda/recipe.yaml").partition("  run:")[2].partition("tests:")[0]
    wanted = [line.replace(">=", " >=") for line in PYPROJECT["project"]["dependencies"]]
    assert re.findall(r"(?m)^    - (.+)$", needed) == ["python >=3.11", *wanted]


def test_the_source_distribution_contains_what_builds_the_wheel():
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    hook = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["path"]
    assert {hook, "tools/machine_code.py", "src", "README.md", "LICENSE"} <= set(included)
    assert all((PROJECT / path).exists() for path in included)


def test_each_extra_for_users_has_a_command_that_proves_it():
    groups = set(PYPROJECT["project"]["optional-dependencies"])
    assert groups - set(dist.SMOKE) == {"test", "examples", "docs", "release", "lint"}
    assert set(dist.SMOKE) <= groups


def test_the_release_runs_the_commands_and_the_python_of_the_readme(tmp_path):
    commands, block = dist.readme(tmp_path)
    needs = dict(map(reversed, commands))
    assert needs["reelated recommend sample --user 300"] == ""
    assert needs["reelated tune sample --trials 5"] == "evaluate"
    assert needs["reelated fetch ml-100k"] is None
    assert "reelated.Recommender()" in block
    assert (tmp_path / "ratings.csv").exists()


def test_the_lowest_versions_are_the_bounds_of_the_project():
    bounds = lowest.lowest()
    assert "numpy==2.0" in bounds
    assert "sqlalchemy==2.0.36" in bounds
    assert len({line.split("==")[0].lower() for line in bounds}) == len(bounds)


def test_workflows_test_every_supported_python():
    for name in ("tests", "release"):
        listed = json.loads(re.search(r"python: (\[.+\])", read(f".github/workflows/{name}.yml"))[1])
        assert listed == ["3.11", "3.12", "3.13", "3.14"]
    assert PYPROJECT["project"]["requires-python"] == f">={listed[0]}"


def test_a_failed_installation_gives_the_reason():
    assert environment.watched((sys.executable, "-c", "print('done')")) is None
    assert environment.watched((sys.executable, "-c", "import sys; sys.exit('no such package')")) == "no such package"
