"""Who a user is: forgetting users, merging one into another, letting those go who do not come any more.

Wraps the interests processor, which sees events and nothing else. Commands are rows among a user's events
(docs/decisions/0018); what they do to one user never touches another, so a batch is cut only where a command
meets events of its own user.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from state.artifact import Artifact
from state.errors import StateError
from state.events import Command, Pack, Row, RowKind
from state.merging import merge_states
from state.profile import decode_profile, encode_profile, merge_profiles
from state.store import Store
from streams.encode.packs import encode_pack
from streams.engine.processor import KIND_HELD, Effects, Output, SourceBatch, Work
from streams.errors import EngineError
from streams.interests.expiry import Expiry
from streams.interests.marks import KIND_MARK, NEVER, VERSION, Mark, Marks
from streams.interests.outputs import Cause
from streams.interests.processor import KIND_FUSION, KIND_PROFILE, InterestsProcessor, Stored
from streams.records import UserReceipt
from streams.settings import Settings

KIND_ALIASES = b"a"
"""Users that became part of one: their marks hold its id."""
USER_KINDS = (KIND_FUSION, KIND_PROFILE, KIND_HELD, KIND_ALIASES)
"""All that is stored under a user's id."""
_EXPIRING = (KIND_FUSION, KIND_PROFILE, KIND_HELD)
MAX_ALIASES = 256

_DAY_MS = 86_400_000
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_aliases = msgspec.msgpack.Decoder(list[str])


def user_topics(settings: Settings) -> tuple[str, ...]:
    """Compacted topics with a record for each user, which a null value takes away."""
    return settings.topics.interests, settings.topics.recommendations


def aliases_of(value: bytes | None) -> list[str]:
    """Users who became part of one, of the value that is stored for that one."""
    return [] if value is None else _aliases.decode(value)


class IdentityProcessor:
    """See the module. Batches without commands, in partitions without marks, go straight to `inner`."""

    def __init__(self, inner: InterestsProcessor, artifact: Artifact, settings: Settings) -> None:
        self._inner = inner
        self._artifact = artifact
        self._settings = settings
        self._marks: dict[int, Marks] = {}
        self._expiry = Expiry(settings.interests.expire_days, KIND_FUSION, artifact)

    def decode(self, value: bytes) -> SourceBatch[Row]:
        """Raises RecordError for bytes that are no pack."""
        return self._inner.decode(value)

    def keys(self, work: Work[Row]) -> Iterable[bytes]:
        users = dict.fromkeys([row.user_id for row in work.rows if row.command is not None])
        keys = self._inner.keys(_held_alone(work))
        gone = [key for key in work.due if key.startswith(KIND_FUSION)]
        if not (users or gone):
            return keys
        return [*keys, *gone, *(kind + user.encode() for user in users for kind in USER_KINDS)]

    def apply(self, work: Mapping[int, Work[Row]], stored: Stored, clock_ms: int) -> dict[int, Effects]:
        """As the inner one; commands take effect at their place among the rows."""
        if self._expiry.active:
            for number, part in work.items():
                self._expiry.see(number, part.rows)
        if not any(self._marks[number] for number in work) and not any(map(_commanded, work.values())):
            return self._inner.apply(work, stored, clock_ms)
        turn = _Turn(self._inner, self._settings, work, stored, clock_ms)
        try:
            for number, part in work.items():
                obedience = _Obedience(turn, number, self._marks[number], self._artifact)
                obedience.end([key for key in part.due if key.startswith(KIND_MARK)])
                self._expire(obedience, number, part)
                for row in part.rows:
                    obedience.take(row)
        except (StateError, msgspec.DecodeError) as error:
            raise EngineError(str(error)) from error
        return turn.finish()

    def _expire(self, obedience: "_Obedience", number: int, part: Work[Row]) -> None:
        """Let go who has gone, but for those who come just now."""
        coming = {row.user_id.encode() for row in part.rows}
        for key in part.due:
            if key.startswith(KIND_FUSION) and key[1:] not in coming:
                value = obedience.held(key)
                if value is not None and self._expiry.gone(number, value):
                    obedience.expire(key[1:].decode())

    def opened(self, partition: int, store: Store) -> None:
        self._inner.opened(partition, store)
        self._marks[partition] = Marks(dict(store.scan(KIND_MARK)))
        self._expiry.opened(partition, store)

    def closed(self, partition: int) -> None:
        self._inner.closed(partition)
        self._marks.pop(partition, None)
        self._expiry.closed(partition)

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        ended = self._marks[partition].ended(clock_ms)
        if self._expiry.active:
            ended += self._expiry.due(partition, clock_ms)
        held = self._inner.due(partition, clock_ms)
        return held + ended if ended else held


