"""Arguments of `penchant dead-letters` that are wrong: told before any broker is asked."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from streams.commands import dead_letters as module
from streams.commands.dead_letters import dead_letters
from streams.errors import InputError
from streams.letters import LetterPlace
from streams.redrive import Missing, RedriveOrder, Sent
from streams.redrive import Result as Became
from streams.settings import Settings


def run(*arguments: str, stdin: bytes = b"no json") -> Result:
    return CliRunner().invoke(dead_letters, arguments, input=stdin, obj=Settings())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["redrive"], "--all"),
        (["redrive", "--edit", "-"], "--edit: name the one letter"),
        (["redrive", "0:1", "0:2", "--edit", "-"], "--edit: name the one letter"),
        (["redrive", "0:1", "--edit", "-"], "standard input: not JSON"),
        (["redrive", "0:1", "--edit", "none.json"], "none.json"),
        (["redrive", "0:1", "--edits", "-"], "names its letters itself"),
        (["redrive", "--edits", "-"], "standard input:1: "),
        (["redrive", "0:1", "--edit", "-", "--edits", "-"], "take one of them"),
        (["show", "0:1", "0:2", "--raw"], "name one letter"),
    ],
)
def test_input_that_is_wrong(arguments: list[str], told: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, InputError)
    assert told in str(error)


@pytest.mark.parametrize(
    ("stdin", "told"),
    [
        (b'{"letter":"0:1","value":{}}\n' * 2, ":2: letter 0:1 a second time"),
        (b'{"letter":"0:1","value_base64":"ew=="}', ":1: Object missing required field `value`"),
        (b'\n{"letter":"1","value":{}}', ":2: 1: a letter is named by"),
        (b"\n", "no letters"),
    ],
)
def test_lines_that_mend_nothing(stdin: bytes, told: str) -> None:
    error = run("redrive", "--edits", "-", stdin=stdin).exception
    assert isinstance(error, InputError)
    assert told in str(error)


@pytest.mark.parametrize(
    "arguments",
    [["redrive", "x"], ["show"], ["show", "1"], ["list", "--since", "soon"], ["list", "--limit", "-1"]],
)
def test_arguments_that_are_wrong(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


class FakeRedrive:
    """Tells of one letter what a test says; a fake for unit tests."""

    offsets = 1
    became: Became

    def __init__(self, settings: Settings, order: RedriveOrder) -> None:
        pass

    def run(self, *tell: Callable[[int], None]) -> Iterator[Became]:
        yield self.became

    def close(self) -> None:
        pass


SENT = Sent(SimpleNamespace(place=LetterPlace(0, 1), partition=0, event_id="e", topic="t", key=b"k"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("became", "arguments", "is_told"),
    [
        (SENT, ["--all"], True),
        (SENT, ["--all", "--dry-run"], False),
        (SENT, ["0:1", "--edit", "-"], False),
        (Missing(LetterPlace(0, 1)), ["0:1"], False),
    ],
)
def test_whose_letters_came_by_new_settings_reads_that_workers_have_the_old_ones(
    monkeypatch: pytest.MonkeyPatch, became: Became, arguments: list[str], is_told: bool
) -> None:
    monkeypatch.setattr(FakeRedrive, "became", became, raising=False)
    monkeypatch.setattr(module, "Redrive", FakeRedrive)
    result = run("redrive", *arguments, stdin=b"{}")
    assert isinstance(became, Missing) or result.exit_code == 0, result.output
    assert ("unless the workers were started with the settings that mend them" in result.stderr) is is_told
