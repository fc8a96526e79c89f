"""Memory of both workers, by `make soak`: bounded under a backlog, and flat over time.

SOAK_BACKLOG: events of the first one. SOAK_MINUTES: how long the second one lasts, of which a third
is warm-up.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.settings import Settings
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings, produce_json, wait_for
from tests.output_watch import Watch
from tests.soak.interactions import ITEMS, Interactions
from tests.soak.memory import MINUTE, Samples, sampling
from tests.soak.product import ProductProcess
from tests.soak.stages import WorkersStage

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(7_200),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
EVENTS_PER_SECOND = float(os.environ.get("SOAK_EVENTS_PER_SECOND", "200"))
GROWTH = 2.0
"""MiB a minute, after the warm-up, that count as flat."""
USERS = 2_000
BACKLOG = int(os.environ.get("SOAK_BACKLOG", "800000"))
WORKING_SECONDS = 1_200.0
BACKLOG_GROWTH = 1.15
"""Times the peak within the first quarter of a backlog that the peak over all of it may be. By then buffers
and caches must be full, which takes some 150,000 events: a smaller backlog would tell of nothing else."""
WORKERS = ("encode", "interests")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with LocalCluster(tmp_path / "kafka") as cluster:
        made = fresh_settings(cluster.bootstrap_servers, tmp_path / "data")
        # Small ones are full before the warm-up is over; large ones would look like growth for long.
        stores = replace(made.interests, block_cache_mb=2, write_buffer_mb=2)
        made = replace(made, interests=stores)
        create_topics(made)
        yield made


@pytest.fixture
def workers(settings: Settings) -> Iterator[dict[str, ProductProcess]]:
    """Both, ready, with all items known."""
    started = {name: ProductProcess(name, settings) for name in WORKERS}
    try:
        items = [(f"item-{n}", {"item_id": f"item-{n}", "title": f"thing {n}"}) for n in range(ITEMS)]
        produce_json(settings, settings.topics.items, items)
        for worker in started.values():
            worker.wait_ready()
        wait_for(settings, settings.topics.items_encoded, ITEMS)
        yield started
        for worker in started.values():
            worker.stop()
    finally:
        for worker in started.values():
            worker.kill()


def test_a_backlog_stays_in_kafka(settings: Settings, workers: dict[str, ProductProcess]) -> None:
    """Events come as fast as they can be written, far faster than they are worked off."""
    feed = Interactions(settings, users=USERS)
    stage = WorkersStage(settings)
    with (
        Watch(settings, [settings.topics.interests], stage.look) as watch,
        sampling({name: worker.process.pid for name, worker in workers.items()}) as samples,
    ):
        began = time.monotonic()
        feed.send(BACKLOG)
        assert feed.flush()
        written = time.monotonic() - began
        assert watch.wait_counted(BACKLOG // 4, WORKING_SECONDS)
        quarter = time.monotonic() - began
        assert watch.wait_counted(BACKLOG, WORKING_SECONDS)
        ended = time.monotonic() - began
    print(
        f"\n{BACKLOG:,} events written within {written:.0f} s ({BACKLOG / written:,.0f}/s), "
        f"worked off within {ended:.0f} s ({BACKLOG / ended:,.0f}/s)"
    )
    for name, each in samples.items():
        first, all_over = each.peak(until=quarter), each.peak()
        print(f"{name}: MiB {each}; peak {first:.0f} in the first quarter, {all_over:.0f} over all")
        assert all_over < BACKLOG_GROWTH * first, name


def test_memory_is_flat(settings: Settings, workers: dict[str, ProductProcess]) -> None:
    feed = Interactions(settings, users=USERS)
    with (
        sampling({name: worker.process.pid for name, worker in workers.items()}) as samples,
        feed.sending(EVENTS_PER_SECOND),
    ):
        time.sleep(MINUTES * MINUTE)
    print(f"\n{feed.sent:,} events in {MINUTES:g} minutes")
    growths = {name: growth_of(name, each) for name, each in samples.items()}
    assert max(growths.values()) < GROWTH, growths


def growth_of(name: str, samples: Samples) -> float:
    growth = samples.growth(MINUTES * MINUTE / 3)
    print(f"{name}: MiB {samples}; peak {samples.peak():.0f}, {growth:+.2f} MiB a minute after the warm-up")
    return growth
