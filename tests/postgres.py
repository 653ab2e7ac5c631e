"""A PostgreSQL cluster for the tests: in a temporary folder, on a Unix socket, run by an unprivileged user."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

BINARIES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")


def program(name):
    """Return the path of a PostgreSQL program, or None."""
    folders = [folder for pattern in BINARIES for folder in sorted(Path("/").glob(pattern[1:]), reverse=True)]
    found = [str(folder / name) for folder in folders if (folder / name).exists()]
    return found[0] if found else shutil.which(name)


class Cluster:
    """A server that creates a database for each caller."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="reelated-pg-"))
        self.data = self.folder / "data"
        self.count = 0
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            who = next(pwd.getpwnam(name) for name in ("postgres", "nobody") if _known(name))
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            self.before = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
        else:
            self.before = []
        self.run("initdb", "-D", self.data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()

    def run(self, name, *words):
        """Run a PostgreSQL program as the owner of the cluster."""
        command = [*self.before, program(name), *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def start(self):
        """Start the server and wait until it accepts connections."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c max_connections=200 -c fsync=off"
        log = self.folder / "log"
        command = [*self.before, program("pg_ctl"), "-D", self.data, "-o", options, "-l", log, "-w", "start"]
        subprocess.run(list(map(str, command)), cwd=self.folder, stdout=subprocess.DEVNULL, check=True)

    def stop(self, how="fast"):
        """Stop the server."""
        self.run("pg_ctl", "-D", self.data, "-m", how, "-w", "stop")

    def url(self):
        """Create a database and return its URL."""
        self.count += 1
        self.run("createdb", "-h", self.folder, "-U", "tester", name := f"tests{self.count}")
        return f"postgresql://tester@/{name}?host={self.folder}"

    def close(self):
        """Stop the server and remove everything."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


def _known(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
