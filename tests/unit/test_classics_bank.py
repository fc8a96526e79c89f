"""A whole set of classic encoders learns from made media, is aligned and encodes, by the settings alone."""

import copy
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from media_samples import image_bytes, scenes, tone, video_bytes, wav_bytes
from PIL import Image

from encoders.alignment_artifact import save_alignment
from encoders.alignment_fit import fit_from_media
from encoders.bank import EncoderBank
from encoders.base import SHARED_DIM, Medium, Modality
from encoders.classics_artifact import load_classics, save_classics
from encoders.classics_fit import ClassicsFit
from encoders.errors import ArtifactError
from encoders.media.decoded import Decoded
from encoders.media.pool import DecodePool
from encoders.settings import EncoderSettings

COLOURS = {
    "red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "yellow": (220, 210, 20),
    "purple": (150, 30, 170), "grey": (128, 128, 128),
}  # fmt: skip
PITCHES = dict(zip(COLOURS, (110, 220, 440, 880, 1760, 3520), strict=True))
FORMS = ("a {} thing", "my {} picture", "this is {}", "{}", "very {} indeed", "look, {} again")
ALL = EncoderSettings(device="cpu", text="tf-idf", image="colour-histogram", audio="mfcc")
SETS = [
    ALL,
    msgspec.structs.replace(ALL, text="bag-of-words", image="hog", audio="spectrogram"),
    msgspec.structs.replace(ALL, text="document-vectors", image="sift", audio="intensity"),
    msgspec.structs.replace(ALL, text="word-vectors"),
]


def image(colour: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-18, 19, (40, 48, 3))
    return image_bytes(Image.fromarray(np.clip(noise + COLOURS[colour], 0, 255).astype(np.uint8)), "PNG")


def sound(colour: str, seed: int) -> bytes:
    level = 0.2 + 0.1 * (seed % 5)
    return wav_bytes(
        tone(0.2 + 0.02 * (seed % 7), hertz=PITCHES[colour] * (1 + 0.01 * (seed % 3)), level=level)
    )


def item(colour: str, seed: int) -> list[Medium]:
    return [
        Medium(FORMS[seed % len(FORMS)].format(colour).encode(), Modality.TEXT),
        Medium(image(colour, seed), Modality.IMAGE),
        Medium(sound(colour, seed), Modality.AUDIO),
    ]


CATALOGUE = [item(colour, seed) for seed in range(6) for colour in COLOURS]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(ALL)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def learned(pool: DecodePool, tmp_path_factory: pytest.TempPathFactory) -> str:
    fit = ClassicsFit()
    for media in CATALOGUE:
        fit.add(one for one in pool.decode(media) if isinstance(one, Decoded))
    folder = tmp_path_factory.mktemp("classics")
    save_classics(fit.finished(), folder)
    return str(folder)


