"""What commands and marks do in one partition, row by row (docs/decisions/0018)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from state.codec import model_of, version_of
from state.events import Alias, Command, Row, RowKind
from state.merging import merge_states, raised, with_version
from state.profile import decode_profile, encode_profile, merge_profiles
from streams.engine.processor import KIND_HELD, Output
from streams.interests.aliases import KIND_ALIASES, MARGIN_MS, Aliases, aliases_of, bounded, known_aliases
from streams.interests.awaited import KIND_AWAITED, awaited_of, awaiting, merge_key
from streams.interests.marks import NEVER, VERSION, Mark, Marks, merge_digest
from streams.interests.outputs import Cause
from streams.interests.processor import KIND_FUSION, KIND_PROFILE
from streams.interests.turn import Turn
from streams.records import Refused, UserReceipt

USER_KINDS = (KIND_FUSION, KIND_PROFILE, KIND_HELD, KIND_ALIASES, KIND_AWAITED)
"""All that is stored under a user's id."""
_EXPIRING = (KIND_FUSION, KIND_PROFILE, KIND_HELD, KIND_AWAITED)

_DAY_MS = 86_400_000
_json = msgspec.json.Encoder()


@dataclass(slots=True, frozen=True)
class Known:
    """What is remembered of the users of one partition."""

    marks: Marks
    aliases: Aliases

    def ended(self, clock_ms: int) -> list[bytes]:
        """Keys of some of what has ended."""
        return self.marks.ended(clock_ms) + self.aliases.ended(clock_ms)


