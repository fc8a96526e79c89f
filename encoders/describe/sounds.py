"""Labels of sounds, and the emotion of speech, by audio classifiers."""

from collections.abc import Sequence

import numpy as np
import torch

from encoders.base import Float32
from encoders.describe.description import Described, Description, Kind
from encoders.hub.audio import BATCH_SECONDS, SoundWindows, longest_seconds, moved
from encoders.hub.files import ModelFiles
from encoders.hub.settings import DescribeSettings
from encoders.hub.weights import load_weights, placed, read_part, version_of


class SoundLabels:
    """Sounds float32 [n], mono, at SOUND_RATE, to the classes that are likely enough, likeliest first.

    Of a long sound the probabilities are averaged over its windows. Raises ArtifactError for a model without
    a classifier.
    """

    def __init__(self, files: ModelFiles, kind: Kind, settings: DescribeSettings) -> None:
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        self.kind = kind
        self._files = files
        self._extractor = read_part(files, AutoFeatureExtractor, "feature extractor")
        weights = load_weights(files, AutoModelForAudioClassification)
        config = weights.model.config
        self._names = [str(config.id2label[number]) for number in range(config.num_labels)]
        self._each = config.problem_type == "multi_label_classification"
        self._model = placed(weights.model, files)
        seconds = min(files.hub.window_seconds, longest_seconds(self._extractor))
        cost = files.hub.batch_cost or BATCH_SECONDS
        self._windows = SoundWindows(self._extractor.sampling_rate, seconds, cost)
        self._least = settings.min_score
        self._most = settings.max_labels if kind is Kind.HEARD else 1
        self.version = version_of(files, weights, kind, seconds, self._least, self._most)

    def describe(self, batch: Sequence[Float32]) -> list[Described]:
        """The labels of each sound."""
        sums = np.zeros((len(batch), len(self._names)), np.float32)
        counts = np.zeros((len(batch), 1), np.float32)
        for windows in self._windows.batches(batch):
            rows = [row for row, _ in windows]
            np.add.at(sums, rows, self._probabilities([window for _, window in windows]))
            np.add.at(counts, rows, 1)
        return [self._likely(shares) for shares in sums / np.maximum(counts, 1)]

    @torch.inference_mode()
    def _probabilities(self, windows: Sequence[Float32]) -> Float32:
        made = self._extractor(list(windows), sampling_rate=self._windows.rate, return_tensors="pt")
        logits = self._model(**{key: moved(value, self._files) for key, value in made.items()}).logits.float()
        shares = logits.sigmoid() if self._each else logits.softmax(dim=-1)
        found: Float32 = shares.cpu().numpy()
        return found

    def _likely(self, shares: Float32) -> Described:
        order = np.argsort(-shares, kind="stable")[: self._most]
        return tuple(
            Description(self.kind, self._names[number], round(float(shares[number]), 4))
            for number in order
            if shares[number] >= self._least
        )
