"""`penchant describe`: the describe worker, and one user's description at once."""

import os

import click
import msgspec

from streams.commands.serving import serve
from streams.errors import SettingsError
from streams.exits import EXIT_FAILED
from streams.processes import Factories, Worker
from streams.settings import Settings


@click.command()
@click.argument("user_id", metavar="[USER]", required=False)
@click.option("--language", help="A code such as en or zh, in place of the user's own.")
@click.option("--json", "as_json", is_flag=True, help="The whole record, with the facts that are cited.")
@click.pass_obj
def describe(settings: Settings, user_id: str | None, language: str | None, as_json: bool) -> None:
    """Run the describe worker: interests to descriptions in words. Stops on SIGTERM or Ctrl-C.

    With USER it runs no worker, but describes this user as of now, and publishes nothing. It reads the log,
    so that no worker needs to run. Exits with 1 where nothing is held of the user, or nothing can be told.
    """
    if user_id is None:
        if not settings.describe.enabled:
            raise SettingsError("describe.enabled: is false; set it to true to run the describe worker")
        # Of a process of its own alone: a thread that gives way while it holds the interpreter's lock would
        # make the workers beside it wait.
        os.nice(settings.describe.niceness)
        serve(describe_workers(settings), settings)
        return
    from streams.describe.single import describe_user
    from streams.progress import progress

    with progress("reading", 1):
        found = describe_user(settings, user_id, language)
    if found is None:
        click.echo(f"{user_id}: nothing can be told", err=True)
        raise click.exceptions.Exit(EXIT_FAILED)
    record = found.record
    if found.problem:
        click.echo(f"the template wrote it {found.problem}", err=True)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(record), indent=2))
        return
    click.echo(record.summary)
    click.echo(f"({record.model}, {record.language}; {len(record.facts)} facts)", err=True)


def describe_workers(settings: Settings) -> Factories:
    """The describe worker, where descriptions are wanted."""
    return {"describe": describe_worker} if settings.describe.enabled else {}


def describe_worker(settings: Settings) -> Worker:
    """Imported here, so that the process answers /healthz while a model is still loaded."""
    from streams.describe.worker import DescribeWorker

    return DescribeWorker(settings)
