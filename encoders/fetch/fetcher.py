"""Fetches what references name, safely and within a budget of time."""

import hashlib
import hmac
import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as LateError
from functools import partial
from urllib.parse import urlsplit

from encoders.errors import MediumError
from encoders.fetch.addresses import Resolve, resolve_by_system
from encoders.fetch.buckets import BUCKET_SCHEMES, read_object
from encoders.fetch.http import HTTP_SCHEMES, HttpSource, PassingError
from encoders.fetch.lanes import Lanes
from encoders.fetch.local import read_data, read_file
from encoders.fetch.request import FetchRequest
from encoders.settings import FetchSettings

LOGGER = logging.getLogger(__name__)

MOST_TRIES = 3
FIRST_PAUSE_SECONDS = 0.1


class Fetcher:
    """Any thread may call it. At most `concurrency` fetches run at once, half of that for one host."""

    def __init__(self, settings: FetchSettings, resolve: Resolve = resolve_by_system) -> None:
        self._settings = settings
        self._http = HttpSource(settings, resolve)
        self._lanes = Lanes(settings.concurrency, max(1, settings.concurrency // 2))

    def fetch_many(
        self, references: Sequence[FetchRequest], budget_seconds: float
    ) -> list[bytes | MediumError]:
        """What each reference names, or why it cannot be had, in their order; all within the budget.

        The same reference twice is fetched once. A MediumError's reason is "missing", "refused", "broken",
        "too_large", "too_slow", "unsupported" or "checksum".
        """
        deadline = time.monotonic() + budget_seconds
        jobs: dict[FetchRequest, Future[bytes]] = {}
        for reference in references:
            if reference not in jobs:
                fetch = partial(self._fetch, reference, deadline)
                jobs[reference] = self._lanes.submit(_lane(reference.uri), fetch)
        outcomes = {reference: _outcome(job, deadline) for reference, job in jobs.items()}
        return [outcomes[reference] for reference in references]

    def close(self) -> None:
        self._lanes.close()
        self._http.close()

    def _fetch(self, reference: FetchRequest, deadline: float) -> bytes:
        scheme = reference.uri.partition(":")[0].lower()
        if scheme not in self._settings.schemes:
            raise MediumError("refused", f"the scheme {scheme[:20]!r} is not allowed")
        latest = min(deadline, time.monotonic() + self._settings.timeout_seconds)
        content = self._read(scheme, reference.uri, latest)
        _verify(content, reference.sha256)
        return content

    def _read(self, scheme: str, uri: str, deadline: float) -> bytes:
        settings = self._settings
        if scheme == "data":
            return read_data(uri, settings.max_bytes)
        if scheme == "file":
            return read_file(uri, settings.file_roots, settings.max_bytes)
        if scheme in HTTP_SCHEMES:
            return self._read_patiently(uri, deadline)
        if scheme in BUCKET_SCHEMES:
            return read_object(uri, settings.hosts, settings.max_bytes)
        raise MediumError("unsupported", f"nothing here reads {scheme[:20]!r} references")

    def _read_patiently(self, uri: str, deadline: float) -> bytes:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, MOST_TRIES + 1):
            try:
                return self._http.get(uri, deadline)
            except PassingError as passing:
                wait = pause * random.uniform(0.5, 1.5)
                if attempt == MOST_TRIES or time.monotonic() + wait >= deadline:
                    raise passing.error from passing
            time.sleep(wait)
            pause *= 2
        raise AssertionError("the last try returns or raises")


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


def _outcome(job: "Future[bytes]", deadline: float) -> bytes | MediumError:
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
