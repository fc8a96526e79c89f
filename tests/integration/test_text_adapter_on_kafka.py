"""An adapter of the text encoder, trained on the items that lie in the topic."""

import json
from pathlib import Path

import msgspec
from click.testing import CliRunner

from encoders.adapters.artifact import load_manifest
from streams.cli import cli
from streams.demo.stage import environment
from streams.kafka import producer
from streams.settings import Settings
from tests import tiny_models
from tests.adapter_samples import catalogue


def test_trains_on_the_items_of_the_topic(settings: Settings, tmp_path: Path) -> None:
    client = producer(settings.kafka)
    for at, each in enumerate(catalogue()):
        item = {"item_id": f"{at}", "title": each.whole, "categories": each.categories}
        client.produce(settings.topics.items, msgspec.json.encode(item), f"{at}".encode())
    client.produce(settings.topics.items, None, b"0")
    assert client.flush(30) == 0
    told = environment(settings) | {
        "PENCHANT_ENCODERS__TEXT": "own",
        "PENCHANT_ENCODERS__MODELS": json.dumps({"own": {"model": str(tiny_models.tiny("causal"))}}),
    }
    out = tmp_path / "adapter"
    words = ["train", "text-adapter", "--from-topics", "--out", str(out), "--epochs", "2", "--rate", "0.005"]
    result = CliRunner(env=told).invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert load_manifest(out).texts == len(catalogue()) - 1
