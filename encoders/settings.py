"""Settings of fetching and encoding, with the defaults that a laptop wants."""

from typing import Literal

import msgspec

from encoders.hub.settings import DescribeSettings, HubModel


class FetchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where media may come from, and what a fetch may cost."""

    schemes: tuple[str, ...] = ("file", "https", "data")
    file_roots: tuple[str, ...] = ()
    """`file:` references outside these folders are refused; none allowed by default."""
    hosts: tuple[str, ...] = ()
    """Allowed host names (an entry `*.example.org` allows its sub-domains); empty means any public host.
    Buckets of `s3:` and `gs:` references must be named."""
    allow_private_addresses: bool = False
    max_bytes: int = 64 * 1024 * 1024
    timeout_seconds: float = 5.0
    max_redirects: int = 3
    concurrency: int = 16
    concurrency_per_host: int = 8
    failure_seconds: float = 30.0
    """How long a reference that could not be fetched is not tried again; 0 tries always."""
    fresh_seconds: float = 300.0
    """How long a medium is taken for unchanged without asking, where its source says nothing of that."""


class EncoderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which encoders serve which modality, and how they batch."""

    device: str = "auto"
    threads: int = 1
    exported: bool = True
    """Run what gains by it through ONNX Runtime on a CPU, where penchant[onnx] is installed."""
    text: str = "use-multilingual"
    image: str = "efficientnet-lite0"
    audio: str = "aisfx"
    video: str = "key-frames"
    """`key-frames` is the mean of a video's key frames by the image encoder."""
    models: dict[str, HubModel] = {}
    """Models in the `transformers` format by names of one's own, which text, image, audio, video and describe
    may speak of."""
    describe: DescribeSettings = DescribeSettings()
    classics: str = ""
    """Folder of what the classic encoders learned from a catalogue: `tf-idf` and `document-vectors` need it,
    `sift` and `surf` may use it."""
    word_vectors: str = ""
    """File of word vectors in the text format of word2vec and fastText, for `word-vectors`; empty means the
    token vectors of MiniLM."""
    alignment: str = ""
    """Folder of a fitted alignment artifact; empty means the built-in one, which needs no fitting."""
    max_pixels: int = 64_000_000
    max_video_frames: int = 8
    key_frames: Literal["difference", "flow", "sparse-flow", "shots"] = "difference"
    """Key frames of a video: where the picture changes, where its motion comes to rest (by the flow of all
    pixels or of corners alone), or one of each shot."""
    max_video_seconds: float = 60.0
    max_audio_seconds: float = 30.0
    max_text_characters: int = 20_000
    max_text_windows: int = 4
    """A text longer than its encoder reads is seen in at most so many windows, spread over it; 1 leaves out
    what lies beyond the first."""
    decode_timeout_seconds: float = 10.0
    decode_workers: int = 0
    """Processes that decode; 0 means half of the cores, at most 8."""
    batch_items: int = 64
    cache_bytes: int = 2 * 1024 * 1024 * 1024
    bulk_vectors: str = ""
    """Folder that `penchant encode-catalogue` fills, `cache_bytes` at most, and every encode worker reads;
    empty means one in `app.data`."""
