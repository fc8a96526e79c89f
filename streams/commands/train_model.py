"""`penchant train model`: the interest model and the sequential models that it is held against."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import msgspec

from streams.commands.given_events import events_option
from streams.errors import InputError
from streams.settings import Settings

if TYPE_CHECKING:
    from state.learning.transfer import Tuned

KINDS = ("interest", "gru4rec", "sasrec")
TUNED = ("whole", "biases", "ids")
"""Of `state.learning.transfer`, which is not loaded for every command."""


@click.command()
@events_option(required=False)
@click.option("--from-topics", is_flag=True, help="Learn from what lies in the topics.")
@click.option("--into", type=click.Path(path_type=Path), required=True, help="Folder of the artifact.")
@click.option("--model", "kind", type=click.Choice(KINDS), default="interest", show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=60, show_default=True, help="At most.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--search", "trials", type=click.IntRange(0), default=0, help="Trials of other settings.")
@click.option(
    "--best-topics", type=click.IntRange(0), default=0, help="Tell of items only the N best topics; 0: all."
)
@click.option("--start", default="", help="Folder of an artifact to begin with, or `prior`.")
@click.option("--tune", type=click.Choice(TUNED), help="What a training with --start moves.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=2e-3, show_default=True, help="Of learning."
)
@click.option("--track", default=None, help="tensorboard:FOLDER or wandb:PROJECT.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the folder.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, or what there is.")
@click.option("--min-user", type=click.IntRange(0), default=0, help="Leave out users with fewer events.")
@click.option("--min-item", type=click.IntRange(0), default=0, help="Leave out items with fewer events.")
@click.option(
    "--like-from", type=float, default=4.0, show_default=True, help="A rating from here on is a like."
)
@click.option("--dislike-to", type=float, default=2.0, show_default=True, help="One up to here is a dislike.")
@click.option("--validation-share", type=click.FloatRange(0, 0.9), default=0.1, show_default=True)
@click.pass_obj
def model(
    settings: Settings,
    source: Path | None,
    from_topics: bool,
    into: Path,
    kind: str,
    epochs: int,
    seed: int,
    trials: int,
    best_topics: int,
    start: str,
    tune: str | None,
    rate: float,
    track: str | None,
    resume: bool,
    device: str,
    min_user: int,
    min_item: int,
    like_from: float,
    dislike_to: float,
    validation_share: float,
) -> None:
    """Train a model on what users did.

    --from is what `penchant evaluate` reads: a folder in the RecBole format, or a file of interactions,
    Parquet or JSON lines, with items.jsonl beside it. --from-topics reads interactions.encoded and
    items.encoded instead, up to where they end now. The latest events are not learnt from: they tell when to
    stop.

    The interest model becomes an artifact, which model.artifact names; states of another artifact do not mix
    with it. Training that was cut off goes on with --resume, and comes to the same as if it had not been.

    --best-topics tells the encoders of each item's topics only those that tell most of likes and dislikes
    (`penchant features`), in the events that are learnt from.

    --start begins with what another artifact learned, be it of this catalogue or another one: items that it
    does not know begin as their content alone. Where no epoch does better on the latest events, its numbers
    are kept. --track tells every epoch, the settings and the result to an experiment tracker, as train.track
    does.
    """
    from state.learning.optimiser import OptimiserSettings
    from state.learning.reading import ReadingOptions
    from state.learning.sequential import Plan
    from state.learning.trainer import Schedule
    from streams.model_training import Training, train_model

    if (source is None) != from_topics:
        raise InputError("name one of --from and --from-topics")
    if resume and trials:
        raise InputError("a search cannot be resumed: leave out --search or --resume")
    if tune and not start:
        raise InputError("--tune says what a training with --start moves: name a --start, too")
    if start and trials:
        raise InputError("a search draws sizes, which a start has already: leave out --search or --start")
    schedule = Schedule(epochs=epochs, optimiser=OptimiserSettings(rate=rate))
    if best_topics and from_topics:
        raise InputError("--best-topics needs the items' words, and --from-topics reads vectors: use --from")
    plan = Plan(kind, schedule=schedule, tuned=cast("Tuned", tune or "whole"))
    reading = ReadingOptions(like_from, dislike_to, min_user, min_item)
    wanted = Training(source, into, plan, reading, seed, trials, resume, device, validation_share)
    tracker = settings.train.track if track is None else track
    made = train_model(
        msgspec.structs.replace(wanted, best_topics=best_topics, start=start, track=tracker), settings
    )
    for trial in made.tried:
        drawn = ", ".join(f"{name} {value:.4g}" for name, value in sorted(trial.drawn.items()))
        click.echo(f"ndcg@10 {trial.found:.4f}: {drawn}")
    report = made.report
    beside = "" if report.described or from_topics else " (items.jsonl or NAME.item beside them)"
    click.echo(
        f"{report.events:,} events of {report.users:,} users and {report.items:,} items, of which "
        f"{report.described:,} are described{beside}; validation ndcg@10 {report.validation:.4f} after "
        f"{report.best_epoch} of {report.epochs} epochs"
    )
    if report.started_from:
        kept = "" if report.best_epoch else ": no epoch did better, and its numbers were kept"
        click.echo(f"started from {report.started_from}{kept}")
    spent = ", ".join(f"{part} {each:.1f}" for part, each in report.profile.items())
    click.echo(f"milliseconds a step (of validation, an epoch): {spent}")
    if report.version:
        click.echo(f"{into}: {report.version}; set model.artifact to this folder")
    else:
        click.echo(f"{into}: {kind}, for comparison; it does not serve")
