"""`penchant encode FILE...`: what is to be seen of one's own media, and of what cannot be used."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from PIL import Image

from encoders.base import Modality
from encoders.hub.settings import DescribeSettings, HubModel
from encoders.settings import EncoderSettings, FetchSettings
from state.items import EncodedItem
from streams.commands import encode as command
from streams.commands import encode_files
from streams.commands.encode_files import Wishes, show_files
from streams.encode.vectors import to_wire
from streams.errors import InputError, TopicError
from streams.settings import AppSettings, KafkaSettings, Settings
from streams.shelf import Shelf, broker_answers
from tests import tiny_models
from tests.encoder_samples import picture, sound
from tests.unit.media_samples import wav_bytes

NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")
WORDS = "the children play with a small red cat in the garden"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    names = ("bert", "clip", "ast", "ctc")
    models = {name: HubModel(model=str(tiny_models.tiny(name))) for name in names}
    encoders = EncoderSettings(
        device="cpu", text="bert", image="clip", audio="ast", models=models,
        describe=DescribeSettings(sounds="ast", transcripts="ctc"), cache_bytes=1 << 20,
    )  # fmt: skip
    return Settings(app=AppSettings(data=str(tmp_path / "data")), kafka=NOWHERE, encoders=encoders)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(picture(1)).save(path)
    return path


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav_bytes(sound(1, 0.8)))
    return path


def test_each_medium_is_shown(
    settings: Settings, image: Path, tone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_files(settings, Wishes((str(image), str(tone)), (WORDS,), as_json=True))
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["modality"] for one in shown] == ["text", "image", "audio"]
    assert [one["name"] for one in shown] == [WORDS, str(image), str(tone)]
    for one in shown:
        (part,) = one["parts"].values()
        assert part["norm"] == pytest.approx(1, abs=1e-3)
        assert part["native_norm"] == pytest.approx(1, abs=2e-3)
        assert 0 < one["seconds"][one["modality"]] <= one["seconds"]["all"]
        assert one["nearest"] == []
    assert shown[0]["parts"]["text"]["native_dim"] == 32
    assert [one["language"] for one in shown] == ["en", "", ""]
    assert {kind for kind, _, _ in shown[2]["descriptions"]} == {"heard", "transcript"}


def test_lines_for_people(settings: Settings, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_files(settings, Wishes((str(image),), ()))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{image}  (image, {image.stat().st_size:,} bytes)"
    assert any(line.startswith("  image  24 dimensions of length 1") and "[clip-" in line for line in lines)
    assert lines[-1].startswith("  time ")
    assert "decoding" in lines[-1]


def test_what_cannot_be_used_is_told_and_the_rest_goes_on(
    settings: Settings, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(image.read_bytes()[:60])
    names = (str(broken), "https://127.0.0.1/a.png", str(image))
    assert not show_files(settings, Wishes(names, as_json=True))
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown[0]["masked"]["image"].startswith("broken")
    assert "not public" in shown[1]["masked"]["unknown"]
    assert shown[2]["parts"]


def test_a_file_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: cannot be read"):
        show_files(settings, Wishes((str(tmp_path / "none.png"),)))


def test_a_file_that_is_too_large(settings: Settings, image: Path) -> None:
    small = replace(settings, fetch=FetchSettings(max_bytes=10))
    with pytest.raises(InputError, match=r"more than 10 bytes; raise fetch\.max_bytes"):
        show_files(small, Wishes((str(image),)))


def test_encoders_that_cannot_be_loaded(settings: Settings, image: Path) -> None:
    wrong = replace(settings, encoders=replace(settings.encoders, text="nothing"))
    with pytest.raises(InputError, match=r"encoders\.text is 'nothing'"):
        show_files(wrong, Wishes((str(image),)))


def test_the_nearest_items_of_a_catalogue(
    settings: Settings, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    for seed in (1, 2, 3):
        Image.fromarray(picture(seed)).save(folder / f"p{seed}.png")
    lines = [
        {"item_id": f"p{seed}", "media": [{"uri": f"catalogue/p{seed}.png"}]} for seed in (1, 2, 3)
    ]  # fmt: skip
    catalogue = tmp_path / "items.jsonl"
    catalogue.write_text("\n".join(json.dumps(line) for line in lines))
    for _ in range(2):
        # The second time the items come from the vector cache, and what is looked at does not.
        wishes = Wishes((str(image),), catalogue=catalogue, neighbours=2, as_json=True)
        assert show_files(settings, wishes)
        (shown,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        first, _ = shown["nearest"]
        assert first["item_id"] == "p1"
        assert first["cosine"] == pytest.approx(1, abs=2e-3)
        assert shown["seconds"]["image"] > 0


def item(item_id: str, vector: list[float], encoders: str = "1") -> EncodedItem:
    padded = np.zeros(128, np.float32)
    padded[: len(vector)] = vector
    return EncodedItem(item_id, 0, 0, vectors={0: to_wire(padded)}, title=item_id.upper(), encoders=encoders)


def test_a_shelf_holds_items_of_one_version_alone() -> None:
    empty = EncodedItem("empty", 0, 0, encoders="1")
    shelf = Shelf([item("a", [1, 0]), item("b", [0.6, 0.8]), item("c", [1, 0], "2"), empty], "1")
    assert (len(shelf), shelf.strangers) == (2, 1)
    direction = np.zeros(128, np.float32)
    direction[0] = 1
    found = shelf.nearest(direction, 5)
    assert [(one.item_id, one.title) for one in found] == [("a", "A"), ("b", "B")]
    assert [one.cosine for one in found] == pytest.approx([1, 0.6], abs=1e-3)
    assert Shelf([], "1").nearest(direction, 5) == []


def test_the_items_of_a_broker_that_answers(
    settings: Settings, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = item("old", [1], "other encoders")
    monkeypatch.setattr(encode_files, "broker_answers", lambda settings: True)
    monkeypatch.setattr(encode_files, "read_items", lambda settings, tell: iter([stranger]))
    assert show_files(settings, Wishes((str(image),), as_json=True))
    shown = capsys.readouterr()
    assert json.loads(shown.out)["nearest"] == []
    assert "0 items of items.encoded; 1 of other encoders or another alignment" in shown.err


def test_a_broker_without_the_topic_is_no_failure(
    settings: Settings, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(settings: Settings, tell: object) -> Iterator[EncodedItem]:
        raise TopicError("items.encoded: there is no such topic")

    monkeypatch.setattr(encode_files, "broker_answers", lambda settings: True)
    monkeypatch.setattr(encode_files, "read_items", fail)
    assert show_files(settings, Wishes((str(image),)))
    assert "no items to compare with: items.encoded" in capsys.readouterr().err


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "nonsense", "", "127.0.0.1:1,also nonsense"])
def test_nobody_answers(servers: str) -> None:
    assert not broker_answers(Settings(kafka=KafkaSettings(bootstrap_servers=servers)))


def test_somebody_answers() -> None:
    import socket

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        servers = f"127.0.0.1:1,127.0.0.1:{server.getsockname()[1]}"
        assert broker_answers(Settings(kafka=KafkaSettings(bootstrap_servers=servers)))


def test_without_files_it_is_the_worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[object] = []
    monkeypatch.setattr(command, "serve", lambda factories, settings: served.append(list(factories)))
    result = CliRunner().invoke(command.encode, [], obj=settings)
    assert (result.exit_code, served) == (0, [["encode"]])


def test_the_exit_code_tells_whether_all_could_be_used(
    settings: Settings, image: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"\x00\x01\x02\x03")
    assert CliRunner().invoke(command.encode, [str(image)], obj=settings).exit_code == 0
    result = CliRunner().invoke(command.encode, [str(odd)], obj=settings)
    assert result.exit_code == 1
    assert "masked, unsupported" in result.stdout
    assert Modality.TEXT.value in result.stdout
