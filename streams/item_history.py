"""What became of items after their letters: an old record that is sent again must not undo a newer one."""

from collections.abc import Iterable

from state.events import NO_TOPIC
from streams.errors import RecordError
from streams.kafka import admin_client
from streams.letters import REDRIVEN, Letter, Tell
from streams.raw import RawRecord, header
from streams.reading import Stretch, read, whole
from streams.settings import Settings
from streams.topic_ids import identify

SUPERSEDED = "superseded"


class ItemHistory:
    """The last record of each item that has a letter. Reads `items` when it is made. Raises TopicError."""

    def __init__(self, settings: Settings, letters: Iterable[Letter], tell: Tell = lambda _: None) -> None:
        self._last: dict[tuple[int, bytes], tuple[int, bytes | None]] = {}
        self._topic = NO_TOPIC
        records = [letter.dead.record for letter in letters if letter.dead.record.key is not None]
        if not records:
            return
        name = settings.topics.items
        self._topic = identify(admin_client(settings.kafka), [name])[name].topic
        keys = {(record.partition, record.key) for record in records}
        firsts: dict[int, int] = {}
        for record in records:
            # Offsets of a topic before say nothing of the one that was made anew.
            here = 0 if self._is_of_another(record) else record.offset
            firsts[record.partition] = min(here, firsts.get(record.partition, here))
        stretches = [
            Stretch(each.topic, each.partition, max(each.first, firsts[each.partition]), each.end)
            for each in whole(settings, settings.topics.items, settled=False)
            if each.partition in firsts
        ]
        for record in read(settings, stretches, tell):
            if record.key is not None and (record.partition, record.key) in keys:
                sent_for = header(record.headers, REDRIVEN)
                self._last[record.partition, record.key] = (record.offset, sent_for)

    def check(self, letter: Letter) -> None:
        """Raises RecordError SUPERSEDED unless the item's last record is the letter's, or was sent for it.

        Where there is none at all, compaction took it, which it does only after the item was withdrawn; or
        the topic was made anew since, and nothing of the item is newer.
        """
        record = letter.dead.record
        offset, sent_for = self._last.get((record.partition, record.key or b""), (None, None))
        anew = self._is_of_another(record)
        if offset is None and anew:
            return
        if offset is None:
            raise RecordError(SUPERSEDED, "the item was withdrawn later")
        if (anew or offset != record.offset) and sent_for != str(letter.place).encode():
            raise RecordError(
                SUPERSEDED, f"the item was written or withdrawn later, at offset {offset} of {record.topic}"
            )

    def _is_of_another(self, record: RawRecord) -> bool:
        """Whether the topic was made anew since."""
        return record.topic_id not in (self._topic, NO_TOPIC)
