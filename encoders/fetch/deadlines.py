"""A network whose every step ends in time, and that connects to vetted addresses only."""

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from encoders.errors import MediumError
from encoders.fetch.addresses import Resolver


class Deadlines(threading.local):
    """The moment, by time.monotonic, when this thread's fetch must be over."""

    at: float = float("inf")

    def left(self) -> float:
        """Seconds until then. Raises MediumError("too_slow") when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise MediumError("too_slow", "the time for this fetch is used up")
        return min(left, threading.TIMEOUT_MAX)


class TimedStream(httpcore.NetworkStream):
    """A stream that gives each operation the time left, so that a sender of single bytes gains nothing."""

    def __init__(self, stream: httpcore.NetworkStream, deadlines: Deadlines) -> None:
        self._stream = stream
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadlines.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadlines.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadlines.left())
        return TimedStream(secured, self._deadlines)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class TimedBackend(httpcore.NetworkBackend):
    """Connects by the deadline, and within `seconds`; every later step is bounded by the deadline."""

    def __init__(self, deadlines: Deadlines, seconds: float = threading.TIMEOUT_MAX) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = min(self._seconds, self._deadlines.left())
        stream = self._network.connect_tcp(host, port, seconds, local_address, socket_options)
        return TimedStream(stream, self._deadlines)


class VettedBackend(httpcore.NetworkBackend):
    """Resolves a name once, vets the addresses, and connects to one of those very addresses.

    Nobody resolves the name again between check and use, so a name that changes its address in between
    (rebinding) gains nothing. TLS still asks for, and verifies, the name.
    """

    def __init__(self, resolver: Resolver, deadlines: Deadlines) -> None:
        self._resolver = resolver
        self._deadlines = deadlines

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        addresses = self._resolver.addresses(host, port, self._deadlines.left())
        for tried, address in enumerate(addresses):
            # One address that swallows packets must leave time for the others.
            network = TimedBackend(self._deadlines, self._deadlines.left() / (len(addresses) - tried))
            try:
                return network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("no address")
