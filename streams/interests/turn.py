"""One batch of all partitions, while commands take effect among its rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from state.artifact import Artifact
from state.events import Pack, Row
from streams.encode.packs import encode_pack
from streams.engine.processor import KIND_HELD, Effects, Output, Work
from streams.interests.outputs import Cause
from streams.interests.processor import InterestsProcessor, Stored
from streams.settings import Settings


@dataclass(slots=True, frozen=True)
class Frame:
    """What is the same for all batches. `user_topics` have a record for each user."""

    inner: InterestsProcessor
    artifact: Artifact
    settings: Settings
    user_topics: tuple[str, ...]


@dataclass(slots=True)
class Share:
    """What one partition has come to within a batch: values as of now, rows that wait for the inner one."""

    part: Work[Row]
    values: dict[bytes, bytes | None]
    effects: Effects = field(default_factory=Effects)
    waiting: list[Row] = field(default_factory=list)
    waits: set[str] = field(default_factory=set)
    changed: dict[str, Cause] = field(default_factory=dict)
    sent: dict[str, list[Row]] = field(default_factory=dict)
    """Rows for other users, wherever those are: they go through the log."""

    def put(self, key: bytes, value: bytes | None) -> None:
        self.values[key] = self.effects.puts[key] = value


class Turn:
    """One batch of all partitions: rows are handed on as late and as many at once as commands allow."""

    def __init__(self, frame: Frame, work: Mapping[int, Work[Row]], stored: Stored, clock_ms: int) -> None:
        self.frame = frame
        self.clock_ms = clock_ms
        self.shares = {number: Share(part, dict(stored[number])) for number, part in work.items()}

    def flush(self, due: bool = False) -> None:
        """Let the inner processor have what waits, and at the end what is due."""
        work, stored, changed = {}, {}, {}
        for number, share in self.shares.items():
            held = held_alone(share.part).due if due else []
            if share.waiting or share.changed or held:
                part = share.part
                work[number] = Work(share.waiting, held, part.next_raw, part.raw_topic, part.quiet)
                stored[number], changed[number] = share.values, share.changed
        if not work:
            return
        for number, effects in self.frame.inner.apply(work, stored, self.clock_ms, changed).items():
            share = self.shares[number]
            share.values.update(effects.puts)
            share.effects.puts.update(effects.puts)
            share.effects.outputs += effects.outputs
            share.effects.counts.update(effects.counts)
            share.effects.broker_times += effects.broker_times
            share.waiting, share.waits, share.changed = [], set(), {}

    def finish(self) -> dict[int, Effects]:
        self.flush(due=True)
        for share in self.shares.values():
            share.effects.outputs += self._sent(share.sent)
        return {number: share.effects for number, share in self.shares.items()}

    def _sent(self, rows: Mapping[str, Sequence[Row]]) -> Iterable[Output]:
        topic = self.frame.settings.topics.interactions_encoded
        for user_id, each in rows.items():
            for value in encode_pack(Pack(-1, -1, list(each))):
                yield Output(topic, user_id.encode(), value)


def all_held(part: Work[Row]) -> bool:
    """Whether nothing is due but what the inner processor holds back."""
    return all(key.startswith(KIND_HELD) for key in part.due)


def held_alone(part: Work[Row]) -> Work[Row]:
    """The part without what is due here, and not at the inner processor."""
    if all_held(part):
        return part
    due = [key for key in part.due if key.startswith(KIND_HELD)]
    return Work(part.rows, due, part.next_raw, part.raw_topic, part.quiet)
