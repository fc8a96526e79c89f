"""Sound features of aiSFX (Ma and Lerch, ISMIR 2022): a convolutional network over mel spectrograms."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torchaudio

from encoders.base import Float32, Modality
from encoders.device import fixed_batch, on_device, working_dtype
from encoders.errors import ArtifactError
from encoders.folding import fold_norm
from encoders.media.decoded import SOUND_RATE

DIM = 512
FRAME, HOP, MELS = 2048, 1024, 96
WINDOW, WINDOW_HOP = 100, 50
"""Spectrogram frames that the network sees at once (2.3 s), and by how many the next window is later."""
LARGEST = 9.457798957824707
"""Largest log-mel value of the spectrograms that the network was trained on; it divides the input."""
CPU_BATCH = 8
FIRST_LAYER = re.compile(r"fc\.\d+\.0\.weight")


class AiSfx:
    """Sounds float32 [n], mono, at SOUND_RATE, to float32 [n, 512]: the mean over overlapping windows."""

    name = "aisfx"
    modality = Modality.AUDIO
    dim = DIM

    def __init__(self, device: torch.device) -> None:
        self.version = f"{self.name}-{version('aisfx')}-1"
        self._device = device
        self._dtype = working_dtype(device)
        self._fixed = fixed_batch(device)
        self._mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=SOUND_RATE, n_fft=FRAME, hop_length=HOP, n_mels=MELS, f_max=SOUND_RATE / 2,
            center=True, pad_mode="constant", mel_scale="htk", power=2.0,
        ).to(device)  # fmt: skip
        self._bands = _unit_sum(self._mel)
        self._net = load_net().to(device, self._dtype)

    def encode(self, batch: Sequence[Float32]) -> Float32:
        """Float32 [n, 512], all at least 0."""
        if not batch:
            return np.empty((0, DIM), np.float32)
        windows = [self.windows(sound) for sound in batch]
        vectors = self._forward(torch.cat(windows))
        ends = np.cumsum([len(part) for part in windows])[:-1]
        return np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])

    def class_weights(self) -> Float32:
        """First layers of the nine classifiers that the network was trained with, float32 [2304, 512]."""
        weights = load_checkpoint()
        return np.concatenate([value.numpy() for key, value in weights.items() if FIRST_LAYER.fullmatch(key)])

    @torch.inference_mode()
    def windows(self, sound: Float32) -> torch.Tensor:
        """One sound to [w, WINDOW, MELS] in 0..1; the last window is filled up with silence."""
        peak = float(np.abs(sound).max(initial=0.0))
        samples = torch.tensor(sound / peak if peak > 0 else sound, dtype=torch.float32)
        samples = on_device(samples, self._device)
        mel = (self._mel(samples) / self._bands[:, None]).T
        frames = torch.log10(mel * 10_000.0 + 1.0) / LARGEST
        count = max(1, -(-(len(frames) - WINDOW) // WINDOW_HOP) + 1)
        missing = (count - 1) * WINDOW_HOP + WINDOW - len(frames)
        padded = torch.nn.functional.pad(frames, (0, 0, 0, missing))
        return padded.unfold(0, WINDOW, WINDOW_HOP).transpose(1, 2)

    @torch.inference_mode()
    def _forward(self, windows: torch.Tensor) -> Float32:
        size = self._fixed or CPU_BATCH
        parts = []
        for part in torch.split(windows, size):
            padding = (self._fixed or len(part)) - len(part)
            full = torch.nn.functional.pad(part, (0, 0, 0, 0, 0, padding)).to(self._dtype)
            parts.append(self._net(full)[: len(part)].float())
        return torch.cat(parts).cpu().numpy()


def _unit_sum(mel: torchaudio.transforms.MelSpectrogram) -> torch.Tensor:
    """Sum of each mel band's weights: the network was trained on bands whose weights sum to 1."""
    sums: torch.Tensor = mel.mel_scale.fb.sum(dim=0)
    return torch.clamp(sums, min=1e-8)


def load_checkpoint() -> dict[str, torch.Tensor]:
    """Weights by name: `embedding_net.*`, and `fc.*` of the classifiers that it was trained with."""
    from aisfx.inference import get_path_modelWeights
    from numpy._core.multiarray import scalar

    allowed: list[Any] = [(scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Int64DType]
    try:
        with torch.serialization.safe_globals(allowed):
            weights, _ = torch.load(get_path_modelWeights(), map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"the weights of aisfx cannot be read ({error}): install aisfx==0.1.2 again"
        ) from error
    return dict(weights)


def load_net() -> torch.nn.Module:
    """The network without its classifiers: [w, WINDOW, MELS] to [w, DIM]."""
    from aisfx.models.cnn2d import EmbeddingNet

    prefix = "embedding_net."
    net = EmbeddingNet("max", 3, 1, 64)
    net.load_state_dict(
        {
            key.removeprefix(prefix): value
            for key, value in load_checkpoint().items()
            if key.startswith(prefix)
        }
    )
    net.eval()
    for block in (net.conv_block1, net.conv_block2, net.conv_block3, net.conv_block4):
        fold_norm(block, "conv1", "bn1")
        fold_norm(block, "conv2", "bn2")
    return net.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
