"""Pictures with titles and sounds: the stamps that Debian packages for Tux Paint, unpacked without root."""

import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from streams.errors import InputError

PACKAGE = "tuxpaint-stamps-default"

_FOLDER = Path("usr/share/tuxpaint/stamps")
_LIMIT_SECONDS = 240

_log = logging.getLogger(__name__)


def available() -> bool:
    """Whether this machine has the tools that fetch and unpack Debian packages."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def fetch(cache: Path) -> Path:
    """The folder of stamps, fetched once into `cache`. Raises InputError where it cannot be had."""
    unpacked = cache / "stamps"
    if (unpacked / _FOLDER).is_dir():
        return unpacked / _FOLDER
    work = cache / "apt"
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    options = [
        *("-o", f"Dir::State={work}/state", "-o", f"Dir::State::lists={work}/state/lists"),
        *("-o", f"Dir::Cache={work}/cache", "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"),
    ]
    _run(["apt-get", *options, "-qq", "update"], work)
    _run(["apt-get", *options, "-qq", "download", PACKAGE], work)
    partial = cache / "stamps.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for package in work.glob(f"{PACKAGE}_*.deb"):
        _run(["dpkg", "-x", str(package), str(partial)], work)
    if not (partial / _FOLDER).is_dir():
        raise InputError(f"{PACKAGE}: the package holds no {_FOLDER}")
    partial.rename(unpacked)
    shutil.rmtree(work, ignore_errors=True)
    return unpacked / _FOLDER


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} gave no answer within {_LIMIT_SECONDS} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{' '.join((command[0], *command[-2:]))} failed: {last}")
    if done.stderr:
        _log.debug("%s: %s", command[0], done.stderr.strip())


def pictures(folder: Path) -> Iterator[Path]:
    """PNG pictures that have a title, in a fixed order."""
    for picture in sorted(folder.rglob("*.png")):
        if picture.with_suffix(".txt").exists():
            yield picture


def title(picture: Path) -> str:
    """The English title of a picture."""
    lines = picture.with_suffix(".txt").read_text("utf-8", "replace").splitlines()
    return lines[0].strip() if lines else ""


def sound(picture: Path) -> Path | None:
    """The sound of what the picture shows (not the spoken descriptions)."""
    for suffix in (".ogg", ".wav"):
        path = picture.with_suffix(suffix)
        if path.exists():
            return path
    return None
