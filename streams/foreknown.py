"""Whether an artifact learned from the very events that it is measured on."""

from pathlib import Path

import numpy as np

from state.errors import LearningError
from state.learning.interactions import Int64

_INSTEAD = "its figures flatter it; `interest` among --models is trained on what comes before the test"


def foreknown(folder: str, data: str, tested_ms: Int64) -> str:
    """What to say of the figures of the artifact in a folder; empty where there is nothing to say.

    `data` is the fingerprint of all interactions, `tested_ms` int64 [n] the times of those of the test. An
    artifact that was trained on other data, or of whose training nothing is noted, is not spoken of.
    """
    if not Path(folder).is_dir():
        return ""
    # With torch, which takes seconds to import.
    from state.learning.saving import load_report

    try:
        report = load_report(Path(folder))
    except LearningError:
        return ""
    if report.data != data:
        return ""
    name = Path(folder).name
    if report.until_ms is None:
        return (
            f"{name}: was trained on these events, up to a moment that its training.json does not tell: "
            f"where that lies within the test, {_INSTEAD}"
        )
    known = int(np.count_nonzero(tested_ms <= report.until_ms))
    if not known:
        return ""
    return f"{name}: learned from {known:,} of the {len(tested_ms):,} events of the test: {_INSTEAD}"
