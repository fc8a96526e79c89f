"""Settings that are allowed, and still look wrong."""

from collections.abc import Iterator
from pathlib import Path

from streams.doctor.finding import Finding, fail, ok, warn
from streams.settings import Settings

SUBJECT = "settings"
USUAL_GRACE_SECONDS = 30.0


def check_settings(settings: Settings) -> Iterator[Finding]:
    """What no single value tells."""
    found = [*_times(settings), *_media(settings), *_slates(settings)]
    yield from found or [ok(SUBJECT, "nothing looks wrong")]


def _times(settings: Settings) -> Iterator[Finding]:
    app, kafka = settings.app, settings.kafka
    if app.watchdog_seconds * 1000 <= kafka.transaction_timeout_ms:
        yield warn(
            SUBJECT,
            f"app.watchdog_seconds ({app.watchdog_seconds:g}) is not above kafka.transaction_timeout_ms "
            f"({kafka.transaction_timeout_ms})",
            "a slow broker would end workers: give the watchdog several times as long",
        )
    if app.drain_seconds > USUAL_GRACE_SECONDS:
        yield warn(
            SUBJECT,
            f"app.drain_seconds is {app.drain_seconds:g}",
            "most supervisors kill after 30 s: keep it below their grace period",
        )
    if kafka.transaction_timeout_ms > kafka.max_poll_interval_ms:
        yield warn(
            SUBJECT,
            f"kafka.transaction_timeout_ms ({kafka.transaction_timeout_ms}) is above "
            f"kafka.max_poll_interval_ms ({kafka.max_poll_interval_ms})",
            "a commit may outlast the group's patience: make it smaller",
        )


def _media(settings: Settings) -> Iterator[Finding]:
    fetch = settings.fetch
    if "file" in fetch.schemes:
        for root in fetch.file_roots:
            if not Path(root).is_dir():
                yield fail(SUBJECT, f"fetch.file_roots: {root} is no folder", "create it or take it out")
    elif fetch.file_roots:
        yield warn(
            SUBJECT, "fetch.file_roots is set, but fetch.schemes lacks file", "add file to the schemes"
        )
    if fetch.allow_private_addresses and not fetch.hosts:
        yield warn(
            SUBJECT,
            "fetch.allow_private_addresses is on, and fetch.hosts is empty",
            "events could make workers fetch from anywhere in your network: name the hosts",
        )


def _slates(settings: Settings) -> Iterator[Finding]:
    recommend = settings.recommend
    if recommend.candidates < recommend.top_k:
        yield warn(
            SUBJECT,
            f"recommend.candidates ({recommend.candidates}) is below recommend.top_k ({recommend.top_k})",
            "slates would stay short: make it several times as large",
        )
