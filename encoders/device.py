"""Which device the encoders run on, and how many threads."""

import torch

from encoders.errors import ArtifactError


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA where present, else the CPU. Raises ArtifactError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ArtifactError(f"encoders.device is '{name}': use auto, cpu, cuda or cuda:<index>") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ArtifactError(
            f"encoders.device is '{name}', but this machine shows no CUDA device: use auto or cpu"
        )
    return device


def limit_threads(threads: int) -> None:
    """Torch's threads inside one operation; those between operations can be set only once a process."""
    torch.set_num_threads(max(1, threads))


def working_dtype(device: torch.device, trained: torch.dtype | None = None) -> torch.dtype:
    """Half precision pays on CUDA alone; a CPU has no fast half convolution.

    What was trained in bfloat16 may leave float16's range of 65,504: it keeps to bfloat16, or to float32 on a
    device without it.
    """
    if device.type != "cuda":
        return torch.float32
    if trained is not torch.bfloat16:
        return torch.float16
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32


def on_device(batch: torch.Tensor, device: torch.device, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A batch from this machine's memory, where the encoder is.

    CUDA copies from pinned memory by itself, so that the CPU goes on meanwhile with what comes next.
    """
    if device.type != "cuda":
        return batch.to(device, dtype)
    return batch.pin_memory().to(device, dtype, non_blocking=True)


def fixed_batch(device: torch.device) -> int | None:
    """Rows that every batch is padded to, or None for no padding.

    cuDNN and cuBLAS pick their kernel by shape, so that on CUDA one shape for all batches is what makes
    a sample's vector the same alone and in company. A CPU differs by rounding alone, below 1e-5.
    """
    return 32 if device.type == "cuda" else None
