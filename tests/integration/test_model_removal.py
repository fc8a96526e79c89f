"""Models that are not needed go, with their states; those that are needed stay."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from state.rocks import RocksStore
from streams.broker import LocalCluster
from streams.cli import cli
from streams.demo.stage import environment
from streams.kafka import admin_client, producer
from streams.models.artifacts import add_artifact, fetch_artifact
from streams.models.board import (
    POINTER,
    Entry,
    Pointer,
    artifacts_topic,
    changelog_of,
    models_topic,
    turned_key,
)
from streams.models.control import read_board, write
from streams.models.local import delete_removed, folders_of
from streams.settings import Settings
from streams.topics import create_topics, make_topics, partition_counts
from tests.integration.conftest import fresh_settings, read_all
from tests.models_world import saved


class Deployment:
    """As it is after promotions: a board, a changelog of each model with a record, and a store here."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        create_topics(settings)
        self.admin = admin_client(settings.kafka)
        topics = [(models_topic(settings), 1), (artifacts_topic(settings), 1)]
        make_topics(settings, self.admin, topics, changelog=False)
        self.first = add_artifact(settings, "", first=True)
        self.second = add_artifact(settings, saved(folder / "second", "second-1", 0.5))
        self.third = add_artifact(settings, saved(folder / "third", "third-1", 0.25))
        for entry in (self.first, self.second, self.third):
            self._with_states(entry)
        self.serve(Pointer(2, self.third.fingerprint, self.second.fingerprint))

    def _with_states(self, entry: Entry) -> None:
        name = changelog_of(self.settings, entry)
        make_topics(self.settings, self.admin, [(name, 1)], changelog=True)
        client = producer(self.settings.kafka)
        client.produce(name, b"state", b"uann", partition=0)
        assert client.flush(30) == 0
        states = "interests" if entry.first else f"interests-{entry.code}"
        RocksStore(Path(self.settings.app.data) / "interests" / "0" / states / "0", 1).close()

    def serve(self, pointer: Pointer) -> None:
        records = {turned_key(pointer.generation, 0): b"{}", POINTER: msgspec.json.encode(pointer)}
        write(self.settings, models_topic(self.settings), records)

    def remove(self, *arguments: str, answer: str | None = None) -> Result:
        command = ["models", "remove", *arguments]
        return CliRunner(env=environment(self.settings)).invoke(cli, command, input=answer)

    def there(self, entry: Entry) -> bool:
        name = changelog_of(self.settings, entry)
        return bool(partition_counts(self.admin, [name])) and bool(read_all(self.settings, name))

    def known(self) -> set[int]:
        return set(read_board(self.settings).entries)


@pytest.fixture
def made(kafka: LocalCluster, tmp_path: Path) -> Deployment:
    return Deployment(fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=1), tmp_path)


def test_models_that_are_needed_are_refused_and_idle_ones_go(made: Deployment) -> None:
    first, second, third = made.first, made.second, made.third
    serving = made.remove("third-1", "--yes", "--force")
    assert serving.exit_code == 1 and "third-1" in serving.output and "serves" in serving.output
    former = made.remove(second.code, "--yes")
    assert former.exit_code == 1 and "rollback" in former.output and "--force" in former.output
    unknown = made.remove("nobody", "--yes")
    assert unknown.exit_code == 1 and "known: " in unknown.output
    made.serve(Pointer(2, third.fingerprint, second.fingerprint, building=first.fingerprint))
    building = made.remove(first.version, "--yes")
    assert building.exit_code == 1 and "being built" in building.output
    made.serve(Pointer(2, third.fingerprint, second.fingerprint))

    asked = made.remove(first.version, answer="n\n")
    assert asked.exit_code == 1
    assert changelog_of(made.settings, first) in asked.output and "/interests/0/interests: " in asked.output
    assert made.there(first) and made.known() == {each.fingerprint for each in (first, second, third)}

    fetch_artifact(made.settings, second)
    forced = made.remove("second-1", "--force", answer="y\n")
    assert forced.exit_code == 0 and "second-1" in forced.output and "is removed" in forced.output
    assert not made.there(second) and not folders_of(made.settings, second)
    weights = {each.key(): each.value() for each in read_all(made.settings, artifacts_topic(made.settings))}
    left = {key for key, value in weights.items() if value is not None}
    assert left == {f"{third.code}/{number}".encode() for number in range(third.chunks)}
    back = CliRunner(env=environment(made.settings)).invoke(cli, ["models", "rollback"])
    assert back.exit_code == 1 and "no former model" in back.output

    assert made.remove(first.code, "--yes").exit_code == 0
    assert not made.there(first) and made.known() == {third.fingerprint}
    assert not folders_of(made.settings, first)
    assert made.there(third) and len(folders_of(made.settings, third)) == 1
    own = partition_counts(made.admin, [changelog_of(made.settings, first)])
    assert own, "the deployment's own changelog is there, and empty"


def test_stores_on_other_machines_go_when_their_workers_start(made: Deployment) -> None:
    elsewhere = Path(made.settings.app.data) / "interests" / "0" / "interests"
    board = read_board(made.settings)
    assert delete_removed(elsewhere, board) == []
    del board.entries[made.second.fingerprint]
    assert delete_removed(elsewhere, board) == [elsewhere.with_name(f"interests-{made.second.code}")]
    del board.entries[made.first.fingerprint]
    assert delete_removed(elsewhere, board) == [elsewhere]
    board.pointer = None
    assert delete_removed(elsewhere, board) == [] and len(folders_of(made.settings, made.third)) == 1


def test_a_store_that_is_open_stays_until_the_next_start(made: Deployment) -> None:
    (folder,) = folders_of(made.settings, made.first)
    store = RocksStore(folder / "0", 1)
    removed = made.remove(made.first.code, "--yes")
    store.close()
    assert removed.exit_code == 0 and f"{folder}: a worker has it open" in removed.output
    assert folder.exists() and made.known() == {made.second.fingerprint, made.third.fingerprint}
