"""Which worker owns which partition, and which ones keep a copy: from what each of them has on its disk.

Pure: the leader of the group calls it in each new assignment. The rules, the earlier ones first:

1. Nobody gets a partition whose state it lacks while a worker has it: the partition stays where the state is,
   and who is to have it for the sake of balance keeps a copy first, and asks for a new assignment once level.
2. No worker has more than its share, that is all partitions by all workers, rounded up.
3. A partition stays with its owner; else it goes to a worker that is warm for it.
4. Copies stay where they are, no worker keeps more than its share of them, and the copies of one owner's
   partitions are spread over the others, so that its end makes a little work for each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


class Claim(msgspec.Struct, array_like=True, frozen=True):
    """What a worker says of itself when it joins."""

    epoch: int = 0
    """Number of the assignment that `owned` is from: where two claim a partition, the later one has it."""
    owned: tuple[int, ...] = ()
    held: dict[int, int] = {}
    """Partitions of which it has a store, with the changelog offset that each has reached."""


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What the leader tells a worker beside its partitions."""

    epoch: int = 0
    standbys: tuple[int, ...] = ()
    """Partitions to keep a copy of."""
    awaited: tuple[int, ...] = ()
    """Those of them that it is to own as soon as it is level."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`standbys` copies of each partition. A store that lacks up to `tolerance` records counts as level."""

    standbys: int = 1
    tolerance: int = 10_000


@dataclass(slots=True)
class Share:
    """One worker's part."""

    owned: list[int] = field(default_factory=list)
    standbys: list[int] = field(default_factory=list)
    awaited: list[int] = field(default_factory=list)


def place(partitions: Sequence[int], claims: Mapping[str, Claim], rules: Rules) -> dict[str, Share]:
    """The share of each worker, by its id."""
    return _Placing(sorted(partitions), {name: claims[name] for name in sorted(claims)}, rules).run()


class _Placing:
    def __init__(self, partitions: list[int], claims: dict[str, Claim], rules: Rules) -> None:
        self._partitions = partitions
        self._claims = claims
        self._rules = rules
        self._ends = {
            number: max(claim.held.get(number, 0) for claim in claims.values()) for number in partitions
        }
        self._owners = self._present_owners()
        self._least, self._extra = divmod(len(partitions), len(claims))
        self._load = Counter(dict.fromkeys(claims, 0))

    def run(self) -> dict[str, Share]:
        shares = {name: Share() for name in self._claims}
        active: dict[int, str] = {}
        for number, goal in sorted(self._balanced().items()):
            active[number] = self._who_has(number, goal)
            shares[active[number]].owned.append(number)
            if active[number] != goal:
                shares[goal].awaited.append(number)
                shares[goal].standbys.append(number)
        self._add_standbys(active, shares)
        return shares

    def _present_owners(self) -> dict[int, str]:
        found: dict[int, tuple[int, str]] = {}
        for name, claim in self._claims.items():
            for number in claim.owned:
                found[number] = max(found.get(number, (-1, "")), (claim.epoch, name))
        return {number: name for number, (_, name) in found.items()}

    def _ready(self, name: str, number: int) -> bool:
        if self._owners.get(number) == name:
            return True
        return self._ends[number] - self._claims[name].held.get(number, 0) <= self._rules.tolerance

    def _balanced(self) -> dict[int, str]:
        goals = self._kept()
        free = [number for number in self._partitions if number not in goals]
        free.sort(key=lambda number: sum(self._ready(name, number) for name in self._claims))
        for number in free:
            # The id last, so that every leader decides alike.
            goals[number] = min(
                (name for name in self._claims if self._has_room(name)),
                key=lambda name: (not self._ready(name, number), self._load[name], name),
            )
            self._give(goals[number])
        return goals

    def _kept(self) -> dict[int, str]:
        """What owners keep. Where one has too much, it gives away what others are ready for, and of two that
        have too much the one whose partitions they are ready for."""
        owned: dict[str, list[int]] = {name: [] for name in self._claims}
        for number in self._partitions:
            if number in self._owners:
                owned[self._owners[number]].append(number)
        short = [name for name, numbers in owned.items() if len(numbers) < self._least]
        takers = {number: self._takers(number, short) for numbers in owned.values() for number in numbers}
        goals = {}
        for name, numbers in sorted(
            owned.items(), key=lambda entry: (-len(entry[1]), any(takers[number][0] for number in entry[1]))
        ):
            for number in sorted(numbers, key=takers.__getitem__):
                if self._has_room(name):
                    goals[number] = name
                    self._give(name)
        return goals

    def _takers(self, number: int, short: Sequence[str]) -> tuple[bool, bool]:
        """Whether one of those that are short of partitions could have it at once, and whether any other."""
        ready = [name for name in self._claims if self._ready(name, number) and name != self._owners[number]]
        return any(name in short for name in ready), bool(ready)

    def _has_room(self, name: str) -> bool:
        return self._load[name] < self._least or (self._load[name] == self._least and self._extra > 0)

    def _give(self, name: str) -> None:
        self._extra -= self._load[name] == self._least
        self._load[name] += 1

    def _who_has(self, number: int, goal: str) -> str:
        """The goal where it is ready, else who has the state now; the goal again where nobody has."""
        if self._ready(goal, number):
            return goal
        if number in self._owners:
            return self._owners[number]
        return max(self._claims, key=lambda name: (self._claims[name].held.get(number, 0), name))

    def _add_standbys(self, active: Mapping[int, str], shares: Mapping[str, Share]) -> None:
        wanted = min(self._rules.standbys, len(self._claims) - 1)
        most = -(-len(self._partitions) * wanted // len(self._claims))
        load = Counter({name: len(share.standbys) for name, share in shares.items()})
        pairs: Counter[tuple[str, str]] = Counter()
        for number, owner in sorted(active.items()):
            for _ in range(wanted - sum(number in share.awaited for share in shares.values())):
                chosen = min(
                    (name for name in shares if name != owner and number not in shares[name].standbys),
                    key=lambda name: (
                        load[name] >= most,
                        number not in self._claims[name].held or not self._ready(name, number),
                        pairs[owner, name],
                        load[name],
                        name,
                    ),
                )
                shares[chosen].standbys.append(number)
                load[chosen] += 1
                pairs[owner, chosen] += 1
