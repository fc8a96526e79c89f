"""`penchant evaluate`: how well models foretell what users take."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from streams.commands.given_events import events_option
from streams.commands.written import check_writable, write_found
from streams.errors import InputError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.evaluation import Wanted

PROTOCOLS = ("leave-one-out", "temporal", "prequential")
QUICK = "random,popularity,recent-popularity,recency-mean,item-knn,content-prior"


@click.command()
@events_option(required=True)
@click.option("--protocol", "protocols", type=click.Choice(PROTOCOLS), multiple=True, help="May be repeated.")
@click.option("--models", default=QUICK, show_default=True, help="Names and folders of artifacts, by commas.")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--against", help="The model that the others are compared with; the best where not given.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with plots.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures."
)
@click.option("--cold", is_flag=True, help="Also hold items out of training, and rank those.")
@click.option("--missing", is_flag=True, help="Also take away 30 and 60 % of what is known of the items.")
@click.option("--keep-seen", is_flag=True, help="Rank what a user took before as well.")
@click.option("--min-user", type=click.IntRange(0), default=0, help="Leave out users with fewer events.")
@click.option("--min-item", type=click.IntRange(0), default=0, help="Leave out items with fewer events.")
@click.option(
    "--like-from", type=float, default=4.0, show_default=True, help="A rating from here on is a like."
)
@click.option("--dislike-to", type=float, default=2.0, show_default=True, help="One up to here is a dislike.")
@click.option("--test-share", type=float, default=0.2, show_default=True, help="Of the events, by time.")
@click.option("--validation-share", type=float, default=0.1, show_default=True)
@click.option("--events", type=click.IntRange(0), default=0, help="Replay the last so many alone; 0 for all.")
@click.option("--targets", type=click.IntRange(0), default=0, help="At most so many test events; 0 for all.")
@click.pass_obj
def evaluate(
    settings: Settings,
    source: Path,
    protocols: tuple[str, ...],
    models: str,
    seeds: int,
    against: str | None,
    report: Path | None,
    json_file: Path | None,
    cold: bool,
    missing: bool,
    keep_seen: bool,
    min_user: int,
    min_item: int,
    like_from: float,
    dislike_to: float,
    test_share: float,
    validation_share: float,
    events: int,
    targets: int,
) -> None:
    """Measure models on interactions that are already known.

    --from is a folder in the RecBole format (NAME.inter, and NAME.item where there is one), or the file
    itself of interactions in Parquet or JSON lines, with items.jsonl beside it where there is one. Ratings
    become likes, views and dislikes where no action is told.

    leave-one-out foretells each user's last event, as papers do; temporal every event after one moment from
    what its user did before it, which is what serving meets; prequential sends the events through the whole
    pipeline, one after another, and holds each against the slate that its user had. Without --protocol: the
    first two. All items are ranked, and equal scores count against the model.
    """
    from rich.console import Console

    from state.learning.evaluation import EvaluationOptions
    from state.learning.reading import ReadingOptions
    from streams.evaluation import Wanted, findings_of
    from streams.evaluation_report import page, show

    names = tuple(name.strip() for name in models.split(",") if name.strip())
    if not names:
        raise InputError("--models: name one model at least")
    wanted = Wanted(
        source,
        tuple(dict.fromkeys(protocols)) or PROTOCOLS[:2],
        ReadingOptions(like_from, dislike_to, min_user, min_item),
        EvaluationOptions(names, seeds, not keep_seen, against, cold, missing),
        test_share,
        validation_share,
        events,
        targets,
    )
    check_writable("--report", report)
    check_writable("--json", json_file)
    if against is not None and against not in names:
        raise InputError(f"--against {against}: is not among --models: {', '.join(names)}")
    findings = findings_of(wanted, settings, _command(wanted))
    show(findings, Console())
    if json_file is not None:
        content = msgspec.json.format(msgspec.json.encode(findings), indent=2)
        write_found("--json", json_file, content)
    if report is not None:
        write_found("--report", report, page(findings).encode())
        click.echo(f"report: {report}")


def _command(wanted: "Wanted") -> str:
    """What repeats it, but for what is as it is without being asked for."""
    measure, reading = wanted.measure, wanted.reading
    parts = [f"penchant evaluate --from {wanted.source.name}"]
    parts += [f"--protocol {protocol}" for protocol in wanted.protocols]
    parts.append(f"--models {','.join(Path(name).name for name in measure.models)} --seeds {measure.seeds}")
    flags = {"--cold": measure.cold, "--missing": measure.missing, "--keep-seen": not measure.hide_seen}
    parts += [flag for flag, given in flags.items() if given]
    numbers = {
        "--min-user": reading.min_user,
        "--min-item": reading.min_item,
        "--events": wanted.events,
        "--targets": wanted.targets,
    }
    parts += [f"{flag} {number}" for flag, number in numbers.items() if number]
    return " ".join(parts)
