"""The jars of Apache Kafka: fetched once into the user's cache folder, each checked against its SHA-256."""

import hashlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Protocol

import msgspec
from maven_artifact import Artifact, Downloader, RequestException

from streams.errors import BrokerError
from streams.progress import progress

JAR_LIST = Path(__file__).with_name("jars.sha256")
REPOSITORY_VARIABLE = "PENCHANT_MAVEN_REPOSITORY"
CONNECT_AND_READ_SECONDS = (10.0, 30.0)
TRIES = 3
PAUSE_SECONDS = 1.0
"""Between two tries."""
THREADS = 6

_log = logging.getLogger(__name__)


class Jar(msgspec.Struct, frozen=True):
    """One artifact (`group:artifact:version`) and the lower-case hex SHA-256 of its jar."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """`artifact-version.jar`."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


class Source(Protocol):
    """Where a jar comes from."""

    def fetch(self, jar: Jar, target: Path) -> None:
        """Write the jar's bytes to `target`. Raises OSError or RequestException."""


class MavenSource:
    """The Maven repository that PENCHANT_MAVEN_REPOSITORY names, else maven-artifact's own default."""

    def __init__(self) -> None:
        base = os.environ.get(REPOSITORY_VARIABLE)
        self._downloader = Downloader(base) if base else Downloader()

    def fetch(self, jar: Jar, target: Path) -> None:
        """Raises RequestException where the repository does not answer with the jar."""
        url = self._downloader.resolver.uri_for_artifact(Artifact.parse(jar.coordinate))
        content = self._downloader.requestor.request(
            url, _refuse, lambda response: response.content, timeout=CONNECT_AND_READ_SECONDS
        )
        target.write_bytes(content)


def _refuse(_: str, error: Exception) -> None:
    raise RequestException(str(error)) from error


def cache_folder() -> Path:
    """The user's cache folder for this product: XDG_CACHE_HOME where absolute, else the platform's custom."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if Path(named).is_absolute():
        return Path(named) / "penchant"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "penchant"
    return Path.home() / ".cache" / "penchant"


def read_jar_list(path: Path = JAR_LIST) -> list[Jar]:
    """The committed list: lines of `sha256  group:artifact:version`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Jar(coordinate, digest) for digest, coordinate in (line.split() for line in lines)]


def ensure_jars(
    folder: Path | None = None, source: Source | None = None, jars: Sequence[Jar] | None = None
) -> list[Path]:
    """Paths of all jars, every one present and verified; what is missing or damaged is fetched.

    Raises BrokerError, naming the artifact and the mend.
    """
    folder = cache_folder() / "kafka" if folder is None else folder
    jars = read_jar_list() if jars is None else jars
    missing = [jar for jar in jars if not _is_whole(folder / jar.filename, jar.sha256)]
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BrokerError(f"{folder}: cannot keep Kafka's jars there ({error.strerror})") from error
        _fetch_all(missing, folder, MavenSource() if source is None else source)
    return [folder / jar.filename for jar in jars]


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _fetch_all(jars: Sequence[Jar], folder: Path, source: Source) -> None:
    _log.info("fetching %d jars of Apache Kafka into %s", len(jars), folder)
    with progress("fetching Apache Kafka", len(jars)) as tell, ThreadPoolExecutor(THREADS, "jars") as pool:
        work = [pool.submit(_fetch_one, jar, folder, source) for jar in jars]
        try:
            for number, done in enumerate(as_completed(work), 1):
                done.result()
                tell(number)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(jar: Jar, folder: Path, source: Source) -> None:
    """Download beside the final place, verify, rename: a reader sees the whole jar or none."""
    with tempfile.TemporaryDirectory(prefix=f".{jar.filename}.", dir=folder) as beside:
        part = Path(beside) / jar.filename
        _retry(lambda: source.fetch(jar, part), jar)
        if not _is_whole(part, jar.sha256):
            raise BrokerError(
                f"{jar.coordinate}: what was downloaded has another SHA-256 than the committed one; "
                f"try again, or name a trusted Maven repository by {REPOSITORY_VARIABLE}"
            )
        part.replace(folder / jar.filename)


def _retry(fetch: Callable[[], None], jar: Jar) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            fetch()
            return
        except (OSError, RequestException) as error:
            if attempt == TRIES:
                raise BrokerError(
                    f"{jar.coordinate}: download failed ({' '.join(str(error).split())}); check the network "
                    f"and proxy, or name a reachable Maven repository by {REPOSITORY_VARIABLE}"
                ) from error
        time.sleep(PAUSE_SECONDS)
