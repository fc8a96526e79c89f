"""`penchant broker`: a local Kafka that needs neither Java nor a container nor root."""

from pathlib import Path

import click

from streams.broker.cluster import LocalCluster
from streams.broker.ports import free_ports
from streams.broker.properties import ClusterOptions, Ports
from streams.broker.readiness import answers
from streams.errors import BrokerError
from streams.settings import Settings

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the cluster keeps its files; `kafka` in the app's data folder by default.",
)


@click.group()
def broker() -> None:
    """Start and stop a local Kafka broker, which needs neither Java nor a container."""


@broker.command()
@_folder
@click.option("--brokers", type=click.IntRange(1, 9), help="How many; one, or as many as the folder holds.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_000),
    help="Of the first broker; 9092, or the folder's. 0: a free one.",
)
@click.option("--heap", default="512m", show_default=True, help="Java heap of each broker.")
@click.pass_obj
def start(settings: Settings, folder: Path | None, brokers: int | None, port: int | None, heap: str) -> None:
    """Start it and wait until it is ready. What runs already stays as it is."""
    folder = _home(settings, folder)
    known = LocalCluster.existing(folder)
    ports = () if known is None else tuple(known.ports)
    running = known is not None and known.running
    if running:
        _refuse_other(ports, brokers, port)
    else:
        ports = _choose_ports(ports, brokers, port)
    options = ClusterOptions(brokers=len(ports), ports=ports, heap=heap, leashed=False)
    cluster = LocalCluster(folder, options).start()
    ready = "was running already" if running else "is ready"
    click.echo(f"Kafka {ready} on {cluster.bootstrap_servers}, with its files in {folder}")


@broker.command()
@_folder
@click.pass_obj
def stop(settings: Settings, folder: Path | None) -> None:
    """Stop it cleanly. Its data stays."""
    cluster = LocalCluster.existing(_home(settings, folder))
    if cluster is None or not cluster.running:
        click.echo("no broker is running")
    elif cluster.stop():
        click.echo("stopped")
    else:
        click.echo("stopped by force; Kafka will check its logs at the next start")


@broker.command()
@_folder
@click.pass_obj
def status(settings: Settings, folder: Path | None) -> None:
    """Show each broker; exit 1 where one is not ready."""
    cluster = LocalCluster.existing(_home(settings, folder))
    if cluster is None:
        raise BrokerError("no broker was started here; `penchant broker start` starts one")
    ready = True
    for one in cluster.brokers:
        up = one.pid is not None and answers(one.place.port, len(cluster.brokers))
        ready = ready and up
        state = "ready" if up else "stopped" if one.pid is None else "not ready"
        process = "" if one.pid is None else f", process {one.pid}"
        click.echo(f"{one.bootstrap_servers}: {state}{process}, log {one.log}")
    if not ready:
        raise BrokerError("not every broker is ready; `penchant broker start` starts what is stopped")


def _home(settings: Settings, folder: Path | None) -> Path:
    return (Path(settings.app.data) / "kafka" if folder is None else folder).resolve()


def _refuse_other(ports: tuple[Ports, ...], brokers: int | None, port: int | None) -> None:
    if port not in (None, 0, ports[0].client) or brokers not in (None, len(ports)):
        raise BrokerError(
            f"{len(ports)} running already, the first on port {ports[0].client}; `penchant broker stop` first"
        )


def _choose_ports(known: tuple[Ports, ...], brokers: int | None, port: int | None) -> tuple[Ports, ...]:
    """The folder's own ports where the caller names no other; the controllers' ports are free ones."""
    count = brokers or len(known) or 1
    if len(known) == count and port in (None, known[0].client):
        return known
    free = free_ports(2 * count)
    clients = free[count:] if port == 0 else [(port or 9092) + number for number in range(count)]
    return tuple(Ports(*pair) for pair in zip(clients, free[:count], strict=True))
