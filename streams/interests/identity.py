"""Who a user is: forgetting users, merging one into another, letting those go who do not come any more.

Wraps the interests processor, which sees events and nothing else. Commands are rows among a user's events
(docs/decisions/0018); what they do to one user never touches another, so a batch is cut only where a command
meets events of its own user.
"""

from collections.abc import Iterable, Mapping

import msgspec

from state.artifact import Artifact
from state.errors import StateError
from state.events import Row
from state.store import Store
from streams.engine.processor import Effects, SourceBatch, Work
from streams.errors import EngineError
from streams.interests.aliases import KIND_ALIASES, Aliases
from streams.interests.expiry import Expiry
from streams.interests.marks import KIND_MARK, Marks
from streams.interests.obedience import USER_KINDS, Known, Obedience
from streams.interests.processor import KIND_FUSION, InterestsProcessor, Stored
from streams.interests.turn import Frame, Turn, all_held, held_alone
from streams.settings import Settings

_OWN_DUE = (KIND_FUSION, KIND_ALIASES)
"""Kinds of keys that fall due here, and whose values are wanted then."""


def user_topics(settings: Settings) -> tuple[str, ...]:
    """Compacted topics with a record for each user, which a null value takes away."""
    topics = settings.topics
    described = (topics.interest_descriptions,) if settings.describe.enabled else ()
    return topics.interests, topics.recommendations, *described


class IdentityProcessor:
    """See the module. Batches without commands, in partitions without marks, go straight to `inner`."""

    def __init__(self, inner: InterestsProcessor, artifact: Artifact, settings: Settings) -> None:
        self._inner = inner
        self._frame = Frame(inner, artifact, settings, user_topics(settings))
        self._known: dict[int, Known] = {}
        self._expiry = Expiry(settings.interests.expire_days, KIND_FUSION, artifact)

    def decode(self, value: bytes) -> SourceBatch[Row]:
        """Raises RecordError for bytes that are no pack."""
        return self._inner.decode(value)

    def keys(self, work: Work[Row]) -> Iterable[bytes]:
        users = dict.fromkeys([row.user_id for row in work.rows if row.command is not None])
        keys = self._inner.keys(held_alone(work))
        due = [key for key in work.due if key.startswith(_OWN_DUE)]
        if not (users or due):
            return keys
        return [*keys, *due, *(kind + user.encode() for user in users for kind in USER_KINDS)]

    def apply(self, work: Mapping[int, Work[Row]], stored: Stored, clock_ms: int) -> dict[int, Effects]:
        """As the inner one; commands take effect at their place among the rows."""
        if self._expiry.active:
            for number, part in work.items():
                self._expiry.see(number, part.rows)
        if not any(self._known[number].marks for number in work) and not any(map(_commanded, work.values())):
            return self._inner.apply(work, stored, clock_ms)
        turn = Turn(self._frame, work, stored, clock_ms)
        try:
            for number, part in work.items():
                obedience = Obedience(turn, number, self._known[number])
                obedience.end([key for key in part.due if key.startswith(KIND_MARK)])
                obedience.let_go([key for key in part.due if key.startswith(KIND_ALIASES)])
                self._expire(obedience, number, part)
                for row in part.rows:
                    obedience.take(row)
        except (StateError, msgspec.DecodeError) as error:
            raise EngineError(str(error)) from error
        return turn.finish()

    def _expire(self, obedience: Obedience, number: int, part: Work[Row]) -> None:
        """Let go who has gone, but for those who come just now."""
        coming = {row.user_id.encode() for row in part.rows}
        for key in part.due:
            if key.startswith(KIND_FUSION) and key[1:] not in coming:
                value = obedience.held(key)
                if value is not None and self._expiry.gone(number, value):
                    obedience.expire(key[1:].decode())

    def opened(self, partition: int, store: Store) -> None:
        self._inner.opened(partition, store)
        try:
            aliases = Aliases(dict(store.scan(KIND_ALIASES)))
        except msgspec.DecodeError as error:
            raise EngineError(f"not the old ids of a user: {error}") from error
        self._known[partition] = Known(Marks(dict(store.scan(KIND_MARK))), aliases)
        self._expiry.opened(partition, store)

    def closed(self, partition: int) -> None:
        self._inner.closed(partition)
        self._known.pop(partition, None)
        self._expiry.closed(partition)

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        ended = self._known[partition].ended(clock_ms)
        if self._expiry.active:
            ended += self._expiry.due(partition, clock_ms)
        held = self._inner.due(partition, clock_ms)
        return held + ended if ended else held


def _commanded(part: Work[Row]) -> bool:
    return any(row.command is not None for row in part.rows) or not all_held(part)
