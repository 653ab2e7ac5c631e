"""`fetch`: download a MovieLens archive from GroupLens into the cache, verify it and write it atomically."""

import hashlib
import io
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from reelated.atomic import atomic_write
from reelated.cache import ARCHIVES, archive_path, cache_folder
from reelated.data.files import Files, find_files
from reelated.data.movielens import EDITIONS
from reelated.errors import InputError, check_choice

GROUPLENS_URL = "https://files.grouplens.org/datasets/movielens"
LICENCE = (
    "MovieLens data are GroupLens's (University of Minnesota): free for research, not for commercial use or "
    "redistribution without their permission; please cite doi.org/10.1145/2827872. The README in the archive has the "
    "full terms."
)
_TIMEOUT = 30  # seconds without a received byte


def fetch(
    name: str,
    *,
    from_file: str | Path | None = None,
    base_url: str = GROUPLENS_URL,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Download an edition of MovieLens into the cache, where `read(name)` finds it.

    Parameters
    ----------
    name : str
        `ml-100k`, `ml-1m`, `ml-10m`, `ml-20m`, `ml-25m`, `ml-32m` or `ml-latest-small`.
    from_file : str or Path, optional
        A local copy of the archive, for machines without a network.
    base_url : str, default "https://files.grouplens.org/datasets/movielens"
        URL of the folder with the archive and its `.md5`.
    progress : bool, default True
        Show a progress bar on standard error, if that is a terminal.
    say : callable, optional
        Called with each message: licence, checksum, location. By default nothing is shown.

    Returns
    -------
    Path
        The archive in the cache. An archive that is already there is not downloaded again.

    Raises
    ------
    InputError
        The name is unknown, there is no network, or the archive is damaged or not that of the edition. The cache is
        then unchanged.
    """
    check_choice("name", name, ARCHIVES)
    say = say or (lambda _: None)
    target = archive_path(name)
    cache_folder()
    target.parent.mkdir(mode=0o700, exist_ok=True)
    if from_file is None and target.is_file() and zipfile.is_zipfile(target):
        say(f"{name} is in the cache already: {target}")
        return target
    say(LICENCE)
    try:
        with atomic_write(target) as temporary, temporary.open("wb") as file:
            if from_file is not None:
                _copy(Path(from_file), file)
                _check_contents(name, temporary)
            else:
                url = f"{base_url}/{name}.zip"
                _download(url, file, progress)
                _check_md5(name, temporary, _published_md5(f"{url}.md5"), say)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror or error}).") from None
    say(f"{name} is now in the cache: {target}")
    return target


def _copy(source: Path, file: IO[bytes]) -> None:
    try:
        with source.expanduser().open("rb") as original:
            shutil.copyfileobj(original, file)
            file.flush()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}).", parameter="from_file", value=Path(source)) from None


def _download(url: str, file: IO[bytes], progress: bool) -> None:
    """Download into an open file; without a network, raise with the remedy."""
    import requests  # imported late: no other command needs it

    name = url.rsplit("/", 1)[1]
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT) as response, _progress_bar(name, progress) as bar:
            response.raise_for_status()
            task = bar.add_task(name, total=int(response.headers.get("Content-Length", 0)) or None)
            for part in response.iter_content(2**16):
                bar.advance(task, file.write(part))
            file.flush()
    except OSError as error:  # network errors have no errno, disk errors have one
        if error.errno is not None:
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None:
            raise InputError(f"{url}: the server answers {status}. Try again later.") from None
        raise InputError(
            f"{url} cannot be reached, or the connection broke. Without a network: get the file elsewhere and run "
            f"reelated fetch {name.removesuffix('.zip')} --from FILE, or use the bundled sample: 'sample'."
        ) from None


def _progress_bar(name: str, shown: bool) -> Any:
    """Return a progress bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not (shown and console.is_terminal))


def _published_md5(url: str) -> str | None:
    """Return the published MD5 of an archive, or None if there is none."""
    text = io.BytesIO()
    try:
        _download(url, text, progress=False)
    except InputError as error:
        if "answers 404" in str(error):
            return None
        raise
    match = re.search(rb"\b[0-9a-fA-F]{32}\b", text.getvalue())
    return match[0].decode().lower() if match else None


def _check_md5(name: str, path: Path, published: str | None, say: Callable[[str], None]) -> None:
    """Verify an archive by its published MD5, or by its contents if none is published."""
    if published is None:
        say("There is no published checksum to compare with: the contents are checked instead.")
        _check_contents(name, path)
        return
    with path.open("rb") as file:
        got = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if got != published:
        raise InputError(
            f"{name}: the download is damaged: its MD5 is {got}, published is {published}. Nothing was kept. Try again."
        )
    say(f"The MD5 is the published one: {got}")


def _check_contents(name: str, path: Path) -> None:
    """Check that a file is an intact archive of the edition, by its number of ratings."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{name}: the file is not a zip, or it is cut short. Expected GroupLens's archive {name}.zip.")
    try:
        files = find_files(path)
    except InputError:
        message = (
            f"{name}: the file does not hold the ratings of this edition. Expected GroupLens's archive {name}.zip."
        )
        raise InputError(message) from None
    count = _count_ratings(files)
    expected = {edition: ratings for ratings, edition in EDITIONS.items()}.get(f"MovieLens {name[3:].upper()}")
    # ml-latest-small has no fixed number of ratings: GroupLens updates it
    if expected is None and (files.roles["ratings"].endswith("ratings.csv") and count not in EDITIONS):
        return
    if count != expected:
        raise InputError(
            f"{name}: the archive holds {count:,} ratings in {files.roles['ratings']}. Expected {name}.zip"
            + (f" with {expected:,}." if expected else ".")
        )


def _count_ratings(files: Files) -> int:
    """Count the ratings of an archive: the lines of the file minus the header."""
    member = files.roles["ratings"]
    data = files.read(member)
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    return lines - member.endswith(".csv")
