"""From packs to interests and slates: what the state engine runs for `interactions.encoded`."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import numpy as np

from state.catalogue import Catalogue
from state.errors import UNREADABLE, StateError
from state.events import ACTIONS, Pack, Row, RowKind
from state.fusion import Fusion, Outcome, Readouts, item_hash
from state.profile import Profile, decode_profile, encode_profile, fold_profile
from state.recommend import Audience, Recommender
from state.store import Store
from state.trending import ItemDelta
from streams.engine.processor import KIND_HELD, Effects, Output, Refusal, SourceBatch, Work
from streams.errors import EngineError, RecordError, SettingsError
from streams.interests.holdback import Held, Holdback
from streams.interests.outputs import CAUSES, Cause, Portraits, as_of_text, delta_output, topics_text
from streams.interests.places import Places
from streams.interests.tally import Counted, RingEvents, Tally, count_explored, count_items
from streams.settings import Settings
from streams.topic_ids import id_text

KIND_FUSION = b"u"
KIND_PROFILE = b"s"

_COUNTS = tuple(outcome not in (Outcome.DUPLICATE, Outcome.IGNORED) for outcome in Outcome)
_ACTIONS = frozenset(range(len(ACTIONS)))
_KINDS = frozenset(int(kind) for kind in RowKind)
_encoder = msgspec.msgpack.Encoder()
_OUTCOME_NAMES = tuple(outcome.name.lower() for outcome in Outcome)

_EVENT = int(RowKind.EVENT)
_TOGETHER = 512
"""Users who are worked on at a time, about: more would take memory and save little."""

Stored = Mapping[int, Mapping[bytes, bytes | None]]
Deltas = Mapping[int, dict[str, ItemDelta]]
Changed = Mapping[int, Mapping[str, Cause]]
_UNCHANGED: Changed = {}


@dataclass(slots=True)
class _Member:
    """One user of a micro-batch, in its partition."""

    partition: int
    user_id: str
    key: bytes
    """The user id in UTF-8: the key of outputs, and of stored values after a byte for their kind."""
    rows: list[Row] = field(default_factory=list)
    counted: Sequence[Row] = ()
    """Those of the rows that counted."""
    due: bool = False
    state: bytes | None = None
    before: bytes | None = None
    """The state before the rows, where they changed it."""
    held: bytes | None = None
    """The stored profile; decoded where it is wanted."""
    decoded: Profile | None = None
    topics: bytes = b""
    """Topics of the interest as JSON, once they are written."""
    cause: Cause | None = None
    """Of the rows that counted; None where none did."""
    slate_cause: Cause | None = None
    """Of a slate to be made now."""
    moment: int = 0
    """Broker's time of the latest row that counted: what availability and expiry are judged at."""

    @property
    def profile(self) -> Profile:
        if self.decoded is None:
            self.decoded = decode_profile(self.held)
        return self.decoded


