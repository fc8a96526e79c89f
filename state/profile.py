"""The second record of a user: what was seen and disliked, which topics, which search words.

It is folded row by row from what the fusion accepted, so it is a function of the row sequence alone
and does not change with the way the rows are cut into batches. Every part is bounded, so a
profile never takes more than 4 KB; what is dropped is what was mentioned longest ago, or weighs least.
"""

import math
from collections.abc import Container, Iterable, Mapping

import msgspec
import xxhash

from state.errors import CodecError
from state.events import ACTIONS, Action, Row, RowKind
from state.recency import MARK_BYTES, drop, entries_of, mark_of, stamp_of, touch
from state.signals import judged_row
from state.versions import Versions

VERSION = 1
DAY_MS = 86_400_000
TOPIC_HALF_LIFE_MS = 7 * DAY_MS

KNOWN_BYTES = 2_600
"""Seen and disliked items share this room: what dislikes do not take, sights may."""
DISLIKED_LIMIT = 160
LIKED_LIMIT = 16
ACTED_BYTES = 900
"""Items that are remembered by action, of all actions together; they share the room of sights, too."""
PENDING_LIMIT = 12
TOPIC_LIMIT = 20
TOPICS_KEPT = 16
TOPIC_BYTES = 448
"""All names of topics together, in UTF-8."""
TOPIC_NAME_BYTES = 64
SEARCH_LIMIT = 5
SEARCH_BYTES = 48

DAY_STAMP = 2
TIME_STAMP = 6

TOPIC_WEIGHTS: Mapping[Action, float] = {
    Action.VIEW: 1.0,
    Action.CLICK: 1.0,
    Action.LIKE: 3.0,
    Action.UNLIKE: -3.0,
    Action.DISLIKE: -3.0,
    Action.SKIP: -1.0,
    Action.SHARE: 3.0,
    Action.SAVE: 3.0,
    Action.PURCHASE: 4.0,
    Action.COMMENT: 2.0,
    Action.SEARCH: 1.0,
}

Mass = tuple[float, float]
"""Liking and disliking of a topic as heights: log2 of the sum of w 2^(t / half-life); -inf for none."""

NOTHING = -math.inf
_ONE = 10**5


class Profile(msgspec.Struct, array_like=True):
    """One user's second record. Sets as in `state.recency`; stamps are days or milliseconds."""

    version: int = VERSION
    seen: bytes = b""
    """Items by the day of their last sight."""
    disliked: bytes = b""
    """Items by the time of the dislike that holds."""
    liked: bytes = b""
    """Items by the time of the last like or unlike, so that an older dislike that comes late is void."""
    pending: bytes = b""
    """Events by time whose item was unknown, so that an amendment brings its topics once."""
    topics: dict[str, Mass] = {}
    searches: list[tuple[int, str]] = []
    acted: dict[int, bytes] = {}
    """By index into ACTIONS: items by the day of the last such event; of the actions that are asked for."""


# Rows name kinds and actions by plain numbers, which are looked up faster than members of an enumeration.
_EVENT, _AMEND = int(RowKind.EVENT), int(RowKind.AMEND)
_DISLIKE, _SEARCH = ACTIONS.index(Action.DISLIKE), ACTIONS.index(Action.SEARCH)
_LIKES = (ACTIONS.index(Action.LIKE), ACTIONS.index(Action.UNLIKE))
_ACTED_MOST = ACTED_BYTES // (DAY_STAMP + MARK_BYTES)
_TOPIC_WEIGHTS = tuple(TOPIC_WEIGHTS[action] for action in ACTIONS)

_PRESENT = bytes([VERSION])
_SHORTER = bytes([0x90 + len(Profile.__struct_fields__) - 1])
"""Opens an array without the last field, which takes one byte where it is empty."""
_SHORT_ARRAY = range(0x91, 0xA0)
_SMALL_NUMBER = 0x80
_decoder = msgspec.msgpack.Decoder(Profile)
_encoder = msgspec.msgpack.Encoder()


def decode_profile(value: bytes | None) -> Profile:
    """A new profile for None; older versions are brought to this one.

    Raises CodecError for bytes of an unknown version or form.
    """
    if value is None:
        return Profile()
    if value[1:2] != _PRESENT:
        (value,) = VERSIONS.upgrade([value])
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise CodecError(f"not a profile: {error}") from error


def encode_profile(profile: Profile) -> bytes:
    """Without `acted` where there is none, as before it was known."""
    value = _encoder.encode(profile)
    return value if profile.acted else _SHORTER + value[1:-1]


def _version_of(value: bytes) -> int:
    """Every version is a short array in msgpack whose first member is the version, below 128."""
    if len(value) < 2 or value[0] not in _SHORT_ARRAY or value[1] >= _SMALL_NUMBER:
        raise CodecError(f"not a profile: begins with {value[:4]!r}")
    return value[1]


VERSIONS = Versions("profile", VERSION, _version_of)


