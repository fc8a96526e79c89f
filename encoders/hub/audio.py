"""Sounds by audio models: CLAP's sound tower, spectrogram transformers, wav2vec 2.0 and its like."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torchaudio

from encoders.base import Float32, Modality
from encoders.device import on_device
from encoders.hub.files import ModelFiles
from encoders.hub.image import last_layer
from encoders.hub.pooling import finished
from encoders.hub.towers import TEXT_PARTS, tower_output
from encoders.hub.weights import load_weights, placed, read_part, version_of, without
from encoders.media.decoded import SOUND_RATE

BATCH_SECONDS = 80
SHORTEST_SECONDS = 1.0
"""Shorter sounds are filled up with silence: the models' first layers need some tenths of a second."""

FRAME_SECONDS = 0.01
"""From one frame of a spectrogram transformer's input to the next."""

Window = tuple[int, Float32]
"""Row of the sound in the batch, and samples."""


class SoundWindows:
    """Sounds at SOUND_RATE to windows at a model's rate, batched by equal length.

    Models differ in what they make of padding, so that no window is ever padded for another's sake.
    """

    def __init__(self, rate: int, seconds: float, batch_seconds: float) -> None:
        self.rate = rate
        self._length = int(rate * max(seconds, SHORTEST_SECONDS))
        self._shortest = int(rate * SHORTEST_SECONDS)
        self._batch_samples = int(rate * batch_seconds)

    def batches(self, sounds: Sequence[Float32]) -> Iterator[list[Window]]:
        """Windows of one length each; those of one sound may lie in several batches."""
        by_length: dict[int, list[Window]] = {}
        for row, sound in enumerate(sounds):
            for window in self._windows(sound):
                by_length.setdefault(len(window), []).append((row, window))
        for length, windows in sorted(by_length.items()):
            step = max(1, self._batch_samples // length)
            for start in range(0, len(windows), step):
                yield windows[start : start + step]

    def _windows(self, sound: Float32) -> list[Float32]:
        """The last window ends with the sound and overlaps the one before."""
        samples = torch.from_numpy(np.array(sound, np.float32))
        samples = torchaudio.functional.resample(samples, SOUND_RATE, self.rate)
        found: Float32 = samples.numpy()
        if len(found) <= self._length:
            return [np.pad(found, (0, max(0, self._shortest - len(found))))]
        last = len(found) - self._length
        starts = [*range(0, last, self._length), last]
        return [found[start : start + self._length] for start in starts]


class HubAudio:
    """Sounds float32 [n], mono, at SOUND_RATE, to float32 [n, dim]: the mean over windows.

    Raises ArtifactError where the model cannot be loaded, or is none of sounds.
    """

    modality = Modality.AUDIO

    def __init__(self, files: ModelFiles) -> None:
        from transformers import AutoFeatureExtractor, AutoModel

        hub = files.hub
        self._extractor = read_part(files, AutoFeatureExtractor, "feature extractor")
        if not hasattr(self._extractor, "sampling_rate") or files.config.get("is_encoder_decoder"):
            raise files.problem("it is no encoder of sounds", "name one such as CLAP, AST or wav2vec 2.0")
        weights = load_weights(files, AutoModel)
        self.name = files.name
        self._files = files
        self._pooler_is_trained = weights.pooler_is_trained
        self._model = placed(without(weights.model, *TEXT_PARTS), files)
        seconds = min(hub.window_seconds, longest_seconds(self._extractor))
        self._windows = SoundWindows(self._extractor.sampling_rate, seconds, hub.batch_cost or BATCH_SECONDS)
        self.version = version_of(
            files, weights, "audio", hub.pooling, hub.dimensions, hub.normalise, seconds
        )
        self.dim = self._vectors([np.zeros(self._windows.rate, np.float32)]).shape[1]
        if hub.dimensions > self.dim:
            raise files.problem(f"its vectors have {self.dim} dimensions", "make `dimensions` smaller")

    def encode(self, batch: Sequence[Float32]) -> Float32:
        """Float32 [n, dim]."""
        sums = np.zeros((len(batch), self.dim), np.float32)
        counts = np.zeros((len(batch), 1), np.float32)
        for windows in self._windows.batches(batch):
            rows = [row for row, _ in windows]
            np.add.at(sums, rows, self._vectors([window for _, window in windows]))
            np.add.at(counts, rows, 1)
        means = torch.from_numpy(sums / np.maximum(counts, 1))
        return finished(means, 0, self._files.hub.normalise)

    @torch.inference_mode()
    def _vectors(self, windows: Sequence[Float32]) -> Float32:
        hub, files = self._files.hub, self._files
        made = self._extractor(list(windows), sampling_rate=self._windows.rate, return_tensors="pt")
        found = self._read({key: moved(value, files) for key, value in made.items()})
        return finished(found, hub.dimensions, hub.normalise)

    def _read(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if hasattr(self._model, "get_audio_features"):
            # The extractor calls one window of a batch longer than it is, by chance.
            inputs["is_longer"] = torch.zeros_like(inputs["is_longer"])
            return tower_output(self._model.get_audio_features(**inputs))
        pooling = self._files.hub.pooling
        output = self._model(**inputs)
        own = getattr(output, "pooler_output", None)
        return last_layer(
            output, "mean" if pooling == "auto" and own is None else pooling, self._pooler_is_trained
        )


def longest_seconds(extractor: Any) -> float:
    """What the extractor takes in whole; of longer sounds it would take a part, CLAP's a random one."""
    if hasattr(extractor, "nb_max_samples"):
        return float(extractor.nb_max_samples / extractor.sampling_rate)
    if hasattr(extractor, "num_mel_bins"):
        return float(extractor.max_length * FRAME_SECONDS)
    return float("inf")


def moved(value: Any, files: ModelFiles) -> torch.Tensor:
    """An input of the model, on its device and in its precision."""
    tensor = torch.as_tensor(value)
    return on_device(tensor, files.device, files.dtype if tensor.is_floating_point() else None)
