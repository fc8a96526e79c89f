"""Categories for a catalogue of which only some items have one, by the commands, from the topic."""

import csv
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result

from state.items import EncodedItem
from streams.cli import cli
from streams.demo.stage import environment
from streams.kafka import producer
from streams.settings import Settings
from tests.tastes import GROUPS, item

ITEMS = 60


def penchant(settings: Settings, *arguments: str) -> Result:
    return CliRunner(env=environment(settings)).invoke(cli, ["items", *arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def group(item_id: str) -> str:
    return GROUPS[int(item_id.partition("-")[2]) % len(GROUPS)]


def put(settings: Settings, *items: EncodedItem) -> None:
    client = producer(settings.kafka)
    for each in items:
        client.produce(settings.topics.items_encoded, msgspec.msgpack.encode(each), each.item_id.encode())
    assert client.flush(30) == 0


def test_what_is_asked_for_is_answered_and_labels_the_rest(settings: Settings, tmp_path: Path) -> None:
    empty = penchant(settings, "label")
    assert empty.exit_code != 0 and "no item is there" in empty.output, empty.output
    gone = item(ITEMS, withdrawn=True)
    put(settings, item(ITEMS), gone, item(0), *(item(number, categories=()) for number in range(1, ITEMS)))
    questions, answers = tmp_path / "questions.csv", tmp_path / "labels.csv"
    asked = penchant(settings, "ask", "--count", "5", "--into", str(questions))
    assert asked.exit_code == 0, asked.output
    wanted = rows(questions)
    assert {group(each["item_id"]) for each in wanted} == set(GROUPS[1:]) and wanted[0]["title"]
    with questions.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(wanted[0]))
        writer.writeheader()
        writer.writerows({**each, "label": group(each["item_id"])} for each in wanted)
        writer.writerow({"item_id": "nobody", "label": "boats"})

    told = penchant(settings, "label", "--from", str(questions), "--into", str(answers))
    assert told.exit_code == 0, told.output
    assert "nobody: no such item" in told.output
    assert f"{ITEMS} items, 6 with a label; {ITEMS - 6} labels inferred" in told.output
    found = rows(answers)
    assert {each["item_id"]: each["label"] for each in found} == {
        f"item-{number}": GROUPS[number % len(GROUPS)]
        for number in range(1, ITEMS)
        if f"item-{number}" not in {each["item_id"] for each in wanted}
    }
    assert {each["inferred"] for each in found} == {"yes"}
    alone = penchant(settings, "label")
    assert alone.exit_code == 2 and "nothing can be told apart by one" in alone.output
    strict = penchant(settings, "label", "--from", str(questions), "--least", "1.0")
    assert strict.exit_code == 0 and strict.stdout.startswith("item_id,label,confidence,inferred\n")
