"""Where a training begins that does not begin anew: an artifact, and what training knew beside it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from state.artifact import Artifact, load_artifact
from state.errors import LearningError
from state.events import ACTIONS
from state.prior import WEIGHTS_BY_ACTION, content_prior
from state.signals import REJECTING

PRIOR = "prior"
"""Names the content prior where a folder is asked for."""
NUMBERS = "numbers.safetensors"
"""Of a model that does not serve, and of what training knows beside an artifact."""
SHARPNESS = "sharpness"


@dataclass(frozen=True)
class Start:
    """`sharpness`: logarithm of what the artifact's scores were multiplied by in training, None where that is
    not known. Raises LearningError for an artifact that training cannot go on from."""

    artifact: Artifact
    sharpness: float | None = None

    def __post_init__(self) -> None:
        weights = self.artifact.weights
        own = np.array([WEIGHTS_BY_ACTION[action] for action in ACTIONS], np.float32)
        if not np.array_equal(weights.action_weight, own):
            raise LearningError(f"{self.artifact.version} weighs actions otherwise than training does")
        if not np.array_equal(weights.asks, (~REJECTING).astype(np.float32)):
            raise LearningError(
                f"{self.artifact.version} counts other actions as rejections than training does"
            )

    @property
    def speaks(self) -> bool:
        """Whether content says anything to it: to a model that was trained on ids alone it says nothing."""
        return bool(self.artifact.items.arrays["item_gain"].any())

    def check_space(self, space: str) -> None:
        """Raises LearningError where the items' vectors are of other encoders than the artifact's. What is
        not told ('') is taken to fit."""
        own = self.artifact.space
        if own and space and own != space:
            raise LearningError(
                f"{self.artifact.version} was trained on vectors of {own}, and these are of {space}: "
                "set encoders.* as they were then, or start from another artifact"
            )


def load_start(path: str) -> Start:
    """Of an artifact's folder, or of PRIOR. Raises LearningError, and ModelError for a broken artifact."""
    if path == PRIOR:
        return Start(content_prior())
    numbers = Path(path) / NUMBERS
    try:
        return Start(load_artifact(path), _sharpness(numbers) if numbers.exists() else None)
    except (SafetensorError, OSError, KeyError) as error:
        raise LearningError(f"{numbers}: {error}") from error


def _sharpness(numbers: Path) -> float | None:
    with safe_open(numbers, "np") as file:
        if SHARPNESS not in file.keys():  # noqa: SIM118
            return None
        sharpness = file.get_tensor(SHARPNESS)
    if sharpness.shape != () or not np.isfinite(sharpness):
        raise LearningError(f"{numbers}: {SHARPNESS} is {sharpness!r}, wanted is one finite number")
    return float(sharpness)
