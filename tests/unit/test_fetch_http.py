"""Fetching over HTTP: within caps, from allowed hosts, from vetted addresses only."""

import hashlib
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpcore
import pytest
from media_server import BODY, DATE, MediaServer, running

from encoders.errors import MediumError
from encoders.fetch import Fetcher, FetchRequest
from encoders.fetch.addresses import Resolver
from encoders.fetch.deadlines import Deadlines, VettedBackend
from encoders.fetch.request import Answer, Validators
from encoders.settings import FetchSettings

OPEN = FetchSettings(schemes=("http", "https"), allow_private_addresses=True, max_bytes=100_000)
PUBLIC = FetchSettings(schemes=("http", "https"), max_bytes=100_000)
BUDGET = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[MediaServer]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def fetcher() -> Iterator[Fetcher]:
    fetcher = Fetcher(OPEN)
    yield fetcher
    fetcher.close()


def fetch(fetcher: Fetcher, uri: str, budget: float = BUDGET) -> bytes | MediumError:
    (outcome,) = fetcher.fetch_many([FetchRequest(uri)], budget)
    return outcome


def reason_of(fetcher: Fetcher, uri: str, budget: float = BUDGET) -> str:
    outcome = fetch(fetcher, uri, budget)
    assert isinstance(outcome, MediumError)
    return outcome.reason


def local(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def test_body(fetcher: Fetcher, server: MediaServer) -> None:
    assert fetch(fetcher, f"{server.url}/body") == BODY
    assert fetch(fetcher, f"{server.url}/empty") == b""
    assert fetch(fetcher, f"{server.url}/body#part") == BODY


def test_checksum(fetcher: Fetcher, server: MediaServer) -> None:
    right, wrong = hashlib.sha256(BODY).hexdigest(), hashlib.sha256(b"").hexdigest()
    outcomes = fetcher.fetch_many(
        [FetchRequest(f"{server.url}/body", digest) for digest in (right, wrong)], BUDGET
    )
    assert outcomes[0] == BODY
    assert isinstance(outcomes[1], MediumError)
    assert outcomes[1].reason == "checksum"


@pytest.mark.parametrize(
    ("path", "reason"),
    [("none", "missing"), ("status/410", "missing"), ("status/403", "refused"), ("status/401", "refused"),
     ("status/500", "missing"), ("status/206", "missing"), ("boast", "too_large"), ("endless", "too_large"),
     ("cut", "broken"), ("gzip", "unsupported"), ("nowhere", "broken"),
     ("loop", "refused"), ("garbage", "broken"), ("uncertain", "missing")],
)  # fmt: skip
def test_reasons(fetcher: Fetcher, server: MediaServer, path: str, reason: str) -> None:
    assert reason_of(fetcher, f"{server.url}/{path}") == reason


@pytest.mark.parametrize("path", ["stall", "drip"])
def test_slow_answers_end_with_the_budget(server: MediaServer, path: str) -> None:
    fetcher = Fetcher(OPEN)
    assert reason_of(fetcher, f"{server.url}/{path}", budget=0.3) == "too_slow"
    fetcher.close()


@pytest.mark.parametrize("path", ["stall", "drip"])
def test_slow_answers_end_with_the_time_of_one_fetch(server: MediaServer, path: str) -> None:
    fetcher = Fetcher(FetchSettings(schemes=("http",), allow_private_addresses=True, timeout_seconds=0.3))
    assert reason_of(fetcher, f"{server.url}/{path}") == "too_slow"
    fetcher.close()


def test_a_slow_reference_keeps_nobody_waiting(fetcher: Fetcher, server: MediaServer) -> None:
    uris = [f"{server.url}/stall", *[f"{server.url}/body"] * 3]
    outcomes = fetcher.fetch_many([FetchRequest(uri) for uri in uris], 1.0)
    assert isinstance(outcomes[0], MediumError)
    assert outcomes[1:] == [BODY] * 3


def test_what_may_pass_is_tried_again(fetcher: Fetcher, server: MediaServer) -> None:
    assert fetch(fetcher, f"{server.url}/recover") == BODY
    before = server.asked["/status/503"]
    assert reason_of(fetcher, f"{server.url}/status/503") == "missing"
    assert server.asked["/status/503"] == before + 3
    assert reason_of(fetcher, f"{server.url}/status/404") == "missing"
    assert server.asked["/status/404"] == 1


def test_the_same_reference_is_fetched_once(fetcher: Fetcher, server: MediaServer) -> None:
    before = server.asked["/body?once"]
    outcomes = fetcher.fetch_many([FetchRequest(f"{server.url}/body?once")] * 5, BUDGET)
    assert {type(outcome) for outcome in outcomes} == {MediumError}
    assert server.asked["/body?once"] == before + 1


def test_what_did_not_change_is_not_sent_again(fetcher: Fetcher, server: MediaServer) -> None:
    uri = f"{server.url}/tagged"
    first = answer(fetcher, FetchRequest(uri))
    assert first.validators == Validators('"one"', DATE)
    again = answer(fetcher, FetchRequest(uri, None, first.validators))
    assert again.content is None
    assert server.conditions[-1] == ('"one"', DATE)
    server.tag = '"two"'
    changed = answer(fetcher, FetchRequest(uri, None, first.validators))
    assert (changed.content, changed.validators.etag) == (BODY + b'"two"', '"two"')


def test_the_server_says_how_long_nobody_need_ask(fetcher: Fetcher, server: MediaServer) -> None:
    assert answer(fetcher, FetchRequest(f"{server.url}/aged")).fresh_seconds == 500.0
    assert answer(fetcher, FetchRequest(f"{server.url}/body")).fresh_seconds == OPEN.fresh_seconds


def answer(fetcher: Fetcher, request: FetchRequest) -> Answer:
    (found,) = fetcher.answers([request], BUDGET)
    assert isinstance(found, Answer)
    return found


def test_a_dead_reference_is_asked_for_once_in_a_while(server: MediaServer) -> None:
    fetcher = Fetcher(OPEN)
    dead = FetchRequest(f"{server.url}/none?dead")
    for _ in range(3):
        (outcome,) = fetcher.fetch_many([dead], BUDGET)
        assert isinstance(outcome, MediumError)
        assert outcome.reason == "missing"
    assert server.asked["/none?dead"] == 1
    fetcher.fetch_many([dead], BUDGET, anew=True)
    assert server.asked["/none?dead"] == 2
    fetcher.close()


def test_what_comes_back_to_life_is_no_failure_any_more(server: MediaServer) -> None:
    fetcher = Fetcher(OPEN)
    checked = FetchRequest(f"{server.url}/body", hashlib.sha256(b"").hexdigest())
    assert isinstance(fetcher.fetch_many([checked], BUDGET)[0], MediumError)
    assert fetch(fetcher, f"{server.url}/body") == BODY
    fetcher.close()


def test_no_host_gets_more_than_its_share_of_fetches(server: MediaServer) -> None:
    settings = FetchSettings(schemes=("http",), allow_private_addresses=True, concurrency_per_host=2)
    fetcher = Fetcher(settings)
    busiest = [0]
    running_now = [0]
    lock = threading.Lock()
    get = fetcher._http.get

    def counted(request: FetchRequest, deadline: float) -> Answer:
        with lock:
            running_now[0] += 1
            busiest[0] = max(busiest[0], running_now[0])
        try:
            return get(request, deadline)
        finally:
            with lock:
                running_now[0] -= 1

    fetcher._http.get = counted  # type: ignore[method-assign]
    requests = [FetchRequest(f"{server.url}/copy/{number}") for number in range(20)]
    fetcher.fetch_many(requests, BUDGET)
    fetcher.close()
    assert busiest[0] <= 2


def test_nobody_there(fetcher: Fetcher) -> None:
    assert reason_of(fetcher, "http://127.0.0.1:1/") == "missing"


@pytest.mark.parametrize("uri", ["http://", "http:///a", "http://[::1", "http://user:word@127.0.0.1/"])
def test_odd_references(fetcher: Fetcher, uri: str) -> None:
    assert reason_of(fetcher, uri) == "refused"


def test_redirects(fetcher: Fetcher, server: MediaServer) -> None:
    assert fetch(fetcher, f"{server.url}/to/{server.url}/body") == BODY
    assert fetch(fetcher, f"{server.url}/to//body") == BODY
    thrice = f"{server.url}/to//to//to//body"
    assert fetch(fetcher, thrice) == BODY
    assert reason_of(fetcher, thrice.replace("/body", "/to//body")) == "refused"


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://127.0.0.1/", "data:,x", "http://user:word@127.0.0.1/"]
)
def test_redirects_to_other_schemes_are_refused(fetcher: Fetcher, server: MediaServer, target: str) -> None:
    assert reason_of(fetcher, f"{server.url}/to/{target}") == "refused"


def test_redirects_to_plain_http_are_refused_where_only_https_is_allowed(server: MediaServer) -> None:
    fetcher = Fetcher(FetchSettings(schemes=("https",), allow_private_addresses=True))
    assert reason_of(fetcher, f"{server.url}/body") == "refused"
    fetcher.close()


def test_redirects_to_a_scheme_that_the_settings_leave_out_are_refused(server: MediaServer) -> None:
    fetcher = Fetcher(FetchSettings(schemes=("http",), allow_private_addresses=True))
    assert reason_of(fetcher, f"{server.url}/to/https://127.0.0.1:{server.port}/body") == "refused"
    fetcher.close()


def test_hosts_are_asked_for_by_name_at_each_redirect(server: MediaServer) -> None:
    settings = FetchSettings(schemes=("http",), hosts=("good.test",), allow_private_addresses=True)
    fetcher = Fetcher(settings, local)
    good, bad = f"http://good.test:{server.port}", f"http://bad.test:{server.port}"
    assert fetch(fetcher, f"{good}/body") == BODY
    assert server.hosts[-1] == f"good.test:{server.port}"
    assert reason_of(fetcher, f"{bad}/body") == "refused"
    assert fetch(fetcher, f"{good}/to/{good}/body") == BODY
    before = server.asked["/body"]
    assert reason_of(fetcher, f"{good}/to/{bad}/body") == "refused"
    assert server.asked["/body"] == before
    fetcher.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]",
                                  "0.0.0.0", "[::ffff:127.0.0.1]", "169.254.169.254", "0177.0.0.1",
                                  "127.0.0.1.", "localhost.", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
                                  "[2002:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fd00::1]", "10.0.0.1",
                                  "172.16.0.1", "192.168.0.1", "100.64.0.1", "１２７.0.0.1",
                                  "127。0。0。1"])  # fmt: skip
