"""Fields in files of records that nothing reads: they are no fault, but a mistyped one must be seen."""

from collections import Counter
from collections.abc import Collection, Iterable
from difflib import get_close_matches

import msgspec

NAMED = 8
"""Fields that are told by name, of many."""
MOST_NAMES = 1_000
LONGEST_NAME = 40
_ALIKE = 0.75

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class UnknownFields:
    """Counts them by name. In `known`, `media.uri` is the field `uri` of the objects in the list `media`."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self._inside = frozenset(name.partition(".")[0] for name in known if "." in name)
        self._counts: Counter[str] = Counter()
        self._more = False

    def look_at(self, record: bytes) -> None:
        """A record that is good: a JSON object, in whose lists with known fields are objects.

        Of names that are no text it says nothing.
        """
        try:
            fields = _fields.decode(record)
            names = fields.keys() - self._known
            for outer in self._inside & fields.keys():
                names.update(f"{outer}.{name}" for each in _lists.decode(fields[outer]) for name in each)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        self.count(names)

    def count(self, names: Iterable[str], records: int = 1) -> None:
        """Those of the names that are unknown, as of so many records."""
        for name in names:
            if name in self._known:
                continue
            if name in self._counts or len(self._counts) < MOST_NAMES:
                self._counts[name] += records
            else:
                self._more = True

    def told(self) -> str:
        """How many records have which of them, and what may have been meant; empty where there is none."""
        parts = [self._part(name, count) for name, count in self._counts.most_common(NAMED)]
        if self._more:
            parts.append("and many others")
        elif len(self._counts) > NAMED:
            parts.append(f"and {len(self._counts) - NAMED:,} others")
        return ", ".join(parts)

    def _part(self, name: str, count: int) -> str:
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        alike = get_close_matches(name[:LONGEST_NAME].lower(), self._known, 1, _ALIKE)
        meant = f" ({alike[0]}?)" if alike else ""
        return f"{shown!r} in {count:,} record{'s' if count > 1 else ''}{meant}"
