"""Bytes of an image to pixels."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from encoders.errors import MediumError
from encoders.media.decoded import IMAGE_SIDE

Pixels = NDArray[np.uint8]

PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    GifImagePlugin.GifImageFile,
    WebPImagePlugin.WebPImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
    IcoImagePlugin.IcoImageFile,
    AvifImagePlugin.AvifImageFile,
    PpmImagePlugin.PpmImageFile,
    TgaImagePlugin.TgaImageFile,
)
"""Only formats whose decoders neither start programs nor read other files."""

FORMATS = tuple(plugin.format for plugin in PLUGINS)

WHITE = (255, 255, 255)
WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def decode_image(content: bytes, max_pixels: int) -> Pixels:
    """uint8 [h, w, 3] RGB, the longest side at most 512: upright by EXIF, over white, the first frame.

    Raises MediumError: "empty", "broken", "too_large" for more than `max_pixels` (by the header, before any
    pixel is decoded), "unsupported".
    """
    if not content:
        raise MediumError("empty", "the image has no bytes")
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check_size(image, max_pixels)
            return np.array(_flat(_shrunk(image)))
    except UnidentifiedImageError as error:
        raise MediumError("unsupported", "not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise MediumError("too_large", str(error)) from error
    except MemoryError as error:
        raise MediumError("too_large", "decoding the image takes too much memory") from error
    except MediumError:
        raise
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more for broken bytes.
        raise MediumError("broken", f"{type(error).__name__}: {error}"[:200]) from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise MediumError("too_large", f"{width} x {height} pixels, {max_pixels} allowed")
    if width * height == 0:
        raise MediumError("empty", "the image has no pixels")


def _shrunk(image: Image.Image) -> Image.Image:
    # Lets the JPEG decoder itself scale by 1/2, 1/4 or 1/8, to no less than the target.
    image.draft("RGB", (IMAGE_SIDE, IMAGE_SIDE))
    image.load()
    image = _upright(_eight_bit(image))
    if "transparency" in image.info and image.mode in ("P", "L", "RGB"):
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "RGBA", "L", "LA"):
        image = image.convert("RGBA" if image.mode in ("PA", "RGBa", "La") else "RGB")
    if max(image.size) > IMAGE_SIDE:
        image.thumbnail((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # A broken EXIF block is no reason to lose a sound picture.
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode not in WIDE_MODES:
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = 1.0 if image.mode == "F" else 255.0 if values.max() <= 255 and image.mode == "I" else 65535.0
    if image.mode == "F" and values.max() > 1.0:
        top = float(values.max())
    return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8))


def _flat(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA"):
        over = Image.new("RGBA", image.size, (*WHITE, 255))
        over.alpha_composite(image.convert("RGBA"))
        image = over
    return image if image.mode == "RGB" else image.convert("RGB")