class InterestsProcessor:
    """Folds rows into fusion records and profiles, and publishes what comes of it.

    Per user and micro-batch at most one interest and one slate. Stored values depend on the rows
    alone, not on the way they are cut into batches; only slates that are held back know the clock.
    """

    def __init__(self, fusion: Fusion, catalogue: Catalogue, settings: Settings) -> None:
        self._fusion = fusion
        self._catalogue = catalogue
        self._topics = settings.topics
        self.recommender = _recommender(fusion, catalogue, settings)
        self._acts = frozenset(ACTIONS.index(action) for action in settings.recommend.repeat_days)
        self._tally = Tally(catalogue, settings.recommend)
        self._places = Places()
        self._holdback = Holdback(round(settings.recommend.min_interval_seconds * 1000))
        self._decoder = msgspec.msgpack.Decoder(Pack)

    def decode(self, value: bytes) -> SourceBatch[Row]:
        """Raises RecordError for bytes that are no pack."""
        try:
            pack = self._decoder.decode(value)
        except UNREADABLE as error:
            raise RecordError("not_a_pack", str(error)) from error
        rows: Sequence[Row] = pack.rows
        refused: Sequence[Refusal] = ()
        if not _all_known(rows):
            rows, refused = _sorted_out(pack)
        return SourceBatch(
            pack.first, pack.end, rows, [row.offset for row in rows], pack.topic, pack.follows, refused
        )

    def keys(self, work: Work[Row]) -> Iterable[bytes]:
        users = dict.fromkeys([row.user_id for row in work.rows])
        ids = dict.fromkeys([user.encode() for user in users] + [key[1:] for key in work.due])
        kinds = [KIND_FUSION, KIND_PROFILE]
        if work.due or self._holdback.active:
            kinds.append(KIND_HELD)
        return [kind + user for kind in kinds for user in ids]

    def apply(
        self, work: Mapping[int, Work[Row]], stored: Stored, clock_ms: int, changed: Changed = _UNCHANGED
    ) -> dict[int, Effects]:
        """Fold, read and rank all users of all partitions together. Raises EngineError for stored
        values that this build or this artifact does not read. Users whose stored values have `changed`
        otherwise than by rows are shown, too."""
        effects = {partition: Effects() for partition in work}
        try:
            deltas: Deltas = {partition: {} for partition in work}
            for part in _parts(_members(work, stored, changed)):
                self._fold(part, effects, deltas)
                shown = [
                    member
                    for member in part
                    if (member.cause is not None or member.due) and not work[member.partition].quiet
                ]
                self._hold(shown, stored, effects, clock_ms)
                self._publish([member for member in shown if member.state is not None], work, effects, deltas)
            for partition, effect in effects.items():
                effect.outputs += [
                    delta_output(self._topics.item_deltas, delta) for delta in deltas[partition].values()
                ]
        except StateError as error:
            raise EngineError(str(error)) from error
        return effects

    def opened(self, partition: int, store: Store) -> None:
        self._holdback.opened(partition, store.scan(KIND_HELD))

    def release(self, partition: int, user: bytes) -> None:
        """The user's held-back slate, if there is one, is not waited for any more."""
        self._holdback.note(partition, KIND_HELD + user, None)

    def closed(self, partition: int) -> None:
        self._holdback.closed(partition)

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        return self._holdback.due(partition, clock_ms)

    def _fold(self, members: Sequence[_Member], effects: Mapping[int, Effects], deltas: Deltas) -> None:
        moved = [member for member in members if member.rows]
        folded = self._fusion.fold([member.state for member in moved], [member.rows for member in moved])
        told: dict[int, list[Outcome]] = {partition: [] for partition in effects}
        for member, state, outcomes in zip(moved, folded.states, folded.outcomes, strict=True):
            effect = effects[member.partition]
            told[member.partition] += outcomes
            counted: Sequence[Row] = member.rows
            count = [_COUNTS[outcome] for outcome in outcomes]
            # Corrections of what is gone, or never came, make no user.
            if state != member.state and (member.state is not None or any(count)):
                effect.puts[KIND_FUSION + member.key] = state
                member.before, member.state = member.state, state
            if not all(count):
                counted = list(itertools.compress(counted, count))
            if counted:
                member.counted = counted
                self._count(member, counted, effect)
                count_items(deltas[member.partition], counted)
        for partition, effect in effects.items():
            effect.counts.update([_OUTCOME_NAMES[outcome] for outcome in told[partition]])

    def _count(self, member: _Member, rows: Sequence[Row], effect: Effects) -> None:
        profile = member.profile
        items = [(row, 0 if row.item_id is None else item_hash(row.item_id)) for row in rows]
        fold_profile(profile, items, self._acts)
        after = encode_profile(profile)
        if after != member.held:
            effect.puts[KIND_PROFILE + member.key] = after
        # Now, while the profile is in a core's cache.
        member.topics = topics_text(profile, self._catalogue.topic_names)
        traces = [row.traceparent for row in rows if row.traceparent is not None]
        contexts = [row.context for row in rows if row.context is not None]
        member.cause = Cause(
            [row.event_id for row in rows[-CAUSES:]],
            rows[-1].time,
            traces[-1] if traces else None,
            contexts[-1] if contexts else None,
        )
        member.moment = max([row.broker_time for row in rows])
        effect.broker_times += [row.broker_time for row in rows if row.kind == _EVENT]

    def _ring_before(self, member: _Member) -> RingEvents:
        return [] if member.before is None else self._fusion.ring_events(member.before)

    def _hold(
        self, members: Sequence[_Member], stored: Stored, effects: Mapping[int, Effects], clock_ms: int
    ) -> None:
        """Decide whose slate is made now; with no interval to keep, everyone's who has a cause."""
        for member in members:
            key = KIND_HELD + member.key
            value = stored[member.partition].get(key)
            if value is None and not self._holdback.active:
                member.slate_cause = member.cause
                continue
            before = None if value is None else Held.decode(value)
            member.slate_cause, after = self._holdback.decide(before, member.cause, clock_ms)
            if member.due:
                member.moment = max(member.moment, clock_ms)
            effects[member.partition].puts[key] = None if after is None else after.encode()
            self._holdback.note(member.partition, key, after)

    def _publish(
        self,
        members: Sequence[_Member],
        work: Mapping[int, Work[Row]],
        effects: Mapping[int, Effects],
        deltas: Deltas,
    ) -> None:
        if not members:
            return
        readouts = self._fusion.read([member.state for member in members if member.state is not None])
        portraits = Portraits(readouts, self._fusion.artifact.version, [member.user_id for member in members])
        if self._tally.counts_pairs:
            counted = [
                Counted(deltas[member.partition], member.counted, partial(self._ring_before, member))
                for member in members
            ]
            self._tally.count_pairs(counted, readouts)
        slates = self._rank(members, readouts, deltas)
        as_of = {
            partition: as_of_text(partition, part.next_raw, id_text(part.raw_topic))
            for partition, part in work.items()
        }
        for place, member in enumerate(members):
            outputs = effects[member.partition].outputs
            cause, slate_cause = member.cause, member.slate_cause
            causes, headers = (b"", ()) if cause is None else (cause.members(), cause.headers())
            if cause is not None:
                topics = member.topics or topics_text(member.profile, self._catalogue.topic_names)
                value = portraits.interest(place, causes, topics, as_of[member.partition])
                outputs.append(Output(self._topics.interests, member.key, value, headers))
            if slate_cause is not None:
                if slate_cause is not cause:
                    causes, headers = slate_cause.members(), slate_cause.headers()
                value = portraits.recommendation(place, causes, slates[place])
                outputs.append(Output(self._topics.recommendations, member.key, value, headers))

    def _rank(self, members: Sequence[_Member], readouts: Readouts, deltas: Deltas) -> dict[int, bytes]:
        """Slates as JSON by place, of those whose slate is made now."""
        places = [place for place, member in enumerate(members) if member.slate_cause is not None]
        profiles = [member.profile for member in members]
        moments = np.array([member.moment for member in members], dtype=np.int64)
        audience = Audience(readouts, profiles, moments).part(places)
        slates = self.recommender.slates(audience)
        if slates.propensities is not None:
            times = audience.readouts.time_ms.tolist()
            owners = [deltas[members[place].partition] for place in places]
            count_explored(slates, list(zip(owners, times, strict=True)))
        return dict(zip(places, self._places.texts(slates), strict=True))


