"""The loop that reads for the engine, and how it ends."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.interests.faust_consumer import EngineConsumer


class _Consumer(EngineConsumer):
    """Without a broker: the thread that fetches gives up what it was asked for."""

    flow_active = True
    should_stop = False
    sink = SimpleNamespace(beat=lambda: None, full=lambda: False, seeks=list)

    def __init__(self, stopping: bool) -> None:
        self._flows = {TP("t", 0): 1}
        self._stopping = stopping

    async def _getmany(self, *_: Any) -> Any:
        self.should_stop = self._stopping
        raise asyncio.CancelledError


def drain(stopping: bool) -> None:
    asyncio.run(_Consumer(stopping)._drain_messages(SimpleNamespace(should_stop=False)))


def test_a_fetch_that_is_given_up_at_the_end_is_no_failure() -> None:
    """As when a SIGTERM and a rebalance meet: Faust would call it a crash."""
    drain(stopping=True)


def test_a_loop_that_is_ended_while_it_waits_is_no_failure() -> None:
    """As when Faust stops the fetcher, in a rebalance: it would call it a crash."""

    async def stop_it() -> None:
        consumer, fetcher = _Consumer(stopping=False), SimpleNamespace(should_stop=False)
        consumer.flow_active = False
        task = asyncio.ensure_future(consumer._drain_messages(fetcher))
        await asyncio.sleep(0)
        fetcher.should_stop = True
        task.cancel()
        await task

    asyncio.run(stop_it())


def test_a_fetch_that_is_given_up_in_operation_is_one() -> None:
    with pytest.raises(asyncio.CancelledError):
        drain(stopping=False)
