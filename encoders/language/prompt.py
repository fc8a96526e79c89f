"""Statements as a prompt: what a language model is told, and by which examples it learns the form.

Two ways. Whole: all facts in one prompt, and JSON as an answer, for models that follow instructions well. In
clusters: one kind of fact a prompt and one sentence as an answer, behind three examples, for models so small
that they lose their way in more. Names are quoted as data; `sanitising.prepared` has made them harmless.
"""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from encoders.language.base import Kind, Request, Scale, Statement
from encoders.language.tongue import Tongue
from encoders.language.tongues import TONGUES

VERSION = "prompt-1"
MOST_FACTS = 40
MOST_PER_CLUSTER = 4

CLUSTERS: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    ("likes", (Kind.TOPIC,)),
    ("trends", (Kind.TOPIC, Kind.TREND)),
    ("liked", (Kind.LIKED,)),
    ("averse", (Kind.TOPIC, Kind.DISLIKED)),
    ("searches", (Kind.SEARCH,)),
    ("comments", (Kind.SENTIMENT,)),
    ("media", (Kind.MODALITY,)),
    ("times", (Kind.TIME,)),
)
"""What is told together, and of which kinds."""


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


class Cluster(NamedTuple):
    """Facts that go into one prompt."""

    name: str
    statements: tuple[Statement, ...]


def clusters(request: Request) -> list[Cluster]:
    """The facts by cluster, weightiest first; clusters without a fact are left out."""
    found = []
    for name, kinds in CLUSTERS:
        fitting = [one for one in request.statements if one.kind in kinds and _fits(name, one)]
        chosen = _once(fitting)[:MOST_PER_CLUSTER]
        if chosen:
            found.append(Cluster(name, tuple(chosen)))
    return found


def cluster_messages(cluster: Cluster, language: str) -> list[Message]:
    """Instruction, three examples with their answers, and the facts of this cluster."""
    told = _told(language)
    messages = [Message("system", told["sentence"])]
    for facts, answer in told["examples"][cluster.name]:
        messages += [Message("user", facts), Message("assistant", answer)]
    tongue = TONGUES[language]
    facts = "\n".join(_line(one, told, tongue) for one in cluster.statements)
    return [*messages, Message("user", facts)]


def whole_messages(request: Request, most_sentences: int) -> list[Message]:
    """Instruction, one example with its answer in JSON, and all facts with their ids."""
    told = _told(request.language)
    tongue = TONGUES[request.language]
    facts = [f"[{one.id}] {_line(one, told, tongue)}" for one in request.statements[:MOST_FACTS]]
    return [
        Message("system", told["whole"].replace("{most}", str(most_sentences))),
        Message("user", told["whole_facts"]),
        Message("assistant", told["whole_answer"]),
        Message("user", "\n".join(facts)),
    ]


def answer_schema(request: Request, most_sentences: int) -> dict[str, Any]:
    """JSON Schema of the answer to `whole_messages`; sentences can cite nothing but ids of the request."""
    ids = [one.id for one in request.statements[:MOST_FACTS]]
    sentence = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 300},
            "cites": {"type": "array", "items": {"type": "string", "enum": ids}, "minItems": 1},
        },
        "required": ["text", "cites"],
        "additionalProperties": False,
    }
    sentences = {"type": "array", "items": sentence, "minItems": 1, "maxItems": most_sentences}
    return {
        "type": "object",
        "properties": {"sentences": sentences},
        "required": ["sentences"],
        "additionalProperties": False,
    }


def _fits(cluster: str, statement: Statement) -> bool:
    if cluster == "likes":
        return statement.weight > 0
    if cluster == "trends":
        return bool(statement.trend)
    return cluster != "averse" or statement.kind is Kind.DISLIKED or statement.weight < 0


def _once(statements: Sequence[Statement]) -> list[Statement]:
    found: dict[str, Statement] = {}
    for one in sorted(statements, key=lambda one: -abs(one.weight)):
        found.setdefault(one.text.casefold(), one)
    return list(found.values())


def _line(statement: Statement, told: dict[str, Any], tongue: Tongue) -> str:
    """One fact, such as `likes the topic: birds (rising)`."""
    kind = statement.kind.value
    if statement.kind in (Kind.TOPIC, Kind.SENTIMENT) and statement.weight < 0:
        kind = f"{kind}-negative"
    named = statement.kind in (Kind.MODALITY, Kind.TIME)
    name = tongue.fixed[statement.text] if named else statement.text
    if statement.kind in (Kind.LIKED, Kind.DISLIKED, Kind.SEARCH, Kind.KEYWORD):
        name = f"{tongue.quotes[0]}{name}{tongue.quotes[1]}"
    notes = [told["trends"][statement.trend.value]] if statement.trend else []
    if statement.scale is not Scale.NONE:
        notes.append(told["scales"][statement.scale.value])
    notes += statement.detail[:2]
    before, after = told["brackets"]
    noted = f"{before}{tongue.comma.join(notes)}{after}" if notes else ""
    return f"{told['kinds'][kind]}{name}{noted}"


@lru_cache
def _told(language: str) -> dict[str, Any]:
    text = files(__package__).joinpath(f"prompt_{language}.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    found["whole_answer"] = msgspec.json.encode(found.pop("whole_sentences")).decode()
    return found
