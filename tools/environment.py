"""Set up `.venv` with the package and the tools of the Makefile. Runs on any Python 3, to report if it is too old.

Usage: python tools/environment.py [extra …]
"""

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = "installed-"


def main(extras):
    """Create the environment if it is missing, and update its packages; return an error message or None."""
    here = "%d.%d" % sys.version_info[:2]
    if sys.version_info < (3, 11):
        return "Reelated needs Python 3.11 or later; this is %s. Try: make PYTHON=python3.12 demo" % here
    if any(set(extras) <= installed for installed in installed_extras()):
        return None
    print("Setting up .venv (once, about a minute) …", flush=True)
    if not os.path.exists(PYTHON) and run(sys.executable, "-m", "venv", VENV).returncode:
        return "Python %s has no venv. On Debian or Ubuntu: apt install python3-venv. Then try again." % here
    target = ROOT + ("[%s]" % ",".join(extras) if extras else "")
    # --no-compile: Python compiles modules at their first import, a tenth of those that pip would compile
    pip = (PYTHON, "-m", "pip", "install", "--no-compile", "--disable-pip-version-check", "--progress-bar", "off")
    failed = watched((*pip, "--editable", target))
    if failed:
        return (
            "%s\nThe packages could not be installed on Python %s. Is there a network? "
            "If this Python is newer than a package supports, try another: make PYTHON=python3.12 demo"
        ) % (failed, here)
    with open(os.path.join(VENV, STAMP + "-".join(extras)), "w") as file:
        file.write(fingerprint())
    return None


def installed_extras():
    """Yield the sets of extras whose packages are installed, as the files written after an installation say."""
    for name in os.listdir(VENV) if os.path.isdir(VENV) else ():
        if name.startswith(STAMP):
            with open(os.path.join(VENV, name)) as file:
                if file.read() == fingerprint():
                    yield set(name[len(STAMP) :].split("-")) - {""}


def run(*command):
    """Run a command quietly."""
    return subprocess.run(command, capture_output=True, text=True)


def watched(command):
    """Run pip and show its progress on one line of the terminal; return its output if it fails, or None."""
    printed = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True) as pip:
        for line in pip.stdout:
            printed.append(line)
            if sys.stdout.isatty() and line.split(None, 1)[:1] in (["Collecting"], ["Downloading"], ["Installing"]):
                sys.stdout.write("\r\033[K  " + line.strip()[:70])
                sys.stdout.flush()
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K")
    return "".join(printed).strip()[-2000:] if pip.returncode else None


def fingerprint():
    """Return a fingerprint that changes when the packages must be installed again."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() + ROOT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
