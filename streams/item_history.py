"""What became of items after their letters: an old record that is sent again must not undo a newer one."""

from collections.abc import Iterable

from streams.errors import RecordError
from streams.letters import REDRIVEN, Letter, Tell
from streams.raw import header
from streams.reading import Stretch, read, whole
from streams.settings import Settings

SUPERSEDED = "superseded"


class ItemHistory:
    """The last record of each item that has a letter. Reads `items` when it is made. Raises TopicError."""

    def __init__(self, settings: Settings, letters: Iterable[Letter], tell: Tell = lambda _: None) -> None:
        self._last: dict[tuple[int, bytes], tuple[int, bytes | None]] = {}
        keys: set[tuple[int, bytes]] = set()
        firsts: dict[int, int] = {}
        for letter in letters:
            record = letter.dead.record
            if record.key is not None:
                keys.add((record.partition, record.key))
                firsts[record.partition] = min(record.offset, firsts.get(record.partition, record.offset))
        if not keys:
            return
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

        Where there is none at all, compaction took it, which it does only after the item was withdrawn.
        """
        record = letter.dead.record
        offset, sent_for = self._last.get((record.partition, record.key or b""), (None, None))
        if offset is None:
            raise RecordError(SUPERSEDED, "the item was withdrawn later")
        if offset != record.offset and sent_for != str(letter.place).encode():
            raise RecordError(
                SUPERSEDED, f"the item was written or withdrawn later, at offset {offset} of {record.topic}"
            )
