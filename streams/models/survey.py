"""Which models there are, and what each is doing, for people to read."""

from dataclasses import dataclass, field
from pathlib import Path

from state.artifact import load_artifact
from state.errors import StateError
from streams import kafka
from streams.errors import PromotionError
from streams.models.board import Board, Entry, changelog_of
from streams.models.control import read_board
from streams.models.levelling import last_place
from streams.settings import Settings
from streams.topics import partition_counts


@dataclass(frozen=True, slots=True)
class Model:
    """One line of the list, with what training noted of it."""

    version: str
    code: str
    role: str
    added_ms: int = 0
    notes: dict[str, str] = field(default_factory=dict)


def survey(settings: Settings) -> list[Model]:
    """The model that serves first. Where none was ever promoted, that of the settings alone."""
    board = read_board(settings)
    if board.pointer is None:
        try:
            artifact = load_artifact(settings.model.artifact)
        except StateError as error:
            raise PromotionError(f"model.artifact: {error}") from error
        where = Path(settings.model.artifact).name or "built in"
        return [Model(artifact.version, f"{artifact.fingerprint:08x}", f"serves, by the settings ({where})")]
    admin = kafka.admin_client(settings.kafka)
    source = settings.topics.interactions_encoded
    counts = partition_counts(admin, [source, *(changelog_of(settings, e) for e in board.entries.values())])
    roles = {code: _role(settings, board, code, counts) for code in board.entries}
    live = board.pointer.live
    order = sorted(board.entries.values(), key=lambda each: (each.fingerprint != live, each.added_ms))
    return [Model(e.version, e.code, roles[e.fingerprint], e.added_ms, e.notes) for e in order]


def _role(settings: Settings, board: Board, fingerprint: int, counts: dict[str, int]) -> str:
    pointer, entry = board.pointer, board.entries[fingerprint]
    assert pointer is not None
    partitions = counts[settings.topics.interactions_encoded]
    if fingerprint == pointer.live:
        waiting = board.waiting(partitions)
        if not waiting:
            return "serves"
        return f"takes over: {partitions - len(waiting)} of {partitions} partitions serve under it"
    if fingerprint == pointer.building:
        return f"is being built: {_share(settings, board, entry, counts):.0%}"
    if fingerprint == pointer.former:
        return "served before; `penchant models rollback` goes back to it"
    return "idle" if changelog_of(settings, entry) not in counts else "idle; it has states from before"


def _share(settings: Settings, board: Board, entry: Entry, counts: dict[str, int]) -> float:
    """How much of what the serving model has counted the other one has."""
    assert board.pointer is not None
    live = changelog_of(settings, board.entry(board.pointer.live))
    mine = changelog_of(settings, entry)
    if mine not in counts:
        return 0.0
    reached = total = 0
    for number in range(counts[mine]):
        goal = last_place(settings, live, number) or 0
        total += goal
        reached += min(goal, last_place(settings, mine, number) or 0)
    return reached / total if total else 1.0
