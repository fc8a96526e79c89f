"""`penchant doctor`: is everything as it must be?"""

from collections import Counter

import click

from streams.doctor.cluster import check_cluster
from streams.doctor.finding import Check, Level, run_check
from streams.doctor.machine import check_device, check_disk
from streams.doctor.models import check_models
from streams.doctor.plausible import check_settings
from streams.exits import EXIT_FAILED
from streams.settings import Settings

CHECKS: dict[str, Check] = {
    "settings": check_settings,
    "cluster": check_cluster,
    "disk": check_disk,
    "device": check_device,
    "models": check_models,
}


@click.command()
@click.option(
    "--skip",
    type=click.Choice(list(CHECKS)),
    multiple=True,
    help="Leave a check out; may be given more than once.",
)
@click.pass_obj
def doctor(settings: Settings, skip: tuple[str, ...]) -> None:
    """Check settings, cluster, disk, device and models: one line each, with the mend.

    Exits with 1 where anything fails. Creates and deletes one topic, to compare clocks.
    """
    counts: Counter[Level] = Counter()
    for subject, check in CHECKS.items():
        if subject not in skip:
            for finding in run_check(subject, check, settings):
                counts[finding.level] += 1
                click.echo(str(finding))
    if counts[Level.FAIL]:
        raise click.exceptions.Exit(EXIT_FAILED)
