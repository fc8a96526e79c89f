"""The encoders on CUDA, in half precision, against the CPU's float32."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from encoders import registry
from encoders.base import Encoder, Float32, Modality
from encoders.device import on_device
from encoders.settings import EncoderSettings
from encoders.video.keyframes import KeyFrames
from tests.encoder_samples import ODD, ORDINARY

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine shows no CUDA device"),
]
SETTINGS = EncoderSettings()
NAMES = ["text:minilm", "image:efficientnet-lite0", "audio:aisfx", "video:efficientnet-lite0"]


def build(name: str, device: str) -> Any:
    modality, _, chosen = name.partition(":")
    place = torch.device(device)
    if modality == "text":
        return registry.TEXT[chosen](SETTINGS, place)
    if modality == "audio":
        return registry.AUDIO[chosen](SETTINGS, place)
    image = registry.IMAGE[chosen](SETTINGS, place)
    return image if modality == "image" else KeyFrames(image)


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Encoder[Any], Encoder[Any]]]:
    yield build(request.param, "cuda"), build(request.param, "cpu")


def test_batches_come_whole_through_pinned_memory() -> None:
    cuda = torch.device("cuda")
    batch = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    placed = on_device(batch, cuda)
    half = on_device(batch.permute(1, 0, 2), cuda, torch.float16)
    assert (placed.device.type, placed.dtype, half.dtype) == ("cuda", torch.float32, torch.float16)
    torch.testing.assert_close(placed.cpu(), batch)
    torch.testing.assert_close(half.cpu(), batch.permute(1, 0, 2).half())


def cosines(first: Float32, second: Float32) -> Float32:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / lengths, np.float32)


def test_cuda_and_cpu_agree(pair: tuple[Encoder[Any], Encoder[Any]]) -> None:
    cuda, cpu = pair
    batch = ORDINARY[cuda.modality]
    assert cosines(cuda.encode(batch), cpu.encode(batch)).min() > 0.999
    assert cuda.version == cpu.version


def test_a_sample_is_the_same_to_the_bit_alone_as_in_company(pair: tuple[Encoder[Any], Encoder[Any]]) -> None:
    cuda, _ = pair
    batch = ORDINARY[cuda.modality] + ODD[cuda.modality]
    together = cuda.encode(batch)
    assert np.isfinite(together).all()
    for row, sample in enumerate(batch):
        np.testing.assert_array_equal(cuda.encode([sample])[0], together[row])


def test_batches_larger_than_one_shape(pair: tuple[Encoder[Any], Encoder[Any]]) -> None:
    cuda, cpu = pair
    batch = (ORDINARY[cuda.modality] * 18)[:70]
    assert cuda.encode(batch).shape == (70, cuda.dim)
    np.testing.assert_array_equal(cuda.encode(batch)[66:], cuda.encode(batch[66:]))
    assert cosines(cuda.encode(batch[-3:]), cpu.encode(batch[-3:])).min() > 0.999


def test_classes_agree() -> None:
    cuda, cpu = (build("image:efficientnet-lite0", device) for device in ("cuda", "cpu"))
    batch = ORDINARY[Modality.IMAGE]
    _, on_cuda = cuda.encode_with_classes(batch)
    _, on_cpu = cpu.encode_with_classes(batch)
    np.testing.assert_array_equal(on_cuda.ids[:, 0], on_cpu.ids[:, 0])
    np.testing.assert_allclose(on_cuda.shares[:, 0], on_cpu.shares[:, 0], atol=0.02)
