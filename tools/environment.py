"""Set up `.venv` with the package and what the commands of the Makefile need. Runs on any Python, to say what is wanted.

Usage: python tools/environment.py [extra …]
"""

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")


def main(extras):
    """Create the environment where it is missing, and install into it what changed."""
    if sys.version_info < (3, 11):
        return "Reelated needs Python 3.11 or later; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2]
    stamp, wanted = os.path.join(VENV, "installed-" + "-".join(extras)), fingerprint()
    if os.path.exists(stamp) and open(stamp).read() == wanted:
        return None
    print("Setting up .venv (once, about a minute) …", flush=True)
    if not os.path.exists(PYTHON) and subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True).returncode:
        return "Python's venv is missing. On Debian or Ubuntu: apt install python3-venv. Then try again."
    target = ROOT + ("[%s]" % ",".join(extras) if extras else "")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        return "%s\nThe packages could not be installed on Python %d.%d. Without network, or on a Python newer than a " \
            "package supports, that is to be expected: try another with make PYTHON=python3.12" % (
                (done.stderr.strip()[-2000:],) + sys.version_info[:2])
    with open(stamp, "w") as file:
        file.write(wanted)
    return None


def fingerprint():
    """Return what changes when the packages must be installed again."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() + ROOT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
