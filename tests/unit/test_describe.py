"""Media to words: what the models say comes out, is kept with the vectors, and goes on with the item."""

import json
import shutil
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.bank import EncoderBank
from encoders.base import Encoded, Medium, Modality
from encoders.describe import speech
from encoders.describe.captions import Captions
from encoders.describe.configured import Describers
from encoders.describe.description import Described, Description, Kind
from encoders.describe.generation import LONGEST_TEXT, described
from encoders.describe.sounds import SoundLabels
from encoders.describe.speech import SpelledSpeech, WrittenSpeech, joined, speech_pieces, transcripts
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles, find_model
from encoders.hub.settings import DescribeSettings, HubModel
from encoders.image.classes import ClassShares, class_names, labels
from encoders.media.decoded import SOUND_RATE
from encoders.observer import Observer
from encoders.settings import EncoderSettings
from streams.encode.items import MAX_DESCRIPTION, ItemPlan, encode_item
from streams.encode.media import EncodedMedia, Wanted
from streams.encode.parsing import NewItem
from streams.raw import RawRecord
from streams.records import Item
from tests import tiny_models
from tests.encoder_samples import picture, sound
from tests.unit.test_bank import DictCache, FakePool

CPU = torch.device("cpu")
DESCRIBE = DescribeSettings(min_score=0.0)


def files(model: Path | str) -> ModelFiles:
    return find_model("own", HubModel(model=str(model)), CPU)


def tiny(model: str) -> ModelFiles:
    return files(tiny_models.tiny(model))


def test_a_sound_has_the_labels_that_its_classifier_finds_likely() -> None:
    from transformers import ASTFeatureExtractor, ASTForAudioClassification

    folder = tiny_models.tiny("ast")
    one = np.tile(sound(1, 1.0), 1)
    (found,) = SoundLabels(tiny("ast"), Kind.HEARD, DESCRIBE).describe([one])
    import torchaudio

    samples = torchaudio.functional.resample(torch.from_numpy(one), SOUND_RATE, 16_000).numpy()
    made = ASTFeatureExtractor.from_pretrained(folder)(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        logits = ASTForAudioClassification.from_pretrained(folder).eval()(**made).logits
    shares = logits.softmax(dim=-1)[0].tolist()
    expected = dict(zip(["Speech", "Dog"], shares, strict=True))
    assert [one.text for one in found] == sorted(expected, key=lambda name: -expected[name])
    assert [one.score for one in found] == pytest.approx(sorted(shares, reverse=True), abs=1e-3)


def test_what_is_unlikely_is_no_label() -> None:
    sounds = [sound(seed, 1.0) for seed in range(1, 5)]
    all_of_them = SoundLabels(tiny("ast"), Kind.HEARD, DESCRIBE).describe(sounds)
    likely = SoundLabels(tiny("ast"), Kind.HEARD, DescribeSettings(min_score=0.6)).describe(sounds)
    assert likely == [tuple(one for one in each if one.score >= 0.6) for each in all_of_them]
    single = SoundLabels(tiny("ast"), Kind.HEARD, DescribeSettings(min_score=0.0, max_labels=1))
    assert single.describe(sounds) == [each[:1] for each in all_of_them]


def test_the_emotion_is_one() -> None:
    (found,) = SoundLabels(tiny("ast"), Kind.EMOTION, DESCRIBE).describe([sound(1)])
    assert [one.kind for one in found] == [Kind.EMOTION]


def test_spelling_drops_repeats_and_blanks() -> None:
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder = tiny_models.tiny("ctc")
    speech = sound(2, 1.2)
    (piece,) = speech_pieces(speech, 16_000)
    made = Wav2Vec2FeatureExtractor.from_pretrained(folder)(piece, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        numbers = Wav2Vec2ForCTC.from_pretrained(folder).eval()(**made).logits[0].argmax(dim=-1).tolist()
    signs = [tiny_models.SIGNS[number] for number, _ in groupby(numbers)]
    letters = [sign for sign in signs if not sign.startswith("<")]
    (transcript,) = SpelledSpeech(tiny("ctc"), Kind.TRANSCRIPT).describe([speech])
    (phonemes,) = SpelledSpeech(tiny("ctc"), Kind.PHONEMES).describe([speech])
    assert transcript[0].text == " ".join("".join(letters).replace("|", " ").split())
    assert phonemes[0].text == " ".join(" ".join(letters).replace("|", " ").split())


def test_long_speech_is_heard_in_pieces_that_leave_nothing_out() -> None:
    pieces = speech_pieces(np.ones(70 * SOUND_RATE, np.float32), 16_000)
    assert [len(piece) for piece in pieces] == [30 * 16_000, 30 * 16_000, 10 * 16_000]
    assert [len(piece) for piece in speech_pieces(np.ones(10, np.float32), 16_000)] == [16_000]
    texts = [Description(Kind.TRANSCRIPT, "one two", 0.5), Description(Kind.TRANSCRIPT, "three", 0.7)]
    assert joined(Kind.TRANSCRIPT, texts) == (Description(Kind.TRANSCRIPT, "one two three", 0.6),)


def test_a_text_is_one_bounded_line() -> None:
    assert described(Kind.CAPTION, "  a\n red\tcat ", 0.5) == (Description(Kind.CAPTION, "a red cat", 0.5),)
    assert described(Kind.CAPTION, " \n", 0.5) == ()
    assert len(described(Kind.CAPTION, "a" * 9_000, 0.5)[0].text) == LONGEST_TEXT


def test_a_caption_ends_where_the_settings_say() -> None:
    (short,) = Captions(tiny("blip"), 2).describe([picture(1)])
    (long,) = Captions(tiny("blip"), 9).describe([picture(1)])
    assert len(short[0].text.split()) <= 2 < len(long[0].text.split())


@pytest.mark.parametrize("model", ["clip", "vit"])
def test_a_model_that_writes_no_captions_is_refused(model: str) -> None:
    with pytest.raises(ArtifactError, match=r"encoders\.models\.own\.model is .*it writes no captions"):
        Captions(tiny(model), 8)


def test_a_model_without_a_classifier_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"of the weights, .*classifier"):
        SoundLabels(tiny("wav2vec2"), Kind.HEARD, DESCRIBE)


def test_a_model_that_neither_writes_nor_spells_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"vocab\.json cannot be read"):
        transcripts(tiny("wav2vec2"), 8)


