"""`penchant train text-adapter`: the text encoder, tuned a little to one's own catalogue."""

from pathlib import Path
from typing import cast

import click

from encoders.adapters.settings import KINDS, OBJECTIVES, RATES, AdapterPlan, Kind, Objective
from streams.commands.given_items import given_items
from streams.errors import InputError
from streams.progress import progress, stages
from streams.records import Item
from streams.settings import Settings

_DEFAULT = AdapterPlan()
_RATES = ", ".join(f"{rate:g} for {kind}" for kind, rate in RATES.items())
TOLD = {
    "nearest": "nearest text of the same category",
    "precision": "average precision by category",
    "first": "a title's own description found first",
    "inverse rank": "its mean inverse rank",
}


@click.command("text-adapter")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--from-topics", is_flag=True, help="Learn from the items that lie in the topic.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the adapter.")
@click.option("--model", "name", default="", help="Name in encoders.models, if not encoders.text.")
@click.option("--kind", type=click.Choice(KINDS), default=_DEFAULT.kind, show_default=True)
@click.option("--objective", type=click.Choice(OBJECTIVES), help="What is to lie near; by what there is.")
@click.option(
    "--rank", type=click.IntRange(1), default=_DEFAULT.rank, show_default=True, help="Of prefix: its tokens."
)
@click.option("--epochs", type=click.IntRange(1), default=_DEFAULT.epochs, show_default=True, help="At most.")
@click.option("--seed", type=int, default=_DEFAULT.seed, show_default=True)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help=f"Of learning; {_RATES}.")
@click.option(
    "--keep",
    type=click.FloatRange(0),
    default=_DEFAULT.keep,
    show_default=True,
    help="Weight of the old vectors.",
)
@click.pass_obj
def text_adapter(
    settings: Settings,
    path: Path | None,
    from_topics: bool,
    out: Path,
    name: str,
    kind: str,
    objective: str | None,
    rank: int,
    epochs: int,
    seed: int,
    rate: float | None,
    keep: float,
) -> None:
    """Tune the text encoder to the items of PATH, without a model of one's own.

    PATH is as for `penchant train alignment`; --from-topics reads the topic `items` instead. What is learnt
    is an adapter, small beside the transformers model of encoders.models that it belongs to: texts of one
    category come to lie near each other (--objective categories), or a title and its item's description and
    tags (parts). A fifth of the texts is held out and tells when to stop; where nothing got better for them,
    nothing is written. --keep holds texts near their old vectors, where categories are learnt.

    The `adapter` of the model's table in the settings names the folder. It makes the encoder another one: fit
    the alignment again, and load the items again.
    """
    if (path is None) != from_topics:
        raise InputError("name one of PATH and --from-topics")
    plan = AdapterPlan(
        kind=cast("Kind", kind), objective=cast("Objective | None", objective), rank=rank, epochs=epochs,
        seed=seed, rate=rate or 0.0, keep=keep,
    )  # fmt: skip
    from streams.adapter_training import text_model, train_adapter

    files = text_model(settings, name)
    items = _of_topic(settings) if path is None else given_items(path)
    with stages() as tell:
        made = train_adapter(files, items, plan, out, lambda done, of: tell("training", done, of))
    told = made.manifest
    for figure, before in told.before.items():
        click.echo(f"{TOLD[figure]:40}{before:6.3f} before, {told.after[figure]:.3f} after")
    click.echo(
        f"{out}: {kind} of {told.parameters:,} numbers, epoch {made.best} of {len(made.epochs)}, on "
        f"{told.texts:,} texts; set {files.where}.adapter to this folder"
    )


def _of_topic(settings: Settings) -> list[Item]:
    from streams.topic_catalogue import catalogue_stretches, read_catalogue

    stretches = catalogue_stretches(settings)
    with progress("reading items", sum(each.end - each.first for each in stretches)) as tell:
        return read_catalogue(settings, stretches, tell)
