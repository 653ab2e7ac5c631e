"""The service as processes: acknowledged ratings survive a kill, and the service recovers without help."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from reelated.refit import Versions
from reelated.store import Store
from service.faults import Clients, kept_by
from service.process import Server


def closed(store, versions):
    """Close the store; return its URL and the folder of the models."""
    store.close()
    return store.url.render_as_string(hide_password=False), versions.folder


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """The URL of an empty database, or None for a file."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres").url()


@pytest.fixture
def place(url, tmp_path, stored_sample):
    """A store with the sample and a model of it: its URL and the folder of the models."""
    return closed(*stored_sample(tmp_path, url))


def test_acknowledged_ratings_survive_a_kill(place, services):
    clients = Clients()
    for round_ in range(3):
        server = services.start(*place)
        clients.start(server, round_)
        while len(clients.acknowledged) < 60 * (round_ + 1):
            time.sleep(0.01)
        server.kill()
        for thread in clients.threads:
            thread.join()
        assert clients.lost(kept_by(place[0])) == {}
    assert len(clients.acknowledged) >= 180


def test_an_open_request_is_answered_before_shutdown(place):
    server = Server(*place)
    rows = [{"user_id": 20_000 + at, "item_id": 1 + at % 490, "rating": 3} for at in range(5000)]
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.ask("POST", "/api/ratings", {"ratings": rows})))
    thread.start()
    while server.ask("GET", "/health/live")[0] is None:
        pass
    assert server.stop() == 0
    thread.join()
    assert answers == [(200, {"kept": 5000})] or answers[0][0] is None  # or it had not yet come in


def test_several_workers_serve_the_same_model(url, tmp_path, stored_eight):
    place = closed(*stored_eight(tmp_path, url))
    server = Server(*place, "--workers", 2, "--refit-after", 3, log=tmp_path / "log")
    for user in (1, 2, 3):
        assert server.ask("PUT", f"/api/users/{user}/ratings/9", {"rating": 3})[0] == 200
    seen, statuses = [], set()
    while seen[-20:] != [2] * 20:
        status, result = server.ask("GET", "/api/model")
        statuses.add(status)
        seen.append(result["version"])
        time.sleep(0.02)
    assert statuses == {200}
    assert server.ask("GET", "/api/users/1/recommendations")[0] == 200
    assert server.stop() == 0
    assert [version.number for version in Versions(place[1]).all()] == [2, 1]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line for line in lines if line["level"] in ("error", "critical")] == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends processes with their parent")
def test_workers_end_with_a_master_that_is_killed(tmp_path, stored_sample):
    server = Server(*closed(*stored_sample(tmp_path)), "--workers", 2)
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    assert len(children) >= 2
    server.kill()
    while [pid for pid in children if is_running(pid)]:
        time.sleep(0.05)


def is_running(pid):
    """Return whether a process runs; one that has ended may still be listed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_machines_that_share_a_folder_and_a_database_share_one_refit(tmp_path, stored_eight, postgres):
    (shared := tmp_path / "shared").mkdir()
    url, models = closed(*stored_eight(shared, postgres.url()))
    machines = []
    for name in ("one", "other"):
        (home := tmp_path / name).mkdir()
        machines.append(Server(url, models, "--refit-after", 3, cwd=home, log=tmp_path / f"{name}.log"))
    one, other = machines
    for user, machine in ((1, one), (2, other), (3, one)):
        assert machine.ask("PUT", f"/api/users/{user}/ratings/9", {"rating": 3})[0] == 200
    while [machine.ask("GET", "/api/model")[1]["version"] for machine in machines] != [2, 2]:
        time.sleep(0.05)
    asked = [machine.ask("GET", "/api/users/1/recommendations") for machine in machines]
    assert asked[0][0] == 200
    assert asked[0] == asked[1]
    assert [machine.stop() for machine in machines] == [0, 0]
    assert [version.number for version in Versions(models).all()] == [2, 1]
    assert [list((tmp_path / name).iterdir()) for name in ("one", "other")] == [[], []]
    logs = "".join((tmp_path / f"{name}.log").read_text() for name in ("one", "other"))
    assert [line for line in map(json.loads, logs.splitlines()) if line["level"] in ("error", "critical")] == []


def test_the_service_recovers_from_a_database_outage_without_a_restart(tmp_path, stored_sample, postgres):
    from postgres import Cluster

    cluster = Cluster()
    try:
        server = Server(*closed(*stored_sample(tmp_path, cluster.url())))
        assert server.ask("GET", "/api/users/42/recommendations")[0] == 200
        cluster.stop("immediate")
        new_user = {"ratings": [{"item_id": 50, "rating": 5}]}
        for _ in range(3):
            assert server.ask("GET", "/api/users/42/recommendations")[0] == 503
            assert server.ask("PUT", "/api/users/42/ratings/50", {"rating": 4})[0] == 503
            assert server.ask("POST", "/api/recommendations", new_user)[0] == 200
        cluster.start()
        while server.ask("GET", "/api/users/42/recommendations")[0] != 200:
            time.sleep(0.05)
        assert server.ask("PUT", "/api/users/42/ratings/50", {"rating": 4})[0] == 200
        assert server.stop() == 0
    finally:
        cluster.close()


def test_a_killed_import_resumes(tmp_path, sample):
    url, source = f"sqlite:///{tmp_path}/store.db", tmp_path / "many.parquet"
    table = sample.ratings.to_polars()
    pl.concat([table.with_columns(pl.col("user_id") + 1000 * at) for at in range(8)]).write_parquet(source)
    command = [sys.executable, "-m", "reelated", "import", str(source), "--store", url, "--scale", "1,5,1"]
    store = Store(url).upgrade()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while store.size()["ratings"] == 0 and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert store.size()["ratings"] == 8 * len(table)
    store.close()


def test_the_log_says_that_the_first_model_is_being_fitted(tmp_path, sample):
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    store.import_data(sample, "sample")
    store.close()
    server = Server(str(store.url), tmp_path / "models", log=tmp_path / "log")
    assert server.stop() == 0
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    result = [json.loads(line)["message"] for line in lines]
    assert result.index("fitting the first model") < result.index("serving model version 1")


def test_a_public_address_without_a_key_is_refused(tmp_path):
    command = [sys.executable, "-m", "reelated", "serve", "--host", "0.0.0.0", "--store", f"sqlite:///{tmp_path}/s.db"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Set REELATED_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr
