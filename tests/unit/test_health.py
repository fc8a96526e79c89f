"""The health server: what it answers, and where it serves."""

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from streams.errors import SettingsError
from streams.health import HealthServer
from streams.settings import MetricsSettings


class Workers:
    """Problems that a test can set."""

    def __init__(self) -> None:
        self.unhealthy: list[str] = []
        self.unready: list[str] = []


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def server(workers: Workers) -> Iterator[HealthServer]:
    settings = MetricsSettings(port=0)
    with HealthServer(settings, lambda: workers.unhealthy, lambda: workers.unready) as started:
        yield started


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    assert server.address is not None
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type") or "", response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?verbose=1"])
def test_all_well(server: HealthServer, path: str) -> None:
    assert ask(server, path) == (200, "text/plain; charset=utf-8", "ok\n")


def test_unready_names_each_worker(server: HealthServer, workers: Workers) -> None:
    workers.unready = ["encode: not ready", "interests: not ready"]
    assert ask(server, "/readyz")[0::2] == (503, "encode: not ready\ninterests: not ready\n")
    assert ask(server, "/healthz")[0] == 200


def test_unhealthy(server: HealthServer, workers: Workers) -> None:
    workers.unhealthy = ["encode: not running"]
    assert ask(server, "/healthz")[0::2] == (503, "encode: not running\n")


def test_metrics_are_in_the_text_format(server: HealthServer) -> None:
    status, kind, body = ask(server, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert "# TYPE penchant_freshness_seconds histogram" in body


def test_other_paths(server: HealthServer) -> None:
    status, _, body = ask(server, "/")
    assert status == 404
    assert "/metrics" in body


def test_head_has_no_body(server: HealthServer) -> None:
    assert ask(server, "/healthz", "HEAD")[0::2] == (200, "")


def test_other_methods_are_refused(server: HealthServer) -> None:
    assert ask(server, "/metrics", "POST")[0] == 501


def test_one_slow_client_does_not_hold_the_others_up(server: HealthServer) -> None:
    assert server.address is not None
    where = urlsplit(server.address)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert ask(server, "/healthz")[0] == 200


def test_a_port_in_use_is_a_wrong_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HealthServer(MetricsSettings(port=port), list, list)
        with pytest.raises(SettingsError, match=rf"^metrics\.port: .*127\.0\.0\.1:{port}"):
            server.start()
    assert server.address is None


def test_a_host_that_is_not_ours_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"^metrics\.port: "):
        HealthServer(MetricsSettings(host="192.0.2.1", port=0), list, list).start()


def test_no_port_serves_nothing() -> None:
    with HealthServer(MetricsSettings(port=-1), list, list) as server:
        assert server.address is None


def test_the_port_is_free_again_after_the_end() -> None:
    server = HealthServer(MetricsSettings(port=0), list, list)
    server.start()
    port = urlsplit(server.address or "").port or 0
    server.stop()
    with HealthServer(MetricsSettings(port=port), list, list) as again:
        assert ask(again, "/healthz")[0] == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_ip_version_6() -> None:
    try:
        with HealthServer(MetricsSettings(host="::1", port=0), list, list) as server:
            assert (server.address or "").startswith("http://[::1]:")
            assert ask(server, "/healthz")[0] == 200
    except SettingsError as error:
        assert "::1" in str(error)
        pytest.skip("no IPv6 address here")
