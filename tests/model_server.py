"""A fake language model behind the OpenAI-compatible interface, of good and bad manners, for unit tests."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeModelServer(ThreadingHTTPServer):
    """Answers as `manner` does; keeps what it was asked."""

    daemon_threads = True

    def __init__(self, manner: "Manner") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.manner = manner
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeModelServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.keys.append(self.headers["Authorization"])
            self.server.paths.append(self.path)
        with contextlib.suppress(OSError):
            self.server.manner(self, body)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def say(self, content: str | None) -> None:
        """A completion with this content."""
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        self.answer(200, json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode())

    def say_sentences(self, *texts: str) -> None:
        self.say(json.dumps({"sentences": [{"text": text, "cites": ["t1"]} for text in texts]}))

    def drip(self, status_line: bytes, piece: bytes) -> None:
        """Sends a piece every hundredth of a second until the client hangs up or the server ends."""
        self.wfile.write(status_line)
        while not self.server.over.wait(0.01):
            self.wfile.write(piece)
        self.close_connection = True

    def stall(self) -> None:
        self.server.over.wait(60)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """The test's output is not for this."""


Manner = Callable[[Handler, dict[str, Any]], None]


@contextlib.contextmanager
def serving(manner: Manner) -> Iterator[FakeModelServer]:
    with FakeModelServer(manner) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join(10)
