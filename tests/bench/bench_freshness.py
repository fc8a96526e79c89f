"""Freshness: an event's time at the broker to its published interest at a `read_committed` consumer.

    python tests/bench/bench_freshness.py [--rate 200] [--seconds 30] [--mode separate|run]

Nine of ten events name an item of the catalogue, one carries a picture that the vector cache holds.
Prints percentiles over events and the workers' CPU time for each event.
"""

import argparse
import base64
import io
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image
from rich.console import Console

from streams import kafka
from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.demo.runner import load_items
from streams.demo.stage import WorkerProcess, workers
from streams.records import Interaction, Interest, Item, MediaReference
from streams.settings import AppSettings, KafkaSettings, Settings
from streams.topics import create_topics

WARM_SECONDS = 5
USERS = 500


def pictures(count: int) -> list[str]:
    """Small PNG pictures as `data:` references."""
    made = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        target = io.BytesIO()
        Image.fromarray(noise).resize((128, 128)).save(target, "PNG")
        made.append("data:image/png;base64," + base64.b64encode(target.getvalue()).decode())
    return made


class Arrivals(threading.Thread):
    """Notes when each event's interest arrived."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.at: dict[str, float] = {}
        self.stop = threading.Event()
        self._settings = settings

    def run(self) -> None:
        topics = self._settings.topics
        reader = kafka.consumer(self._settings.kafka, "bench", {"fetch.wait.max.ms": 50})
        decode = msgspec.json.Decoder(Interest).decode
        partitions = range(topics.partitions)
        reader.assign([kafka.TopicPartition(topics.interests, p, kafka.OFFSET_BEGINNING) for p in partitions])
        while not self.stop.is_set():
            for message in reader.consume(500, 0.01):
                now = time.time()
                for event in decode(message.value()).caused_by:
                    self.at.setdefault(event, now)
        reader.close()


def feed(settings: Settings, items: Sequence[Item], rate: float, events: range) -> dict[str, float]:
    """Send events of these numbers at a steady rate; the broker's times by event id."""
    producer = kafka.producer(settings.kafka, overrides={"linger.ms": 0})
    chance = random.Random(1)
    known = pictures(50)
    sent: dict[str, float] = {}

    def delivered(error: object, message: kafka.Message) -> None:
        assert error is None, error
        sent[msgspec.json.decode(message.value())["event_id"]] = message.timestamp()[1] / 1000

    start = time.monotonic()
    for done, number in enumerate(events):
        event = Interaction(f"u{chance.randrange(USERS)}", "click", time.time_ns() // 1_000_000, f"e{number}")
        if chance.random() < 0.9:
            event.item_id = chance.choice(items).item_id
        else:
            event.media = [MediaReference(uri=chance.choice(known))]
        producer.produce(
            settings.topics.interactions, msgspec.json.encode(event), event.user_id, on_delivery=delivered
        )
        producer.poll(0)
        time.sleep(max(0.0, start + (done + 1) / rate - time.monotonic()))
    producer.flush(30)
    return sent


def cpu_seconds(worker: WorkerProcess) -> float:
    """User and system time of a worker (its decoders not counted)."""
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--mode", choices=("separate", "run"), default="separate")
    arguments = parser.parse_args()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="penchant-bench-"))
    commands = ("run",) if arguments.mode == "run" else ("encode", "interests")
    items = [Item(f"i{n}", title=f"thing number {n} of kind {n % 20}") for n in range(1000)]
    try:
        with LocalCluster(folder / "broker") as cluster:
            settings = Settings(
                app=AppSettings(data=str(folder / "data")),
                kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers),
            )
            create_topics(settings)
            ports = dict(zip(commands, free_ports(len(commands)), strict=True))
            with workers(settings, folder, ports) as started:
                load_items(items, settings, console)
                arrivals = Arrivals(settings)
                arrivals.start()
                feed(settings, items, arguments.rate, range(-int(arguments.rate * WARM_SECONDS), 0))
                time.sleep(2)
                arrivals.at.clear()
                before = [cpu_seconds(worker) for worker in started]
                sent = feed(settings, items, arguments.rate, range(int(arguments.rate * arguments.seconds)))
                time.sleep(2)
                used = {w.command: cpu_seconds(w) - b for w, b in zip(started, before, strict=True)}
                arrivals.stop.set()
                arrivals.join(10)
        late = [arrivals.at[event] - at for event, at in sent.items() if event in arrivals.at]
        console.print(f"{len(sent)} events sent, {len(late)} interests seen, mode {arguments.mode}")
        spread = np.percentile(np.array(late) * 1000, (50, 95, 99, 100))
        console.print("freshness ms p50 {:.0f}  p95 {:.0f}  p99 {:.0f}  max {:.0f}".format(*spread))
        for command, seconds in used.items():
            console.print(f"{command}: CPU {seconds / len(sent) * 1e6:.0f} us an event")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
