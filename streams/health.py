"""`/metrics`, `/healthz` and `/readyz` over HTTP."""

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

from streams.errors import SettingsError
from streams.metrics import CONTENT_TYPE, exposition
from streams.settings import MetricsSettings

PLAIN = "text/plain; charset=utf-8"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What one path answers."""

    status: HTTPStatus
    body: bytes
    content_type: str = PLAIN


Problems = Callable[[], list[str]]
"""What is wrong now, one line each; empty when all is well."""


class HealthServer:
    """Serves in a daemon thread from `start` to `stop`, or as a context manager.

    `unhealthy` and `unready` are asked at each request, from the server's threads.
    """

    def __init__(self, settings: MetricsSettings, unhealthy: Problems, unready: Problems) -> None:
        self._settings = settings
        self._unhealthy = unhealthy
        self._unready = unready
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str | None:
        """Where it serves, as http://host:port; None while it does not."""
        if self._server is None:
            return None
        host = (
            f"[{self._server.server_name}]" if ":" in self._server.server_name else self._server.server_name
        )
        return f"http://{host}:{self._server.server_port}"

    def start(self) -> None:
        """Bind and serve; a port of -1 serves nothing. Raises SettingsError where it cannot bind."""
        host, port = self._settings.host, self._settings.port
        if port < 0:
            return
        try:
            self._server = _Server((host, port), self)
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"metrics.port: cannot serve on {host}:{port}: {error}; "
                "choose another port, 0 for any free one, -1 for none"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        _log.debug("serving /metrics, /healthz and /readyz on %s", self.address)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str) -> Answer:
        """The answer to GET `path`."""
        match urlsplit(path).path:
            case "/metrics":
                return Answer(HTTPStatus.OK, exposition(), CONTENT_TYPE)
            case "/healthz":
                return _verdict(self._unhealthy())
            case "/readyz":
                return _verdict(self._unready())
        return Answer(HTTPStatus.NOT_FOUND, b"paths: /metrics /healthz /readyz\n")

    def __enter__(self) -> "HealthServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], health: HealthServer) -> None:
        self.health = health
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's full name, which may hang for want of a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""
        _log.debug("request from %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        self._send(with_body=False)

    def _send(self, with_body: bool) -> None:
        answer = self.server.health.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        _log.debug("%s %s", self.address_string(), format % args)


def _verdict(problems: list[str]) -> Answer:
    if not problems:
        return Answer(HTTPStatus.OK, b"ok\n")
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, ("\n".join(problems) + "\n").encode())
