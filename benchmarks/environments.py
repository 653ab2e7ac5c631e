"""An environment of its own for every contender, built once under `.environments`."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / ".environments"


class CannotInstall(Exception):
    """A contender's environment could not be made."""


def contenders(kind: str = "contenders") -> list[str]:
    """Return the names of all contenders in a folder, ours first."""
    names = sorted(file.stem for file in (HERE / kind).glob("*.py"))
    return sorted(names, key=lambda name: name != "reelated")


def constant(name: str, what: str, default: Any = None, kind: str = "contenders") -> Any:
    """Return a constant of a contender's file without importing what it needs."""
    for node in ast.parse((HERE / kind / f"{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == what:
            return ast.literal_eval(node.value)
    return default


def python_of(name: str, kind: str = "contenders") -> Path:
    """Return the interpreter of a contender's environment, made if need be; raise `CannotInstall` with the reason."""
    folder, root = FOLDER / (name if kind == "contenders" else f"{kind}-{name}"), HERE.parent
    wanted = [part.format(root=root) for part in constant(name, "REQUIRES", (), kind)]
    python, stamp = folder / "bin" / "python", folder / "installed"
    ours = (root / "pyproject.toml").read_bytes() if any(str(root) in part for part in wanted) else b""
    mark = hashlib.sha256(repr((wanted, sys.version)).encode() + ours).hexdigest()
    if stamp.is_file() and stamp.read_text() == mark:
        return python
    print(f"setting up the environment of {name} …", flush=True)
    _run(sys.executable, "-m", "venv", "--clear", folder)
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy", "scipy", *wanted)
    stamp.write_text(mark)
    return python


def _run(*command: Any) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise CannotInstall(
            f"cannot be installed: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1][:200]}"
        )
