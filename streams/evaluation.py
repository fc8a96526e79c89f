"""Evaluation as the command runs it: data read, items encoded as the encode worker would, models measured.

Encoders and the pipeline take seconds to import, and are where they are needed alone.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from state.errors import StateError
from state.layout import SHARED_DIM
from state.learning.baselines.choosing import sampled
from state.learning.contenders import contender
from state.learning.dataset import Dataset, content_of
from state.learning.evaluation import EvaluationOptions, Evaluator
from state.learning.interactions import Float32, ItemContent
from state.learning.reading import ReadingOptions
from state.learning.results import Evaluation
from state.learning.splits import Split, leave_one_out, temporal
from streams.errors import InputError
from streams.foreknown import foreknown
from streams.given_data import given_dataset
from streams.progress import progress
from streams.replay_results import ReplayResult
from streams.settings import Settings

if TYPE_CHECKING:
    from encoders.bank import EncoderBank

LEAVE_ONE_OUT, TEMPORAL, PREQUENTIAL = "leave-one-out", "temporal", "prequential"
PROTOCOLS = (LEAVE_ONE_OUT, TEMPORAL, PREQUENTIAL)
PACKAGES = ("penchant", "numpy", "scikit-learn", "ranx", "implicit", "scipy", "torch")
_TEXTS = 256
_STEPS = 1_000
CONTENT_PRIOR = "content-prior"

Tell = Callable[[int], None]


class Wanted(msgspec.Struct, frozen=True):
    """What the command was asked for. `events` bounds the replay to the last so many, `targets` the test to
    so many events, evenly taken; 0 takes all."""

    source: Path
    protocols: tuple[str, ...]
    reading: ReadingOptions
    measure: EvaluationOptions
    test_share: float = 0.2
    validation_share: float = 0.1
    events: int = 0
    targets: int = 0


class Findings(msgspec.Struct):
    """All that was found, as it goes into the JSON file and the report."""

    command: str
    evaluations: list[Evaluation] = []
    replays: list[ReplayResult] = []
    notes: list[str] = []
    """What must be known to read the figures."""


def findings_of(wanted: Wanted, settings: Settings, command: str) -> Findings:
    """Raises InputError for data that cannot be read, shares that leave a part empty, unknown models, and
    where no model could be learnt."""
    findings = Findings(command)
    try:
        dataset = given_dataset(wanted.source, wanted.reading)
        splits = [
            split_by(protocol, dataset, wanted) for protocol in wanted.protocols if protocol != PREQUENTIAL
        ]
        kinds = [contender(name)[0] for name in wanted.measure.models]
        # Diversity is told of every model's lists, but encoding all items for it alone would be dear.
        wants = bool(splits) and any(kind.by_content for kind in kinds)
        content = encoded(dataset, settings) if wants and dataset.described else None
        findings.notes = _notes(dataset, splits, wanted)
        for split in splits:
            findings.evaluations.append(_measured(split, dataset, content, wanted.measure))
        if PREQUENTIAL in wanted.protocols:
            findings.replays = replays(dataset, wanted, settings)
    except StateError as error:
        raise InputError(str(error)) from error
    return findings


def _notes(dataset: Dataset, splits: Sequence[Split], wanted: Wanted) -> list[str]:
    """Which artifacts learned from events that they are measured on."""
    events = dataset.interactions
    tested = {split.protocol: events.time_ms[split.test.positions] for split in splits}
    if PREQUENTIAL in wanted.protocols:
        tested[PREQUENTIAL] = np.sort(events.time_ms)[-wanted.events :]
    notes = []
    for name in wanted.measure.models:
        for protocol, times in tested.items():
            if told := foreknown(name, events.fingerprint, times):
                notes.append(f"{protocol}: {told}")
    return notes


def split_by(protocol: str, dataset: Dataset, wanted: Wanted) -> Split:
    if protocol == LEAVE_ONE_OUT:
        split = leave_one_out(dataset.interactions)
    else:
        split = temporal(dataset.interactions, wanted.test_share, wanted.validation_share)
    return replace(split, test=sampled(split.test, wanted.targets)) if wanted.targets else split


def encoded(dataset: Dataset, settings: Settings) -> ItemContent | None:
    """The items' vectors in the shared space, by the encoders that the settings name; None without texts.

    What is encoded is kept in the data folder's vector cache, where the encode worker finds it.
    """
    if not dataset.described:
        return None
    from encoders.errors import EncodersError
    from streams.encode.configured_media import configured_bank
    from streams.encode.instance import Instance

    with ExitStack() as stack:
        instance = stack.enter_context(Instance(Path(settings.app.data)))
        bank = configured_bank(settings, instance.folder, stack)
        tell = stack.enter_context(progress("encoding the items", sum(map(bool, dataset.texts))))
        try:
            return content_of(dataset, lambda texts: _text_vectors(bank, texts, tell), bank.version)
        except EncodersError as error:
            raise InputError(str(error)) from error


def _text_vectors(bank: "EncoderBank", texts: Sequence[str], tell: Tell) -> Float32:
    from encoders.base import Modality

    out = np.zeros((len(texts), SHARED_DIM), np.float32)
    for start in range(0, len(texts), _TEXTS):
        for place, one in enumerate(bank.encode_texts(texts[start : start + _TEXTS]), start):
            if Modality.TEXT in one.vectors:
                out[place] = one.vectors[Modality.TEXT]
        tell(min(start + _TEXTS, len(texts)))
    return out


def _measured(
    split: Split, dataset: Dataset, content: ItemContent | None, options: EvaluationOptions
) -> Evaluation:
    with progress(f"measuring, {split.protocol}", _STEPS) as tell:
        evaluator = Evaluator(split, content, options, lambda name, part: tell(round(part * _STEPS)))
        found = evaluator.run(dataset)
    if not found.models:
        raise InputError("; ".join(dict.fromkeys(found.failed.values())))
    found.versions = versions()
    return found


def replays(dataset: Dataset, wanted: Wanted, settings: Settings) -> list[ReplayResult]:
    """The whole pipeline over the events, once for each artifact among the models, or the content prior."""
    from streams.encode.configured_media import configured_media
    from streams.encode.instance import Instance
    from streams.replay import Replay

    folders = [name for name in wanted.measure.models if Path(name).is_dir()]
    if CONTENT_PRIOR in wanted.measure.models or not folders:
        folders.insert(0, "")
    out = []
    for folder in folders:
        name = Path(folder).name if folder else CONTENT_PRIOR
        with ExitStack() as stack:
            instance = stack.enter_context(Instance(Path(settings.app.data)))
            media = configured_media(settings, instance.folder, stack)
            replay = Replay(dataset, settings, media, folder, wanted.events)
            tell = stack.enter_context(progress(f"replaying, {name}", replay.total))
            out.append(replay.run(name, tell))
    return out


def versions() -> dict[str, str]:
    """Of the packages that figures depend on, where installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
