"""A web server of good and bad manners for the tests of fetching."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = (bytes(range(32, 127)) * 22)[:2048]
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class MediaServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.asked: Counter[str] = Counter()
        self.hosts: list[str] = []
        self.tag = '"one"'
        self.conditions: list[tuple[str, str | None]] = []
        self.over = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MediaServer

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        self.server.hosts.append(self.headers["Host"])
        page = PAGES.get(self.path)
        if page is not None:
            page(self)
        elif self.path.startswith("/to/"):
            self.answer(302, b"", Location=self.path.removeprefix("/to/"))
        elif self.path.startswith("/copy/"):
            self.answer(200, BODY)
        elif self.path.startswith("/status/"):
            self.answer(int(self.path.removeprefix("/status/")), b"sorry")
        else:
            self.answer(404, b"none")

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("Length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def stream(self, pause: float, piece: bytes) -> None:
        """Sends pieces until the client hangs up or the server ends."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.over.wait(pause):
                self.wfile.write(piece)
        self.close_connection = True

    def tagged(self) -> None:
        """As a server does that keeps validators: both have to hold where both are asked about."""
        known = self.headers["If-None-Match"]
        if known is not None:
            self.server.conditions.append((known, self.headers["If-Modified-Since"]))
        if known == self.server.tag:
            self.send_response(304)
            self.send_header("ETag", self.server.tag)
            self.end_headers()
            return
        self.answer(200, BODY + self.server.tag.encode(), ETag=self.server.tag, Last_Modified=DATE)

    def stall(self) -> None:
        self.server.over.wait(60)
        self.close_connection = True

    def cut_short(self) -> None:
        self.answer(200, BODY[:100], Length=str(len(BODY)))
        self.close_connection = True

    def recover(self) -> None:
        first = self.server.asked[self.path] == 1
        self.answer(503 if first else 200, b"" if first else BODY)

    def log_message(self, format: str, *args: object) -> None:
        """The test's output is not for this."""


PAGES: dict[str, Callable[[Handler], None]] = {
    "/body": lambda page: page.answer(200, BODY),
    "/empty": lambda page: page.answer(200, b""),
    "/endless": lambda page: page.stream(0.0, bytes(65536)),
    "/drip": lambda page: page.stream(0.01, b"x"),
    "/stall": Handler.stall,
    "/tagged": Handler.tagged,
    "/aged": lambda page: page.answer(200, BODY, Cache_Control="max-age=600", Age="100"),
    "/uncertain": lambda page: page.answer(304, b""),
    "/cut": Handler.cut_short,
    "/recover": Handler.recover,
    "/boast": lambda page: page.answer(200, b"x", Length="999999999999", Connection="close"),
    "/gzip": lambda page: page.answer(200, b"x", Content_Encoding="gzip"),
    "/nowhere": lambda page: page.answer(302, b""),
    "/loop": lambda page: page.answer(302, b"", Location="/loop"),
    "/garbage": lambda page: page.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n") and None,
}


@contextlib.contextmanager
def running() -> Iterator[MediaServer]:
    with MediaServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join(10)
