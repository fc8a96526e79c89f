"""What a reader of a topic asks while its client calls it back must not end the process."""

import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec.structs import replace

from streams.broker import LocalCluster
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings, produce_json

ROOT = Path(__file__).parents[2]


def test_metadata_may_be_asked_for_when_partitions_come(kafka: LocalCluster, tmp_path: Path) -> None:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path)
    create_topics(settings)
    topic = settings.topics.interactions
    produce_json(settings, topic, [("u", {"user_id": "u"})])
    # Logs come by callbacks, too: the next one follows at once.
    talking = replace(settings, kafka=replace(settings.kafka, client={"debug": "cgrp,broker"}))
    child = subprocess.run(
        [sys.executable, "-m", "tests.source_child", msgspec.json.encode(talking).decode(), topic],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2_000:]
