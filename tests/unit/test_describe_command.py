"""`penchant describe USER` where the language service does not answer: it says why the template wrote."""

import socket

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from state.events import Action
from streams.commands.describe import describe
from streams.describe import single
from streams.describe.stage import Drafter
from streams.settings import Settings
from tests.shelf import FUSION, Shelf, held
from tests.tastes import item, row

ITEMS = [item(number) for number in range(30)]


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be read from Kafka."""
    rows = [row("ann", number, ITEMS[6 * number % 30], Action.LIKE) for number in range(8)]
    monkeypatch.setattr(single, "_held", lambda *_: held(rows))
    monkeypatch.setattr(single, "_drafter", lambda made: Drafter(FUSION, Shelf(ITEMS), made))


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(describe, ["ann", *words], obj=settings)


@pytest.fixture
def dead() -> Settings:
    """A service at a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    base = Settings()
    language = replace(base.language, backend="http", model="served", endpoint=endpoint, retries=0)
    return replace(base, language=language)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_service_that_does_not_answer_is_told(dead: Settings, words: tuple[str, ...]) -> None:
    result = run(dead, *words)
    assert result.exit_code == 0, result.output
    assert "birds" in result.stdout
    assert "the template wrote it in place of served: unreachable: " in result.stderr
    assert "refused" in result.stderr
    assert "unreachable" not in result.stdout


def test_the_template_itself_is_no_substitute() -> None:
    result = run(Settings())
    assert result.exit_code == 0, result.output
    assert "in place of" not in result.stderr
