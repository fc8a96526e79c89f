"""Images come out upright, RGB, over white and small, whatever they were."""

import struct
import zlib

import numpy as np
import pytest
from media_samples import image_bytes, picture
from PIL import Image

from encoders.errors import MediumError
from encoders.media.image import decode_image

MOST = 1_000_000


def reason_of(content: bytes, most: int = MOST) -> str:
    with pytest.raises(MediumError) as caught:
        decode_image(content, most)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "AVIF", "PPM", "TGA"])
def test_formats(kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    decoded = decode_image(image_bytes(picture(48, 48), kind, **options), MOST)
    assert decoded.shape == (48, 48, 3)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - np.asarray(picture(48, 48)).astype(int)).mean() < 6


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "PNG"), ("LA", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"),
     ("CMYK", "TIFF"), ("I;16", "PNG"), ("I", "TIFF"), ("F", "TIFF"), ("YCbCr", "JPEG")],
)  # fmt: skip
def test_modes_keep_their_brightness(mode: str, kind: str) -> None:
    grey = Image.new("L", (40, 30), 128)
    if mode == "I;16":
        image = Image.fromarray(np.full((30, 40), 128 * 257, np.uint16))
    elif mode == "F":
        image = Image.fromarray(np.full((30, 40), 128 / 255, np.float32))
    else:
        image = grey.convert(mode)
    decoded = decode_image(image_bytes(image, kind), MOST)
    assert decoded.shape == (30, 40, 3)
    assert abs(float(decoded.mean()) - 128) < 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize("colour", [(220, 40, 30), (20, 200, 60), (30, 50, 210), (240, 220, 20)])
def test_cmyk_keeps_its_colours(kind: str, colour: tuple[int, int, int]) -> None:
    inks = Image.new("RGB", (40, 30), colour).convert("CMYK")
    decoded = decode_image(image_bytes(inks, kind), MOST)
    assert np.abs(decoded.astype(int).mean(axis=(0, 1)) - colour).max() < 8


def test_alpha_is_over_white() -> None:
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert (decode_image(image_bytes(clear, "PNG"), MOST) == 255).all()
    half = decode_image(image_bytes(Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG"), MOST)
    assert abs(int(half[5, 5, 0]) - 127) <= 1


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (20, 20), 3)
    image.putpalette([0, 0, 0] * 256)
    assert (decode_image(image_bytes(image, "PNG", transparency=3), MOST) == 255).all()
    assert (decode_image(image_bytes(image, "GIF", transparency=3), MOST) == 255).all()


def test_upright_by_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    decoded = decode_image(image_bytes(picture(60, 40), "JPEG", exif=exif, quality=95), MOST)
    assert decoded.shape == (60, 40, 3)
    turned = np.asarray(picture(60, 40).rotate(-90, expand=True)).astype(int)
    assert np.abs(decoded - turned).mean() < 6


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "lime")]
    for kind in ("GIF", "WEBP", "PNG"):
        content = image_bytes(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        assert decode_image(content, MOST)[10, 10].argmax() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("size", "shape"), [((1500, 600), (205, 512)), ((300, 900), (512, 171))])
def test_longest_side_is_512(kind: str, size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert decode_image(image_bytes(picture(*size), kind), MOST).shape[:2] == shape


def test_thin_images_keep_a_pixel() -> None:
    assert decode_image(image_bytes(picture(9000, 1), "PNG"), MOST).shape == (1, 512, 3)


def test_bombs_are_refused_by_their_header() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    assert reason_of(bomb) == "too_large"
    assert reason_of(image_bytes(picture(101, 100), "PNG"), most=10_000) == "too_large"
    assert decode_image(image_bytes(picture(100, 100), "PNG"), 10_000).shape == (100, 100, 3)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_is_broken(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    content = image_bytes(Image.fromarray(noise), kind)
    assert reason_of(content[: int(len(content) * share)]) in ("broken", "unsupported")


def test_truncated_jpeg_is_broken() -> None:
    content = image_bytes(picture(300, 300), "JPEG")
    assert reason_of(content[: len(content) - 200]) == "broken"


def test_empty_and_foreign() -> None:
    assert reason_of(b"") == "empty"
    assert reason_of(b"no image at all") == "unsupported"
    # PostScript would start a program.
    assert reason_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n") == "unsupported"
