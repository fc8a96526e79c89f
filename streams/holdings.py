"""Everything that is held of one user, wherever it lies in the log; no worker needs to run for it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from state.holdings import HeldProfile, HeldState, Names, held_profile, held_state
from streams.engine.processor import KIND_HELD
from streams.interests.aliases import KIND_ALIASES, aliases_of
from streams.interests.identity import user_topics
from streams.interests.marks import Mark, mark_key
from streams.interests.processor import KIND_FUSION, KIND_PROFILE
from streams.models.live import live_model
from streams.raw import RawRecord
from streams.reading import homes, read, whole
from streams.settings import Settings

Tell = Callable[[int], None]
Json = Any
"""Someone else's JSON, as it was written."""


class HeldMark(msgspec.Struct, omit_defaults=True):
    """What is remembered of a user who was forgotten, or became part of another. Epoch milliseconds."""

    until: int
    forgotten: int | None = None
    into: str | None = None


class Holdings(msgspec.Struct):
    """One user. `state`, `profile` and what follows are null or empty where nothing is held."""

    user_id: str
    exported: int
    partition: int
    """Where the user's events and state lie."""
    times: str = "epoch milliseconds, UTC"
    """What all times are, but for those in `records`, which are as they were sent."""
    state: HeldState | None = None
    profile: HeldProfile | None = None
    slate_held_back: bool = False
    merged_users: list[str] = []
    mark: HeldMark | None = None
    outputs: dict[str, Json] = {}
    """The latest record of each output topic."""
    records: dict[str, list[Json]] = {}
    """By topic, what is kept under the user's id until its retention ends. What is not JSON is text."""

    @property
    def anything(self) -> bool:
        """Whether anything is held beyond records that wait for their retention."""
        held = (self.state, self.profile, self.mark)
        return any(each is not None for each in (*held, *self.outputs.values())) or bool(self.merged_users)


def read_holdings(settings: Settings, user_id: str, tell: Tell = lambda _: None) -> Holdings:
    """State, profile, marks and outputs, as of now. `tell` hears how many offsets were read.

    Raises TopicError, and CodecError for what another build wrote.
    """
    user = user_id.encode()
    changelog = live_model(settings).changelog
    stretches = homes(settings, [changelog, *user_topics(settings)], user)
    kept: dict[tuple[str, bytes], bytes | None] = {}
    wanted = {kind + user for kind in (KIND_FUSION, KIND_PROFILE, KIND_HELD, KIND_ALIASES)}
    wanted |= {mark_key(user_id), user}
    for record in read(settings, stretches, tell):
        if record.key in wanted:
            kept[record.topic, record.key] = record.value
    names = Names(_item_ids(settings) if kept.get((changelog, KIND_FUSION + user)) is not None else ())
    stored = {key: value for (topic, key), value in kept.items() if topic == changelog and value is not None}
    holdings = Holdings(user_id, int(time.time() * 1000), stretches[0].partition)
    if KIND_FUSION + user in stored:
        holdings.state = held_state(stored[KIND_FUSION + user], names)
    if KIND_PROFILE + user in stored:
        holdings.profile = held_profile(stored[KIND_PROFILE + user], names)
    holdings.slate_held_back = KIND_HELD + user in stored
    holdings.merged_users = [each.user_id for each in aliases_of(stored.get(KIND_ALIASES + user))]
    if mark_key(user_id) in stored:
        mark = Mark.decode(stored[mark_key(user_id)])
        forgotten = None if mark.forgotten < 0 else mark.forgotten
        holdings.mark = HeldMark(mark.until, forgotten, mark.into)
    holdings.outputs = {topic: _json(kept.get((topic, user))) for topic in user_topics(settings)}
    return holdings


def add_records(settings: Settings, holdings: Holdings, tell: Tell = lambda _: None) -> None:
    """What lies in the topics that are not compacted, under the user's id."""
    names = settings.topics
    inputs = dict.fromkeys((names.interactions, names.keyed))
    user = holdings.user_id.encode()
    topics = [*inputs, names.user_commands, names.user_receipts, names.dead_letters]
    stretches = [each for topic in topics for each in whole(settings, topic, settled=False)]
    holdings.records = {topic: [] for topic in topics}
    for record in read(settings, stretches, tell):
        if record.key == user or _names(record, holdings.user_id):
            holdings.records[record.topic].append(_told(record.value))


class _About(msgspec.Struct):
    user_id: str = ""


_about = msgspec.json.Decoder(_About)


def _names(record: RawRecord, user_id: str) -> bool:
    """Input that is not keyed by user says in the value whose it is."""
    if record.value is None or user_id.encode() not in record.value:
        return False
    try:
        return _about.decode(record.value).user_id == user_id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _item_ids(settings: Settings) -> Iterator[str]:
    """Ids of all items that are known, withdrawn ones too as far as they are still told."""
    topic = settings.topics.items
    ids: dict[str, None] = {}
    for record in read(settings, whole(settings, topic, settled=False)):
        if record.key is not None:
            ids[record.key.decode(errors="replace")] = None
    yield from ids


def _json(value: bytes | None) -> Json:
    return None if value is None else msgspec.Raw(value)


def _told(value: bytes | None) -> Json:
    if value is None:
        return None
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return value.decode(errors="replace")
    return msgspec.Raw(value)
