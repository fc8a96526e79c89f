"""`penchant topics`: make the topics and check them."""

import click

from streams.errors import TopicError
from streams.settings import Settings
from streams.topics import check_topics, create_topics


@click.group()
def topics() -> None:
    """Create and check the topics."""


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


def _report(problems: list[str]) -> None:
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise TopicError(f"problems with the topics: {len(problems)}")
