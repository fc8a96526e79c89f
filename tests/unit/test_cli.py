"""The command line: what it offers, what an error looks like, and how little it imports."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from streams import cli as module
from streams.cli import COMMANDS, cli
from streams.errors import BrokerError, InputError, PenchantError, SettingsError
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "confluent_kafka",
    "faust",
    "numpy",
    "prometheus_client",
    "rich",
    "rocksdict",
    "torch",
    "transformers",
}


@pytest.fixture
def obey(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Makes `penchant run` a command that keeps its settings and raises what the test wants."""
    kept: list[Settings] = []

    @click.command()
    @click.pass_obj
    def run(settings: Settings) -> None:
        kept.append(settings)

    monkeypatch.setattr("streams.commands.run.run", run)
    return kept


def invoke(*arguments: str) -> Result:
    with CliRunner().isolated_filesystem():
        return CliRunner().invoke(cli, arguments, prog_name="penchant")


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    @click.command()
    def run() -> None:
        raise error

    monkeypatch.setattr("streams.commands.run.run", run)


def test_help_lists_every_command_that_is_there() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in result.output
        assert text.split()[0] in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_of_its_own(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: penchant {name} ")


def test_a_command_whose_module_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "absent", ("absent", "Is not there."))
    assert "absent" not in invoke("--help").output
    result = invoke("absent")
    assert result.exit_code == 2
    assert "No such command 'absent'" in result.output


def test_version() -> None:
    assert invoke("--version").output.startswith("penchant ")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SettingsError("metrics.port: taken"), 2, "penchant: metrics.port: taken\n"),
        (InputError("a.csv: not there"), 2, "penchant: a.csv: not there\n"),
        (BrokerError("two\nlines"), 1, "penchant: two lines\n"),
        (PenchantError("no"), 1, "penchant: no\n"),
        (KeyError("x"), 1, "penchant: KeyError: 'x' (more with --debug)\n"),
    ],
)
def test_an_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, line: str
) -> None:
    failing(monkeypatch, error)
    result = invoke("run")
    assert (result.exit_code, result.stderr) == (code, line)


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, InputError("no"))
    assert isinstance(invoke("--debug", "run").exception, InputError)


def test_options_win_over_the_file_and_the_environment(
    obey: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[kafka]\nbootstrap_servers = 'file:1'\n[log]\nlevel = 'error'\n[app]\nname = 'mine'\n")
    monkeypatch.setenv("PENCHANT_KAFKA__BOOTSTRAP_SERVERS", "environment:1")
    options = ["--config", str(config), "--bootstrap-servers", "option:1", "--log-level", "debug"]
    assert invoke(*options, "--log-format", "json", "run").exit_code == 0
    (settings,) = obey
    assert settings.kafka.bootstrap_servers == "option:1"
    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert settings.app.name == "mine"


def test_the_settings_file_may_be_named_in_the_environment(
    obey: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[app]\nname = 'mine'\n")
    monkeypatch.setenv("PENCHANT_CONFIG", str(config))
    invoke("run")
    assert obey[0].app.name == "mine"


def test_a_settings_file_that_is_not_there() -> None:
    result = invoke("--config", "none.toml", "run")
    assert (result.exit_code, result.stderr) == (
        2,
        "penchant: none.toml: no such settings file; name another with --config\n",
    )


def test_help_imports_no_client_and_no_model() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from streams.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        f"print(*{HEAVY} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_an_error_of_the_real_entry_point_is_one_line_without_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "--config", "none.toml", "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_module_without_its_command_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.COMMANDS, "serve", ("serving", "Serves."))
    assert isinstance(invoke("--debug", "serve").exception, TypeError)