def _commanded(part: Work[Row]) -> bool:
    return any(row.command is not None for row in part.rows) or not _all_held(part)


def _all_held(part: Work[Row]) -> bool:
    return all(key.startswith(KIND_HELD) for key in part.due)


def _held_alone(part: Work[Row]) -> Work[Row]:
    if _all_held(part):
        return part
    due = [key for key in part.due if key.startswith(KIND_HELD)]
    return Work(part.rows, due, part.next_raw, part.raw_topic)


@dataclass(slots=True)
class _Share:
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


class _Turn:
    """One batch of all partitions: rows are handed on as late and as many at once as commands allow."""

    def __init__(
        self,
        inner: InterestsProcessor,
        settings: Settings,
        work: Mapping[int, Work[Row]],
        stored: Stored,
        clock_ms: int,
    ) -> None:
        self.settings = settings
        self.clock_ms = clock_ms
        self.inner = inner
        self.shares = {number: _Share(part, dict(stored[number])) for number, part in work.items()}

    def flush(self, due: bool = False) -> None:
        """Let the inner processor have what waits, and at the end what is due."""
        work, stored, changed = {}, {}, {}
        for number, share in self.shares.items():
            held = _held_alone(share.part).due if due else []
            if share.waiting or share.changed or held:
                work[number] = Work(share.waiting, held, share.part.next_raw, share.part.raw_topic)
                stored[number], changed[number] = share.values, share.changed
        if not work:
            return
        for number, effects in self.inner.apply(work, stored, self.clock_ms, changed).items():
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
        topic = self.settings.topics.interactions_encoded
        for user_id, each in rows.items():
            for value in encode_pack(Pack(-1, -1, list(each))):
                yield Output(topic, user_id.encode(), value)


