"""Worker processes: how they end, in this process and, for signals, in one of their own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from streams import contact
from streams.errors import EngineError, SettingsError
from streams.exits import EXIT_DRAINED, EXIT_FAILED, EXIT_MISUSED, EXIT_NOT_DRAINED
from streams.processes import Worker, run_workers
from streams.settings import AppSettings, KafkaSettings, MetricsSettings, Settings

SECONDS = 20


def settings(drain: float = 10.0, port: int = -1) -> Settings:
    base = Settings()
    return replace(base, app=AppSettings(drain_seconds=drain), metrics=MetricsSettings(port=port))


class Patient:
    """Runs until it is told to stop."""

    def __init__(self, _: Settings) -> None:
        self.drained = False

    def run(self, stop: threading.Event) -> None:
        stop.wait(SECONDS)
        self.drained = True

    def ready(self) -> bool:
        return True


class Failing(Patient):
    error: Exception = EngineError("the engine cannot go on")

    def run(self, stop: threading.Event) -> None:
        raise self.error


class Misled(Failing):
    error = SettingsError("encoders.text: unknown encoder")


class Broken(Failing):
    error = ZeroDivisionError("oh")


class Leaving(Patient):
    def run(self, stop: threading.Event) -> None:
        return


class Hanging(Patient):
    """Ignores the stop."""

    def run(self, stop: threading.Event) -> None:
        threading.Event().wait(SECONDS)


def unmade(_: Settings) -> Worker:
    raise SettingsError("encoders.text: no such encoder")


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (Failing, EXIT_FAILED, "worker bad failed: the engine cannot go on"),
        (Misled, EXIT_MISUSED, "worker bad failed: encoders.text: unknown encoder"),
        (unmade, EXIT_MISUSED, "worker bad failed: encoders.text: no such encoder"),
        (Broken, EXIT_FAILED, "worker bad failed"),
        (Leaving, EXIT_FAILED, "worker bad ended without being asked to"),
    ],
)
def test_a_worker_that_ends_drains_the_others(
    make: Callable[[Settings], Worker], code: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    others: list[Patient] = []

    def patient(chosen: Settings) -> Worker:
        others.append(Patient(chosen))
        return others[-1]

    assert run_workers({"good": patient, "bad": make}, settings()) == code
    assert words in caplog.text
    assert others[0].drained


def test_an_expected_error_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    run_workers({"bad": Failing}, settings())
    assert "Traceback" not in caplog.text


def test_an_unexpected_error_keeps_its_stack_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    run_workers({"bad": Broken}, settings())
    assert "ZeroDivisionError: oh" in caplog.text


def test_a_worker_that_does_not_drain_is_left(caplog: pytest.LogCaptureFixture) -> None:
    code = run_workers({"stuck": Hanging, "bad": Failing}, settings(drain=0.05))
    assert code == EXIT_NOT_DRAINED
    assert "stuck did not drain within 0.05 s" in caplog.text


def test_the_handlers_are_as_before_when_it_returns() -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_workers({"bad": Failing}, settings())
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_drains(caplog: pytest.LogCaptureFixture) -> None:
    class Signalling(Patient):
        def run(self, stop: threading.Event) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().run(stop)

    with caplog.at_level("INFO", "streams.processes"):
        assert run_workers({"a": Signalling, "b": Patient}, settings()) == EXIT_DRAINED
    assert "SIGTERM: draining" in caplog.text
    assert "worker a drained" in caplog.text


def test_a_second_signal_ends_at_once(caplog: pytest.LogCaptureFixture) -> None:
    class Interrupted(Patient):
        def run(self, stop: threading.Event) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            stop.wait(SECONDS)
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(SECONDS)

    assert run_workers({"a": Interrupted}, settings()) == EXIT_NOT_DRAINED
    assert "SIGINT again" in caplog.text


def test_signals_count_whichever_thread_gets_them(caplog: pytest.LogCaptureFixture) -> None:
    """The main thread sleeps on then, as it does where one comes just before it begins to wait."""

    class Interrupted(Patient):
        def run(self, stop: threading.Event) -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            assert stop.wait(SECONDS)
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            threading.Event().wait(SECONDS)

    assert run_workers({"a": Interrupted}, settings()) == EXIT_NOT_DRAINED
    assert "SIGINT again" in caplog.text


def test_ready_when_all_workers_are() -> None:
    seen: list[tuple[int, str]] = []
    started = threading.Event()
    addresses: list[str] = []

    class Slow(Patient):
        def run(self, stop: threading.Event) -> None:
            assert started.wait(SECONDS)
            answers = [httpx.get(f"{addresses[0]}/readyz"), httpx.get(f"{addresses[0]}/healthz")]
            seen.extend((answer.status_code, answer.text) for answer in answers)
            metrics = httpx.get(f"{addresses[0]}/metrics").text
            assert 'penchant_ready{worker="slow"} 0.0' in metrics
            assert 'penchant_ready{worker="quick"} 1.0' in metrics

        def ready(self) -> bool:
            return False

    class Quick(Patient):
        def run(self, stop: threading.Event) -> None:
            started.set()
            super().run(stop)

    code = run_workers({"slow": Slow, "quick": Quick}, settings(port=0), addresses.append)
    assert seen == [(503, "slow: not ready\n"), (200, "ok\n")]
    assert code == EXIT_FAILED


def test_not_ready_while_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "SILENCE_SECONDS", 0.0)
    addresses: list[str] = []
    seen: list[httpx.Response] = []

    class Looking(Patient):
        def run(self, stop: threading.Event) -> None:
            seen.extend(httpx.get(f"{addresses[0]}/{path}") for path in ("readyz", "healthz", "metrics"))

    away = replace(settings(port=0), kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    run_workers({"w": Looking}, away, addresses.append)
    ready, healthy, metrics = seen
    assert ready.status_code == 503
    assert ready.text.startswith("no broker at 127.0.0.1:1 has answered for ")
    assert healthy.status_code == 200
    assert 'penchant_ready{worker="w"} 0.0' in metrics.text


def test_a_worker_that_is_not_ready_says_what_it_waits_for() -> None:
    addresses: list[str] = []
    seen: list[str] = []

    class Waiting(Patient):
        def ready(self) -> bool:
            return False

        def waits_for(self) -> str:
            return "the tide"

        def run(self, stop: threading.Event) -> None:
            seen.append(httpx.get(f"{addresses[0]}/readyz").text)

    run_workers({"w": Waiting}, settings(port=0), addresses.append)
    assert seen == ["w: not ready: the tide\n"]


SCRIPT = """
import sys, threading, time
sys.path.insert(0, {root!r})
from msgspec.structs import replace
from streams.processes import leave, run_workers
from streams.settings import AppSettings, MetricsSettings, Settings

