"""`penchant encode-catalogue`: a whole catalogue, encoded before anybody asks for it."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import click
import msgspec

from streams.commands.unknown import warn_of_unknown
from streams.exits import EXIT_FAILED
from streams.settings import Settings

SEND_STALL_SECONDS = 120.0


@click.command("encode-catalogue")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--failures",
    type=click.File("wb"),
    help="Write every failure to this file, one JSON object a line.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@click.option("--send", is_flag=True, help="Then send the items, and wait until the workers have them.")
@click.pass_context
def encode_catalogue(
    ctx: click.Context, /, path: Path, failures: IO[bytes] | None, as_json: bool, send: bool
) -> None:
    """Encode the items of PATH in bulk: JSON lines, a table or a folder, as for `penchant items load`.

    No broker is needed. The vectors go to a folder (encoders.bulk_vectors) that the encode workers read,
    those that run already included: items that are loaded afterwards need no encoding, nor does
    `penchant train alignment`. Run it before going live, and with new settings before they come into force.

    It may be stopped or killed at any time: run again, it encodes what is missing. Exits with 1 where a line
    is bad or a medium could not be encoded; all others are encoded all the same.
    """
    from encoders.errors import EncodersError
    from streams.errors import InputError

    try:
        failed = _encode(ctx.obj, path, failures, as_json)
    except EncodersError as error:
        raise InputError(str(error)) from error
    if send:
        from streams.commands.items import load

        ctx.invoke(load, path=path, strict=False, check=False, wait=True, wait_seconds=SEND_STALL_SECONDS)
    if failed:
        raise click.exceptions.Exit(EXIT_FAILED)


def _encode(settings: Settings, path: Path, failures_file: IO[bytes] | None, as_json: bool) -> bool:
    """Whether anything failed. Loading takes seconds, so that the path is looked at first."""
    from streams.item_sources import open_source

    source = open_source(path)
    from streams.bulk_encoding import encoded_windows, failures
    from streams.bulk_report import Report
    from streams.bulk_vectors import BulkFill
    from streams.progress import progress

    report = Report()
    with ExitStack() as stack:
        click.echo("loading the encoders", err=True)
        fill = BulkFill(settings, stack)
        started = time.monotonic()
        try:
            with progress(f"encoding {path}", source.total) as tell:
                for window, media in encoded_windows(source, fill.media):
                    report.add(window, media)
                    for failure in failures(window, media):
                        report.fail(failure)
                        if failures_file is not None:
                            failures_file.write(msgspec.json.encode(failure._asdict()) + b"\n")
                    fill.tell()
                    tell(window.position)
        except KeyboardInterrupt:
            click.echo("interrupted; what is encoded is kept, and run again it goes on from there", err=True)
            raise
        finally:
            report.finish(time.monotonic() - started, fill.stopwatch.seconds, fill.cache.bytes)
            click.echo(msgspec.json.encode(report).decode() if as_json else "\n".join(report.lines()))
            for line in report.complaints(fill.most_bytes):
                click.echo(line, err=True)
    warn_of_unknown(source.unknown, "attributes")
    return report.failures > 0
