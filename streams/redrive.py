"""Redriving: each letter once. Its record, sent again, and its mark go out in one Kafka transaction.

Whoever redrives fences the one before, and reads the marks only then. So a letter that has no mark was not
sent again, whatever crashed, and two who redrive at a time do not send it twice.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from streams import kafka, reach
from streams.errors import CommitFailed, OwnershipLost, RecordError, TopicError
from streams.item_history import ItemHistory
from streams.letters import Letter, LetterLog, LetterPlace, Mark, Selection, Tell
from streams.mending import Mending, Redriven, Target
from streams.reading import read_one
from streams.settings import Settings
from streams.topics import topic_values

BATCH_LETTERS = 200
BATCH_BYTES = 8_000_000
"""A transaction must end within `kafka.transaction_timeout_ms`."""
FENCE_SECONDS = 60.0
ROOM_SECONDS = 10.0
_CALL_SECONDS = 10.0

_FENCED = (
    kafka.KafkaError._FENCED,
    kafka.KafkaError.PRODUCER_FENCED,
    kafka.KafkaError.INVALID_PRODUCER_EPOCH,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A letter that was redriven; in a dry run, that would be."""

    redriven: Redriven


@dataclass(frozen=True, slots=True)
class Refused:
    """A letter that was not redriven, and why."""

    place: LetterPlace
    error: RecordError


@dataclass(frozen=True, slots=True)
class Passed:
    """A letter that was redriven before."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class Missing:
    """A place that was named, where no letter is."""

    place: LetterPlace


Result = Sent | Refused | Passed | Missing


@dataclass(frozen=True, slots=True)
class RedriveOrder:
    """What to redrive and how. `mends`: values by letter, as JSON. `again`: those redriven before, too.

    `rekey` sends an event under its user_id where the key is another. `dry_run` sends nothing.
    """

    selection: Selection
    mends: dict[LetterPlace, bytes] = field(default_factory=dict)
    again: bool = False
    rekey: bool = False
    dry_run: bool = False


class RedriveProducer:
    """Sends letters again. There is one at a time in a deployment: opening it fences the one before."""

    def __init__(self, settings: Settings, max_bytes: int) -> None:
        self._settings = settings
        overrides = {"linger.ms": 0, "message.max.bytes": max(1_000_000, max_bytes)}
        self._producer = kafka.producer(settings.kafka, f"{settings.app.name}-redrive", overrides)

    def open(self) -> None:
        """Raises CommitFailed where the broker does not let us begin within FENCE_SECONDS."""
        deadline = time.monotonic() + FENCE_SECONDS
        while True:
            try:
                self._producer.init_transactions(_CALL_SECONDS)
            except kafka.KafkaException as error:
                cause = error.args[0]
                if not cause.retriable() or time.monotonic() > deadline:
                    raise CommitFailed(f"transactions cannot begin: {cause.str()}") from error
            else:
                return

    def send(self, batch: Sequence[Redriven]) -> None:
        """All of the batch with its marks, or nothing.

        Raises OwnershipLost where another redrive has begun, CommitFailed where the transaction did not go
        through or its end is unknown: the marks tell, so running it again is right.
        """
        try:
            self._producer.begin_transaction()
            for redriven in batch:
                place = {} if redriven.partition is None else {"partition": redriven.partition}
                self._produce(
                    redriven.topic,
                    redriven.value,
                    redriven.key,
                    headers=list(redriven.headers),
                    **place,
                )
                mark = Mark(redriven.place, redriven.event_id, int(time.time() * 1000))
                self._produce(
                    self._settings.topics.dead_letters,
                    None,
                    redriven.letter.dead.record.key,
                    headers=mark.headers(),
                    partition=redriven.place.partition,
                )
            self._commit()
        except kafka.KafkaException as error:
            raise self._failure(error.args[0]) from error

    def close(self) -> None:
        """Forget what is not sent."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _produce(self, topic: str, value: bytes | None, key: bytes | None, **rest: object) -> None:
        deadline = time.monotonic() + ROOM_SECONDS
        while True:
            try:
                self._producer.produce(topic, value, key, **rest)  # type: ignore[arg-type]
                return
            except BufferError:
                if time.monotonic() > deadline:
                    raise CommitFailed("the broker takes no more records") from None
                self._producer.poll(0.05)

    def _commit(self) -> None:
        """Waits for every delivery; one that failed fails the transaction."""
        deadline = time.monotonic() + 2 * self._settings.kafka.transaction_timeout_ms / 1000
        while True:
            try:
                self._producer.commit_transaction(_CALL_SECONDS)
                return
            except kafka.KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def _failure(self, cause: kafka.KafkaError) -> CommitFailed | OwnershipLost:
        if cause.code() in _FENCED:
            return OwnershipLost("another redrive has begun: it goes on with what is left")
        with suppress(kafka.KafkaException):
            self._producer.abort_transaction(_CALL_SECONDS)
        return CommitFailed(f"the transaction did not go through: {cause.str()}; run it again")


