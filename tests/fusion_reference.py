"""The interest model once more, the slow way: plain loops in float64 over a list of events.

Written from the formulas alone. It keeps every event, with what became of it, and sums them all when
it is read; nothing is incremental but the ring's membership, which decides what can still be taken back.
"""

import math
from dataclasses import dataclass, field, fields

import numpy as np

from state.artifact import Artifact
from state.events import ACTIONS, Action, Row, RowKind
from state.fusion import HALF_LIVES_SECONDS, Outcome, item_hash
from state.slots import event_hash

RING = 32
REMEMBERED = 128
NEGATIVE = {Action.UNLIKE, Action.DISLIKE, Action.SKIP}


@dataclass
class Part:
    """One event as it counts."""

    time: int
    order: int
    event_id: str
    item_id: str | None
    action: Action
    weight: float
    bucket: int
    vector: np.ndarray | None
    shares: np.ndarray
    sequence: int = 0
    retracted: bool = False
    answered: bool = False


@dataclass
class Reference:
    """One user under one artifact. `item` gives an item's unit vector and modality shares, or None."""

    artifact: Artifact
    item: object
    ring: list[Part] = field(default_factory=list)
    gone: list[Part] = field(default_factory=list)
    remembered: list[str] = field(default_factory=list)
    version: int = 0
    event_count: int = 0

    def apply(self, row: Row) -> Outcome:
        outcome = self._apply(row)
        if outcome not in (Outcome.DUPLICATE, Outcome.IGNORED):
            self.version += 1
        return outcome

    def _apply(self, row: Row) -> Outcome:
        standing = next((part for part in self.ring if part.event_id == row.event_id), None)
        known = row.event_id in self.remembered[-REMEMBERED:]
        if row.kind == RowKind.EVENT:
            return Outcome.DUPLICATE if known or standing is not None else self._insert(self._part(row))
        if standing is not None:
            return self._correct(standing, row)
        return self._answer(row) if known and row.kind == RowKind.RETRACT else Outcome.IGNORED

    def _correct(self, standing: Part, row: Row) -> Outcome:
        if row.sequence <= standing.sequence:
            return Outcome.IGNORED
        standing.sequence = row.sequence
        if row.kind == RowKind.RETRACT:
            standing.retracted = True
            return Outcome.RETRACTED
        standing.retracted = False
        part = self._part(row)
        standing.vector, standing.shares = part.vector, part.shares
        return Outcome.AMENDED

    def _answer(self, row: Row) -> Outcome:
        if "answer " + row.event_id in self.remembered[-REMEMBERED:]:
            return Outcome.DUPLICATE
        part = self._part(row)
        if part.vector is None or part.weight == 0 or part.action in NEGATIVE:
            return Outcome.IGNORED
        part.action = Action.UNLIKE
        part.weight = half(self.artifact.weights.action_weight[ACTIONS.index(Action.UNLIKE)])
        part.time = min(part.time, max(other.time for other in self.ring))
        self.gone.append(part)
        self.remembered.append("answer " + row.event_id)
        return Outcome.COMPENSATED

    def _insert(self, part: Part) -> Outcome:
        self.event_count += 1
        self.remembered.append(part.event_id)
        self.ring.append(part)
        self.ring.sort(key=lambda other: (other.time, other.order))
        late = False
        if len(self.ring) > RING:
            leaving = self.ring.pop(0)
            late = leaving is part
            self._leave(leaving)
        if part.action == Action.UNLIKE and not self._takes_back(part):
            return Outcome.COMPENSATED
        return Outcome.LATE if late else Outcome.APPLIED

    def _takes_back(self, unlike: Part) -> bool:
        earlier = self.ring[: self.ring.index(unlike)] if unlike in self.ring else []
        return unlike.answered or any(same(like, unlike) for like in earlier)

    def _leave(self, part: Part) -> None:
        taken = False
        for other in self.ring:
            if same(part, other):
                other.answered = True
                taken |= not other.retracted
        if counts(part) and not taken:
            self.gone.append(part)

    def _part(self, row: Row) -> Part:
        action = ACTIONS[row.action]
        sounds = row.sentiment if action == Action.COMMENT else None
        if sounds is not None and sounds <= -0.25:
            action = Action.DISLIKE
        found = self.item(row.vectors)
        base = float(self.artifact.weights.action_weight[ACTIONS.index(action)])
        weighed = np.float32(base * factor(action, row)) * np.float32(mood(sounds))
        return Part(
            row.time,
            event_hash(row.event_id),
            row.event_id,
            row.item_id,
            action,
            half(weighed),
            bucket(row.dwell_seconds),
            None if found is None else found[0],
            np.zeros(4) if found is None else found[1],
        )

    def parts(self) -> list[Part]:
        """Everything that counts now."""
        live = []
        for place, part in enumerate(self.ring):
            taken = any(same(part, later) and not later.retracted for later in self.ring[place + 1 :])
            spent = part.action == Action.UNLIKE and self._takes_back(part)
            if counts(part) and not taken and not spent:
                live.append(part)
        return self.gone + live

    def read(self) -> dict[str, np.ndarray]:
        return Reading(self.artifact, self.parts(), self.ring).readouts()


