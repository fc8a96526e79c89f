"""Fetches over HTTP and HTTPS."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import httpx

from encoders.errors import MediumError
from encoders.fetch.addresses import Resolve, Resolver, is_allowed_host, resolve_by_system
from encoders.fetch.deadlines import Deadlines, VettedBackend
from encoders.fetch.freshness import fresh_seconds
from encoders.fetch.passing import PassingError
from encoders.fetch.request import Answer, FetchRequest, Validators
from encoders.settings import FetchSettings

HTTP_SCHEMES = ("http", "https")
NOT_MODIFIED = 304
REDIRECTS = (301, 302, 303, 307, 308)
REFUSALS = (401, 402, 403, 407, 451)
PASSING = (408, 425, 429)
CHUNK = 64 * 1024
KEEP_ALIVE_SECONDS = 30.0
HEADERS = ((b"User-Agent", b"penchant"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity"))


class HttpSource:
    """Gets one URL at a time, from any number of threads."""

    def __init__(self, settings: FetchSettings, resolve: Resolve = resolve_by_system) -> None:
        self._settings = settings
        self._deadlines = Deadlines()
        self._resolver = Resolver(resolve, settings.allow_private_addresses, settings.concurrency)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=settings.concurrency,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=VettedBackend(self._resolver, self._deadlines),
        )

    def get(self, request: FetchRequest, deadline: float) -> Answer:
        """The body behind a URL, redirects followed, at most `max_bytes`, by `deadline` (time.monotonic).

        No body where the server says that what is known still holds. Raises PassingError for what another
        try may mend, else MediumError.
        """
        self._deadlines.at = deadline
        url = self._checked(request.uri)
        for _ in range(self._settings.max_redirects + 1):
            with self._response(url, request.known) as response:
                if response.status not in REDIRECTS:
                    return self._answer(response, request.known)
                target = _header(response, b"location")
            if not target:
                raise MediumError("broken", "a redirect to nowhere")
            url = self._checked(str(url.join(target)))
        raise MediumError("refused", f"more than {self._settings.max_redirects} redirects")

    def close(self) -> None:
        self._resolver.close()
        self._pool.close()

    def _checked(self, uri: str) -> httpx.URL:
        try:
            url = httpx.URL(uri)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise MediumError("refused", f"not a URL: {error}") from error
        if url.scheme not in HTTP_SCHEMES or url.scheme not in self._settings.schemes:
            raise MediumError("refused", f"the scheme {url.scheme!r} is not allowed")
        if url.userinfo:
            raise MediumError("refused", "a reference with a password in it")
        if not url.host or not is_allowed_host(url.host, self._settings.hosts):
            raise MediumError("refused", f"the host {url.host!r} is not allowed")
        return url

    def _answer(self, response: httpcore.Response, known: Validators | None) -> Answer:
        unchanged = response.status == NOT_MODIFIED and known is not None
        content = None if unchanged else self._body(response)
        found = Validators(_header(response, b"etag"), _header(response, b"last-modified"))
        control, age = _header(response, b"cache-control"), _header(response, b"age")
        fresh = fresh_seconds(control, age, self._settings.fresh_seconds)
        return Answer(content, found or known or found, fresh)

    @contextmanager
    def _response(self, url: httpx.URL, known: Validators | None) -> Iterator[httpcore.Response]:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [(b"Host", url.netloc), *HEADERS, *_conditions(known)]
        timeout = {"pool": self._deadlines.left()}
        try:
            with self._pool.stream(
                "GET", target, headers=headers, extensions={"timeout": timeout}
            ) as response:
                yield response
        except httpcore.TimeoutException as error:
            raise MediumError("too_slow", f"{url.host}: {type(error).__name__}") from error
        except httpcore.ConnectError as error:
            if isinstance(error.__context__, ssl.SSLCertVerificationError):
                raise MediumError("refused", f"{url.host}: {error}") from error
            raise PassingError(MediumError("missing", f"{url.host}: {error}")) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise PassingError(MediumError("broken", f"{url.host}: {error}")) from error

    def _body(self, response: httpcore.Response) -> bytes:
        _check_status(response.status)
        encoding = _header(response, b"content-encoding").lower()
        if encoding not in ("", "identity"):
            raise MediumError("unsupported", f"the content coding {encoding!r} was not asked for")
        length = _header(response, b"content-length")
        most = self._settings.max_bytes
        if length.isdecimal() and int(length) > most:
            raise MediumError("too_large", f"{length} bytes, {most} allowed")
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > most:
                raise MediumError("too_large", f"more than {most} bytes")
        return bytes(body)


def _conditions(known: Validators | None) -> list[tuple[bytes, bytes]]:
    if known is None:
        return []
    wanted = ((b"If-None-Match", known.etag), (b"If-Modified-Since", known.modified))
    return [(name, value.encode("latin-1")) for name, value in wanted if value]


def _check_status(status: int) -> None:
    if status == 200:
        return
    if status in PASSING or status >= 500:
        raise PassingError(MediumError("missing", f"HTTP {status}"))
    raise MediumError("refused" if status in REFUSALS else "missing", f"HTTP {status}")


def _header(response: httpcore.Response, name: bytes) -> str:
    for key, value in response.headers:
        if key.lower() == name:
            return value.decode("latin-1").strip()
    return ""
