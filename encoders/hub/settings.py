"""Settings of models in the `transformers` format."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Pooling = Literal["auto", "mean", "cls", "last", "max"]
WholeNumber = Annotated[int, Meta(ge=0)]


class HubModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model, as `[encoders.models.<name>]`; `encoders.text` and its like then speak of it by the name.

    Code that comes with a model is never run: only architectures that `transformers` knows are loaded.
    """

    model: Annotated[str, Meta(min_length=1)]
    """A folder that `save_pretrained` wrote, or the name of a model on the hub."""
    revision: Annotated[str, Meta(min_length=1)] = "main"
    """Branch, tag or commit on the hub; a commit keeps the model from changing under a running service."""
    local_files_only: bool = False
    """Take a hub model from the local cache alone, and ask nobody."""
    pooling: Pooling = "auto"
    """How token vectors become one. `auto` is what the model was trained with where its files say so."""
    prefix: str = ""
    """An instruction that goes before each text, such as `query: `."""
    dimensions: WholeNumber = 0
    """Leading dimensions to keep of a model with Matryoshka vectors (arXiv 2205.13147); 0 keeps all."""
    normalise: bool = True
    """Scale vectors to unit length."""
    max_tokens: WholeNumber = 0
    """Tokens that are read of each text; 0 means what the model allows, at most 512."""
    window_seconds: Annotated[float, Meta(gt=0)] = 10.0
    """Longer sounds are seen in windows of so many seconds, and their vectors averaged."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Numbers that the model computes with. `auto` is half precision on CUDA, bfloat16 for what was trained
    in it and float16 for others, and float32 elsewhere."""
    device: str = ""
    """Of this model alone; empty means `encoders.device`."""
    adapter: str = ""
    """Folder of an adapter that `penchant train text-adapter` made for this model; of texts alone."""
    batch_cost: WholeNumber = 0
    """What passes the model at once: tokens, pictures, seconds of sound or frames; 0 means a default."""


class DescribeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which models put media into words, by their names in `encoders.models`; empty means none.

    Labels of pictures need no model here: the image encoder gives them beside its vectors.
    """

    sounds: str = ""
    """Classifies sounds: what is heard."""
    captions: str = ""
    """Describes pictures, and a video by the key frame in its middle."""
    transcripts: str = ""
    """Writes down speech, of sounds and of videos."""
    phonemes: str = ""
    """Writes down speech in phonemes."""
    emotion: str = ""
    """Classifies the emotion of speech."""
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """A class less likely than this is no label."""
    max_labels: Annotated[int, Meta(ge=1, le=16)] = 3
    max_new_tokens: Annotated[int, Meta(ge=1, le=448)] = 48
    """How long a caption may get."""
    max_transcript_tokens: Annotated[int, Meta(ge=1, le=440)] = 224
    """How long the transcript of 30 seconds of speech may get: about 100 tokens in English, more in scripts
    that tokenizers cut finer. Models such as Whisper write 448 at most, with what they are asked."""
