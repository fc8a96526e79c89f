"""Posts JSON to a service, by a deadline that no sender of single bytes can stretch."""

import ssl
import threading

import httpcore
import httpx

from encoders.errors import LanguageError, MediumError
from encoders.fetch.deadlines import Deadlines, TimedBackend
from encoders.language.settings import LanguageSettings

KEEP_ALIVE_SECONDS = 30.0
BUSY = (408, 425, 429)
REDIRECTS = range(300, 400)


class Passing(Exception):
    """A failure that another try may mend."""

    def __init__(self, error: LanguageError, wait_seconds: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_seconds = wait_seconds
        """What the service asks to wait for at least."""


class Poster:
    """Safe between threads."""

    def __init__(self, settings: LanguageSettings, key: str) -> None:
        self._most = settings.max_response_bytes
        self._deadlines = Deadlines()
        self._headers = [
            (b"Content-Type", b"application/json"),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", b"penchant"),
        ]
        if key:
            self._headers.append((b"Authorization", f"Bearer {key}".encode()))
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=settings.concurrency,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=TimedBackend(self._deadlines, settings.connect_timeout_seconds),
        )

    def post(self, url: httpx.URL, body: bytes, deadline: float) -> tuple[int, bytes]:
        """Status and body of an answer below 500, by `deadline` (time.monotonic).

        Raises Passing for what may pass, else LanguageError. Redirects are not followed: the key goes to the
        configured service alone.
        """
        self._deadlines.at = deadline
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [(b"Host", url.netloc), *self._headers, (b"Content-Length", str(len(body)).encode())]
        try:
            timeout = {"pool": min(self._deadlines.left(), threading.TIMEOUT_MAX)}
            with self._pool.stream(
                "POST", target, headers=headers, content=body, extensions={"timeout": timeout}
            ) as response:
                return self._answer(response)
        except MediumError as error:
            raise LanguageError("timeout", "no answer within language.timeout_seconds") from error
        except httpcore.ConnectTimeout as error:
            raise Passing(LanguageError("unreachable", "no connection in time")) from error
        except httpcore.TimeoutException as error:
            raise LanguageError("timeout", "no answer within language.timeout_seconds") from error
        except httpcore.ConnectError as error:
            raise _unconnected(error) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Passing(LanguageError("server", f"{type(error).__name__}: {error}")) from error

    def close(self) -> None:
        self._pool.close()

    def _answer(self, response: httpcore.Response) -> tuple[int, bytes]:
        status = response.status
        if status in BUSY:
            raise Passing(LanguageError("busy", f"HTTP {status}"), _asked_to_wait(response))
        if status >= 500 and status != 501:
            raise Passing(LanguageError("server", f"HTTP {status}"), _asked_to_wait(response))
        if status in REDIRECTS:
            raise LanguageError("refused", f"HTTP {status}: redirects are not followed")
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > self._most:
                raise LanguageError("too_large", f"more than {self._most} bytes")
        return status, bytes(body)


def _unconnected(error: httpcore.ConnectError) -> Exception:
    if isinstance(error.__context__, ssl.SSLCertVerificationError):
        return LanguageError("refused", f"its certificate does not hold: {error}")
    return Passing(LanguageError("unreachable", str(error)))


def _asked_to_wait(response: httpcore.Response) -> float:
    """Seconds of a Retry-After header; dates are not looked at."""
    for name, value in response.headers:
        if name.lower() == b"retry-after" and value.isdigit():
            return float(value[:6])
    return 0.0
