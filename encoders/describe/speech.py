"""Speech to words or phonemes: models that write (Whisper), and models that spell (wav2vec 2.0 with CTC)."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
import torch
import torchaudio

from encoders.base import Float32
from encoders.describe.description import Described, Description, Kind
from encoders.describe.generation import Writer, described
from encoders.hub.audio import SHORTEST_SECONDS, moved
from encoders.hub.files import ModelFiles
from encoders.hub.weights import load_weights, placed, read_part, version_of
from encoders.media.decoded import SOUND_RATE

PIECE_SECONDS = 30.0
"""What Whisper hears at once; longer speech is cut into such pieces, and their texts joined."""
WORD_END = "|"
BATCH_PIECES = 4
ASKED = 4
"""Tokens before the first written one: the start, the language, the task, and that no times are wanted."""


class WrittenSpeech:
    """Sounds float32 [n], mono, at SOUND_RATE, to what is said in them, by an encoder and decoder."""

    kind = Kind.TRANSCRIPT

    def __init__(self, files: ModelFiles, max_new_tokens: int) -> None:
        from transformers import AutoFeatureExtractor, AutoModelForSpeechSeq2Seq, AutoTokenizer

        self._files = files
        self._extractor = read_part(files, AutoFeatureExtractor, "feature extractor")
        weights = load_weights(files, AutoModelForSpeechSeq2Seq)
        tokenizer = read_part(files, AutoTokenizer, "tokenizer")
        longest = _longest(weights.model.config, max_new_tokens)
        self._writer = Writer(placed(weights.model, files), tokenizer, self.kind, longest)
        self.version = version_of(files, weights, self.kind, longest)

    def describe(self, batch: Sequence[Float32]) -> list[Described]:
        """A transcript of each sound."""
        rate = self._extractor.sampling_rate
        pieces = [(row, piece) for row, sound in enumerate(batch) for piece in speech_pieces(sound, rate)]
        found: list[list[Description]] = [[] for _ in batch]
        for start in range(0, len(pieces), BATCH_PIECES):
            part = pieces[start : start + BATCH_PIECES]
            made = self._extractor([piece for _, piece in part], sampling_rate=rate, return_tensors="pt")
            inputs = {key: moved(value, self._files) for key, value in made.items()}
            for (row, _), texts in zip(part, self._writer.write(inputs), strict=True):
                found[row].extend(texts)
        return [joined(self.kind, texts) for texts in found]


class SpelledSpeech:
    """Sounds float32 [n], mono, at SOUND_RATE, to letters or phonemes (connectionist temporal classification,
    Graves et al., ICML 2006), by the likeliest one of each frame."""

    def __init__(self, files: ModelFiles, kind: Kind) -> None:
        from transformers import AutoFeatureExtractor, AutoModelForCTC

        self.kind = kind
        self._files = files
        self._extractor = read_part(files, AutoFeatureExtractor, "feature extractor")
        self._signs = _signs(files)
        weights = load_weights(files, AutoModelForCTC)
        self._blank = weights.model.config.pad_token_id
        self._model = placed(weights.model, files)
        self.version = version_of(files, weights, kind)

    def describe(self, batch: Sequence[Float32]) -> list[Described]:
        """What is spelled in each sound."""
        rate = self._extractor.sampling_rate
        # One at a time: these models take padding for sound.
        return [
            joined(self.kind, [text for piece in speech_pieces(sound, rate) for text in self._spell(piece)])
            for sound in batch
        ]

    @torch.inference_mode()
    def _spell(self, piece: Float32) -> Described:
        rate = self._extractor.sampling_rate
        made = self._extractor([piece], sampling_rate=rate, return_tensors="pt")
        logits = self._model(**{key: moved(value, self._files) for key, value in made.items()}).logits[0]
        scores, numbers = logits.float().softmax(dim=-1).max(dim=-1)
        voiced = scores[numbers != self._blank]
        score = float(voiced.mean()) if len(voiced) else 0.0
        spelled = [
            self._signs.get(number, "") for number, _ in groupby(numbers.tolist()) if number != self._blank
        ]
        between = " " if self.kind is Kind.PHONEMES else ""
        return described(self.kind, between.join(spelled).replace(WORD_END, " "), score)


def transcripts(files: ModelFiles, max_new_tokens: int) -> WrittenSpeech | SpelledSpeech:
    """What fits the model. Raises ArtifactError where it cannot be loaded."""
    if files.config.get("is_encoder_decoder"):
        return WrittenSpeech(files, max_new_tokens)
    return SpelledSpeech(files, Kind.TRANSCRIPT)


def speech_pieces(sound: Float32, rate: int) -> list[Float32]:
    """A sound at SOUND_RATE to pieces at a model's rate, one after the other, none shorter than a second."""
    samples = torchaudio.functional.resample(torch.from_numpy(np.array(sound, np.float32)), SOUND_RATE, rate)
    shortest = int(rate * SHORTEST_SECONDS)
    pieces: list[Float32] = [part.numpy() for part in torch.split(samples, int(rate * PIECE_SECONDS))]
    return [np.pad(piece, (0, max(0, shortest - len(piece)))) for piece in pieces]


def joined(kind: Kind, texts: Sequence[Description]) -> Described:
    """The texts of a sound's pieces as one, as sure as they are on average."""
    if not texts:
        return ()
    mean = sum(text.score for text in texts) / len(texts)
    return described(kind, " ".join(text.text for text in texts), mean)


def _longest(config: Any, wanted: int) -> int:
    """Tokens to write, of those wanted; asked for more than it has room for, a model fails on every sound."""
    positions = getattr(config, "max_target_positions", None)
    return wanted if positions is None else max(1, min(wanted, int(positions) - ASKED))


def _signs(files: ModelFiles) -> dict[int, str]:
    """Number to letter or phoneme, without the marks for beginning, end and what is unknown."""
    try:
        saved: dict[str, Any] = msgspec.json.decode((files.folder / "vocab.json").read_bytes())
        if saved and all(isinstance(value, dict) for value in saved.values()):
            # Models of many languages keep one list for each.
            saved = saved[files.json("tokenizer_config.json")["target_lang"]]
        signs = {int(number): sign for sign, number in saved.items()}
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise files.problem(f"vocab.json cannot be read ({error})", "save it beside the weights") from error
    return {
        number: sign for number, sign in signs.items() if not (sign.startswith(("<", "[")) and len(sign) > 1)
    }
