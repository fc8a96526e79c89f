"""Tells the modality of a medium from its first bytes, and from its name where those are silent."""

import codecs
import re
import struct
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from encoders.base import Modality

HEAD_BYTES = 64 * 1024

IMAGE_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x01\x00",
)
AUDIO_MAGIC = (b"fLaC", b"ID3", b"#!AMR", b".snd", b"caff", b"wvpk")
VIDEO_MAGIC = (b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")

FORMS = {
    b"WAVE": Modality.AUDIO,
    b"AVI ": Modality.VIDEO,
    b"WEBP": Modality.IMAGE,
    b"AIFF": Modality.AUDIO,
    b"AIFC": Modality.AUDIO,
}
MP4_BRANDS = {
    b"avif": Modality.IMAGE,
    b"avis": Modality.IMAGE,
    b"M4A ": Modality.AUDIO,
    b"M4B ": Modality.AUDIO,
}
# ISO 23008-12 pictures, which no decoder here reads.
UNREADABLE_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
ASF_MAGIC = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_VIDEO_STREAM = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a]")
EBML_MAGIC = b"\x1aE\xdf\xa3"

SUFFIXES = {
    Modality.IMAGE: "jpg jpeg jpe jfif png apng gif webp bmp tif tiff ico avif pbm pgm ppm pnm tga",
    Modality.AUDIO: "wav ogg oga opus mp3 mp2 flac m4a m4b aac ac3 aif aiff au caf wma wv amr mka",
    Modality.VIDEO: "mp4 m4v mov webm mkv avi ogv mpg mpeg ts flv wmv 3gp",
    Modality.TEXT: "txt md csv json html htm srt vtt",
}
BY_SUFFIX = {suffix: modality for modality, names in SUFFIXES.items() for suffix in names.split()}


def sniff(content: bytes, name: str = "") -> Modality | None:
    """The modality of a medium, None where neither content nor name tells.

    The content goes before the name. Only the first 64 KiB are looked at.
    """
    head = content[:HEAD_BYTES]
    if not head:
        return _by_name(name)
    if _is_wide_text(head):
        return Modality.TEXT
    found = _by_box(head) or _by_tracks(head) or _by_magic(head)
    if found is not None:
        return found
    if _is_mpeg_audio(head):
        return Modality.AUDIO
    return Modality.TEXT if _is_text(head) else _by_name(name)


def _by_magic(head: bytes) -> Modality | None:
    if head.startswith(b"BM"):
        return Modality.IMAGE if _is_bitmap(head) else None
    if head.startswith(IMAGE_MAGIC):
        return Modality.IMAGE
    if head.startswith(AUDIO_MAGIC):
        return Modality.AUDIO
    if head.startswith(VIDEO_MAGIC) or (head[0] == 0x47 and head[188:189] == b"G" and head[376:377] == b"G"):
        return Modality.VIDEO
    return None


def _by_box(head: bytes) -> Modality | None:
    kind, brand = head[4:8], head[8:12]
    if head.startswith((b"RIFF", b"RF64", b"FORM")):
        return FORMS.get(brand)
    if kind == b"ftyp":
        return None if brand in UNREADABLE_BRANDS else MP4_BRANDS.get(brand, Modality.VIDEO)
    return Modality.VIDEO if kind in (b"moov", b"mdat", b"wide") else None


def _by_tracks(head: bytes) -> Modality | None:
    """Containers that hold sound or video alike, told apart by the tracks that they name."""
    if head.startswith(b"OggS"):
        return Modality.VIDEO if b"\x80theora" in head[:512] else Modality.AUDIO
    if head.startswith(EBML_MAGIC):
        # Codec ids of Matroska begin with the kind of their track.
        return Modality.AUDIO if b"A_" in head and b"V_" not in head else Modality.VIDEO
    if head.startswith(ASF_MAGIC):
        return Modality.VIDEO if ASF_VIDEO_STREAM in head else Modality.AUDIO
    return None


def _is_bitmap(head: bytes) -> bool:
    return len(head) >= 26 and struct.unpack_from("<I", head, 14)[0] in (12, 16, 40, 52, 56, 64, 108, 124)


def _is_mpeg_audio(head: bytes) -> bool:
    """An MPEG audio frame: eleven sync bits, then fields none of which has its reserved value."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:
        return head[2] >> 2 & 0xF < 13
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer != 0 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def _is_wide_text(head: bytes) -> bool:
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and _decodes(head, "utf-16")


def _is_text(head: bytes) -> bool:
    return not BINARY.search(head) and _decodes(head, "utf-8")


def _decodes(head: bytes, coding: str) -> bool:
    try:
        # Incrementally, since a character may be cut where the head ends.
        codecs.getincrementaldecoder(coding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _by_name(name: str) -> Modality | None:
    path = urlsplit(name).path if "://" in name else name
    return BY_SUFFIX.get(PurePosixPath(path).suffix.lower().removeprefix("."))
