"""The demonstration from the first jar to the closing report."""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.live import Live

from encoders.settings import FetchSettings
from streams.broker.cluster import LocalCluster
from streams.broker.jars import cache_folder
from streams.broker.ports import free_ports
from streams.delivery import CheckedProducer
from streams.demo.catalogue import sample_catalogue
from streams.demo.judge import Judge
from streams.demo.observer import Observer
from streams.demo.play import Play, Script
from streams.demo.report import Course, Report, make_report, show_report
from streams.demo.stage import workers
from streams.demo.table import live_table
from streams.demo.viewers import Shelf, Viewer, make_viewers
from streams.demo.words import in_words
from streams.encoded_wait import EncodedItems
from streams.errors import PenchantError
from streams.records import Item
from streams.settings import AppSettings, DescribeSettings, KafkaSettings, Settings, TopicSettings
from streams.topics import create_topics
from streams.training import fit_alignment

_STALL_SECONDS = 60
_REFRESH_SECONDS = 0.5


@dataclass(frozen=True)
class DemoOptions:
    """Where the demo keeps its files (wiped at the start), and what the viewers do."""

    folder: Path
    script: Script


def run_demo(options: DemoOptions, console: Console) -> Report:
    """Run it all, print the report, and return it. Raises PenchantError with what went wrong."""
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    console.print("Preparing the sample catalogue: pictures, titles, sounds and clips ...")
    sample = sample_catalogue(cache_folder() / "sample")
    items = sample.items
    console.print(f"{len(items)} items ({sample.origin}). Starting Apache Kafka on this machine ...")
    with LocalCluster(options.folder / "broker") as cluster:
        settings = _settings(options, cluster.bootstrap_servers, sample.folder)
        create_topics(settings)
        settings = _align(items, settings, options.folder / "alignment", console)
        console.print(f"Kafka is up at {cluster.bootstrap_servers}.")
        commands = ("encode", "interests", "describe")
        ports = dict(zip(commands, free_ports(len(commands)), strict=True))
        with workers(settings, options.folder, ports):
            return _perform(options.script, items, settings, console)


def _settings(options: DemoOptions, servers: str, media_folder: Path) -> Settings:
    return Settings(
        app=AppSettings(name="penchant-demo", data=str(options.folder / "data")),
        kafka=KafkaSettings(bootstrap_servers=servers),
        topics=TopicSettings(partitions=4),
        # In a minute as much happens here as elsewhere in weeks.
        describe=DescribeSettings(interval_seconds=4.0),
        fetch=FetchSettings(file_roots=(str(media_folder),)),
    )


def _align(items: Sequence[Item], settings: Settings, target: Path, console: Console) -> Settings:
    """Fit the shared space to the catalogue, without labels, and make the workers use it."""
    begun = time.monotonic()
    with console.status("Encoding the catalogue and fitting the shared space ...") as status:
        fit_alignment(
            items,
            settings,
            target,
            lambda done: status.update(f"Encoding the catalogue: {done} of {len(items)} items"),
        )
    console.print(f"Catalogue encoded, and the shared space fitted, in {time.monotonic() - begun:.0f} s.")
    return replace(settings, encoders=replace(settings.encoders, alignment=str(target)))


def load_items(items: Sequence[Item], settings: Settings, console: Console) -> None:
    """Produce the items, and wait until each is encoded. Raises TopicError where one does not appear."""
    begun = time.monotonic()
    waiting = EncodedItems(settings)
    producer = CheckedProducer(settings, settings.topics.items, console.print)
    try:
        for item in items:
            producer.send(item.item_id, item.item_id.encode(), msgspec.json.encode(item), keep_place=True)
        places = producer.finish().places
        with console.status("Encoding ...") as status:
            waiting.wait(
                places,
                _STALL_SECONDS,
                lambda done: status.update(f"Encoding: {done} of {len(items)} items"),
            )
    finally:
        waiting.close()
    console.print(f"{len(items)} items encoded in {time.monotonic() - begun:.0f} s.")


def _perform(script: Script, items: Sequence[Item], settings: Settings, console: Console) -> Report:
    shelf = Shelf(items)
    judge = Judge(shelf, settings.recommend.top_k)
    viewers = make_viewers(shelf, script.viewers, script.seed)
    observer = Observer(settings)
    play = Play(settings, observer, judge)
    load_items(items, settings, console)
    observer.start()
    try:
        _play(play, viewers, script, observer, console)
    finally:
        observer.stop()
    if observer.failure is not None:
        raise PenchantError(f"reading the outputs failed: {observer.failure}")
    modalities: Counter[str] = Counter(media.modality or "unknown" for item in items for media in item.media)
    modalities["title"] = sum(bool(item.title) for item in items)
    course = Course(script.change_after, script.events_each)
    report = make_report(judge, course, observer.sight.freshness, dict(modalities), len(viewers))
    report = replace(report, descriptions=in_words(viewers, observer.sight.descriptions))
    if not report.slates:
        raise PenchantError("no slate came out; see the logs beside the demo's data")
    show_report(report, console)
    return report


def _play(play: Play, viewers: list[Viewer], script: Script, observer: Observer, console: Console) -> None:
    total = script.viewers * script.events_each
    console.print(
        f"{script.viewers} simulated viewers send {total} events at {script.rate:.0f} a second; "
        f"after {script.change_after} events each, one of a viewer's two tastes changes."
    )
    shelf = viewers[0].shelf
    drawn = 0.0
    with Live(console=console, auto_refresh=False, transient=False) as live:

        def tick(number: int) -> None:
            nonlocal drawn
            if observer.failure is not None:
                raise PenchantError(f"reading the outputs failed: {observer.failure}")
            if (console.is_terminal and time.monotonic() - drawn > _REFRESH_SECONDS) or number == total:
                drawn = time.monotonic()
                title = f"event {number} of {total}"
                live.update(live_table(viewers, observer.sight, shelf, title), refresh=True)

        play.run(viewers, script, tick)
