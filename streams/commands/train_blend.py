"""`penchant train blend`: weights of the strategies that make slates together."""

from pathlib import Path
from typing import get_args

import click

from state.settings import StrategyName
from streams.commands.given_events import events_option
from streams.errors import InputError
from streams.settings import Settings

NAMES: tuple[str, ...] = tuple(name for name in get_args(StrategyName) if name != "liked")
"""What every model can be blended with."""


@click.command()
@events_option(required=True)
@click.option("--strategies", default=",".join(NAMES), show_default=True, help="Names, by commas.")
@click.option("--events", type=click.IntRange(0), default=0, help="Replay the last so many alone; 0 for all.")
@click.option("--min-user", type=click.IntRange(0), default=0, help="Leave out users with fewer events.")
@click.option("--min-item", type=click.IntRange(0), default=0, help="Leave out items with fewer events.")
@click.option(
    "--like-from", type=float, default=4.0, show_default=True, help="A rating from here on is a like."
)
@click.option("--dislike-to", type=float, default=2.0, show_default=True, help="One up to here is a dislike.")
@click.pass_obj
def blend(
    settings: Settings,
    source: Path,
    strategies: str,
    events: int,
    min_user: int,
    min_item: int,
    like_from: float,
    dislike_to: float,
) -> None:
    """Learn recommend.weights from what users did.

    --from is what `penchant evaluate` reads. The events go through the whole pipeline in their order, by the
    model that the settings name, with all strategies at equal weights; of the candidates that users had just
    before each event, the one that they took tells the weights. The last three tenths are not learnt from:
    on these the weights are held against equal ones, and against each strategy alone. The output is what
    penchant.toml takes.
    """
    from state.errors import StateError
    from state.learning.reading import ReadingOptions
    from streams.blend_training import train_blend
    from streams.given_data import given_dataset

    names = tuple(dict.fromkeys(name.strip() for name in strategies.split(",") if name.strip()))
    unknown = sorted(set(names) - set(get_args(StrategyName)))
    if unknown or len(names) < 2:
        raise InputError(
            f"--strategies: {', '.join(unknown) or strategies}: name two or more of "
            f"{', '.join(get_args(StrategyName))}"
        )
    try:
        dataset = given_dataset(source, ReadingOptions(like_from, dislike_to, min_user, min_item))
    except StateError as error:
        raise InputError(str(error)) from error
    found = train_blend(dataset, settings, names, events)
    for name, value in found.figures.items():
        click.echo(f"# NDCG@10 of {name}: {value:.4f}")
    best = max(found.figures, key=lambda name: found.figures[name])
    if found.figures[best] > found.figures["learned"]:
        simpler = "equal weights" if best == "equal" else f"{best} alone"
        click.echo(f"# {simpler} did better than the learned weights on what was not learnt from")
    click.echo("[recommend.weights]")
    for name, weight in found.weights.items():
        click.echo(f"{name} = {weight}")
