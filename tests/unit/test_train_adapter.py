"""`penchant train text-adapter`, and the encoder with what it made."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from encoders.adapters.artifact import load_manifest
from encoders.device import resolve_device
from encoders.registry import text_encoder
from streams.adapter_training import catalogue_texts
from streams.cli import cli
from streams.raw import RawRecord
from streams.records import Item
from streams.settings import Settings, load_settings
from streams.topic_catalogue import standing
from tests import tiny_models
from tests.adapter_samples import catalogue


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up catalogue as JSON lines; the third is broken."""
    path = tmp_path_factory.mktemp("catalogue") / "items.jsonl"
    items = [
        json.dumps({"item_id": str(at), "title": each.whole, "categories": list(each.categories)})
        for at, each in enumerate(catalogue())
    ]
    path.write_text("\n".join([*items[:2], "{", *items[2:]]))
    return path


def environment(adapter: str = "") -> dict[str, str]:
    model = {"model": str(tiny_models.tiny("causal")), "adapter": adapter}
    return {
        "PENCHANT_ENCODERS__MODELS": json.dumps({"own": model}),
        "PENCHANT_ENCODERS__TEXT": "own",
        "PENCHANT_ENCODERS__DEVICE": "cpu",
    }


def train(*words: str, **settings: str) -> Result:
    told = environment() | settings
    return CliRunner().invoke(cli, ["train", "text-adapter", *words], prog_name="penchant", env=told)


def test_trains_an_adapter_that_the_settings_then_name(lines: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    result = train(str(lines), "--out", str(out), "--rate", "0.005", "--rank", "4", "--epochs", "4")
    assert result.exit_code == 0, result.output
    assert f"{lines}:3: not JSON" in result.output
    assert "nearest text of the same category" in result.output
    assert f"{out}: lora of" in result.output
    assert "set encoders.models.own.adapter to this folder" in result.output
    manifest = load_manifest(out)
    assert (manifest.texts, manifest.plan.kind, manifest.plan.rank) == (96, "lora", 4)
    assert manifest.after["precision"] > manifest.before["precision"]
    plain, tuned = (
        text_encoder(load_settings(None, environment(adapter)).encoders, resolve_device("cpu"))
        for adapter in ("", str(out))
    )
    assert plain.version != tuned.version


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        ([], {}, "name one of PATH and --from-topics"),
        (["{lines}", "--from-topics"], {}, "name one of PATH and --from-topics"),
        (["{lines}"], {"PENCHANT_ENCODERS__TEXT": "minilm"}, r"text is 'minilm': adapters are for .*\(own\)"),
        (["{lines}", "--model", "other"], {}, "--model is 'other'"),
        (["{lines}", "--objective", "parts"], {}, "0 of 96 texts have both a title and a description"),
        (["{lines}", "--rate", "1e-12", "--epochs", "1"], {}, "made nothing better .* no adapter is written"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(
    lines: Path, tmp_path: Path, words: list[str], settings: dict[str, str], said: str
) -> None:
    out = tmp_path / "adapter"
    result = train(*(word.format(lines=lines) for word in words), "--out", str(out), **settings)
    assert result.exit_code != 0
    assert re.search(said, " ".join(result.output.split())), result.output
    assert not out.exists()


def test_texts_are_those_that_serving_encodes() -> None:
    item = Item(
        item_id="1", title=" Lamp ", description="Warm light.", tags=["home", "oak"], categories=["x"]
    )
    (text,) = catalogue_texts([item])
    assert text.whole == "Lamp\nWarm light.\nhome, oak"
    assert (text.title, text.rest, text.categories) == ("Lamp", "Warm light.\nhome, oak", ("x",))


def test_the_topic_is_read_as_it_stands() -> None:
    def record(offset: int, item_id: str, value: bytes | None) -> RawRecord:
        return RawRecord("items", 0, offset, 0, item_id.encode(), value)

    def item(item_id: str, title: str) -> bytes:
        return msgspec.json.encode({"item_id": item_id, "title": title})

    records = [
        record(0, "b", item("b", "old")), record(1, "a", item("a", "one")), record(2, "c", item("c", "gone")),
        record(3, "b", item("b", "new")), record(4, "c", None), record(5, "d", b"{"),
        record(6, "e", item("f", "another's")),
    ]  # fmt: skip
    assert [(each.item_id, each.title) for each in standing(records)] == [("a", "one"), ("b", "new")]


def test_settings_know_the_key() -> None:
    settings: Settings = load_settings(None, environment("/srv/adapter"))
    assert settings.encoders.models["own"].adapter == "/srv/adapter"
