"""The statements of the documents about running the service: commands, container, systemd unit, backup, restore."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tomllib
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from reelated.store import Store
from reelated.web import ServiceOptions
from reelated.web.service_options import variable
from service.process import Server
from test_docs import BLOCK, COMMANDS

PROJECT = Path(__file__).parents[1]
RUNNING = (PROJECT / "docs" / "running.md").read_text(encoding="utf-8")
VARIABLES = {variable(name) for name in ("port", "workers", "data", *(field.name for field in fields(ServiceOptions)))}


def needed(name):
    """Return the path of a program; without it, skip the test, or fail if CI is true."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(f"needs {name}")
    return found


def block(language, holding):
    """Return the only code block of docs/running.md that contains a text."""
    (found,) = [match[3] for match in BLOCK.finditer(RUNNING) if match[1] == language and holding in match[3]]
    return found


def lines(start):
    """Return the commands of docs/running.md with this prefix."""
    shown = "".join(match[3] for match in BLOCK.finditer(RUNNING) if match[1] == "sh")
    return [line for line in shown.splitlines() if line.startswith(start)]


@pytest.fixture(scope="module")
def place(tmp_path_factory, stored_sample):
    """A store with the sample and a model of it: its URL and the folder of the models."""
    store, versions = stored_sample(tmp_path_factory.mktemp("running"))
    store.close()
    return str(store.url), versions.folder


def test_the_curl_commands_of_the_documents_work_and_ctrl_c_stops_the_service(place, tmp_path):
    needed("curl")
    texts = [(PROJECT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/service.md")]
    asked = [line for text in texts for line in re.findall(r"\bcurl [^`\n]+", text)]
    assert len(asked) > 3
    server = Server(*place, log=tmp_path / "log")
    try:
        for line in asked:
            words = shlex.split(line.replace("127.0.0.1:8000", server.address))
            done = subprocess.run([*words, "--silent", "--show-error", "--fail"], capture_output=True, text=True)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            assert len(json.loads(done.stdout)) > 0
    finally:
        server.process.send_signal(signal.SIGINT)
        code = server._gone()
    assert code in (130, -signal.SIGINT)
    result = (tmp_path / "log").read_text()
    assert "Traceback" not in result
    assert "Application shutdown complete" in result


def test_the_container_copies_existing_files_and_does_not_run_as_root():
    said = re.sub(r"\\\n\s*", " ", (PROJECT / "Containerfile").read_text(encoding="utf-8"))
    steps = [line.split(" ", 1) for line in said.splitlines() if line and not line.startswith("#")]
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [path for verb, rest in steps if verb == "COPY" and "--from" not in rest for path in rest.split()[:-1]]
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "src"} < set(copied)
    for path in copied:
        assert (PROJECT / path).exists()
        assert f"!{path}" in ignored
    named = dict(pair.split("=", 1) for verb, rest in steps if verb == "ENV" for pair in rest.split())
    assert set(named) - VARIABLES == {"PATH", "NUMBA_CACHE_DIR"}
    lasting = [named["REELATED_STORE"].removeprefix("sqlite:///"), named["REELATED_MODELS"], named["NUMBA_CACHE_DIR"]]
    assert all(fnmatch(path, "/data/*") for path in lasting)
    last = dict(steps)
    assert last["USER"] == "10001"
    assert json.loads(last["ENTRYPOINT"]) == ["reelated"]
    assert json.loads(last["CMD"]) == ["serve"]
    assert json.loads(last["HEALTHCHECK"].partition("CMD ")[2])[:2] == ["python3", "-c"]
    (build,) = (said[: said.index("FROM", said.index("FROM") + 4)],)
    assert build.index("pip install") < build.index("tools/machine_code.py /opt") < build.index("sbom.cdx.json")
    known = ServiceOptions.from_environment(named | {"REELATED_API_KEY": "0123456789abcdef"})
    assert (known.store, known.models, known.host) == ("sqlite:////data/store.db", "/data/models", "0.0.0.0")


def test_the_constraints_are_exact_versions_within_the_declared_ranges():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["web"], *extras["postgres"][1:]]:
        needed = Requirement(line)
        assert needed.specifier.contains(pinned[needed.name.lower()]), line


def test_the_systemd_unit_uses_existing_options():
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(block("ini", "[Service]"))
    command = shlex.split(unit["Service"]["ExecStart"])
    assert command[:2] == ["/opt/reelated/bin/reelated", "serve"]
    COMMANDS.commands["serve"].make_context("serve", command[2:])
    named = set(re.findall(r"^Environment=(\w+)=", block("ini", "[Service]"), re.MULTILINE))
    assert named - VARIABLES == {"NUMBA_CACHE_DIR"}
    assert set(re.findall(r"\bREELATED_[A-Z_]+", RUNNING)) - VARIABLES == set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_rates_the_exposure_of_the_unit_at_most_3(tmp_path):
    unit = tmp_path / "reelated.service"
    unit.write_text(block("ini", "[Service]").replace("/opt/reelated/bin/reelated", shutil.which("true")))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "Overall exposure level" in result.stdout


def restored(url):
    """Return user 1's ratings and the number of ratings in a restored store."""
    store = Store(url).upgrade()
    result = {row.item_id: row.rating for row in store.ratings_of(1)}, store.size()["ratings"]
    store.close()
    return result


def backed_up(url, sample, keep, bring_back):
    """Create a store, back it up, change it, restore it; return its content at the backup and after the restore."""
    store = Store(url).upgrade()
    store.import_data(sample, "sample")
    store.rate(1, 60, 1)
    kept = {row.item_id: row.rating for row in store.ratings_of(1)}, store.size()["ratings"]
    keep()
    store.rate(1, 60, 5)
    store.unrate(1, next(item for item in kept[0] if item != 60))
    store.close()
    bring_back()
    return kept, restored(url)


def test_an_online_backup_of_sqlite_can_be_restored(tmp_path, sample):
    needed("sqlite3")
    (keep,), (bring_back,) = lines("sqlite3"), lines("rm")
    shell = lambda line: lambda: subprocess.run(line, shell=True, cwd=tmp_path, check=True)  # noqa: E731
    kept, held = backed_up(f"sqlite:///{tmp_path}/store.db", sample, shell(keep), shell(bring_back))
    assert held == kept


def test_an_online_dump_of_postgresql_can_be_restored(tmp_path, sample, postgres):
    url = postgres.url()
    here = ["-h", postgres.folder, "-U", "tester"]
    (keep,), (bring_back,) = ([shlex.split(line) for line in lines(name)] for name in ("pg_dump", "pg_restore"))
    database, copy = url.split("/")[3].split("?")[0], postgres.folder / "copy.dump"

    def run(words):
        named = {"reelated": database, "--dbname=reelated": f"--dbname={database}"}
        words = [named.get(word, word).replace("copy.dump", str(copy)) for word in words]
        return lambda: postgres.run(words[0], *here, *words[1:])

    kept, held = backed_up(url, sample, run(keep), run(bring_back))
    assert held == kept


def test_every_shell_line_of_the_page_on_running_is_a_known_command():
    shown = "".join(match[3] for match in BLOCK.finditer(RUNNING) if match[1] == "sh")
    assert {line.split()[0] for line in shown.splitlines() if line} == {
        "podman", "sqlite3", "pg_dump", "rm", "pg_restore", "reelated",
    }  # fmt: skip
    inside = [line.split(" reelated reelated ")[1] for line in lines("podman") if " reelated reelated " in line]
    for line in inside:
        assert line.split()[0] in COMMANDS.commands
