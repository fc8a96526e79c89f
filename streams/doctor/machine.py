"""This machine: its data folder, and the device of the encoders."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from encoders.errors import EncodersError
from streams.doctor.finding import Finding, fail, ok, warn
from streams.settings import Settings

LITTLE_BYTES = 1024**3


def check_disk(settings: Settings) -> Iterator[Finding]:
    """The data folder can be written, and has room for the cache."""
    folder = Path(settings.app.data).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        yield fail(
            "disk",
            f"{folder} cannot be written: {error.strerror}",
            "mend its rights or set app.data elsewhere",
        )
        return
    free = shutil.disk_usage(folder).free
    seen = f"{folder} can be written, {_gigabytes(free)} free"
    if free < LITTLE_BYTES:
        yield fail("disk", seen, "make room, or set app.data to another disk")
    elif free < LITTLE_BYTES + settings.encoders.cache_bytes:
        yield warn(
            "disk",
            seen,
            f"the vector cache may take {_gigabytes(settings.encoders.cache_bytes)}: make room, or "
            "set encoders.cache_bytes lower",
        )
    else:
        yield ok("disk", seen)


def check_device(settings: Settings) -> Iterator[Finding]:
    """What encoders.device stands for here."""
    import torch

    from encoders.device import resolve_device

    wanted = settings.encoders.device
    try:
        device = resolve_device(wanted)
        torch.zeros(1, device=device)
    except (EncodersError, RuntimeError) as error:
        yield fail("device", str(error), "set encoders.device to auto or cpu")
        return
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{settings.encoders.threads} thread(s)"
    )
    yield ok("device", f"{device} ({name}), by encoders.device = {wanted}")


def _gigabytes(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
