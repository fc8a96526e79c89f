"""Fetches what references name, safely and within a budget of time."""

import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as LateError
from functools import partial
from urllib.parse import urlsplit

from encoders.errors import MediumError
from encoders.fetch.addresses import Resolve, is_allowed_host, resolve_by_system
from encoders.fetch.buckets import BUCKET_SCHEMES, read_object
from encoders.fetch.failures import Failures
from encoders.fetch.http import HTTP_SCHEMES, HttpSource
from encoders.fetch.lanes import Lanes
from encoders.fetch.local import read_data, read_file
from encoders.fetch.passing import patiently
from encoders.fetch.request import Answer, FetchRequest
from encoders.settings import FetchSettings

LOGGER = logging.getLogger(__name__)


class Fetcher:
    """Any thread may call it. At most `concurrency` fetches run at once, fewer for any one host."""

    def __init__(self, settings: FetchSettings, resolve: Resolve = resolve_by_system) -> None:
        self._settings = settings
        self._http = HttpSource(settings, resolve)
        self._lanes: Lanes[Answer] = Lanes(
            settings.concurrency, min(settings.concurrency, settings.concurrency_per_host)
        )
        self._failures = Failures(settings.failure_seconds)

    def fetch_many(
        self, references: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> list[bytes | MediumError]:
        """What each reference names, or why it cannot be had, in their order; all within the budget.

        The same reference twice is fetched once. A MediumError's reason is "missing", "refused", "broken",
        "too_large", "too_slow", "unsupported" or "checksum". What failed within `failure_seconds` is not
        tried, unless `anew`.
        """
        plain = [FetchRequest(reference.uri, reference.sha256) for reference in references]
        found = self.answers(plain, budget_seconds, anew)
        return [one if isinstance(one, MediumError) else one.content or b"" for one in found]

    def answers(
        self, references: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> list[Answer | MediumError]:
        """The same with validators; an answer without content says that what the request knew still holds."""
        deadline = time.monotonic() + budget_seconds
        jobs: dict[FetchRequest, Future[Answer]] = {}
        for reference in references:
            if reference not in jobs:
                fetch = partial(self._fetch, reference, deadline, anew)
                jobs[reference] = self._lanes.submit(_lane(reference.uri), fetch)
        outcomes = {reference: _outcome(job, deadline) for reference, job in jobs.items()}
        return [outcomes[reference] for reference in references]

    def allows(self, uri: str) -> bool:
        """Whether a reference may be followed, as far as it says itself: by scheme and by host.

        False for a file: what may be read of those is told by looking at them.
        """
        try:
            parts = urlsplit(uri)
            host = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in self._settings.schemes or parts.scheme not in (*HTTP_SCHEMES, *BUCKET_SCHEMES):
            return False
        named = bool(self._settings.hosts) or parts.scheme in HTTP_SCHEMES
        return bool(host) and named and is_allowed_host(host, self._settings.hosts)

    def close(self) -> None:
        self._lanes.close()
        self._http.close()

    def _fetch(self, request: FetchRequest, deadline: float, anew: bool) -> Answer:
        reference = (request.uri, request.sha256)
        failed = None if anew else self._failures.get(reference)
        if failed is not None:
            raise MediumError(failed.reason, failed.detail)
        try:
            answer = self._answer(request, min(deadline, time.monotonic() + self._settings.timeout_seconds))
        except MediumError as error:
            if _is_remote(request.uri):
                self._failures.add(reference, error)
            raise
        self._failures.forget(reference)
        return answer

    def _answer(self, request: FetchRequest, latest: float) -> Answer:
        scheme = request.uri.partition(":")[0].lower()
        if scheme not in self._settings.schemes:
            raise MediumError("refused", f"the scheme {scheme[:20]!r} is not allowed")
        answer = self._read(scheme, request, latest)
        if answer.content is not None:
            _verify(answer.content, request.sha256)
        return answer

    def _read(self, scheme: str, request: FetchRequest, latest: float) -> Answer:
        settings = self._settings
        if scheme == "data":
            return Answer(read_data(request.uri, settings.max_bytes))
        if scheme == "file":
            return read_file(request, settings.file_roots, settings.max_bytes)
        if scheme in HTTP_SCHEMES:
            return patiently(partial(self._http.get, request, latest), latest)
        if scheme in BUCKET_SCHEMES:
            return patiently(partial(read_object, request, settings, latest), latest)
        raise MediumError("unsupported", f"nothing here reads {scheme[:20]!r} references")


def _is_remote(uri: str) -> bool:
    return uri.partition(":")[0].lower() in (*HTTP_SCHEMES, *BUCKET_SCHEMES)


def _verify(content: bytes, sha256: str | None) -> None:
    if sha256 is not None:
        found = hashlib.sha256(content).hexdigest()
        if not hmac.compare_digest(found.encode(), sha256.strip().lower().encode()):
            raise MediumError("checksum", f"the content has the SHA-256 {found}")


def _lane(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        return f"{parts.scheme}:{parts.hostname}"
    except ValueError:
        return ""


def _outcome(job: "Future[Answer]", deadline: float) -> Answer | MediumError:
    try:
        return job.result(max(0.0, deadline - time.monotonic()))
    except MediumError as error:
        return error
    except (LateError, CancelledError):
        job.cancel()
        return MediumError("too_slow", "not fetched within the budget")
    except Exception as error:
        # A reference that nobody foresaw must not stop the stream that it came with.
        LOGGER.exception("fetching a reference failed")
        return MediumError("broken", f"{type(error).__name__}: {error}"[:200])
