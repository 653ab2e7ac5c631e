"""Build the release in `dist/` and check it; exactly these files are published.

Usage: python tools/dist.py [--extras plot,web …] [--pure]

1. Build the source distribution, and the wheel from it: one for all platforms, and unless `--pure` one with the machine
   code for this platform and Python.
2. Build everything again: the files must be equal byte for byte.
3. Check the metadata and the long description.
4. Install the wheel into an empty environment and run the README's commands and its first Python block in an empty
   folder, then each extra (`--extras none` for no extra) with the commands that need it.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
NEEDS = {"plot": "plot", "map": "map", "tune": "evaluate", "fetch": None}
"""Command of the README → the extra that it needs; None if it needs the network."""
SMOKE = {
    "plot": "reelated plot sample ratings -o ratings.png",
    "map": "reelated map sample -o map.svg",
    "evaluate": "reelated evaluate sample --report report.html",
    "web": "reelated import sample --store sqlite:///store.db",
    "postgres": "python -c 'import psycopg, reelated.store, reelated.web'",
    "formats": "python -c 'import fastexcel, fsspec, zstandard'",
    "spark": "python -c 'import reelated.spark'",
}
"""Extra for users → a command that needs it."""

COMPILES_NOTHING = """
import sys
exec({block!r})
assert "numba" not in sys.modules, "a kernel was compiled"
"""


def build(target, pure):
    """Build the source distribution and the wheels into a folder; return the sizes and digests by file name."""
    env = os.environ | {"SOURCE_DATE_EPOCH": source_date()}
    command = [sys.executable, "-m", "build", "--outdir", target]
    run([*command, ROOT], env | {"REELATED_MACHINE_CODE": "0"})
    if not pure:  # also from the source distribution, which must be complete
        (sdist,) = target.glob("*.tar.gz")
        with tempfile.TemporaryDirectory() as scratch:
            shutil.unpack_archive(sdist, scratch, filter="data")
            (source,) = Path(scratch).iterdir()
            run([*command, "--wheel", source], env | {"REELATED_MACHINE_CODE": "1"})
    return {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in target.iterdir()
    }


def source_date():
    """Return the time of the last commit, the timestamp of files in archives."""
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return os.environ.get("SOURCE_DATE_EPOCH") or done.stdout.strip() or "1577836800"


def run(command, env=None, **options):
    """Run a command; end with its output if it fails."""
    done = subprocess.run([*map(str, command)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)  # fmt: skip
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))}\n{done.stdout[-4000:]}")
    return done.stdout


def readme(folder):
    """Write the tables that the README shows into a folder; return its commands and its first Python block.

    Each command has the extra that it needs, "" for none.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for title, body in re.findall(r'^```csv title="([\w.]+)"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        (folder / title).write_text(body, encoding="utf-8")
    lines = [line for language, _, body in blocks if language == "sh" for line in body.splitlines()]
    commands = [line.split("  #")[0].rstrip() for line in lines if line.startswith("reelated ")]
    with_needs = [(NEEDS.get(line.split()[1], ""), line) for line in commands]
    return with_needs, next(body for language, _, body in blocks if language == "python")


def check_installed(wheel, extras):
    """Install the wheel into an empty environment and run the code of the README from an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        venv, folder = Path(scratch, "venv"), Path(scratch, "folder")
        folder.mkdir()
        commands, block = readme(folder)
        run([sys.executable, "-m", "venv", venv])
        kept = ("PIP_", "LANG", "LC_", "HTTP", "SSL", "http", "TMP")
        env = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        env |= {"PATH": f"{venv}/bin:{os.defpath}", "HOME": str(Path(scratch, "home")), "MPLBACKEND": "Agg"}
        for extra in ("", *extras):
            run([venv / "bin" / "pip", "install", "--quiet", f"{wheel}[{extra}]" if extra else wheel], env)
            if not extra:
                script = COMPILES_NOTHING.format(block=block) if "-none-any" not in wheel.name else block
                run([venv / "bin" / "python", "-W", "error", "-c", script], env, cwd=folder)
            for line in [*(line for need, line in commands if need == extra), *filter(None, [SMOKE.get(extra)])]:
                program, *words = shlex.split(line)
                run([venv / "bin" / program, *words], env, cwd=folder)
            size = sum(path.stat().st_size for path in venv.rglob("*") if path.is_file() and not path.is_symlink())
            print(f"  {extra or 'no extra':10} ok, {size / 1e6:.0f} MB installed", flush=True)


def main():
    """Build, build again, check, install and run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for_users = [extra for extra in project["optional-dependencies"] if extra in SMOKE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", default=",".join(for_users))
    parser.add_argument("--pure", action="store_true", help="no wheel with machine code")
    asked = parser.parse_args()
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    built = build(DIST, asked.pure)
    with tempfile.TemporaryDirectory() as again:
        different = set(built.items()) ^ set(build(Path(again), asked.pure).items())
    if different:
        sys.exit(f"two builds differ: {sorted({name for name, _ in different})}")
    run([sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir()])
    for name, (size, digest) in sorted(built.items()):
        print(f"{digest}  {name}  {size / 1e6:.1f} MB")
    wheel = min(DIST.glob("*.whl"), key=lambda path: path.name.endswith("-any.whl"))
    print(f"{wheel.name} in an empty environment:", flush=True)
    check_installed(wheel, [extra for extra in asked.extras.split(",") if extra in for_users])


if __name__ == "__main__":
    main()
