"""Fixtures: real data, databases, a browser, and a cache of their own for the tests."""

import os
import shutil
import sys
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("contract", "naive", "postgres", "service")
settings.register_profile("reelated", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("reelated")

PROJECT = Path(__file__).parents[1]
HERE = "http://127.0.0.1:8000"
EVIL = "'\"><script>alert(1)</script><img src=x onerror=alert(2)><b>bold</b>"
SLOWEST = (
    "spark", "browser", "examples", "web", "cli", "docs", "serve", "models", "bad_input", "map_page", "walk", "pages",
    "reasons", "first_answer", "storage", "recommender", "map", "bpmf", "evaluation", "benchmarks",
)  # fmt: skip
"""Files that start first on several workers; a worker takes whole files."""
if os.environ.get("PYTEST_XDIST_WORKER"):  # the workers share the cores; before NumPy is imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # every worker and subprocess would compile all libraries again
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(PROJECT / "build" / "bytecode")
    sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers():
    """Run one worker more than there are cores, because many tests wait for a browser, a service or Spark."""
    return (os.cpu_count() or 1) + 1


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


BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
"""Programs that the tests can drive, the fastest first."""


@pytest.fixture(scope="module")
def chromium():
    """A headless browser; if none is installed, skip the test, or fail if CI is true."""
    program = os.environ.get("REELATED_TEST_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
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


@pytest.fixture(scope="session")
def _served_sample(tmp_path_factory, sample):
    """A folder with a store of the sample and one item with a malicious title and genre, a model of it, and its map."""
    from reelated.refit import Versions, refit
    from reelated.store import Store

    folder = tmp_path_factory.mktemp("served")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    store.import_data(sample, "sample")
    store.put_item(66_666, EVIL, 1999, ["<i>Horror</i>"])
    for user_id in range(1, 43):
        store.rate(user_id, 66_666, 1 + user_id % 5)
    refit(store, Versions(folder / "models"))
    store.close()
    return folder


def copies_of(kept, data):
    """Fit a model to a store of the data; return a function that copies both into a folder, and opens them."""
    from reelated.refit import Versions, refit
    from reelated.store import Store

    def store_in(url):
        store = Store(url).upgrade()
        store.import_data(data, data.name)
        return store

    def copy(folder, url=None):
        if url is None:
            shutil.copy(kept / "store.db", folder)
        store = store_in(url) if url else Store(f"sqlite:///{folder}/store.db")
        versions = Versions(shutil.copytree(kept / "models", folder / "models"))
        assert versions.current().last_user_key == store.last_user_key()
        return store, versions

    store = store_in(f"sqlite:///{kept}/store.db")
    refit(store, Versions(kept / "models"))
    store.close()
    return copy


@pytest.fixture(scope="session")
def stored_sample(tmp_path_factory, sample):
    """Return a function that puts a store of the sample and its models into a folder, the store also elsewhere."""
    return copies_of(tmp_path_factory.mktemp("stored"), sample)


@pytest.fixture(scope="session")
def eight():
    """Eight ratings, for tests that refit."""
    import reelated

    table = {"user": [1, 1, 1, 2, 2, 3, 3, 4], "item": [7, 8, 9, 7, 9, 8, 9, 7], "stars": [5, 4, 2, 4, 2, 3, 1, 5]}
    return reelated.read(table, scale=(1, 5, 1))


@pytest.fixture(scope="session")
def stored_eight(tmp_path_factory, eight):
    """The same as `stored_sample` with eight ratings."""
    return copies_of(tmp_path_factory.mktemp("eight"), eight)


@pytest.fixture(scope="module")
def place(_served_sample, tmp_path_factory):
    """The URL of a store with the sample, and the folder of its models; a copy for each file of tests."""
    folder = shutil.copytree(_served_sample, tmp_path_factory.mktemp("place") / "served")
    return f"sqlite:///{folder}/store.db", str(folder / "models")


@pytest.fixture(scope="session")
def services():
    """A process that starts services as forks of itself, which saves the import of all modules."""
    from service.process import Template

    with closing(Template()) as template:
        yield template


@pytest.fixture(scope="module")
def address(place, services):
    """The address of a service on `place`, in a process of its own."""
    server = services.start(*place)
    yield f"http://{server.address}"
    server.stop()


@pytest.fixture(scope="module")
def app(place):
    """The service on `place` in this process, without a key and without refits."""
    from fastapi.testclient import TestClient

    from reelated.web import ServiceOptions, create_app

    created = create_app(ServiceOptions(*place, refit_after=10**9, refit_every=10**6, poll=0.05))
    with TestClient(created, HERE):
        yield created


@pytest.fixture
def visitor(app):
    """A browser without scripts and with its own cookies."""
    from fastapi.testclient import TestClient

    return TestClient(app, HERE, raise_server_exceptions=False, headers={"Accept": "text/html"})


@pytest.fixture
def visit(chromium, address):
    """Return a function that opens a page as a new visitor; errors of a page fail the test at its end."""
    contexts, trouble = [], []

    def open_(path="/", **how):
        how = {"base_url": address, "viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | how
        context = chromium.new_context(**how)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.on("request", lambda sent: None if sent.url.startswith(how["base_url"]) else trouble.append(sent.url))
        page.on("console", lambda line: trouble.append(line.text) if "Content Security" in line.text else None)
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert trouble == []


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
