"""Commands in this process, as a test calls them with settings of its own."""

from click.testing import CliRunner, Result

from streams.cli import cli
from streams.demo.stage import environment
from streams.settings import Settings


def penchant(settings: Settings, *arguments: str) -> Result:
    return CliRunner(env=environment(settings)).invoke(cli, arguments)
