"""Downloads from a local server: the cache holds a verified archive or nothing."""

import hashlib
import http.server
import importlib
import io
import socket
import threading
import zipfile

import pytest

from reelated.cache import archive_path
from reelated.data import fetch, read
from reelated.errors import InputError

MODULE = importlib.import_module("reelated.data.fetch")  # the attribute of that name is the function
COUNT = 100_000


def archive(count=COUNT, name="ml-100k/u.data", line="{user}\t{item}\t4\t880000000\n"):
    """Return a zip with as many generated ratings as the edition has."""
    buffer = io.BytesIO()
    lines = (line.format(user=1 + at // 500, item=1 + at % 500) for at in range(count))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, "".join(lines))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def whole():
    return archive()


@pytest.fixture
def server():
    """Start a local server; `files` maps a path to its bytes, `short` adds to the declared content length."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            data = files.get(self.path)
            if data is None:
                self.send_error(404)
            elif isinstance(data, int):
                self.send_error(data)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(data) + short.get(self.path, 0)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    files, short, requested = {}, {}, []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    httpd.files, httpd.short, httpd.requested = files, short, requested
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REELATED_CACHE", str(tmp_path / "cache"))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "cache"


def cached_files(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def publish(server, data, md5=None):
    server.files["/ml-100k.zip"] = data
    server.files["/ml-100k.zip.md5"] = md5 or f"MD5 (ml-100k.zip) = {hashlib.md5(data).hexdigest()}\n".encode()


def test_an_intact_archive_is_cached_and_read_by_its_name(server, cache, whole):
    publish(server, whole)
    messages = []
    path = fetch("ml-100k", base_url=server.url, say=messages.append)
    assert path == cache / "datasets" / "ml-100k.zip" == archive_path("ml-100k")
    assert path.read_bytes() == whole
    assert cached_files(cache) == ["ml-100k.zip"]
    assert "not for commercial use" in messages[0]
    assert f"The MD5 is the published one: {hashlib.md5(whole).hexdigest()}" in messages
    assert read("ml-100k").name == "MovieLens 100K"


def test_fetch_prints_nothing_by_default(server, whole, capfd):
    publish(server, whole)
    fetch("ml-100k", base_url=server.url)
    assert capfd.readouterr() == ("", "")


def test_both_formats_of_an_md5_file_are_read(server, whole):
    publish(server, whole, f"{hashlib.md5(whole).hexdigest().upper()}  ml-100k.zip\n".encode())
    assert fetch("ml-100k", base_url=server.url).is_file()


def test_a_wrong_md5_leaves_the_cache_empty(server, cache, whole):
    publish(server, whole, b"0" * 32)
    with pytest.raises(InputError, match=r"the download is damaged: its MD5 is \w+, published is 0+. Nothing was kept"):
        fetch("ml-100k", base_url=server.url)
    assert cached_files(cache) == []


def test_without_a_published_md5_the_contents_are_checked(server, whole):
    server.files["/ml-100k.zip"] = whole
    messages = []
    fetch("ml-100k", base_url=server.url, say=messages.append)
    assert any("There is no published checksum" in message for message in messages)


def test_without_a_published_md5_another_edition_is_an_error(server, cache):
    server.files["/ml-100k.zip"] = archive(10)
    with pytest.raises(InputError, match=r"holds 10 ratings in ml-100k/u.data. Expected ml-100k.zip with 100,000"):
        fetch("ml-100k", base_url=server.url)
    assert cached_files(cache) == []


def test_a_truncated_download_leaves_the_cache_empty(server, cache, whole):
    publish(server, whole)
    server.short["/ml-100k.zip"] = 1000
    with pytest.raises(InputError, match="cannot be reached, or the connection broke"):
        fetch("ml-100k", base_url=server.url)
    assert cached_files(cache) == []


@pytest.mark.parametrize(("answer", "status"), [(None, 404), (503, 503)])
def test_an_http_error_is_reported(server, cache, answer, status):
    server.files["/ml-100k.zip"] = answer
    with pytest.raises(InputError, match=f"the server answers {status}"):
        fetch("ml-100k", base_url=server.url)
    assert cached_files(cache) == []


def test_a_server_error_for_the_md5_leaves_the_cache_empty(server, cache, whole):
    publish(server, whole)
    server.files["/ml-100k.zip.md5"] = 500
    with pytest.raises(InputError, match="the server answers 500"):
        fetch("ml-100k", base_url=server.url)
    assert cached_files(cache) == []


def test_without_a_network_the_error_offers_alternatives(cache):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"reelated fetch ml-1m --from FILE, or use the bundled sample: 'sample'"):
        fetch("ml-1m", base_url=f"http://127.0.0.1:{port}")
    assert cached_files(cache) == []


def test_an_interrupted_download_leaves_the_cache_empty(cache, monkeypatch):
    def interrupted(url, file, progress):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(MODULE, "_download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("ml-100k")
    assert cached_files(cache) == []


def test_a_full_disk_is_an_error_and_leaves_the_cache_empty(cache, monkeypatch):
    def full(url, file, progress):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MODULE, "_download", full)
    with pytest.raises(InputError, match=r"ml-100k.zip cannot be written \(No space left on device\)"):
        fetch("ml-100k")
    assert cached_files(cache) == []


def test_a_cached_archive_is_not_downloaded_again(server, whole):
    publish(server, whole)
    fetch("ml-100k", base_url=server.url)
    server.requested.clear()
    messages = []
    fetch("ml-100k", base_url=server.url, say=messages.append)
    assert server.requested == []
    assert "in the cache already" in messages[0]


def test_a_damaged_archive_in_the_cache_is_downloaded_again(server, whole):
    publish(server, whole)
    path = fetch("ml-100k", base_url=server.url)
    path.write_bytes(whole[:100])
    assert fetch("ml-100k", base_url=server.url).read_bytes() == whole


def test_a_failed_fetch_keeps_the_cached_archive(server, cache, whole, tmp_path):
    publish(server, whole)
    fetch("ml-100k", base_url=server.url)
    (tmp_path / "other.zip").write_bytes(archive(10))
    with pytest.raises(InputError, match="holds 10 ratings"):
        fetch("ml-100k", from_file=tmp_path / "other.zip")
    assert (cache / "datasets" / "ml-100k.zip").read_bytes() == whole


def test_a_local_archive_is_copied(cache, whole, tmp_path):
    (tmp_path / "mine.zip").write_bytes(whole)
    assert fetch("ml-100k", from_file=str(tmp_path / "mine.zip")).read_bytes() == whole
    assert cached_files(cache) == ["ml-100k.zip"]


def test_the_small_edition_needs_no_fixed_number_of_ratings(tmp_path):
    data = archive(3, "ml-latest-small/ratings.csv", "{user},{item},4.0,964982703\n")
    (tmp_path / "small.zip").write_bytes(data)
    assert fetch("ml-latest-small", from_file=tmp_path / "small.zip").is_file()
    with pytest.raises(InputError, match=r"Expected ml-25m\.zip with 25,000,095"):
        fetch("ml-25m", from_file=tmp_path / "small.zip")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no zip", "the file is not a zip, or it is cut short"),
        (archive(5)[:-30], "the file is not a zip, or it is cut short"),
        (archive(5, "photos/one.jpg"), r"ml-100k: the file does not hold the ratings of this edition"),
        (None, r"from_file='.*mine.zip': cannot be read \(No such file or directory\)"),
    ],
)
def test_a_file_that_is_not_the_edition_is_an_error(cache, tmp_path, data, message):
    if data is not None:
        (tmp_path / "mine.zip").write_bytes(data)
    with pytest.raises(InputError, match=message):
        fetch("ml-100k", from_file=tmp_path / "mine.zip")
    assert cached_files(cache) == []


def test_an_unknown_name_is_an_error_that_lists_the_known_names():
    with pytest.raises(InputError, match=r"name='ml-100': expected one of 'ml-100k'.*Did you mean 'ml-100k'"):
        fetch("ml-100")


def test_the_real_archive_is_copied_from_a_file(shared_data):
    fetch("ml-100k", from_file=shared_data / "ml-100k.zip")
    assert repr(read("ml-100k")).startswith("MovieLens 100K: 100,000 ratings by 943 users of 1,682 movies")
