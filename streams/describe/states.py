"""Copies of the users' states, read from their changelog as standbys do: the owners know nothing of it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from streams.engine.kafka_engine import group_of
from streams.engine.kafka_facts import JournalNames
from streams.engine.kafka_tail import KafkaTail
from streams.engine.standby import StandbyOptions, Standbys
from streams.interests.processor import KIND_FUSION, KIND_PROFILE
from streams.settings import Settings

NAME = "describe"
CACHE_MB = 8
WRITE_BUFFER_MB = 4

Held = tuple[bytes, bytes | None]
"""A user's fusion record and second record."""


class StateCopies:
    """Partitions of the changelog that are followed in a thread, and read from any."""

    def __init__(self, settings: Settings, folder: Path, changelog: str) -> None:
        names = JournalNames(group_of(settings, NAME), settings.topics.interactions_encoded, changelog)
        options = StandbyOptions(
            NAME,
            folder,
            bytes_per_second=settings.interests.standby_mb_per_second * 1e6,
            cache_mb=CACHE_MB,
            write_buffer_mb=WRITE_BUFFER_MB,
        )
        self._standbys = Standbys(options, lambda: KafkaTail(settings.kafka, names))
        self._followed: frozenset[int] = frozenset()

    def start(self) -> None:
        self._standbys.start()

    def stop(self) -> None:
        self._standbys.stop()

    def follow(self, numbers: Iterable[int]) -> None:
        """Keep copies of these partitions alone."""
        wanted = frozenset(numbers)
        if wanted != self._followed:
            self._followed = wanted
            self._standbys.follow(wanted, ())

    def level(self, number: int) -> bool:
        """Whether the copy has been level with its changelog, and still nearly is."""
        return self._standbys.level(number)

    def read(self, users: Sequence[tuple[int, bytes]]) -> dict[bytes, Held]:
        """Records of users, each given with its partition; those of whom nothing is held are left out."""
        by_number: dict[int, list[bytes]] = {}
        for number, user in users:
            by_number.setdefault(number, []).append(user)
        found: dict[bytes, Held] = {}
        for number, members in by_number.items():
            keys = [kind + user for kind in (KIND_FUSION, KIND_PROFILE) for user in members]
            values = self._standbys.read(number, keys)
            if values is not None:
                found.update(_held(members, values))
        return found


def _held(users: Sequence[bytes], values: Sequence[bytes | None]) -> Mapping[bytes, Held]:
    states, profiles = values[: len(users)], values[len(users) :]
    return {
        user: (state, profile)
        for user, state, profile in zip(users, states, profiles, strict=True)
        if state is not None
    }