def half(weight: np.float32) -> float:
    """A weight as a state keeps it, in half precision."""
    return float(np.float16(weight))


def same(like: Part, unlike: Part) -> bool:
    """Whether the one is a like and the other an unlike of one item."""
    pair = like.action == Action.LIKE and unlike.action == Action.UNLIKE
    return pair and like.item_id is not None and item_hash(like.item_id) == item_hash(unlike.item_id or "")


def counts(part: Part) -> bool:
    spent = part.action == Action.UNLIKE and part.answered
    return part.vector is not None and part.weight > 0 and not part.retracted and not spent


def factor(action: Action, row: Row) -> float:
    if action == Action.SKIP:
        return 1.0 if row.watched_fraction is None else 1 - row.watched_fraction
    if action in NEGATIVE:
        return 1.0
    out = 1.0
    if row.value is not None and row.value != 1:
        out = 2 * row.value if row.value < 1 else (row.value - 1) / 2
        out = min(max(out, 0.0), 2.0)
    if action in (Action.VIEW, Action.CLICK):
        if row.watched_fraction is not None:
            out *= 2 * row.watched_fraction
        elif row.dwell_seconds is not None:
            out *= 2 * row.dwell_seconds / (row.dwell_seconds + 10)
    return out


def mood(sounds: float | None) -> float:
    """What a comment's sentiment makes of its weight."""
    if sounds is None:
        return 1.0
    return -max(sounds, -1.0) if sounds <= -0.25 else 1 + min(sounds, 1.0)


def bucket(dwell: float | None) -> int:
    if dwell is None:
        return 0
    return 1 if dwell < 1 else min(2 + math.floor(math.log2(dwell)), 9)


