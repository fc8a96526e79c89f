"""`penchant features`: which topics and modalities tell likes from dislikes."""

from pathlib import Path

import click

from streams.commands.given_events import events_option
from streams.commands.written import check_writable, write_found
from streams.errors import InputError
from streams.settings import Settings


@click.command()
@events_option(required=False)
@click.option("--from-topics", is_flag=True, help="Count what lies in the topics.")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="So many at most.")
@click.option(
    "--like-from", type=float, default=4.0, show_default=True, help="A rating from here on is a like."
)
@click.option("--dislike-to", type=float, default=2.0, show_default=True, help="One up to here is a dislike.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all of them."
)
@click.pass_obj
def features(
    settings: Settings,
    source: Path | None,
    from_topics: bool,
    top: int,
    like_from: float,
    dislike_to: float,
    json_file: Path | None,
) -> None:
    """Rank what is told of items by information gain about likes and dislikes.

    --from is what `penchant evaluate` reads; --from-topics counts what lies in interactions.encoded and
    items.encoded. Of each topic and modality: events of items that have it with a verdict, the part of likes
    among them, how many bits it tells, and how likely as much would be by chance. `penchant train model
    --best-topics N` trains with the best alone.
    """
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from state.learning.gathering import ReadingOptions
    from streams.feature_gains import gains_in

    if (source is None) != from_topics:
        raise InputError("name one of --from and --from-topics")
    check_writable("--json", json_file)
    found = gains_in(source, ReadingOptions(like_from, dislike_to), settings)
    table = Table("feature", "events", "liked", "bits", "by chance")
    for each in found[:top]:
        told = (f"{each.events:,}", f"{each.liked:.3f}", f"{each.bits:.5f}", f"{each.chance:.2g}")
        table.add_row(f"{each.kind} {each.name}", *told)
    Console().print(table)
    if json_file is not None:
        write_found("--json", json_file, msgspec.json.format(msgspec.json.encode(found), indent=2))
