"""Run the tests with the lowest versions that pyproject.toml allows, in a separate environment.

Usage: python tools/lowest.py [pytest argument …]
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = ROOT / "build" / "lowest"
DIRECT = ("dependencies", "web", "postgres", "map", "formats", "plot", "spark", "evaluate")
"""The groups that users install; test tools may be the newest."""
INDIRECT = ("httpx", "pyparsing<3.3")
"""The test client of older versions of Starlette; Matplotlib before 3.10.7 warns with pyparsing 3.3."""
PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
"""The options with which `make test` runs the tests."""


def lowest():
    """Return the lower bound of every direct dependency as a constraint."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    bounds = [re.match(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", line) for name in DIRECT for line in groups[name]]
    return sorted({f"{found[1]}=={found[2]}" for found in bounds if found and found[1] != "reelated"}, key=str.lower)


def main():
    """Install and test."""
    VENV.parent.mkdir(exist_ok=True)
    constraints = VENV.with_suffix(".txt")
    constraints.write_text("\n".join(lowest()) + "\n", encoding="utf-8")
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--constraint", constraints]
    subprocess.run([*pip, *INDIRECT, "--editable", f"{ROOT}[docs,test]"], check=True)
    return subprocess.run([python, "-m", "pytest", *PARALLEL, *sys.argv[1:]], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