def _recommender(fusion: Fusion, catalogue: Catalogue, settings: Settings) -> Recommender:
    """Raises SettingsError where the settings ask for what the artifact or the installation lacks."""
    try:
        return Recommender(catalogue, settings.recommend, fusion.artifact.judges)
    except StateError as error:
        raise SettingsError(str(error)) from error


def _all_known(rows: Sequence[Row]) -> bool:
    """Whether this build knows all actions and kinds: a later one may write others."""
    actions, kinds = {row.action for row in rows}, {row.kind for row in rows}
    return actions <= _ACTIONS and kinds <= _KINDS


def _sorted_out(pack: Pack) -> tuple[list[Row], list[Refusal]]:
    """The rows that this build knows, and those that it refuses, each as a pack of its own."""
    known: list[Row] = []
    refused: list[Refusal] = []
    for row in pack.rows:
        if row.action in _ACTIONS and row.kind in _KINDS:
            known.append(row)
            continue
        alone = Pack(-1, -1, [row], pack.topic)
        error = RecordError(
            "unknown_row",
            f"event {row.event_id}: action {row.action} or kind {row.kind} is unknown to this build; run "
            "interests workers of the encode workers' version",
        )
        refused.append(Refusal(row.offset, _encoder.encode(alone), error))
    return known, refused


def _parts(members: Sequence[_Member]) -> Iterator[Sequence[_Member]]:
    """All of them, in parts of about the same size."""
    count = max(1, round(len(members) / _TOGETHER))
    size = max(1, -(-len(members) // count))
    for start in range(0, len(members), size):
        yield members[start : start + size]


def _members(work: Mapping[int, Work[Row]], stored: Stored, changed: Changed) -> list[_Member]:
    members: list[_Member] = []
    for partition, part in work.items():
        values = stored[partition]
        by_user: dict[str, _Member] = {}
        others = changed.get(partition, {})
        users = [*others, *(row.user_id for row in part.rows), *(key[1:].decode() for key in part.due)]
        for user_id in users:
            if user_id not in by_user:
                key = user_id.encode()
                by_user[user_id] = _Member(
                    partition,
                    user_id,
                    key,
                    state=values.get(KIND_FUSION + key),
                    held=values.get(KIND_PROFILE + key),
                )
        for row in part.rows:
            by_user[row.user_id].rows.append(row)
        for key in part.due:
            by_user[key[1:].decode()].due = True
        for user_id, cause in others.items():
            by_user[user_id].cause, by_user[user_id].moment = cause, cause.event_time
        members.extend(by_user.values())
    return members
