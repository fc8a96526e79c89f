"""`penchant user`: what is held of a user, and the user's rights."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from streams.commands.latest import latest
from streams.commands.moments import moment
from streams.errors import InputError
from streams.exits import EXIT_FAILED
from streams.holdings import Holdings, add_records, read_holdings
from streams.receipts import Desk, receipt_text
from streams.records import UserCommand
from streams.settings import Settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
SHOWN = 10
"""Events and topics that are shown, of many."""


@click.group()
def user() -> None:
    """Show, export, forget and merge users."""


user.add_command(latest)


def _waiting(command: CommandT) -> CommandT:
    command = click.option(
        "--wait-seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="Give --wait up after so long.",
    )(command)
    return click.option("--wait", is_flag=True, help="Wait until it is done.")(command)


@user.command()
@click.argument("user_id", metavar="USER")
@click.pass_obj
def show(settings: Settings, user_id: str) -> None:
    """Show what is held of USER, in a few lines. Exits with 1 where nothing is."""
    holdings = _read(settings, user_id)
    for line in _lines(holdings):
        click.echo(line)
    if not holdings.anything:
        raise click.exceptions.Exit(EXIT_FAILED)


@user.command()
@click.argument("user_id", metavar="USER")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file in place of standard output."
)
@click.pass_obj
def export(settings: Settings, user_id: str, output: Path | None) -> None:
    """Write everything that is held of USER as JSON.

    The state with all its numbers, what it was made of as far as that is kept, the published records, and
    what the topics hold under the user's id until their retention ends. Times are epoch milliseconds. Reads
    the log: no worker needs to run. Takes as long as reading the user's partition of the changelog, and all
    raw events, takes.
    """
    holdings = _read(settings, user_id)
    from streams.progress import progress

    with progress("reading events", 1):
        add_records(settings, holdings)
    content = msgspec.json.format(msgspec.json.encode(holdings), indent=2)
    if output is None:
        click.echo(content.decode())
        return
    try:
        output.write_bytes(content + b"\n")
    except OSError as error:
        raise InputError(f"{output}: {error.strerror}") from error
    click.echo(f"{output}: {len(content):,} bytes", err=True)


@user.command()
@click.argument("user_id", metavar="USER")
@_waiting
@click.pass_obj
def forget(settings: Settings, user_id: str, wait: bool, wait_seconds: float) -> None:
    """Forget USER: all that is held, and what comes late of the time up to now. It cannot be taken back.

    Where USER has become part of another by a merge, that one is forgotten as well: what the two did cannot
    be told apart any more.

    Events that lie in `interactions` stay there until its retention ends, and count no more.
    """
    _send(settings, UserCommand("forget", user_id), wait_seconds if wait else None)


@user.command()
@click.argument("user_id", metavar="USER")
@click.argument("into", metavar="INTO")
@_waiting
@click.pass_obj
def merge(settings: Settings, user_id: str, into: str, wait: bool, wait_seconds: float) -> None:
    """Make USER, such as a visitor who has just signed in, part of INTO.

    All that USER did counts as INTO's, and so does what still comes under the old id.
    """
    if user_id == into:
        raise InputError(f"{user_id}: cannot be merged into itself")
    _send(settings, UserCommand("merge", user_id, into=into), wait_seconds if wait else None)


def _send(settings: Settings, command: UserCommand, wait_seconds: float | None) -> None:
    with contextlib.closing(Desk(settings)) as desk:
        name = desk.send(command)
        if wait_seconds is None:
            click.echo(f"{command.command} {command.user_id}: sent as {name}")
            return
        receipt = desk.wait(name, wait_seconds)
    click.echo(f"{command.command} {command.user_id}: {receipt_text(receipt)} ({name})")
    if receipt.refused is not None:
        raise click.exceptions.Exit(EXIT_FAILED)


def _read(settings: Settings, user_id: str) -> Holdings:
    from state.errors import StateError
    from streams.errors import EngineError
    from streams.progress import progress

    try:
        with progress("reading", 1):
            return read_holdings(settings, user_id)
    except StateError as error:
        raise EngineError(str(error)) from error


def _lines(holdings: Holdings) -> list[str]:
    lines = [f"{holdings.user_id}: partition {holdings.partition}"]
    if holdings.mark is not None:
        lines += _mark_lines(holdings)
    if holdings.merged_users:
        lines.append(f"merged users: {', '.join(holdings.merged_users)}")
    state, profile = holdings.state, holdings.profile
    if state is None:
        lines.append("no state is held")
    else:
        lines.append(f"version {state.version}, {state.event_count} events; the latest:")
        for event in state.events[:SHOWN]:
            name = ", ".join(event.items) or event.item_hash or "no item"
            taken = " (taken back)" if event.retracted else ""
            lines.append(f"  {moment(event.time)} {event.action} {name}{taken}")
    if profile is not None:
        counts = f"{len(profile.seen)} seen, {len(profile.disliked)} disliked, {len(profile.liked)} liked"
        lines.append(f"items: {counts}")
        liked = sorted(profile.topics.items(), key=lambda each: -(each[1][0] or float("-inf")))
        lines.append(f"topics: {', '.join(name for name, _ in liked[:SHOWN]) or 'none'}")
        lines += [f"searched at {moment(time)}: {words}" for time, words in profile.searches]
    for topic, value in holdings.outputs.items():
        lines.append(f"{topic}: {'a record' if value is not None else 'none'}")
    return lines


def _mark_lines(holdings: Holdings) -> list[str]:
    mark, lines = holdings.mark, []
    if mark is not None and mark.forgotten is not None:
        lines.append(f"forgotten: all up to {moment(mark.forgotten)}; remembered until {moment(mark.until)}")
    if mark is not None and mark.into is not None:
        lines.append(f"became part of {mark.into}; remembered until {moment(mark.until)}")
    return lines