@pytest.mark.parametrize("chosen", SETS, ids=lambda chosen: chosen.text)
def test_a_set_of_classics_is_aligned_and_encodes(
    chosen: EncoderSettings, pool: DecodePool, learned: str, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(chosen, classics=learned)
    first = EncoderBank(settings, None, pool)
    alignment = fit_from_media(first, CATALOGUE)
    save_alignment(alignment, tmp_path / "alignment")
    bank = EncoderBank(msgspec.structs.replace(settings, alignment=str(tmp_path / "alignment")), None, pool)
    assert bank.version != first.version
    fresh = [item(colour, 100 + seed) for seed, colour in enumerate(COLOURS)]
    found = [bank.encode(media) for media in fresh]
    for one in found:
        for encoded, modality in zip(one, (Modality.TEXT, Modality.IMAGE, Modality.AUDIO), strict=True):
            assert encoded.vectors[modality].shape == (SHARED_DIM,)
            assert np.linalg.norm(encoded.vectors[modality]) == pytest.approx(1, abs=1e-4)
    sounds = np.stack([one[2].vectors[Modality.AUDIO] for one in found])
    texts = np.stack([one.vectors[Modality.TEXT] for one in bank.encode_texts(list(COLOURS))])
    # Outlines and patterns know no colours: of those pictures nothing but a vector can be asked.
    if chosen.image == "colour-histogram":
        images = np.stack([one[1].vectors[Modality.IMAGE] for one in found])
        assert (texts @ images.T).argmax(axis=1).tolist() == list(range(len(COLOURS)))
    if chosen.audio != "intensity":
        assert (texts @ sounds.T).argmax(axis=1).tolist() == list(range(len(COLOURS)))


def test_videos_come_out_of_the_image_and_sound_classics(pool: DecodePool) -> None:
    bank = EncoderBank(msgspec.structs.replace(ALL, text="bag-of-words"), None, pool)
    clip = video_bytes(scenes([COLOURS["red"]], 12, size=(64, 48)), samples=tone(0.4))
    (encoded,) = bank.encode([Medium(clip)])
    assert set(encoded.vectors) == {Modality.VIDEO, Modality.AUDIO}
    red, blue = bank.encode([Medium(image("red", 1)), Medium(image("blue", 1))])
    seen = encoded.vectors[Modality.VIDEO]
    assert seen @ red.vectors[Modality.IMAGE] > seen @ blue.vectors[Modality.IMAGE]


def test_built_in_the_sounds_and_pictures_of_classics_say_nothing_of_each_other(pool: DecodePool) -> None:
    bank = EncoderBank(msgspec.structs.replace(ALL, text="bag-of-words"), None, pool)
    text, picture, heard = bank.encode(CATALOGUE[0])
    assert text.vectors[Modality.TEXT] @ picture.vectors[Modality.IMAGE] == pytest.approx(0, abs=1e-6)
    assert heard.vectors[Modality.AUDIO] @ picture.vectors[Modality.IMAGE] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["tf-idf", "document-vectors"])
def test_what_must_be_counted_says_how(name: str, pool: DecodePool) -> None:
    with pytest.raises(ArtifactError, match="penchant train classics"):
        EncoderBank(EncoderSettings(device="cpu", text=name), None, pool)


def test_what_was_learned_is_read_as_it_was_written(learned: str, tmp_path: Path) -> None:
    classics = load_classics(Path(learned))
    assert classics.frequency.documents == len(CATALOGUE)
    assert classics.words["sift"].shape[1] == 128
    save_classics(classics, tmp_path / "again")
    again = load_classics(tmp_path / "again")
    assert again.frequency.digest == classics.frequency.digest
    np.testing.assert_array_equal(again.axes, classics.axes)
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (
        Path(learned) / "manifest.json"
    ).read_bytes()


def test_equal_catalogues_teach_equally(pool: DecodePool, learned: str) -> None:
    fit = ClassicsFit()
    for media in copy.deepcopy(CATALOGUE):
        fit.add(one for one in pool.decode(media) if isinstance(one, Decoded))
    again, before = fit.finished(), load_classics(Path(learned))
    assert again.frequency.digest == before.frequency.digest
    np.testing.assert_array_equal(again.words["sift"], before.words["sift"])
    np.testing.assert_array_equal(again.axes, before.axes)


def test_a_broken_folder_says_so(learned: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be used"):
        load_classics(tmp_path)
    save_classics(load_classics(Path(learned)), tmp_path)
    tensors = tmp_path / "classics.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-100] ^= 1
    tensors.write_bytes(content)
    with pytest.raises(ArtifactError, match="not those of its manifest"):
        load_classics(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(ArtifactError, match="format is 9"):
        load_classics(tmp_path)


def test_nothing_teaches_nothing() -> None:
    with pytest.raises(ArtifactError, match="neither texts nor pictures"):
        ClassicsFit().finished()


def test_pictures_alone_teach_visual_words(tmp_path: Path, pool: DecodePool) -> None:
    fit = ClassicsFit()
    fit.add(one for one in pool.decode([Medium(image("red", 1))]) if isinstance(one, Decoded))
    save_classics(fit.finished(), tmp_path)
    settings = msgspec.structs.replace(ALL, classics=str(tmp_path))
    with pytest.raises(ArtifactError, match="without texts"):
        EncoderBank(settings, None, pool)
    bank = EncoderBank(msgspec.structs.replace(settings, text="bag-of-words", image="sift"), None, pool)
    assert bank.encode([Medium(image("red", 1))])[0].vectors
