"""Slates as JSON text, for a whole batch at once: only scores are written anew, the rest is joined."""

import itertools

import msgspec

from state.slates import SOURCES, Slates
from streams.interests.numerals import shortest
from streams.interests.pieces import joined

_PIECES = 8
_json = msgspec.json.Encoder()
_OPENING, _SCORE = b'},{"item_id":', b',"score":'


class Places:
    """Writes the `items` of recommendations: arrays of `streams.records.RecommendedItem`.

    A place ends where the next one begins, so the text of each begins with the end of the one before.
    """

    def __init__(self) -> None:
        self._ranks: list[list[bytes]] = []
        """By place and code of the source."""

    def texts(self, slates: Slates) -> list[bytes]:
        """The JSON array of each user's picks."""
        total = len(slates.items)
        ranks = itertools.chain.from_iterable(map(self._first_ranks, slates.counts))
        pieces = [_OPENING] * (_PIECES * total)
        pieces[1::_PIECES] = slates.items
        pieces[2::_PIECES] = [_SCORE] * total
        pieces[3::_PIECES] = shortest(slates.scores)
        pieces[4::_PIECES] = [texts[code] for texts, code in zip(ranks, slates.sources, strict=True)]
        pieces[5::_PIECES], pieces[6::_PIECES], pieces[7::_PIECES] = slates.reasons
        if slates.propensities is not None:
            told = zip(pieces[7::_PIECES], slates.propensities, strict=True)
            pieces[7::_PIECES] = [
                text if chance == 0 else b'%b,"propensity":%b' % (text, _json.encode(chance))
                for text, chance in told
            ]
        return [_array(places) for places in joined(pieces, [_PIECES * count for count in slates.counts])]

    def _first_ranks(self, count: int) -> list[list[bytes]]:
        for rank in range(len(self._ranks) + 1, count + 1):
            self._ranks.append([b',"rank":%d,"source":"%b"' % (rank, name.encode()) for name in SOURCES])
        return self._ranks[:count]


def _array(places: bytes) -> bytes:
    return b"[%b}]" % places[2:] if places else b"[]"
