"""A trained model in a folder: its numbers as safetensors, and what they were made from and came to."""

from pathlib import Path

import msgspec
from safetensors.torch import save_file

from state.artifact import save_artifact
from state.errors import LearningError
from state.learning.exporting import artifact_of
from state.learning.interest import InterestModel
from state.learning.sequential import Plan, Trained
from state.learning.start import NUMBERS, Start
from state.whole_file import write_whole

REPORT = "training.json"


class Report(msgspec.Struct):
    """What stands beside the numbers. `space` is the version of the encoders that made the items' vectors."""

    plan: Plan
    seed: int
    data: str
    """Fingerprint of the interactions."""
    events: int
    users: int
    items: int
    space: str
    epochs: int
    best_epoch: int
    validation: float
    """NDCG@10 of the best epoch, on the events that training did not see."""
    losses: list[float]
    found: list[float]
    seconds: list[float]
    profile: dict[str, float]
    """Milliseconds a step by part; of validation, an epoch."""
    version: str = ""
    """Of the artifact, where the model serves."""
    until_ms: int | None = None
    """Time of the latest event that was learnt from; None where training did not note it."""
    described: int = 0
    """Items of which something was told beside their ids."""
    started_from: str = ""
    """Version of the artifact that training began with."""


def save_model(
    trained: Trained,
    report: Report,
    item_ids: tuple[str, ...],
    folder: Path,
    start: Start | None = None,
) -> Report:
    """Writes the model: the interest model as an artifact that serves. Returns the report with its version.
    Items that the start knew and training had nothing of stay known.

    Raises LearningError for an interest model that cannot serve.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = trained.model
    if isinstance(model, InterestModel):
        former = start.artifact.known if start else None
        artifact = artifact_of(model, item_ids, report.space, former=former)
        report = msgspec.structs.replace(report, version=artifact.version)
        notes = {
            "data": report.data,
            "events": str(report.events),
            "seed": str(report.seed),
            "validation ndcg@10": f"{report.validation:.4f}",
            "settings": msgspec.json.encode(report.plan).decode(),
        }
        if report.started_from:
            notes["started from"] = report.started_from
        save_artifact(artifact, str(folder), notes)
    numbers = {name: each.detach().cpu().contiguous() for name, each in model.state_dict().items()}
    write_whole(folder / NUMBERS, lambda path: save_file(numbers, path, {"kind": model.kind}))
    (folder / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return report


def load_report(folder: Path) -> Report:
    """Raises LearningError for a folder without one."""
    try:
        return msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise LearningError(f"{folder / REPORT}: {error}") from error
