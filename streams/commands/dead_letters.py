"""`penchant dead-letters`: look at records that were set aside, and send them again once they are mended."""

import heapq
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from state.times import parse_time
from streams.errors import InputError
from streams.exits import EXIT_FAILED
from streams.item_history import SUPERSEDED
from streams.letter_text import (
    Summary,
    is_json,
    letter_json,
    letter_line,
    letter_page,
    printable,
    shown,
)
from streams.letters import Letter, LetterLog, LetterPlace, Mark, Selection
from streams.progress import progress
from streams.redrive import Missing, Passed, Redrive, RedriveOrder, Refused, Result, Sent
from streams.settings import Settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_AS_STARTED = "they are set aside again unless the workers were started with the settings that mend them"


class Moment(click.ParamType):
    """Epoch milliseconds, from RFC 3339, epoch milliseconds, or how long ago: 90s, 30m, 2h, 7d."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        ago = _AGO.fullmatch(str(value))
        if ago is not None:
            return int(time.time() * 1000) - int(ago[1]) * _UNITS[ago[2]]
        try:
            return parse_time(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither RFC 3339, nor epoch milliseconds, nor such as 2h or 7d")


class Place(click.ParamType):
    """PARTITION:OFFSET in `dead-letters`."""

    name = "PARTITION:OFFSET"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> LetterPlace:
        try:
            return LetterPlace.parse(str(value))
        except ValueError as error:
            self.fail(str(error))


def _filters(command: CommandT) -> CommandT:
    """The options that select letters; all of them must hold, and one of those given several times."""
    for option in (
        click.option("--until", type=Moment(), help="Set aside before."),
        click.option("--since", type=Moment(), help="Set aside then or later: RFC 3339, or 2h, 7d ago."),
        click.option("--key", "keys", multiple=True, help="Key of the record: a user_id or item_id."),
        click.option("--topic", "topics", multiple=True, help="Topic of the record."),
        click.option("--error-class", "reasons", multiple=True, help="Such as unknown_action."),
        click.option("--stage", "stages", multiple=True, help="Stage that set it aside, such as encode."),
    ):
        command = option(command)
    return command


def _selection(places: Iterable[LetterPlace], filters: dict[str, Any]) -> Selection:
    keys = {key.encode() for key in filters["keys"]}
    for key in filters["keys"]:
        if re.fullmatch("0x([0-9a-f]{2})*", key):
            keys.add(bytes.fromhex(key[2:]))
    return Selection(
        places=frozenset(places),
        stages=frozenset(filters["stages"]),
        reasons=frozenset(filters["reasons"]),
        topics=frozenset(filters["topics"]),
        keys=frozenset(keys),
        since=filters["since"],
        until=filters["until"],
    )


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Look at records that were set aside, and send them again once they are mended."""


