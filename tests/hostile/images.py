"""Pictures: whole and cut, mislabelled, bombs, odd modes, many frames, things that are no pictures."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image, PngImagePlugin

from encoders.base import Modality
from tests.hostile.case import Case
from tests.unit.media_samples import image_bytes, picture

KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "AVIF", "PPM", "TGA")
NAMELESS = ("PPM", "TGA")
"""Formats without a magic number of any length, known by their names alone."""
REFUSED = "broken|unsupported"
"""Which of the two depends on how far the decoder of a version comes."""


def cases() -> Iterator[Case]:
    yield from _cut()
    yield from _mislabelled()
    yield from _bombs()
    yield from _odd_modes()
    yield from _many_frames()
    yield from _odd_metadata()
    yield from _no_pictures()


def _noise(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(side).integers(0, 255, (side, side, 3), dtype=np.uint8))


def _cut() -> Iterator[Case]:
    for kind in KINDS:
        content = image_bytes(_noise(), kind)
        name = f"x.{kind.lower()}"
        yield Case(f"{kind} cut in half", content[: len(content) // 2], REFUSED, called=name)
        yield Case(f"{kind} header alone", content[:24], REFUSED, called=name)
        yield Case(f"{kind} with garbage after it", content + b"\x00garbage" * 500, "encoded", called=name)


def _mislabelled() -> Iterator[Case]:
    for kind in KINDS:
        content = image_bytes(picture(), kind)
        # What has no magic number is taken by its name.
        yield Case(
            f"{kind} called mp3", content, "broken" if kind in NAMELESS else "encoded", called="song.mp3"
        )
        yield Case(f"{kind} said to be sound", content, REFUSED, Modality.AUDIO)
    yield Case("PNG said to be video", image_bytes(picture(), "PNG"), "broken", Modality.VIDEO)
    yield Case("GIF said to be video", image_bytes(picture(), "GIF"), "encoded", Modality.VIDEO)
    yield Case("PNG said to be text", image_bytes(picture(), "PNG"), "broken", Modality.TEXT)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(more)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def _bombs() -> Iterator[Case]:
    yield Case("PNG of 3.6 gigapixels", png(60_000, 60_000, bytes(1000)), "too_large")
    yield Case("PNG whose data lack", png(1000, 1000, b""), "broken")
    yield Case("PNG with far more data than pixels", png(8, 8, bytes(20_000_000)), "encoded")
    text = chunk(b"zTXt", b"words\x00\x00" + zlib.compress(bytes(20_000_000)))
    yield Case("PNG with a text that inflates to 20 MB", png(8, 8, bytes(8 * 25), text), "broken")
    profile = chunk(b"iCCP", b"profile\x00\x00" + zlib.compress(bytes(20_000_000)))
    yield Case("PNG with a profile that inflates to 20 MB", png(8, 8, bytes(8 * 25), profile), "broken")
    yield Case("PNG of no pixels", png(0, 0, b""), "unsupported")
    gif = bytearray(image_bytes(picture(), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    yield Case("GIF that claims 4 gigapixels", bytes(gif), "too_large")
    bmp = bytearray(image_bytes(picture(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 100_000, 100_000)
    yield Case("BMP that claims 10 gigapixels", bytes(bmp), "too_large")
    bmp[18:26] = struct.pack("<ii", -64, 48)
    yield Case("BMP of negative width", bytes(bmp), "too_large")
    yield Case("PPM that claims 10 gigapixels", b"P6 100000 100000 255\n" + bytes(100), "unsupported")
    yield Case("PPM of absurd depth", b"P6 4 4 99999999\n" + bytes(100), "unsupported")
    jpeg = bytearray(image_bytes(picture(), "JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", 65_000, 65_000)
    yield Case("JPEG that claims 4 gigapixels", bytes(jpeg), "too_large")
    tiff = image_bytes(Image.new("L", (6000, 5000)), "TIFF", compression="tiff_adobe_deflate")
    yield Case("TIFF of 30 megapixels in 30 KB", tiff, "too_large")
    big = image_bytes(Image.new("1", (8000, 8000)), "PNG")
    yield Case("PNG of 64 megapixels of one bit", big, "too_large")
    ico = bytearray(image_bytes(picture(32, 32), "ICO"))
    start = ico.index(b"\x89PNG")
    yield Case(
        "ICO with a PNG bomb inside", bytes(ico[:start]) + png(60_000, 60_000, bytes(100)), "unsupported"
    )


def _odd_modes() -> Iterator[Case]:
    for mode in ("1", "L", "LA", "P", "RGBA"):
        yield Case(f"PNG of mode {mode}", image_bytes(picture().convert(mode), "PNG"), "encoded")
    for mode, kind in (("CMYK", "JPEG"), ("CMYK", "TIFF"), ("LAB", "TIFF"), ("YCbCr", "TIFF"), ("F", "TIFF")):
        yield Case(f"{kind} of mode {mode}", image_bytes(picture().convert(mode), kind), "encoded")
    wide = Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20)
    yield Case("PNG of 16 bits", image_bytes(wide, "PNG"), "encoded")
    yield Case("TIFF of 16 bits", image_bytes(wide, "TIFF"), "encoded")
    numbers = np.full((8, 8), np.nan, np.float32)
    yield Case("TIFF of numbers that are none", image_bytes(Image.fromarray(numbers), "TIFF"), "encoded")
    for size in ((1, 1), (1, 3000), (3000, 1)):
        yield Case(f"PNG of {size[0]} by {size[1]}", image_bytes(picture(*size), "PNG"), "encoded")
    yield Case(
        "JPEG of 3 megapixels, progressive",
        image_bytes(picture(2000, 1500), "JPEG", progressive=True),
        "encoded",
    )
    yield Case("PNG above the allowed pixels", image_bytes(Image.new("L", (2100, 2000)), "PNG"), "too_large")


def _many_frames() -> Iterator[Case]:
    frames = [Image.new("P", (16, 16), number % 200) for number in range(300)]
    yield Case(
        "GIF of 300 frames", image_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]), "encoded"
    )
    few = [picture(20, 20).rotate(turn) for turn in range(0, 360, 12)]
    for kind in ("PNG", "WEBP", "TIFF", "AVIF"):
        content = image_bytes(few[0], kind, save_all=True, append_images=few[1:])
        yield Case(f"{kind} of 30 frames", content, "encoded")
    gif = image_bytes(few[0], "GIF", save_all=True, append_images=few[1:])
    yield Case("GIF cut after its first frames", gif[: len(gif) // 3], "encoded")


def _odd_metadata() -> Iterator[Case]:
    for orientation in (3, 8, 99):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Case(
            f"JPEG with orientation {orientation}", image_bytes(picture(), "JPEG", exif=exif), "encoded"
        )
    yield Case(
        "JPEG with broken EXIF",
        image_bytes(picture(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"),
        "encoded",
    )
    yield Case(
        "JPEG with 60 KB of EXIF",
        image_bytes(picture(), "JPEG", exif=b"Exif\x00\x00" + bytes(60_000)),
        "encoded",
    )
    yield Case(
        "JPEG with a broken profile",
        image_bytes(picture(), "JPEG", icc_profile=b"no profile" * 50),
        "encoded",
    )
    words = PngImagePlugin.PngInfo()
    for number in range(200):
        words.add_text(f"key{number}", "value" * 50)
    out = BytesIO()
    picture().save(out, "PNG", pnginfo=words)
    yield Case("PNG with 200 texts", out.getvalue(), "encoded")


def _no_pictures() -> Iterator[Case]:
    image = Modality.IMAGE
    yield Case(
        "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported", image, "x.eps"
    )
    yield Case(
        "SVG said to be an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported", image, "x.svg"
    )
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200)
    yield Case("HEIC", heic, "unsupported", called="x.heic")
    yield Case("Photoshop", b"8BPS\x00\x01" + bytes(200), "unsupported", image, "x.psd")
    yield Case("noise called png", np.random.default_rng(3).bytes(3000), "unsupported", called="x.png")
    yield Case("text called jpg", b"just some words", "encoded", called="x.jpg")
    yield Case("no bytes called png", b"", "empty", called="x.png")
    yield Case("no bytes said to be an image", b"", "empty", image)
    yield Case("one byte said to be an image", b"\x89", "unsupported", image)