def test_private_addresses_are_refused_by_default(server: MediaServer, host: str) -> None:
    fetcher = Fetcher(PUBLIC)
    before = sum(server.asked.values())
    assert reason_of(fetcher, f"http://{host}:{server.port}/body") in ("refused", "missing")
    assert sum(server.asked.values()) == before
    fetcher.close()


def test_proxies_of_the_environment_are_not_asked(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve names itself, and connect to what nobody vetted."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, server.url)
    fetcher = Fetcher(PUBLIC, local)
    before = sum(server.asked.values())
    assert reason_of(fetcher, "http://example.org/body") == "refused"
    assert sum(server.asked.values()) == before
    fetcher.close()


def test_a_public_name_with_a_private_address_is_refused(server: MediaServer) -> None:
    fetcher = Fetcher(PUBLIC, local)
    assert reason_of(fetcher, f"http://example.org:{server.port}/body") == "refused"
    fetcher.close()


def test_a_redirect_to_a_private_address_is_refused(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first host counts as public and leads to this machine; the second is this machine by its name."""
    real = httpcore.SyncBackend.connect_tcp

    def connect(self: httpcore.SyncBackend, host: str, *rest: object) -> httpcore.NetworkStream:
        assert host == "93.184.216.34"
        return real(self, "127.0.0.1", *rest)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    fetcher = Fetcher(PUBLIC, lambda host, port: ["93.184.216.34" if host == "example.org" else "127.0.0.1"])
    start = f"http://example.org:{server.port}"
    assert fetch(fetcher, f"{start}/body") == BODY
    for target in ("127.0.0.1", "inner.test", "169.254.169.254", "[::1]", "10.0.0.1", "[fe80::1]", "0.0.0.0"):
        assert reason_of(fetcher, f"{start}/to/http://{target}:{server.port}/body") == "refused"
    assert reason_of(fetcher, f"{start}/to//to/http://127.0.0.1:{server.port}/body") == "refused"
    fetcher.close()


def test_a_name_that_changes_its_address_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    reached: list[str] = []

    def connect(self: object, host: str, *rest: object) -> httpcore.NetworkStream:
        reached.append(host)
        return httpcore.MockStream([])

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    resolver = Resolver(lambda host, port: next(answers), allow_private=False, threads=1)
    backend = VettedBackend(resolver, Deadlines())
    backend.connect_tcp("rebinding.test", 80)
    assert reached == ["93.184.216.34"]
    with pytest.raises(MediumError, match="refused"):
        backend.connect_tcp("rebinding.test", 80)
    assert reached == ["93.184.216.34"]
    resolver.close()


def test_the_next_address_is_tried_where_one_fails(server: MediaServer) -> None:
    fetcher = Fetcher(OPEN, lambda host, port: ["127.0.0.9", "127.0.0.1"])
    assert fetch(fetcher, f"http://media.test:{server.port}/body") == BODY
    fetcher.close()


def test_many_at_once(fetcher: Fetcher, server: MediaServer) -> None:
    requests = [FetchRequest(f"{server.url}/{path}") for path in ("body", "none", "empty") * 30]
    outcomes = fetcher.fetch_many(requests, BUDGET)
    assert outcomes[0::3] == [BODY] * 30
    assert all(isinstance(outcome, MediumError) for outcome in outcomes[1::3])
    assert outcomes[2::3] == [b""] * 30


def test_threads_share_it(fetcher: Fetcher, server: MediaServer) -> None:
    results: list[bytes | MediumError] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(fetcher, f"{server.url}/body")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [BODY] * 8


def test_deadlines_run_out() -> None:
    deadlines = Deadlines()
    assert deadlines.left() > 0
    deadlines.at = time.monotonic() - 1
    with pytest.raises(MediumError, match="too_slow"):
        deadlines.left()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, chain = folder / "key.pem", folder / "chain.pem"
    options = (
        "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=media.test -addext subjectAltName=DNS:media.test"
    )
    command = [program, "req", *options.split(), "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return key, chain


def test_tls_verifies_the_name_though_it_connects_to_an_address(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, chain = certificate
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with running() as secured:
        secured.socket = context.wrap_socket(secured.socket, server_side=True, do_handshake_on_connect=False)
        strict = Fetcher(OPEN, local)
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        trusting = Fetcher(OPEN, local)
        assert fetch(trusting, f"https://media.test:{secured.port}/body") == BODY
        assert names == ["media.test"]
        assert reason_of(trusting, f"https://other.test:{secured.port}/body") == "refused"
        assert reason_of(strict, f"https://media.test:{secured.port}/body") == "refused"
        trusting.close()
        strict.close()
