"""Fixtures: real data, databases, a browser, and a cache of their own for the tests."""

import os
import shutil
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("contract", "naive", "postgres", "service")
settings.register_profile("reelated", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("reelated")

PROJECT = Path(__file__).parents[1]
SLOWEST = ("spark", "models", "browser", "web", "examples", "cli", "docs", "serve", "evaluation", "benchmarks")
"""Files that start first on several workers; a worker takes whole files."""
if os.environ.get("PYTEST_XDIST_WORKER"):  # the workers share the cores; before NumPy is imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # hundreds of processes would each compile all libraries
    os.environ["PYTHONPYCACHEPREFIX"] = str(PROJECT / "build" / "bytecode")


def pytest_collection_modifyitems(items):
    """Bring the slowest files to the front, in the same order in every worker."""
    places = {f"test_{name}.py": place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Isolate the tests from the user's cache and store."""
    own = {
        "REELATED_CACHE": str(tmp_path_factory.mktemp("cache")),
        "REELATED_STORE": f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db",
    }
    with mock.patch.dict(os.environ, own):
        yield


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real ratings; without it, skip the test, or fail if CI is true."""
    folder = Path(os.environ.get("REELATED_TEST_DATA") or PROJECT.parent / "shared" / "data")
    if folder.is_dir():
        return folder
    reason = f"needs MovieLens in {folder} or where REELATED_TEST_DATA points"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason}, which CI=true requires")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_cases():
    """The folder of reported tables; without it a test is skipped, and fails where CI is true."""
    folder = Path(os.environ.get("REELATED_TEST_CASES") or PROJECT.parent / "shared" / "cases")
    if folder.is_dir():
        return folder
    reason = f"needs the reported tables in {folder} or where REELATED_TEST_CASES points"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason}, which CI=true requires")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres():
    """A temporary PostgreSQL server; if none is installed, skip the test, or fail if CI is true."""
    from postgres import Cluster, program

    if program("initdb") is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("needs PostgreSQL (initdb), which CI=true requires")
        pytest.skip("needs PostgreSQL (initdb)")
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def chromium():
    """A headless browser; if none is installed, skip the test, or fail if CI is true."""
    program = os.environ.get("REELATED_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("needs Chromium (apt install chromium), which CI=true requires")
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=as_root)
        yield browser
        browser.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """An empty store, in each kind of database."""
    from reelated.store import Store

    sqlite = request.param == "sqlite"
    made = Store(f"sqlite:///{tmp_path}/store.db" if sqlite else request.getfixturevalue("postgres").url())
    yield made.upgrade()
    made.close()


@pytest.fixture(scope="session")
def sample():
    """The bundled sample, read once."""
    import reelated

    return reelated.read("sample")


@pytest.fixture(scope="session")
def fitted(sample):
    """The default recommender fitted to the sample, once; do not change it."""
    import reelated

    return reelated.Recommender().fit(sample)