def test_a_vocabulary_of_many_languages_is_read_by_the_configured_one(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_models.tiny("ctc"), tmp_path / "copy"))
    vocabulary = json.loads((copy / "vocab.json").read_text())
    (copy / "vocab.json").write_text(json.dumps({"deu": {}, "eng": vocabulary}))
    (copy / "tokenizer_config.json").write_text(json.dumps({"target_lang": "eng"}))
    spelled = [
        SpelledSpeech(found, Kind.TRANSCRIPT).describe([sound(2)]) for found in (files(copy), tiny("ctc"))
    ]
    assert spelled[0] == spelled[1]


@pytest.mark.parametrize("key", list(tiny_models.DESCRIBERS))
def test_an_unknown_model_names_the_setting(key: str) -> None:
    settings = EncoderSettings(describe=DescribeSettings(**{key: "nothing"}))
    with pytest.raises(
        ArtifactError, match=rf"encoders\.describe\.{key} is 'nothing': say in encoders\.models"
    ):
        Describers(settings, CPU, Observer())


def test_labels_of_pictures_carry_their_shares() -> None:
    shares = ClassShares(np.array([[1, 207, 817, 3]]), np.array([[0.5, 0.2, 0.05, 0.01]], np.float32))
    assert class_names()[1] == "goldfish"
    assert labels(shares) == (
        Description(Kind.SEEN, "goldfish", 0.5),
        Description(Kind.SEEN, "Golden Retriever", 0.2),
    )


def settings(**describe: str) -> EncoderSettings:
    names = ("bert", "clip", "ast", "blip", "ctc")
    models = {name: HubModel(model=str(tiny_models.tiny(name))) for name in names}
    return EncoderSettings(
        device="cpu", text="bert", image="clip", audio="ast", models=models,
        describe=DescribeSettings(**describe, min_score=0.0),
    )  # fmt: skip


def test_the_bank_keeps_words_with_the_vectors() -> None:
    cache, pool = DictCache(), FakePool()
    wordy = settings(captions="blip", sounds="ast", transcripts="ctc")
    media = [Medium(b"image-1", Modality.IMAGE), Medium(b"sound-1", Modality.AUDIO)]
    media += [Medium(b"video-1", Modality.VIDEO), Medium(b"a text", Modality.TEXT)]
    fresh = EncoderBank(wordy, cache, pool).encode(media)
    kinds = [{one.kind for one in each.descriptions} - {Kind.SEEN} for each in fresh]
    heard = {Kind.HEARD, Kind.TRANSCRIPT}
    assert kinds == [{Kind.CAPTION}, heard, {Kind.CAPTION, *heard}, set()]
    assert {"Speech", "Dog"} <= set(fresh[2].labels)
    assert not any("##" in label for label in fresh[2].labels)
    again = EncoderBank(wordy, cache, pool).encode(media)
    assert all(each.cached for each in again)
    assert [each.descriptions for each in again] == [each.descriptions for each in fresh]
    assert len(pool.decoded) == 3


