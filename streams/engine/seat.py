"""A partition in the hands of a runner, and where its host is to read it from."""

import threading
from collections import deque
from dataclasses import dataclass, field

from streams.engine.guard import Delivery

NO_FLOW = 0


@dataclass(frozen=True, slots=True)
class Seek:
    """The host is to read the partition from `offset` on, and to deliver with `flow` what it reads then."""

    partition: int
    offset: int
    flow: int


@dataclass(slots=True, eq=False)
class Seat:
    """One partition that the group has given us, and the records that wait for it."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    open: bool = False
    flow: int = NO_FLOW
    queue: deque[Delivery] = field(default_factory=deque)
    open_at: float | None = None
    stuck_at: int = -1
    tries: int = 0
