"""Sets of learned encoders to send the hostile media through, here or in a process of its own.

As a process it is called with the names of the models as JSON, sends every medium through alone and all of
them in one call, and prints what became of each, and the most memory that it held.
"""

import json
import resource
import sys
from collections.abc import Iterator, Mapping
from itertools import cycle, islice

import msgspec
import numpy as np

from encoders.bank import EncoderBank
from encoders.base import Encoded
from encoders.hub.settings import HubModel
from encoders.media.pool import DecodePool
from encoders.settings import EncoderSettings
from tests.hostile import images, sounds, texts, videos
from tests.hostile.case import Case
from tests.tiny_models import DESCRIBERS, ENCODERS, tiny

PARTS = (images, sounds, videos, texts)
CASES: dict[str, Case] = {case.name: case for part in PARTS for case in part.cases()}
LIMITS = EncoderSettings(
    device="cpu", text="bag-of-words", image="colour-histogram", audio="intensity", max_pixels=4_000_000,
    max_video_seconds=4.0, max_audio_seconds=5.0, max_text_characters=2000,
)  # fmt: skip
DEFAULT = EncoderSettings()
LEARNED: dict[str, Mapping[str, str]] = {
    "default": {},
    "one tower each": {"text": "bert", "image": "vit", "audio": "wav2vec2", "video": "videomae"},
    "two towers": {"text": "clip", "image": "clip", "audio": "clap", "video": "xclip"},
}
"""By what they are like: small models of random weights by modality; the default encoder where none is named,
for videos the mean of key frames."""


def learned(names: Mapping[str, str], describers: Mapping[str, str] | None = None) -> EncoderSettings:
    """Learned encoders alone, with the limits of decoding that the cases are made for."""
    words = describers or {}
    chosen = {modality: names.get(modality, getattr(DEFAULT, modality)) for modality in ENCODERS}
    models = {
        name: HubModel(model=str(tiny(name)), local_files_only=True)
        for name in (*names.values(), *words.values())
    }
    said = msgspec.structs.replace(DEFAULT.describe, **words)
    return msgspec.structs.replace(LIMITS, models=models, describe=said, **chosen)


def every_set() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Models by modality and by kind of words, each model in one of the sets at least."""
    count = max(map(len, (*ENCODERS.values(), *DESCRIBERS.values())))
    for number in range(count):
        yield (
            {modality: next(islice(cycle(names), number, None)) for modality, names in ENCODERS.items()},
            {kind: next(islice(cycle(names), number, None)) for kind, names in DESCRIBERS.items()},
        )


def outcome(encoded: Encoded) -> str:
    """`encoded`, the reason of the mask, or what is wrong."""
    if encoded.fatal is not None:
        return "fatal"
    for vector in encoded.vectors.values():
        if vector.shape != (128,) or abs(float(np.linalg.norm(vector)) - 1.0) > 1e-4:
            return "not of unit length"
    return "+".join(sorted(set(encoded.masked.values()) | ({"encoded"} if encoded.vectors else set())))


def main() -> None:
    encoders, describers = json.loads(sys.argv[1])
    settings = learned(encoders, describers)
    pool = DecodePool(settings)
    bank = EncoderBank(settings, None, pool)
    alone = {name: outcome(bank.encode([case.medium])[0]) for name, case in CASES.items()}
    bank._remembered.clear()
    together = map(outcome, bank.encode([case.medium for case in CASES.values()]))
    pool.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"alone": alone, "together": dict(zip(CASES, together, strict=True)), "peak_mb": peak}))


if __name__ == "__main__":
    main()
