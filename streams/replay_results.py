"""What a prequential replay found: structs that become JSON as they are."""

import msgspec


class ReplayFigures(msgspec.Struct, frozen=True):
    """Over all events of users who had a slate: hr@k and ndcg@k, and mrr@20, which is 0 beyond the slate."""

    name: str
    metrics: dict[str, float]


class ReplayResult(msgspec.Struct):
    """One run. `answered` is the part of events whose user had a slate already; `by_tenth` is hr@10 over each
    tenth of these, in order."""

    name: str
    model: str
    data: str
    events: int
    answered: float
    users: int
    figures: list[ReplayFigures]
    by_tenth: list[float]