def test_other_words_are_other_entries_of_the_cache() -> None:
    cache, pool = DictCache(), FakePool()
    image, song = Medium(b"image-1", Modality.IMAGE), Medium(b"sound-1", Modality.AUDIO)
    (plain,) = EncoderBank(settings(), cache, pool).encode([image])
    captioning = EncoderBank(settings(captions="blip"), cache, pool)
    (captioned,) = captioning.encode([image])
    assert {one.kind for one in plain.descriptions} <= {Kind.SEEN}
    assert {one.kind for one in captioned.descriptions} >= {Kind.CAPTION}
    captioning.encode([song])
    (kept,) = EncoderBank(settings(), cache, pool).encode([song])
    assert kept.cached


def test_words_go_on_with_the_item_by_kind() -> None:
    wanted = [Wanted(uri="https://media.test/a"), Wanted(uri="https://media.test/b")]
    said = [
        (Description(Kind.SEEN, "cat", 0.9), Description(Kind.CAPTION, "a cat", 0.5)),
        (
            Description(Kind.HEARD, "purring", 0.9),
            Description(Kind.CAPTION, "a cat", 0.4),
            Description(Kind.CAPTION, "x" * 5_000, 0.4),
            Description(Kind.EMOTION, "calm", 0.8),
        ),
    ]
    media = EncodedMedia({one: Encoded(descriptions=words) for one, words in zip(wanted, said, strict=True)})
    record = RawRecord("items", 0, 7, 0, b"item", b"{}")
    plan = ItemPlan(NewItem(record, Item("item"), None, None), wanted, [], {})
    item = encode_item(plan, media, {}, "1")
    assert item.labels == ("cat", "purring")
    assert item.described == {
        "caption": ("a cat", "x" * MAX_DESCRIPTION), "emotion": ("calm",)
    }  # fmt: skip


def test_a_describer_that_fails_on_a_medium_leaves_its_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DictCache()
    bank = EncoderBank(settings(captions="blip"), cache, FakePool())
    describe = Captions.describe

    def fail(self: Captions, batch: Sequence[np.ndarray]) -> list[Described]:
        if any((one == picture(1)).all() for one in batch if one.shape == picture(1).shape):
            raise ValueError("it cannot be put into words")
        return describe(self, batch)

    media = [Medium(f"image-{seed}".encode(), Modality.IMAGE) for seed in (1, 2)]
    with monkeypatch.context() as patch:
        patch.setattr(Captions, "describe", fail)
        silent, captioned = bank.encode(media)
    assert Modality.IMAGE in silent.vectors
    assert not silent.masked
    assert Kind.CAPTION not in [one.kind for one in silent.descriptions]
    assert Kind.CAPTION in [one.kind for one in captioned.descriptions]
    assert list(cache.values) == [bank.key(media[1])]


def test_a_transcript_may_be_longer_than_a_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    class Noted(WrittenSpeech):
        def __init__(self, files: ModelFiles, max_new_tokens: int) -> None:
            written.append(max_new_tokens)
            super().__init__(files, max_new_tokens)

    monkeypatch.setattr(speech, "WrittenSpeech", Noted)
    models = {"own": HubModel(model=str(tiny_models.tiny("whisper")))}
    wanted = EncoderSettings(models=models, describe=DescribeSettings(transcripts="own"))
    Describers(wanted, CPU, Observer())
    assert written == [DescribeSettings().max_transcript_tokens]
    assert written[0] >= 200 > DescribeSettings().max_new_tokens


def test_a_transcript_is_no_longer_than_its_model_can_write() -> None:
    """Asked for more, Whisper's like fail on every sound, which would end the worker."""
    wanted = DescribeSettings().max_transcript_tokens
    assert wanted > tiny("whisper").config["max_target_positions"]
    for number in (1, 2):
        (found,) = transcripts(tiny("whisper"), wanted).describe([sound(number)])
        assert all(one.text for one in found)
