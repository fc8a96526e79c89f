"""Freshness: an event's time at the broker to its published interest at a `read_committed` consumer.

    python tests/bench/bench_freshness.py [--rate 200] [--seconds 30] [--mode separate|run] [--parts]

Nine of ten events name an item of the catalogue, one carries a picture that the vector cache holds.
Prints percentiles over events and the workers' CPU time for each event; with --parts, those of both hops
besides, which costs another reader.
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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image
from rich.console import Console

from state.events import Pack
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
    """Notes when each event came out on a topic; `events` tells those of a record."""

    def __init__(self, settings: Settings, topic: str, events: Callable[[bytes], Iterable[str]]) -> None:
        super().__init__(daemon=True)
        self.at: dict[str, float] = {}
        self._stop_now = threading.Event()
        self._settings = settings
        self._topic = topic
        self._events = events

    def run(self) -> None:
        reader = kafka.consumer(self._settings.kafka, "bench", {"fetch.wait.max.ms": 50})
        partitions = range(self._settings.topics.partitions)
        reader.assign([kafka.TopicPartition(self._topic, p, kafka.OFFSET_BEGINNING) for p in partitions])
        while not self._stop_now.is_set():
            for message in reader.consume(500, 0.01):
                now = time.time()
                for event in self._events(message.value() or b""):
                    self.at.setdefault(event, now)
        reader.close()

    def end(self) -> None:
        self._stop_now.set()
        self.join(10)


def readers(settings: Settings, parts: bool) -> list[Arrivals]:
    """Of interests and, where the parts are wanted, of packs, started."""
    interest, pack = msgspec.json.Decoder(Interest).decode, msgspec.msgpack.Decoder(Pack).decode
    made = [Arrivals(settings, settings.topics.interests, lambda value: interest(value).caused_by)]
    if parts:
        encoded = settings.topics.interactions_encoded
        made.append(Arrivals(settings, encoded, lambda value: [row.event_id for row in pack(value).rows]))
    for each in made:
        each.start()
    return made


def told(name: str, late: Sequence[float]) -> str:
    spread = np.percentile(np.array(late) * 1000, (50, 95, 99, 100))
    return name + " ms p50 {:.0f}  p95 {:.0f}  p99 {:.0f}  max {:.0f}".format(*spread)


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
    parser.add_argument("--parts", action="store_true")
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
                arrivals = readers(settings, arguments.parts)
                feed(settings, items, arguments.rate, range(-int(arguments.rate * WARM_SECONDS), 0))
                time.sleep(2)
                for each in arrivals:
                    each.at.clear()
                before = [cpu_seconds(worker) for worker in started]
                sent = feed(settings, items, arguments.rate, range(int(arguments.rate * arguments.seconds)))
                time.sleep(2)
                used = {w.command: cpu_seconds(w) - b for w, b in zip(started, before, strict=True)}
                for each in arrivals:
                    each.end()
        out = arrivals[0].at
        late = [out[event] - at for event, at in sent.items() if event in out]
        console.print(f"{len(sent)} events sent, {len(late)} interests seen, mode {arguments.mode}")
        console.print(told("freshness", late))
        for packed in (each.at for each in arrivals[1:]):
            both = [event for event in sent if event in packed and event in out]
            console.print(told("to the pack", [packed[event] - sent[event] for event in both]))
            console.print(told("from it", [out[event] - packed[event] for event in both]))
        for command, seconds in used.items():
            console.print(f"{command}: CPU {seconds / len(sent) * 1e6:.0f} us an event")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