class Obedience:
    """The rows of one batch and partition, in order."""

    def __init__(self, turn: Turn, number: int, known: Known) -> None:
        self._turn = turn
        self._share = turn.shares[number]
        self._number = number
        self._marks = known.marks
        self._known = known
        self._artifact = turn.frame.artifact
        self._app = turn.frame.settings.app.name
        self._quiet = self._share.part.quiet
        self._mark_ms = round(turn.frame.settings.interests.mark_days * _DAY_MS)
        self._set_clock(0 if self._quiet else turn.clock_ms)
        self._obey = {
            RowKind.FORGET: self._forget,
            RowKind.MERGE: self._leave,
            RowKind.ARRIVE: self._arrive,
            RowKind.FORGET_PERSON: self._forget_person,
            RowKind.LAPSE: self._lapse,
            RowKind.CARRY: self._carry,
        }

    def end(self, marks: Iterable[bytes]) -> None:
        """These marks have lasted long enough."""
        for key in marks:
            self._marks.drop(key)
            self._share.put(key, None)

    def let_go(self, records: Iterable[bytes]) -> None:
        """Old ids have been remembered for long enough in the records under these keys."""
        for key in records:
            aliases = aliases_of(self.held(key))
            kept = [self._anew(each) for each in aliases if not each.until or each.until > self._clock]
            self._share.put(key, self._known.aliases.put(key, kept))

    def held(self, key: bytes) -> bytes | None:
        """The value as of now."""
        return self._share.values.get(key)

    def expire(self, user_id: str) -> None:
        """The list of old ids stays: forgetting the user later must still reach their marks."""
        self._drop(user_id, _EXPIRING)
        self._share.effects.counts["expired"] += 1

    def _set_clock(self, clock_ms: int) -> None:
        self._clock, self._until = clock_ms, clock_ms + self._mark_ms

    def _live_through(self, row: Row) -> None:
        """Where another has obeyed already, it is as late as it was then: marks end where they ended."""
        if row.broker_time > self._clock:
            self._set_clock(row.broker_time)
        self.end(self._marks.ended(self._clock))

    def take(self, row: Row) -> None:
        command = row.command
        if self._quiet:
            self._live_through(row)
        if command is not None and command.app not in ("", self._app):
            self._share.effects.counts["foreign"] += 1
        elif row.kind < RowKind.FORGET:
            self._event(row)
        else:
            if row.user_id in self._share.waits:
                self._turn.flush()
            self._obey[RowKind(row.kind)](row, command or Command())

    def _event(self, row: Row) -> None:
        mark = self._marks.get(row.user_id)
        if mark is not None and mark.covers(row):
            self._share.effects.counts["forgotten_row"] += 1
        elif mark is not None and mark.into is not None:
            self._send(mark.into, row)
            self._renew(row, mark, mark.into)
        else:
            self._share.waiting.append(row)
            self._share.waits.add(row.user_id)

    def _forget(self, row: Row, command: Command) -> None:
        user, mark = row.user_id, self._marks.get(row.user_id)
        if command.path:
            if mark is not None and _means(command, mark):
                self._begin_anew(row)
            return
        if mark is None or mark.into is None or row.time <= mark.forgotten:
            self._receipt(UserReceipt(row.event_id, "forget", user, self._clock, self._forget_here(row)))
        elif mark.by > (row.time, row.event_id):
            # The merge is later: what the id did has become part of another, and holds there.
            self._mark(user, msgspec.structs.replace(mark, until=self._until, forgotten=row.time))
            told = UserReceipt(row.event_id, "forget", user, self._clock, False, mark.into, "merged_later")
            self._receipt(told)
        else:
            self._follow(row, mark.into, user)

    def _forget_person(self, row: Row, command: Command) -> None:
        """One who had become part of this user was forgotten: as what they did cannot be told apart, so is
        this user."""
        user, mark = row.user_id, self._marks.get(row.user_id)
        if mark is not None and mark.into is not None and row.time > mark.forgotten:
            self._follow(row, mark.into, command.path[0])
        else:
            found = self._forget_here(row)
            self._receipt(UserReceipt(row.event_id, "forget", command.path[0], self._clock, found, user))

    def _follow(self, row: Row, into: str, person: str) -> None:
        self._begin_anew(row)
        sent = msgspec.structs.replace(row, kind=int(RowKind.FORGET_PERSON), command=Command(path=(person,)))
        self._send(into, sent)

    def _begin_anew(self, row: Row) -> None:
        """What comes later under this old id is a new user's."""
        mark = self._marks.get(row.user_id)
        forgotten = row.time if mark is None else max(row.time, mark.forgotten)
        self._drop(row.user_id)
        self._mark(row.user_id, Mark(VERSION, self._until, forgotten))
        self._share.effects.counts["forgotten"] += 1

    def _forget_here(self, row: Row) -> bool:
        """Returns whether there was anything. Of what is forgotten already, there is not."""
        mark = self._marks.get(row.user_id)
        if mark is not None and row.time <= mark.forgotten:
            return False
        aliases = self._aliases(row.user_id)
        found = self._drop(row.user_id)
        self._mark(row.user_id, Mark(VERSION, self._until, row.time))
        self._tell(row, aliases, RowKind.FORGET)
        self._share.effects.counts["forgotten"] += 1
        return found

    def _lapse(self, row: Row, command: Command) -> None:
        mark = self._marks.get(row.user_id)
        if mark is not None and _means(command, mark):
            self._mark(row.user_id, mark.without_way())

    def _tell(self, row: Row, aliases: Sequence[Alias], kind: RowKind) -> None:
        """Old ids, whose marks hold the id of this user, that they are no part of it any more."""
        unclear = tuple(each.user_id for each in aliases if not each.merge)
        for each in aliases:
            command = Command(path=(row.user_id,), by=(each.time, each.merge))
            if not each.merge:
                command = Command(path=(row.user_id, *unclear))
            self._send(each.user_id, msgspec.structs.replace(row, kind=int(kind), command=command))

    def _leave(self, row: Row, command: Command) -> None:
        """The first half of a merge: what is held goes off as a row, and a mark tells where to."""
        user, mark = row.user_id, self._marks.get(row.user_id)
        merge = (row.time, row.event_id)
        if mark is not None and (row.time <= mark.forgotten or merge < mark.by):
            why: Refused = "forgotten_later" if row.time <= mark.forgotten else "merged_later"
            self._receipt(UserReceipt(row.event_id, "merge", user, self._clock, False, command.into, why))
            return
        carried = Command(
            path=(user,),
            aliases=tuple(self._aliases(user)),
            fusion=self.held(KIND_FUSION + user.encode()),
            profile=self.held(KIND_PROFILE + user.encode()),
            latest=(*merge, command.into),
            awaits=self._awaited(user),
        )
        self._drop(user)
        forgotten = NEVER if mark is None else mark.forgotten
        self._mark(user, Mark(VERSION, self._until, forgotten, command.into, merge))
        if self._quiet:
            # Whoever serves sends all the rest.
            part = Command(path=(user,), fusion=carried.fusion, awaits=carried.awaits)
            self._send_carry(command.into, msgspec.structs.replace(row, command=part))
            return
        self._send(command.into, msgspec.structs.replace(row, kind=int(RowKind.ARRIVE), command=carried))

    def _arrive(self, row: Row, command: Command) -> None:
        """The second half: what was held of another becomes part of this user."""
        user, mark = row.user_id, self._marks.get(row.user_id)
        came = Alias(command.path[0], self._until + MARGIN_MS, row.time, merge_digest(row.event_id))
        come = [*map(self._anew, known_aliases(command.aliases)), came]
        if mark is not None and mark.covers(row):
            self._tell(msgspec.structs.replace(row, time=mark.forgotten), come, RowKind.FORGET)
            self._arrived(row, command, refused="into_forgotten_later")
            return
        if mark is not None and mark.into is not None:
            if not self._closes(row, command, mark, mark.into):
                return
            self._mark(user, mark.without_way())
        lapsed = self._remember(row, come)
        if command.fusion is not None:
            self._join(row, command)
        turned_back = user == came.user_id
        self._arrived(row, command, lapsed, "merged_later" if turned_back else None)

    def _closes(self, row: Row, command: Command, mark: Mark, into: str) -> bool:
        """Whether the way ends here, though a merge led on: where merges form a circle, the latest one holds,
        and all of them end at its user. Sends the row on where it does not.

        A row that comes back to the user whom it left has found a circle, and knows its latest merge.
        """
        merge = (row.time, row.event_id)
        here = (*mark.by, into)
        latest = command.latest or (*merge, row.user_id)
        if command.closes and here <= latest:
            return True
        circle = row.user_id == command.path[0] and mark.by == merge
        if circle and latest[2] == row.user_id:
            return True
        sent = msgspec.structs.replace(command, latest=latest if circle else max(latest, here), closes=circle)
        self._send(latest[2] if circle else into, msgspec.structs.replace(row, command=sent))
        return False

    def _arrived(
        self, row: Row, command: Command, lapsed: Sequence[str] = (), refused: Refused | None = None
    ) -> None:
        if not command.renews:
            found = command.fusion is not None and refused is None
            came = command.path[0]
            into = None if came == row.user_id else row.user_id
            told = UserReceipt(row.event_id, "merge", came, self._clock, found, into)
            self._receipt(msgspec.structs.replace(told, refused=refused, lapsed=list(lapsed)))

    def _remember(self, row: Row, come: Iterable[Alias]) -> list[str]:
        """Keep the old ids that came, but for those that are too many, which are told and returned."""
        aliases = {each.user_id: each for each in self._aliases(row.user_id)}
        for each in come:
            before = aliases.get(each.user_id, each)
            aliases[each.user_id] = max(before, each, key=lambda one: (one.until, one.time))
        aliases.pop(row.user_id, None)
        kept, left = bounded(aliases.values())
        key = KIND_ALIASES + row.user_id.encode()
        self._share.put(key, self._known.aliases.put(key, kept))
        self._tell(row, left, RowKind.LAPSE)
        self._share.effects.counts["lapsed"] += len(left)
        return [each.user_id for each in left]

    def _join(self, row: Row, command: Command) -> None:
        share, key, fusion = self._share, row.user_id.encode(), command.fusion
        held = share.values.get(KIND_FUSION + key)
        assert fusion is not None
        if model_of(fusion) == self._artifact.fingerprint:
            self._await(row.user_id, command.awaits)
            merged = merge_states(self._artifact, held, fusion)
            if merged == held:
                return
            share.changed[row.user_id] = Cause([], row.broker_time)
        else:
            self._await(row.user_id, (merge_key(row),))
            version = (0 if held is None else version_of(held)) + version_of(fusion)
            merged = raised(self._artifact, held, version)
        share.put(KIND_FUSION + key, merged)
        own = decode_profile(share.values.get(KIND_PROFILE + key))
        both = merge_profiles(own, decode_profile(command.profile))
        share.put(KIND_PROFILE + key, encode_profile(both))
        share.effects.counts["merged"] += 1
        share.waits.add(row.user_id)

    def _carry(self, row: Row, command: Command) -> None:
        """What this artifact made of one who arrived, where it did not serve then."""
        user, mark, share = row.user_id, self._marks.get(row.user_id), self._share
        if command.model != self._artifact.fingerprint:
            share.effects.counts["foreign"] += 1
            return
        if mark is not None and mark.into is not None:
            self._send_carry(mark.into, row)
            return
        awaited = self._awaited(user)
        if merge_key(row) not in awaited:
            return
        left = [merge for merge in awaited if merge != merge_key(row)]
        share.put(KIND_AWAITED + user.encode(), awaiting([*left, *command.awaits]))
        held = share.values.get(KIND_FUSION + user.encode())
        if command.fusion is not None and held is not None:
            merged = merge_states(self._artifact, held, command.fusion)
            # Its changes were counted when the user came.
            version = version_of(held) + 1
            share.put(KIND_FUSION + user.encode(), with_version(self._artifact, merged, version))
            share.changed[user] = Cause([], row.broker_time)
            share.waits.add(user)

    def _awaited(self, user_id: str) -> tuple[bytes, ...]:
        return awaited_of(self.held(KIND_AWAITED + user_id.encode()))

    def _await(self, user_id: str, merges: Sequence[bytes]) -> None:
        if merges:
            value = awaiting([*self._awaited(user_id), *merges])
            self._share.put(KIND_AWAITED + user_id.encode(), value)

    def _drop(self, user_id: str, kinds: Sequence[bytes] = USER_KINDS) -> bool:
        """Delete all that is held of a user; returns whether there was anything."""
        user, share = user_id.encode(), self._share
        found = False
        for kind in kinds:
            found = share.values.get(kind + user) is not None or found
            share.put(kind + user, None)
        if KIND_ALIASES in kinds:
            self._known.aliases.put(KIND_ALIASES + user, [])
        self._turn.frame.inner.release(self._number, user)
        share.effects.outputs += [Output(topic, user, None) for topic in self._turn.frame.user_topics]
        return found

    def _anew(self, alias: Alias) -> Alias:
        """One of which nothing but the id is known lasts as if it had come now."""
        return alias if alias.until else msgspec.structs.replace(alias, until=self._until + MARGIN_MS)

    def _aliases(self, user_id: str) -> list[Alias]:
        return [self._anew(each) for each in aliases_of(self.held(KIND_ALIASES + user_id.encode()))]

    def _mark(self, user_id: str, mark: Mark | None) -> None:
        self._share.put(*self._marks.put(user_id, mark))

    def _renew(self, row: Row, mark: Mark, into: str) -> None:
        """As long as events of an old id come, the way is known, and known to whom it leads."""
        if self._until - mark.until > _DAY_MS:
            self._mark(row.user_id, msgspec.structs.replace(mark, until=self._until))
            time, event_id = mark.by
            command = Command(path=(row.user_id,), latest=(time, event_id, into), renews=True)
            arrival = Row(into, event_id, 0, time, -1, row.broker_time, kind=RowKind.ARRIVE, command=command)
            self._send(into, arrival)

    def _send_carry(self, user_id: str, row: Row) -> None:
        command = msgspec.structs.replace(row.command or Command(), model=self._artifact.fingerprint)
        self._write(user_id, msgspec.structs.replace(row, kind=int(RowKind.CARRY), command=command))

    def _send(self, user_id: str, row: Row) -> None:
        """Where this partition is quiet, another has sent it."""
        if not self._quiet:
            self._write(user_id, row)

    def _write(self, user_id: str, row: Row) -> None:
        command = msgspec.structs.replace(row.command or Command(), app=self._app)
        sent = msgspec.structs.replace(row, user_id=user_id, offset=-1, command=command)
        self._share.sent.setdefault(user_id, []).append(sent)
        self._share.effects.counts["sent_on"] += 1

    def _receipt(self, told: UserReceipt) -> None:
        topic = self._turn.frame.settings.topics.user_receipts
        self._share.effects.outputs.append(Output(topic, told.user_id.encode(), _json.encode(told)))


def _means(command: Command, mark: Mark) -> bool:
    """Whether the user is still where the merge put it that the command is about."""
    if command.by is not None:
        return mark.into is not None and command.by == (mark.by[0], merge_digest(mark.by[1]))
    return mark.into in command.path
