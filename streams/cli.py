"""The command line. Commands are imported when they are called, so that `--help` and errors come at once."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from streams.errors import InputError, PenchantError, SettingsError
from streams.exits import EXIT_FAILED, EXIT_MISUSED
from streams.settings import load_settings

COMMANDS: dict[str, tuple[str, str]] = {
    "broker": ("broker", "Start and stop a local Kafka broker, which needs neither Java nor a container."),
    "topics": ("topics", "Create and check the topics."),
    "run": ("run", "Run all workers in this process."),
    "encode": ("encode", "Run the encode worker; with files, show what encoding them gives."),
    "encode-catalogue": ("encode_catalogue", "Encode a whole catalogue in bulk, ahead of the workers."),
    "interests": ("interests", "Run the interests worker; show what is known of a user."),
    "describe": ("describe", "Run the describe worker; with a user, describe that one."),
    "items": ("items", "Load items into the catalogue, and withdraw them."),
    "send": ("send", "Send interaction events."),
    "dead-letters": ("dead_letters", "List, show and redrive records that were set aside."),
    "user": ("user", "Show, export, forget and merge users."),
    "watch": ("watch", "Watch interests and recommendations change."),
    "train": ("train", "Fit what can be fitted to your own catalogue."),
    "features": ("features", "Rank what is told of items by what it tells of likes and dislikes."),
    "evaluate": ("evaluate", "Measure models on interactions that are already known."),
    "models": ("models", "List models, promote one while everything goes on, and go back."),
    "doctor": ("doctor", "Check broker, topics, models, device, disk, clock and settings."),
    "app": ("app", "Rename this deployment."),
    "demo": ("demo", "Run the whole product on sample media, with a live table."),
}
"""Command to (module in `streams.commands`, one line of help). The module's command has the same name,
with underscores for dashes."""


class LazyGroup(click.Group):
    """A group whose commands are imported on first use; one whose module is not installed is not offered."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if self._module(name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = self._module(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(module), cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands from the table above, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            # Click's own: a reader that left early, as `head` does, is no error to speak of.
            raise
        except Exception as error:
            if ctx.params["debug"]:
                raise
            raise one_line(error) from error

    @staticmethod
    def _module(command: str) -> str | None:
        if command not in COMMANDS:
            return None
        name = f"streams.commands.{COMMANDS[command][0]}"
        return name if importlib.util.find_spec(name) is not None else None


class Failure(click.ClickException):
    """An error shown as one line on standard error."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: Any = None) -> None:
        click.echo(f"penchant: {' '.join(self.format_message().split())}", file=file or sys.stderr)


def one_line(error: Exception) -> Failure:
    """What a person reads of an error. Wrong settings and arguments exit with 2, everything else with 1."""
    if isinstance(error, SettingsError | InputError):
        return Failure(str(error), EXIT_MISUSED)
    if isinstance(error, PenchantError):
        return Failure(str(error), EXIT_FAILED)
    return Failure(f"{type(error).__name__}: {error} (more with --debug)", EXIT_FAILED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="PENCHANT_CONFIG",
    help="Settings file; penchant.toml here, where there is one.",
)
@click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="In place of kafka.bootstrap_servers.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="In place of log.level.",
)
@click.option("--log-format", type=click.Choice(["human", "json"]), help="In place of log.format.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="penchant", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, config: Path | None, bootstrap_servers: str | None, **options: Any) -> None:
    """A live picture of what every user likes: media events in, interests and recommendations out."""
    from streams.logs import configure

    settings = load_settings(config)
    if bootstrap_servers:
        settings = replace(settings, kafka=replace(settings.kafka, bootstrap_servers=bootstrap_servers))
    chosen = {key: options[f"log_{key}"] for key in ("level", "format") if options[f"log_{key}"]}
    settings = replace(settings, log=replace(settings.log, **chosen))
    configure(settings.log)
    ctx.obj = settings


def main() -> None:
    """The entry point of `penchant`."""
    # Read when numpy is imported. Its batches are too small to share out, and idle threads of OpenBLAS spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    cli.main(prog_name="penchant")


if __name__ == "__main__":
    main()
