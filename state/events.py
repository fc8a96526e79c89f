"""What the state is folded from: rows of encoded events, in packs, as they lie in `interactions.encoded`."""

from enum import IntEnum, StrEnum

import msgspec


class Action(StrEnum):
    """What a user did. The order of ACTIONS is the wire code of each; add at the end only."""

    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    UNLIKE = "unlike"
    DISLIKE = "dislike"
    SKIP = "skip"
    SHARE = "share"
    SAVE = "save"
    PURCHASE = "purchase"
    COMMENT = "comment"
    SEARCH = "search"


ACTIONS: tuple[Action, ...] = tuple(Action)


NO_TOPIC = bytes(16)
"""Stands for the id of a topic that nobody named."""


class RowKind(IntEnum):
    """An event, or a later correction of one (which has no raw offset and names the event's id).

    The others are commands about a user, and no events: no fold gets to see them.
    """

    EVENT = 0
    AMEND = 1
    RETRACT = 2
    FORGET = 3
    MERGE = 4
    """The user is to become part of another."""
    ARRIVE = 5
    """The other half of a merge: what was held of another user becomes part of this one."""
    FORGET_PERSON = 6
    """The other half of forgetting a user who had become part of this one: both are one person."""
    LAPSE = 7
    """The user is not followed any more to the one whose part it has become."""
    CARRY = 8
    """What another artifact than the one that served made of a user who arrived."""


class Alias(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A user who became part of another, as that one remembers it. Times are epoch milliseconds."""

    user_id: str
    until: int
    """How long it is remembered."""
    time: int
    """Of the merge."""
    merge: bytes
    """Digest of the merge's id; empty where a build wrote none."""


class Command(msgspec.Struct, array_like=True, gc=False):
    """What a row carries that is no plain event. Its `event_id` is the command's id then."""

    app: str = ""
    """The deployment that wrote the row, which counts for it alone; empty for rows of encode workers."""
    into: str = ""
    """Of MERGE: the user to become part of."""
    path: tuple[str, ...] = ()
    """Of rows that an interests worker wrote: the user that the command was about."""
    aliases: tuple[Alias | str, ...] = ()
    """Users that had become part of the one that arrives; ids alone where a build wrote no more."""
    fusion: bytes | None = None
    profile: bytes | None = None
    latest: tuple[int, str, str] | None = None
    """Of ARRIVE: time, id and `into` of the latest merge on the way."""
    closes: bool = False
    """Of ARRIVE: the way is a circle, which ends at this user."""
    renews: bool = False
    """Of ARRIVE: all is here already, and is to be remembered for longer."""
    by: tuple[int, bytes] | None = None
    """Of FORGET and LAPSE: time of the merge whose mark is meant, and the digest of its id."""
    awaits: tuple[bytes, ...] = ()
    """Of ARRIVE and CARRY: merges into the user that comes, of which the fusion has not come yet."""
    model: int = 0
    """Of CARRY: fingerprint of the artifact that the fusion is of."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """One event with its media encoded. Everything that the fold needs; nothing else may influence it.

    `vectors` maps a modality's code (0 text, 1 image, 2 audio, 3 video) to 128 little-endian float16
    numbers, of unit length. `masked` maps it to the reason why there is none.
    """

    user_id: str
    event_id: str
    action: int
    """Index into ACTIONS."""
    time: int
    """Event time, epoch milliseconds."""
    offset: int
    """Raw offset in `interactions`; -1 for a correction."""
    broker_time: int
    """Broker's time of the raw record, epoch milliseconds: where freshness is counted from."""
    item_id: str | None = None
    vectors: dict[int, bytes] = {}
    masked: dict[int, str] = {}
    topics: tuple[str, ...] = ()
    """Tags and categories of the item, as they were when the event was encoded."""
    value: float | None = None
    dwell_seconds: float | None = None
    watched_fraction: float | None = None
    text: str | None = None
    """Comment or search words."""
    kind: int = 0
    sequence: int = 0
    """Of a correction: a higher one wins over a lower one for the same event."""
    traceparent: str | None = None
    command: Command | None = None
    """Of commands, and of rows that were sent on to the user that theirs has become part of."""
    context: bytes | None = None
    """What the producer wants to find in the outputs again: a JSON object."""
    sent: int | None = None
    """Broker's time of the record that this event first came in, where it was sent again since."""
    sentiment: float | None = None
    """Of a comment: how it sounds, -1 to 1; none where nobody judged it (`state.signals.judged`)."""


class Pack(msgspec.Struct, array_like=True):
    """Consecutive rows of one raw partition: the raw range [first, end) is covered by this pack.

    A pack of corrections has first = end = -1. Every raw offset is covered by exactly one pack, also
    where no row survived (dead letters, markers).
    """

    first: int
    end: int
    rows: list[Row]
    topic: bytes = NO_TOPIC
    """Id of the raw topic that the range counts in; NO_TOPIC in packs of builds that did not write it."""
    follows: tuple[bytes, int] | None = None
    """Of the first pack of a raw topic: the topic of the last pack before it and its end, -1 for none."""