@dead_letters.command(name="list")
@_filters
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="0 lists all.")
@click.option("--by-partition", is_flag=True, help="In the order of the topic; else the newest first.")
@click.option("--redriven", is_flag=True, help="Those that were redriven, too.")
@click.option("--summary", is_flag=True, help="Only counts, by error class, stage and topic.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, with values.")
@click.pass_obj
def list_letters(
    settings: Settings,
    /,
    limit: int,
    by_partition: bool,
    redriven: bool,
    summary: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """List the letters that wait: place, time, stage, error class, record, key, size, message."""
    log = LetterLog(settings, _selection((), filters))
    with progress("reading", 2 * max(1, log.offsets)) as tell:
        marks = log.marks(tell)
        letters = (
            letter
            for letter in log.letters(lambda done: tell(log.offsets + done))
            if redriven or summary or letter.place not in marks
        )
        if summary:
            _summarise(letters, marks, as_json)
        else:
            left = _list(letters, marks, (limit, by_partition, as_json))
            if left:
                click.echo(f"{left:,} more; --limit 0 lists all, --summary counts them", err=True)


def _summarise(letters: Iterable[Letter], marks: dict[LetterPlace, Mark], as_json: bool) -> None:
    counts = Summary()
    for letter in letters:
        counts.add(letter, marks.get(letter.place))
    for line in counts.json_lines() if as_json else counts.lines():
        click.echo(line)


def _list(letters: Iterable[Letter], marks: dict[LetterPlace, Mark], how: tuple[int, bool, bool]) -> int:
    """Returns how many were left out."""
    limit, by_partition, as_json = how
    total = shown_count = 0
    newest: list[tuple[int, LetterPlace, Letter]] = []
    for letter in letters:
        total += 1
        if by_partition:
            if not limit or total <= limit:
                _print(letter, marks.get(letter.place), as_json)
                shown_count += 1
            continue
        entry = (letter.dead.time, letter.place, letter)
        if not limit or len(newest) < limit:
            heapq.heappush(newest, entry)
        else:
            heapq.heappushpop(newest, entry)
    for _, place, letter in sorted(newest, key=lambda entry: entry[:2], reverse=True):
        _print(letter, marks.get(place), as_json)
    return total - shown_count - len(newest)


def _print(letter: Letter, mark: Mark | None, as_json: bool) -> None:
    click.echo(letter_json(letter, mark) if as_json else letter_line(letter, mark))


@dead_letters.command()
@click.argument("places", metavar="PARTITION:OFFSET...", type=Place(), nargs=-1, required=True)
@click.option("--raw", is_flag=True, help="Only the original bytes of one letter, as they are.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line each.")
@click.pass_obj
def show(settings: Settings, places: tuple[LetterPlace, ...], raw: bool, as_json: bool) -> None:
    """Show letters whole: why they were set aside, headers, and the original bytes."""
    if raw and len(set(places)) > 1:
        raise InputError("--raw: name one letter")
    log = LetterLog(settings, Selection(places=frozenset(places)))
    marks = log.marks(lambda _: None)
    missing = set(places)
    for letter in log.letters(lambda _: None):
        if len(missing) < len(set(places)) and not as_json:
            click.echo()
        missing.discard(letter.place)
        if raw:
            _write_raw(letter)
        elif as_json:
            click.echo(letter_json(letter, marks.get(letter.place)))
        else:
            click.echo("\n".join(letter_page(letter, marks.get(letter.place))))
    for place in sorted(missing):
        _complain(_absent(place))
    if missing:
        raise click.exceptions.Exit(EXIT_FAILED)


def _write_raw(letter: Letter) -> None:
    if letter.cut_from is not None:
        _complain(f"{letter.place}: cut; this is the beginning of {letter.cut_from:,} bytes")
    if letter.dead.record.value is None:
        _complain(f"{letter.place}: the value is null")
    else:
        click.echo(letter.dead.record.value, nl=False)


@dead_letters.command()
@click.argument("places", metavar="[PARTITION:OFFSET]...", type=Place(), nargs=-1)
@_filters
@click.option("--all", "everything", is_flag=True, help="All letters that wait.")
@click.option(
    "--edit",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File (- for standard input) with the mended value, JSON, of the one letter that is named.",
)
@click.option(
    "--edits",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File (- for standard input) of JSON lines with `letter` and `value`, as `list --json` writes them.",
)
@click.option("--rekey", is_flag=True, help="Send an event under its user_id where its key is another.")
@click.option("--again", is_flag=True, help="Those that were redriven before, too.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be sent.")
@click.pass_obj
def redrive(
    settings: Settings,
    /,
    places: tuple[LetterPlace, ...],
    everything: bool,
    edit: Path | None,
    edits: Path | None,
    **options: Any,
) -> None:
    """Send letters again: to the original topic and partition, under the original key and event id.

    Each is checked first as the encode worker would, and redriven once, however often this is run: what was
    redriven is marked, in the same transaction. An item is sent again only where nothing newer is there.

    Here settings are read now, and workers have those of their start: what new settings mend is redriven once
    `penchant encode` was started anew.
    """
    how = {name: options.pop(name) for name in ("rekey", "again", "dry_run")}
    mends = _mends(places, edit, edits)
    if edits is not None:
        places = tuple(mends)
    selection = _selection(places, options)
    if selection == Selection() and not everything:
        raise InputError("name letters by PARTITION:OFFSET, select them by options, or take --all")
    _run(settings, RedriveOrder(selection, mends, **how))


def _mends(
    places: tuple[LetterPlace, ...], edit: Path | None, edits: Path | None
) -> dict[LetterPlace, bytes]:
    if edit is not None and edits is not None:
        raise InputError("--edit mends one letter, --edits many: take one of them")
    if edit is not None:
        if len(set(places)) != 1:
            raise InputError("--edit: name the one letter that it mends by PARTITION:OFFSET")
        content = _content(edit)
        if not is_json(content):
            raise InputError(f"--edit: {_name(edit)}: not JSON")
        return {places[0]: content}
    if edits is not None:
        if places:
            raise InputError("--edits names its letters itself")
        mends = _edit_lines(edits)
        if not mends:
            raise InputError(f"--edits: {_name(edits)}: no letters")
        return mends
    return {}


class _EditLine(msgspec.Struct):
    letter: str
    value: msgspec.Raw


def _edit_lines(path: Path) -> dict[LetterPlace, bytes]:
    decoder = msgspec.json.Decoder(_EditLine)
    mends: dict[LetterPlace, bytes] = {}
    for number, line in enumerate(_content(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            edit = decoder.decode(line)
            place = LetterPlace.parse(edit.letter)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InputError(f"--edits: {_name(path)}:{number}: {error}") from error
        if place in mends:
            raise InputError(f"--edits: {_name(path)}:{number}: letter {place} a second time")
        mends[place] = bytes(edit.value)
    return mends


def _content(path: Path) -> bytes:
    if str(path) == "-":
        return click.get_binary_stream("stdin").read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _name(path: Path) -> str:
    return "standard input" if str(path) == "-" else str(path)


class _Tally:
    """Counts what became of the letters, and tells what a person must know of each."""

    def __init__(self, dry_run: bool) -> None:
        self._dry_run = dry_run
        self.sent = self.passed = self.superseded = self.failed = 0

    def take(self, result: Result) -> None:
        match result:
            case Sent(redriven):
                self.sent += 1
                if self._dry_run:
                    partition = "" if redriven.partition is None else f"-{redriven.partition}"
                    event = "" if redriven.event_id is None else f", event {printable(redriven.event_id)}"
                    target = f"{printable(redriven.topic)}{partition}"
                    click.echo(f"{redriven.place} to {target}, key {shown(redriven.key)}{event}")
            case Passed():
                self.passed += 1
            case Missing(place):
                self.failed += 1
                _complain(_absent(place))
            case Refused(place, error):
                if error.reason == SUPERSEDED:
                    self.superseded += 1
                else:
                    self.failed += 1
                _complain(f"{place}: {error.reason}: {printable(str(error))}")

    def __str__(self) -> str:
        parts = [f"{self.sent:,} letters {'would be redriven' if self._dry_run else 'redriven'}"]
        if self.passed:
            parts.append(f"{self.passed:,} redriven before (--again sends them)")
        if self.superseded:
            parts.append(f"{self.superseded:,} superseded")
        if self.failed:
            parts.append(f"{self.failed:,} refused")
        return ", ".join(parts)


def _run(settings: Settings, order: RedriveOrder) -> None:
    tally = _Tally(order.dry_run)
    run = Redrive(settings, order)
    try:
        with progress("redriving", 2 * max(1, run.offsets)) as tell:
            for result in run.run(tell, lambda done: tell(run.offsets + done)):
                tally.take(result)
    finally:
        run.close()
        click.echo(str(tally))
    if tally.sent and not order.dry_run and not order.mends:
        click.echo(_AS_STARTED, err=True)
    if tally.failed:
        raise click.exceptions.Exit(EXIT_FAILED)


def _absent(place: LetterPlace) -> str:
    return f"{place}: no dead letter is there; `penchant dead-letters list` shows those that are"


def _complain(problem: str) -> None:
    click.echo(problem, err=True)
