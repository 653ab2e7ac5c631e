"""Sources that unpack to more than fits into memory are refused before they are unpacked; honest ones are read."""

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile

import polars as pl
import pytest

from reelated import InputError, read
from reelated.data import unpack
from reelated.data.unpack import VARIABLE, check_room, free_memory

pytestmark = pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")

TABLE = b"user,item,rating\n" + b"1,10,4\n" * 300_000
PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def zipped(data, name="ratings.csv"):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data)
    return archive.getvalue()


def tarred(data):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        member = tarfile.TarInfo("ratings.csv")
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    return archive.getvalue()


@pytest.fixture
def limit(monkeypatch):
    """Sources may unpack to 2 MB."""
    monkeypatch.setenv(VARIABLE, "2MB")


@pytest.mark.parametrize(
    ("name", "data"),
    [*((f"a.csv.{kind}", pack(TABLE)) for kind, pack in PACKED.items()), ("a.zip", zipped(TABLE)),
     ("a.tgz", tarred(TABLE)), ("a.csv.gz", gzip.compress(zipped(TABLE)))],
)  # fmt: skip
def test_text_that_unpacks_to_too_much_is_refused(tmp_path, limit, monkeypatch, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"takes (more than 2\.0|2\.1) MB .* Expected at most 2\.0 MB.*{VARIABLE}="):
        read(tmp_path / name)
    monkeypatch.setenv(VARIABLE, "1GB")
    assert len(read(tmp_path / name).ratings) == 1


def test_a_table_of_many_equal_rows_is_refused(tmp_path, limit, monkeypatch):
    rows = pl.DataFrame({"user": [1] * 50_000, "item": [10] * 50_000, "rating": [4.0] * 50_000})
    rows.write_parquet(tmp_path / "a.parquet")
    rows.write_ipc(tmp_path / "a.arrow", compression="zstd")
    for name in ("a.parquet", "a.arrow"):
        with pytest.raises(InputError, match=rf"{name}: its content takes 2\.5 MB"):
            read(tmp_path / name)
    monkeypatch.delenv(VARIABLE)
    assert len(read(tmp_path / "a.parquet").ratings) == 1


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, limit):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", b"<workbook/>")
        file.writestr("xl/sharedStrings.xml", b" " * 3_000_000)
    with pytest.raises(InputError, match=r"a\.xlsx: its content takes 3\.0 MB"):
        read(tmp_path / "a.xlsx")


def test_a_view_without_end_is_refused(tmp_path, limit):
    connection = sqlite3.connect(tmp_path / "a.db")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    connection.execute(f"CREATE VIEW ratings AS {numbers} SELECT i AS user, i AS item, 4 AS rating FROM n")
    connection.close()
    with pytest.raises(InputError, match="its content takes more than"):
        read(tmp_path / "a.db")


def test_the_holes_of_a_sparse_file_in_a_tar_count(tmp_path, limit):
    header = tarfile.TarInfo("ratings.csv")
    sparse = {"major": "0", "minor": "1", "name": "ratings.csv", "size": str(10**12), "map": "0,512"}
    header.size, header.pax_headers = 512, {f"GNU.sparse.{name}": value for name, value in sparse.items()}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(header, io.BytesIO(TABLE[:512]))
    with pytest.raises(InputError, match=r"the tar file: its content takes 1\.0 TB .*=1000GB"):
        read(tmp_path / "a.tar")


def test_a_file_that_is_compressed_over_and_over_is_refused(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(gzip.compress(TABLE)))
    with pytest.raises(InputError, match="compressed more than once"):
        read(tmp_path / "a.csv.gz")


def test_without_a_given_limit_it_is_half_of_the_free_memory(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert 0 < free_memory() < 2**50
    monkeypatch.setattr(unpack, "free_memory", lambda: 8 * 10**9)
    check_room("a.csv", 4 * 10**9)
    with pytest.raises(InputError, match=rf"4\.1 GB .* at most 4\.0 GB, half of the free memory.*{VARIABLE}=8GB"):
        check_room("a.csv", 41 * 10**8)
    monkeypatch.setenv(VARIABLE, "many")
    with pytest.raises(InputError, match=f"{VARIABLE}='many': expected a size"):
        check_room("a.csv", 1)


def test_the_free_memory_is_that_of_the_machine_or_of_the_container(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:   50 kB\n")
    (tmp_path / "max").write_text("4096\n")
    assert unpack._available(tmp_path / "meminfo") == 50 * 1024
    assert unpack._container_limit(tmp_path / "max") == 4096
    (tmp_path / "max").write_text("max\n")
    assert unpack._container_limit(tmp_path / "max") == unpack._container_limit(tmp_path / "none") == 2**63 - 1
    assert unpack._available(tmp_path / "none") > 10**8