def norm(vector: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = vector - vector.mean()
    return centred / math.sqrt((centred**2).mean() + 1e-8) * gain + bias


def silu(values: np.ndarray) -> np.ndarray:
    return values / (1 + np.exp(-values))


def unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def softmax(logits: list[float]) -> list[float]:
    """Weights over their sum; -inf weighs nothing."""
    top = max(logits, default=-math.inf)
    if top == -math.inf:
        return [0.0] * len(logits)
    weights = [math.exp(logit - top) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def log_sum(logits: list[float]) -> float:
    top = max(logits, default=-math.inf)
    return top if top == -math.inf else top + math.log(sum(math.exp(logit - top) for logit in logits))


class Reading:
    """Formulas of `artifact.Weights`, event by event."""

    def __init__(self, artifact: Artifact, parts: list[Part], ring: list[Part]) -> None:
        weights = artifact.weights
        self.weights = {
            each.name: np.asarray(getattr(weights, each.name), np.float64) for each in fields(weights)
        }
        self.parts = parts
        self.ring = ring
        self.now = max(part.time for part in ring)
        self.codes = [ACTIONS.index(part.action) for part in parts]
        self.x = [self.event(part) for part in parts]
        self.keys = [norm(x, self.weights["event_gain"], self.weights["event_bias"]) for x in self.x]

    def event(self, part: Part) -> np.ndarray:
        w = self.weights
        y = part.vector + w["event_action"][ACTIONS.index(part.action)] + w["event_dwell"][part.bucket]
        return y + silu(y @ w["event_in"] + w["event_in_bias"]) @ w["event_out"]

    def logits(self, head: int) -> list[float]:
        w, out = self.weights, []
        for part, code, key in zip(self.parts, self.codes, self.keys, strict=True):
            age = (self.now - part.time) / 1000 * math.log(2) / HALF_LIVES_SECONDS[head]
            score = 8 * math.tanh(w["head_query"][head] @ key / 8)
            out.append(score + w["head_action"][code, head] + math.log(part.weight) - age)
        return out

    def readouts(self) -> dict[str, np.ndarray]:
        w = self.weights
        means, masses, modalities = np.zeros((8, 32)), np.full(8, -math.inf), np.zeros(4)
        for head in range(8):
            logits = self.logits(head)
            masses[head] = log_sum(logits)
            for share, part, key in zip(softmax(logits), self.parts, self.keys, strict=True):
                means[head] += share * (key @ w["head_value"][head])
                if head == 5:
                    modalities += share * part.shares
        heads = np.stack([unit(means[head] @ w["head_item"][head]) for head in range(8)])
        dislike, dislike_mass = self.dislike()
        total = modalities.sum()
        interest = self.interest(means, masses) if np.isfinite(masses[-1]) else np.zeros(64)
        return {
            "interest": interest,
            "heads": heads,
            "head_weights": np.array(softmax(list(masses))),
            "modalities": modalities / total if total else modalities,
            "dislike": dislike,
            "dislike_mass": np.array(dislike_mass),
        }

    def dislike(self) -> tuple[np.ndarray, float]:
        logits = [
            self.weights["dislike_action"][code]
            + math.log(part.weight)
            - (self.now - part.time) / 1000 * math.log(2) / (30 * 86_400)
            for part, code in zip(self.parts, self.codes, strict=True)
        ]
        shares = softmax(logits)
        mean = sum((s * part.vector for s, part in zip(shares, self.parts, strict=True)), np.zeros(64))
        return mean, math.exp(log_sum(logits))

    def interest(self, means: np.ndarray, masses: np.ndarray) -> np.ndarray:
        w = self.weights
        live = [place for place, part in enumerate(self.parts) if any(part is other for other in self.ring)]
        live.sort(key=lambda place: (self.parts[place].time, self.parts[place].order), reverse=True)
        asking = [place for place in live if w["asks"][self.codes[place]] > 0]
        x, key = (self.x[asking[0]], self.keys[asking[0]]) if asking else (np.zeros(64), np.zeros(64))
        gate = silu(x @ w["readout_gate"] + w["readout_gate_bias"])
        mass = np.log1p(np.exp(np.minimum(masses, 60)))
        out = w["readout_latest"] * x + (np.concatenate([means.ravel(), mass]) * gate) @ w["readout_out"]
        for head in range(len(w["attention_query"])):
            out = out + self.attention(("attention", head), key, live)
        if len(w["review_query"]):
            out = norm(out, w["review_gain"], w["review_bias"])
            out = out + sum(
                self.attention(("review", head), out, live) for head in range(len(w["review_query"]))
            )
        out = out + silu(out @ w["readout_in"] + w["readout_in_bias"]) @ w["readout_hidden_out"]
        return unit(norm(out, w["readout_gain"], w["readout_bias"]))

    def attention(self, block: tuple[str, int], query: np.ndarray, live: list[int]) -> np.ndarray:
        (name, head), logits = block, []
        w = {part: self.weights[f"{name}_{part}"][head] for part in ("query", "key", "value", "rank", "time")}
        newest = sorted(self.ring, key=lambda part: (part.time, part.order), reverse=True)
        for place in live:
            part = self.parts[place]
            rank = next(at for at, other in enumerate(newest) if other is part)
            doubling = min(int(math.log2((self.now - part.time) / 1000 + 1)), 31)
            asked = (query @ w["query"]) @ (self.keys[place] @ w["key"])
            bias = w["rank"][rank] + w["time"][doubling]
            action = self.weights[f"{name}_action"][self.codes[place], head]
            logits.append(asked + bias + action + math.log(part.weight))
        shares = softmax(logits)
        seen = sum((s * self.keys[p] for s, p in zip(shares, live, strict=True)), np.zeros(64))
        return seen @ w["value"]