class Worker:
    def __init__(self, settings): pass
    def ready(self): return True
    def run(self, stop):
        print("running", flush=True)
        stop.wait()
        {drain}

forever = threading.Thread(target=threading.Event().wait)
forever.start()
settings = replace(
    Settings(), app=AppSettings(drain_seconds={seconds}), metrics=MetricsSettings(port=-1)
)
leave(run_workers({{"w": Worker}}, settings))
"""


@pytest.mark.parametrize(
    ("drain", "seconds", "code"),
    [("pass", 10, EXIT_DRAINED), ("threading.Event().wait()", 0.1, EXIT_NOT_DRAINED)],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_whatever_threads_are_left(
    drain: str, seconds: float, code: int, number: signal.Signals
) -> None:
    root = str(Path(__file__).resolve().parents[2])
    script = SCRIPT.format(root=root, drain=drain, seconds=seconds)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        process.send_signal(number)
        try:
            assert process.wait(SECONDS) == code
        finally:
            process.kill()


LEAVING = """
import atexit, sys, threading
sys.path.insert(0, {root!r})
from streams import processes
processes.LAST_RESORT_SECONDS = 0.2
atexit.register({handler})
processes.leave({code})
"""


@pytest.mark.parametrize(
    ("handler", "code", "expected", "output"),
    [
        ("print, 'handled'", 0, 0, b"handled\n"),
        ("print, 'handled'", 1, 1, b"handled\n"),
        ("threading.Event().wait", 0, EXIT_NOT_DRAINED, b""),
        ("threading.Event().wait", 1, 1, b""),
    ],
)
def test_leaving_runs_the_exit_handlers_for_a_while(
    handler: str, code: int, expected: int, output: bytes
) -> None:
    script = LEAVING.format(root=str(Path(__file__).resolve().parents[2]), handler=handler, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (expected, output)
