"""`penchant topics`: make the topics, check them, and give them more partitions."""

import click

from streams.errors import TopicError
from streams.growth import Growth
from streams.settings import Settings
from streams.topics import check_topics, create_topics


@click.group()
def topics() -> None:
    """Create, check and grow the topics."""


@topics.command()
@click.pass_obj
def create(settings: Settings) -> None:
    """Create the topics that are missing."""
    created = create_topics(settings)
    for name in created:
        click.echo(f"created {name}")
    if not created:
        click.echo("all topics exist")
    _report(check_topics(settings))


@topics.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Check partitions and clean-up of the topics; exit 1 where something is wrong."""
    problems = check_topics(settings)
    _report(problems)
    click.echo("all topics are as they must be")


@topics.command()
@click.option("--partitions", type=click.IntRange(min=1), required=True, help="How many there are to be.")
@click.pass_obj
def grow(settings: Settings, partitions: int) -> None:
    """Give the users' events more partitions, and move each user's state along.

    Before it: stop what produces events, wait until the workers have no lag, and stop them.
    """
    moved = Growth(settings, partitions).run(lambda what: click.echo(what, err=True))
    click.echo(f"{partitions} partitions; the states of {moved.users} users moved")
    if moved.misplaced:
        click.echo(
            f"{moved.misplaced} events were sent to the partition that was their user's before: they will "
            "count apart from the state",
            err=True,
        )
    if moved.strays:
        click.echo(f"{moved.strays} states lie where murmur2 does not put them, and stay there", err=True)


def _report(problems: list[str]) -> None:
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise TopicError(f"problems with the topics: {len(problems)}")