class _Obedience:
    """What commands and marks do in one partition, row by row."""

    def __init__(self, turn: _Turn, number: int, marks: Marks, artifact: Artifact) -> None:
        self._turn = turn
        self._share = turn.shares[number]
        self._number = number
        self._marks = marks
        self._artifact = artifact
        self._topics = turn.settings.topics
        self._app = turn.settings.app.name
        self._until = turn.clock_ms + round(turn.settings.interests.mark_days * _DAY_MS)

    def end(self, marks: Iterable[bytes]) -> None:
        """These marks have lasted long enough."""
        for key in marks:
            self._marks.drop(key)
            self._share.put(key, None)

    def held(self, key: bytes) -> bytes | None:
        """The value as of now."""
        return self._share.values.get(key)

    def expire(self, user_id: str) -> None:
        """The list of old ids stays: forgetting the user later must still reach their marks."""
        self._drop(user_id, _EXPIRING)
        self._share.effects.counts["expired"] += 1

    def take(self, row: Row) -> None:
        command = row.command
        if command is not None and command.app not in ("", self._app):
            self._share.effects.counts["foreign"] += 1
        elif row.kind < RowKind.FORGET:
            self._event(row)
        else:
            if row.user_id in self._share.waits:
                self._turn.flush()
            self._command(row, command or Command())

    def _event(self, row: Row) -> None:
        mark = self._marks.get(row.user_id)
        if mark is not None and mark.covers(row):
            self._share.effects.counts["forgotten_row"] += 1
        elif mark is not None and mark.into is not None:
            self._send(mark.into, row)
            self._renew(row.user_id, mark)
        else:
            self._share.waiting.append(row)
            self._share.waits.add(row.user_id)

    def _command(self, row: Row, command: Command) -> None:
        if row.kind == RowKind.FORGET:
            self._forget(row, command)
        elif row.kind == RowKind.MERGE:
            self._leave(row, command)
        else:
            self._arrive(row, command)

    def _forget(self, row: Row, command: Command) -> None:
        user, mark = row.user_id, self._marks.get(row.user_id)
        if command.path and (mark is None or mark.into not in command.path):
            # The user is another's alias by now, or nobody's.
            return
        found = False
        if mark is None or mark.forgotten < row.time:
            aliases = self._aliases(user)
            found = self._drop(user)
            # A merge that is later than this command holds all the same.
            merged = mark is not None and mark.by > (row.time, row.event_id)
            before = mark if mark is not None and merged else Mark(VERSION, self._until, NEVER)
            self._mark(user, msgspec.structs.replace(before, until=self._until, forgotten=row.time))
            self._forget_aliases(row, aliases, row.time)
            self._share.effects.counts["forgotten"] += 1
        if not command.path:
            self._receipt(row, "forget", user, found, None)

    def _forget_aliases(self, row: Row, aliases: Sequence[str], time: int) -> None:
        """Their marks hold the ids of these users, and what comes late under theirs is as forgotten."""
        command = Command(path=(row.user_id, *aliases))
        for alias in aliases:
            sent = msgspec.structs.replace(row, kind=int(RowKind.FORGET), time=time, command=command)
            self._send(alias, sent)

    def _leave(self, row: Row, command: Command) -> None:
        """The first half of a merge: what is held goes off as a row, and a mark tells where to."""
        user, mark = row.user_id, self._marks.get(row.user_id)
        merge = (row.time, row.event_id)
        if mark is not None and (row.time <= mark.forgotten or merge < mark.by):
            self._receipt(row, "merge", user, False, command.into)
            return
        carried = Command(
            path=(user,),
            aliases=tuple(self._aliases(user)),
            fusion=self._share.values.get(KIND_FUSION + user.encode()),
            profile=self._share.values.get(KIND_PROFILE + user.encode()),
        )
        self._drop(user)
        forgotten = NEVER if mark is None else mark.forgotten
        self._mark(user, Mark(VERSION, self._until, forgotten, command.into, merge))
        self._send(command.into, msgspec.structs.replace(row, kind=int(RowKind.ARRIVE), command=carried))

    def _arrive(self, row: Row, command: Command) -> None:
        """The second half: what was held of another becomes part of this user."""
        user, mark = row.user_id, self._marks.get(row.user_id)
        come = [*command.aliases, *command.path]
        if mark is not None and mark.covers(row):
            self._forget_aliases(row, come, mark.forgotten)
            self._receipt(row, "merge", command.path[0], False, user)
            return
        if mark is not None and mark.into is not None:
            if mark.into not in command.path or (row.time, row.event_id) < mark.by:
                further = msgspec.structs.replace(command, path=(*command.path, user))
                self._send(mark.into, msgspec.structs.replace(row, command=further))
                return
            # The way leads back to where it came from: the latest merge holds.
            self._mark(user, Mark(VERSION, mark.until, mark.forgotten) if mark.forgotten != NEVER else None)
        aliases = dict.fromkeys([*self._aliases(user), *come])
        aliases.pop(user, None)
        self._share.put(KIND_ALIASES + user.encode(), _msgpack.encode(list(aliases)[-MAX_ALIASES:]))
        if command.fusion is not None:
            self._join(row, command.fusion, command.profile)
        self._receipt(row, "merge", command.path[0], command.fusion is not None, user)

    def _join(self, row: Row, fusion: bytes, profile: bytes | None) -> None:
        share, key = self._share, row.user_id.encode()
        held = share.values.get(KIND_FUSION + key)
        merged = merge_states(self._artifact, held, fusion)
        if merged == held:
            return
        share.put(KIND_FUSION + key, merged)
        own = decode_profile(share.values.get(KIND_PROFILE + key))
        both = merge_profiles(own, decode_profile(profile))
        share.put(KIND_PROFILE + key, encode_profile(both))
        share.effects.counts["merged"] += 1
        share.changed[row.user_id] = Cause([], row.broker_time)
        share.waits.add(row.user_id)

    def _drop(self, user_id: str, kinds: Sequence[bytes] = USER_KINDS) -> bool:
        """Delete all that is held of a user; returns whether there was anything."""
        user, share = user_id.encode(), self._share
        found = False
        for kind in kinds:
            found = share.values.get(kind + user) is not None or found
            share.put(kind + user, None)
        self._turn.inner.release(self._number, user)
        share.effects.outputs += [Output(topic, user, None) for topic in user_topics(self._turn.settings)]
        return found

    def _aliases(self, user_id: str) -> list[str]:
        return aliases_of(self._share.values.get(KIND_ALIASES + user_id.encode()))

    def _mark(self, user_id: str, mark: Mark | None) -> None:
        self._share.put(*self._marks.put(user_id, mark))

    def _renew(self, user_id: str, mark: Mark) -> None:
        """As long as events of an old id come, the way is known."""
        if self._until - mark.until > _DAY_MS:
            self._mark(user_id, msgspec.structs.replace(mark, until=self._until))

    def _send(self, user_id: str, row: Row) -> None:
        command = msgspec.structs.replace(row.command or Command(), app=self._app)
        sent = msgspec.structs.replace(row, user_id=user_id, offset=-1, command=command)
        self._share.sent.setdefault(user_id, []).append(sent)
        self._share.effects.counts["sent_on"] += 1

    def _receipt(self, row: Row, command: str, user_id: str, found: bool, into: str | None) -> None:
        receipt = UserReceipt(row.event_id, command, user_id, self._turn.clock_ms, found, into)  # type: ignore[arg-type]
        topic = self._topics.user_receipts
        self._share.effects.outputs.append(Output(topic, user_id.encode(), _json.encode(receipt)))