def fold_profile(
    profile: Profile, rows: Iterable[tuple[Row, int]], acts: Container[int] = frozenset()
) -> None:
    """Fold rows that the fusion accepted, each with the 64-bit hash of its item (0 where it has none).

    `acts` are the actions, as indices into ACTIONS, whose items are remembered by action.
    """
    for row, item in rows:
        if row.kind == _EVENT:
            _fold_event(profile, row, item)
            if row.action in acts and row.item_id is not None:
                _remember_act(profile, row, mark_of(item))
        elif row.kind == _AMEND:
            _fold_amendment(profile, row)
        else:
            _fold_retraction(profile, row, item)


def merge_profiles(held: Profile, joining: Profile) -> Profile:
    """What folding the rows of both would give, but for what either has dropped already."""
    merged = Profile(searches=_latest_searches(held.searches + joining.searches))
    merged.liked = _union(held.liked, joining.liked, TIME_STAMP, LIKED_LIMIT)
    disliked = _union(held.disliked, joining.disliked, TIME_STAMP, DISLIKED_LIMIT)
    for stamp, mark in entries_of(merged.liked, TIME_STAMP):
        found = stamp_of(disliked, mark, TIME_STAMP)
        if found is not None and found < int.from_bytes(stamp, "big"):
            disliked = drop(disliked, mark, TIME_STAMP)
    merged.disliked = disliked
    for action in sorted(held.acted.keys() | joining.acted.keys()):
        acts = held.acted.get(action, b""), joining.acted.get(action, b"")
        merged.acted[action] = _union(*acts, DAY_STAMP, _ACTED_MOST)
    _drop_oldest_acts(merged)
    merged.seen = _union(held.seen, joining.seen, DAY_STAMP, _room(merged))
    merged.pending = _union(held.pending, joining.pending, TIME_STAMP, PENDING_LIMIT)
    merged.topics = dict(held.topics)
    for name, mass in joining.topics.items():
        own = merged.topics.get(name, (NOTHING, NOTHING))
        merged.topics[name] = (_sum(own[0], mass[0]), _sum(own[1], mass[1]))
    if len(merged.topics) > TOPIC_LIMIT or _name_bytes(merged.topics) > TOPIC_BYTES:
        merged.topics = _heaviest(merged.topics)
    return merged


def topic_shares(profile: Profile, count: int, vocabulary: Mapping[str, str]) -> dict[str, float]:
    """The `count` topics with most liking left, largest first, as shares of one to five decimals.

    All weights fade alike, so the shares are the same at any moment. A searched word counts where
    `vocabulary` (lower case to the topic's name) knows it.
    """
    searched = [
        (known, time_ms / TOPIC_HALF_LIFE_MS)
        for time_ms, words in profile.searches
        for word in words.casefold().split()
        if (known := vocabulary.get(word)) is not None
    ]
    liked = [(*mass, name) for name, mass in profile.topics.items() if mass[0] > mass[1]]
    top = max([mass[0] for mass in liked] + [height for _, height in searched], default=0.0)
    # Negated weights, so that sorting puts the largest first, and equal ones by name.
    best = [
        ((0.0 if disliking == NOTHING else 2.0 ** (disliking - top)) - 2.0 ** (liking - top), name)
        for liking, disliking, name in liked
    ]
    if searched:
        weights = {name: weight for weight, name in best}
        for name, height in searched:
            weights[name] = weights.get(name, 0.0) - 2.0 ** (height - top)
        best = [(weight, name) for name, weight in weights.items()]
    best.sort()
    del best[count:]
    total = sum([weight for weight, _ in best])
    return {name: int(weight / total * _ONE + 0.5) / _ONE for weight, name in best if weight < 0}


def liked_topics(profile: Profile) -> set[str]:
    """Topics with more liking than disliking."""
    return {name for name, (liking, disliking) in profile.topics.items() if liking > disliking}


def _fold_event(profile: Profile, row: Row, item: int) -> None:
    action = row.action
    if row.item_id is not None:
        mark = mark_of(item)
        if action == _DISLIKE:
            _dislike(profile, row.time, mark)
        elif action in _LIKES:
            _like(profile, row.time, mark)
        if action != _SEARCH:
            profile.seen = touch(profile.seen, _day(row.time), mark, _room(profile))
        if not row.topics:
            profile.pending = touch(profile.pending, _time(row.time), _event_mark(row), PENDING_LIMIT)
    if action == _SEARCH and row.text:
        _search(profile, row.time, row.text)
    _weigh(profile, row, _topic_weight(row))


def _room(profile: Profile) -> int:
    """Sights that there is room for."""
    taken = len(profile.disliked)
    if profile.acted:
        taken += sum(map(len, profile.acted.values()))
    return (KNOWN_BYTES - taken) // (DAY_STAMP + MARK_BYTES)


def _remember_act(profile: Profile, row: Row, mark: bytes) -> None:
    held = profile.acted.get(row.action, b"")
    profile.acted[row.action] = touch(held, _day(row.time), mark, _ACTED_MOST)
    _drop_oldest_acts(profile)
    profile.seen = profile.seen[-_room(profile) * (DAY_STAMP + MARK_BYTES) :]


