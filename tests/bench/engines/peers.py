"""Peers that need more than this repository's environment: made once, in the user's cache folder."""

import hashlib
import subprocess
import sys
from pathlib import Path

from streams.broker.jars import cache_folder, ensure_jars, read_jar_list
from streams.broker.java import java_command
from tests.bench.engines.small import VECTORS

_HERE = Path(__file__).parent
_QUIX_PACKAGES = _HERE / "requirements-quix.txt"
_JAR_LIST = _HERE / "java" / "jars.sha256"
_SOURCE = _HERE / "java" / "SmallWork.java"
_BUILD_SECONDS = 300
_COMPILER = "ecj"


class PeerMissing(Exception):
    """Why a peer cannot be run on this machine."""


def quix_python() -> Path:
    """The interpreter of an environment with the pinned packages. Raises PeerMissing."""
    digest = hashlib.sha256(_QUIX_PACKAGES.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache_folder() / "bench" / f"quix-{digest}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        _run([sys.executable, "-m", "venv", str(folder)], "a virtual environment for Quix Streams")
        install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(_QUIX_PACKAGES)]
        _run(install, "the packages of Quix Streams")
        ready.touch()
    return python


def kafka_streams_command() -> list[str]:
    """The command that runs the compiled application, without its arguments. Raises PeerMissing.

    It runs on the Java runtime of the local broker, and is compiled by a compiler that is a jar itself, so
    that no JDK is needed.
    """
    jars = [*ensure_jars(), *ensure_jars(cache_folder() / "bench", jars=read_jar_list(_JAR_LIST))]
    compilers = [jar for jar in jars if jar.name.startswith(_COMPILER)]
    libraries = [jar for jar in jars if jar not in compilers]
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    target = cache_folder() / "bench" / f"classes-{digest}"
    if not (target / "SmallWork.class").exists():
        classpath = ":".join(str(jar) for jar in libraries)
        batch = "org.eclipse.jdt.internal.compiler.batch.Main"
        options = ["-21", "-proc:none", "-nowarn", "-classpath", classpath, "-d", str(target), str(_SOURCE)]
        _run(java_command([batch, *options], compilers), "the Kafka Streams application")
    return java_command(["SmallWork"], [target, *libraries], ["-Xmx512m", "-Dlog4j2.level=ERROR"])


def write_vectors(folder: Path) -> Path:
    """The item vectors as a file of float32, for the peer in Java."""
    path = folder / "vectors"
    path.write_bytes(VECTORS.astype("<f4").tobytes())
    return path


def _run(command: list[str], what: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise PeerMissing(f"{what} cannot be made: {said.strip().splitlines()[-1]}") from error
