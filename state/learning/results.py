"""What an evaluation found: structs that become JSON as they are."""

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """The mean over seeds, their deviation (0 for one), and the 95 % interval over users, where told."""

    mean: float
    deviation: float = 0.0
    low: float | None = None
    high: float | None = None


class Against(msgspec.Struct, frozen=True):
    """This model less another on the same events, paired by user: mean difference, 95 % interval, p-value."""

    model: str
    metric: str
    mean: float
    low: float
    high: float
    p: float


class Slice(msgspec.Struct, frozen=True):
    """The same metrics on a part of the test: `events` of them."""

    group: str
    name: str
    events: int
    metrics: dict[str, float]


class CalibrationBin(msgspec.Struct, frozen=True):
    count: int
    told: float
    found: float


class VerdictResult(msgspec.Struct, frozen=True):
    """Like or dislike, of the first seed; `source` says whether the model told probabilities itself."""

    events: int
    source: str
    figures: dict[str, float]
    report: str
    calibration: list[CalibrationBin]


class ModelResult(msgspec.Struct):
    """One model. `seconds` are of CPU: to learn, and to score the test, means over seeds."""

    name: str
    seeds: int
    learn_seconds: float
    score_seconds: float
    ranking: dict[str, Figure]
    lists: dict[str, Figure]
    slices: list[Slice] = []
    verdicts: VerdictResult | None = None
    against: list[Against] = []


class Facts(msgspec.Struct, frozen=True):
    """What was measured on."""

    name: str
    fingerprint: str
    users: int
    items: int
    events: int
    described_items: int
    train_events: int
    validation_events: int
    test_events: int
    test_users: int
    from_ms: int
    to_ms: int


class Evaluation(msgspec.Struct):
    """A whole evaluation by one protocol. `failed` tells why which models could not be learnt, by name."""

    data: Facts
    protocol: str
    hide_seen: bool
    seeds: int
    models: list[ModelResult]
    failed: dict[str, str] = {}
    versions: dict[str, str] = {}