def _drop_oldest_acts(profile: Profile) -> None:
    acted = profile.acted
    width = DAY_STAMP + MARK_BYTES
    while sum(map(len, acted.values())) > ACTED_BYTES:
        oldest = min((items[:width], action) for action, items in acted.items() if items)[1]
        acted[oldest] = acted[oldest][width:]


def _fold_amendment(profile: Profile, row: Row) -> None:
    mark = _event_mark(row)
    if row.topics and stamp_of(profile.pending, mark, TIME_STAMP) is not None:
        profile.pending = drop(profile.pending, mark, TIME_STAMP)
        _weigh(profile, row, _topic_weight(row))


def _fold_retraction(profile: Profile, row: Row, item: int) -> None:
    action = ACTIONS[row.action]
    if action is Action.DISLIKE and row.item_id is not None:
        _like(profile, row.time + 1, mark_of(item))
    if action is Action.SEARCH and row.text:
        taken_back = (row.time, _words(row.text))
        profile.searches = [search for search in profile.searches if search != taken_back]
    profile.pending = drop(profile.pending, _event_mark(row), TIME_STAMP)
    _weigh(profile, row, -_topic_weight(row))


def _topic_weight(row: Row) -> float:
    if row.sentiment is None:
        return _TOPIC_WEIGHTS[row.action]
    # A comment against its item counts against the topics; the item itself is nothing that was disliked.
    action, factor = judged_row(row)
    return _TOPIC_WEIGHTS[action] * factor


def _dislike(profile: Profile, time_ms: int, mark: bytes) -> None:
    liked = stamp_of(profile.liked, mark, TIME_STAMP)
    if liked is None or liked <= time_ms:
        profile.disliked = touch(profile.disliked, _time(time_ms), mark, DISLIKED_LIMIT)


def _like(profile: Profile, time_ms: int, mark: bytes) -> None:
    profile.liked = touch(profile.liked, _time(time_ms), mark, LIKED_LIMIT)
    disliked = stamp_of(profile.disliked, mark, TIME_STAMP)
    if disliked is not None and disliked < time_ms:
        profile.disliked = drop(profile.disliked, mark, TIME_STAMP)


def _search(profile: Profile, time_ms: int, text: str) -> None:
    words = _words(text)
    if words and (time_ms, words) not in profile.searches:
        profile.searches = _latest_searches([*profile.searches, (time_ms, words)])


def _latest_searches(searches: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted(set(searches))[-SEARCH_LIMIT:]


def _union(held: bytes, joining: bytes, stamp_bytes: int, limit: int) -> bytes:
    for stamp, mark in entries_of(joining, stamp_bytes):
        held = touch(held, stamp, mark, limit)
    return held


def _words(text: str) -> str:
    return " ".join(text.split()).encode()[:SEARCH_BYTES].decode(errors="ignore")


def _weigh(profile: Profile, row: Row, weight: float) -> None:
    if weight == 0 or not row.topics:
        return
    level = row.time / TOPIC_HALF_LIFE_MS + math.log2(abs(weight))
    topics = profile.topics
    before = len(topics)
    for name in row.topics:
        liking, disliking = topics.get(name, (NOTHING, NOTHING))
        topics[name] = (_sum(liking, level), disliking) if weight > 0 else (liking, _sum(disliking, level))
    if len(topics) > before and (len(topics) > TOPIC_LIMIT or _name_bytes(topics) > TOPIC_BYTES):
        profile.topics = _heaviest(topics)


def _heaviest(topics: dict[str, Mass]) -> dict[str, Mass]:
    """What is left goes some way below the bounds, so that it is not sorted out again at once."""
    kept: dict[str, Mass] = {}
    room = TOPIC_BYTES
    for _, name in sorted([(-max(mass), name) for name, mass in topics.items()]):
        size = len(name.encode())
        if size <= TOPIC_NAME_BYTES and size <= room and len(kept) < TOPICS_KEPT:
            kept[name] = topics[name]
            room -= size
    return kept


def _name_bytes(topics: Mapping[str, Mass]) -> int:
    return sum(map(len, map(str.encode, topics)))


def _sum(left: float, right: float) -> float:
    """log2(2^left + 2^right)."""
    if left < right:
        left, right = right, left
    if left == NOTHING:
        return NOTHING
    return left + math.log2(1.0 + 2.0 ** (right - left))


def _event_mark(row: Row) -> bytes:
    return xxhash.xxh32_digest(row.event_id.encode())


def _day(time_ms: int) -> bytes:
    return min(max(time_ms // DAY_MS, 0), 0xFFFF).to_bytes(DAY_STAMP, "big")


def _time(time_ms: int) -> bytes:
    return min(max(time_ms, 0), 0xFFFFFFFFFFFF).to_bytes(TIME_STAMP, "big")