class Redrive:
    """One run. `reading` and `sending` are told how far they are, in offsets of `dead-letters`."""

    def __init__(self, settings: Settings, order: RedriveOrder) -> None:
        self._settings = settings
        self._order = order
        targets = _targets(settings)
        self._mending = Mending(settings, targets, order.mends, order.rekey)
        self._producer: RedriveProducer | None = None
        if not order.dry_run:
            self._producer = RedriveProducer(settings, max(each.max_bytes for each in targets.values()))
            self._producer.open()
        self._log = LetterLog(settings, order.selection, settled=not order.dry_run)

    @property
    def offsets(self) -> int:
        return self._log.offsets

    def run(self, reading: Tell, sending: Tell) -> Iterator[Result]:
        """What became of each letter, told once it is certain. Raises PenchantError."""
        items: list[Letter] = []
        named = self._order.selection.places
        found: set[LetterPlace] = set()

        def look(letter: Letter) -> None:
            if named:
                found.add(letter.place)
            if letter.dead.record.topic == self._settings.topics.items:
                items.append(_without_value(letter))

        marks = self._log.marks(reading, look)
        yield from map(Missing, sorted(named - found))
        history = ItemHistory(self._settings, items)
        batch: list[Redriven] = []
        for letter in self._log.letters(sending):
            mark = marks.get(letter.place)
            if mark is not None and not self._order.again:
                yield Passed(mark)
                continue
            try:
                redriven = self._mending.prepare(self._uncut(letter), mark)
                if redriven.topic == self._settings.topics.items:
                    history.check(letter)
            except RecordError as error:
                yield Refused(letter.place, error)
                continue
            batch.append(redriven)
            if len(batch) >= BATCH_LETTERS or sum(len(one.value or b"") for one in batch) >= BATCH_BYTES:
                yield from self._send(batch)
                batch = []
        if batch:
            yield from self._send(batch)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close()

    def _send(self, batch: list[Redriven]) -> Iterator[Result]:
        if self._producer is not None:
            self._producer.send(batch)
        yield from map(Sent, batch)

    def _uncut(self, letter: Letter) -> Letter:
        """With the whole record, which lies where it was.

        Raises RecordError where it is gone and no mended value was given.
        """
        if letter.cut_from is None:
            return letter
        record = letter.dead.record
        found = None
        with suppress(TopicError):
            found = read_one(self._settings, record.topic, record.partition, record.offset)
        if found is not None and _begins(found.key, record.key) and _begins(found.value, record.value):
            return replace(letter, dead=replace(letter.dead, record=found), cut_from=None)
        if letter.place in self._order.mends:
            return letter
        raise RecordError(
            "cut", f"the letter holds only the beginning of {letter.cut_from} bytes, and the record is gone"
        )


def _begins(whole: bytes | None, part: bytes | None) -> bool:
    """Whether it is the same record: its topic may have been made anew meanwhile."""
    return whole == part or (whole is not None and part is not None and whole.startswith(part))


def _without_value(letter: Letter) -> Letter:
    return replace(letter, dead=replace(letter.dead, record=replace(letter.dead.record, value=None)))


def _targets(settings: Settings) -> dict[str, Target]:
    """The topics that letters go back to. Raises TopicError."""
    names = settings.topics
    topics = [names.interactions, names.items]
    admin = kafka.admin_client(settings.kafka)
    client = kafka.producer(settings.kafka)
    counts = reach.partitions(client, settings, [*topics, names.dead_letters])
    return {
        topic: Target(counts[topic], int(topic_values(admin, topic)["max.message.bytes"])) for topic in topics
    }
