"""What the two workers must come to: packs that cover each raw event once, and the fold of the packs."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from state.artifact import load_artifact
from state.catalogue import Catalogue
from state.events import Pack, Row
from state.fusion import Fusion
from streams.engine.processor import Work
from streams.interests.processor import KIND_FUSION, KIND_PROFILE, InterestsProcessor
from streams.records import Interest
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from tests.integration.conftest import read_all

Packs = Mapping[int, Sequence[Pack]]


def packs_by_partition(settings: Settings) -> dict[int, list[Pack]]:
    found: dict[int, list[Pack]] = defaultdict(list)
    for message in read_all(settings, settings.topics.interactions_encoded):
        found[message.partition() or 0].append(msgspec.msgpack.decode(message.value() or b"", type=Pack))
    return found


def raw_events(settings: Settings) -> dict[tuple[int, int], tuple[str, str]]:
    """Event id and user of every raw event, by partition and offset."""
    found = {}
    for message in read_all(settings, settings.topics.interactions):
        event = json.loads(message.value() or b"")
        found[message.partition() or 0, message.offset() or 0] = (event["event_id"], event["user_id"])
    return found


def event_rows(packs: Packs) -> Iterator[tuple[int, Row]]:
    """Rows that stand for raw events, with their partition; not the corrections."""
    for partition, each in packs.items():
        for row in rows_in_order(each):
            if row.offset >= 0:
                yield partition, row


def rows_in_order(packs: Sequence[Pack]) -> Iterator[Row]:
    for pack in packs:
        yield from pack.rows


def reference_states(settings: Settings, packs: Packs) -> dict[bytes, bytes]:
    """The fold of the encoded topic, a row at a time, in memory."""
    fusion = Fusion(load_artifact(""))
    processor = InterestsProcessor(fusion, Catalogue(fusion), settings)
    states: dict[bytes, bytes] = {}
    for partition, found in packs.items():
        for row in rows_in_order(found):
            work = Work([row], [], row.offset + 1)
            stored = {key: states.get(key) for key in processor.keys(work)}
            effects = processor.apply({partition: work}, {partition: stored}, row.broker_time)[partition]
            states.update({key: value for key, value in effects.puts.items() if value is not None})
    return states


def events_in(states: Mapping[bytes, bytes]) -> dict[str, int]:
    """Events counted in the fusion records among stored values, by user."""
    fusion = Fusion(load_artifact(""))
    records = {key[1:].decode(): value for key, value in states.items() if key[:1] == KIND_FUSION}
    if not records:
        return {}
    counts = fusion.read(list(records.values())).event_count.tolist()
    return dict(zip(records, counts, strict=True))


def changelog_states(settings: Settings) -> dict[bytes, bytes]:
    last = {message.key(): message.value() for message in read_all(settings, user_state_changelog(settings))}
    return {
        key: value
        for key, value in last.items()
        if key is not None and value is not None and key[:1] in (KIND_FUSION, KIND_PROFILE)
    }


def interests_by_user(settings: Settings) -> dict[str, list[Interest]]:
    found: dict[str, list[Interest]] = defaultdict(list)
    for message in read_all(settings, settings.topics.interests):
        interest = msgspec.json.decode(message.value() or b"", type=Interest)
        found[(message.key() or b"").decode()].append(interest)
    return found


def causes_of(outputs: Mapping[str, Sequence[Interest]]) -> Counter[str]:
    """How often each event is named as a cause."""
    return Counter(cause for each in outputs.values() for one in each for cause in one.caused_by)
