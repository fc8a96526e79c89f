"""Small real media, made on the spot."""

import io
import wave
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw


def picture(path: Path, colour: str = "red", format: str = "PNG") -> Path:
    board = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(board).ellipse((20, 10, 100, 80), colour)
    board.save(path, format)
    return path


def truncated_jpeg(path: Path) -> Path:
    whole = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 3])
    return path


def tone(path: Path, hertz: float = 440.0, seconds: float = 1.0) -> Path:
    time = np.arange(int(44_100 * seconds)) / 44_100
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(44_100)
        target.writeframes((np.sin(2 * np.pi * hertz * time) * 20_000).astype("<i2").tobytes())
    return path


def clip(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for number in range(20):
            board = Image.new("RGB", (96, 96), "white" if number < 10 else "navy")
            ImageDraw.Draw(board).rectangle((number * 3, 20, number * 3 + 30, 60), "green")
            for packet in stream.encode(av.VideoFrame.from_image(board)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
