"""Free ports on the loopback address."""

import random
import socket

from streams.broker.properties import HOST
from streams.errors import BrokerError

# Below the range that Linux and macOS hand out to outgoing connections: while a broker is down, no client
# that retries its port can be given that very port as its own and end up connected to itself.
LOWEST, HIGHEST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listens on now. Raises BrokerError where none is found."""
    held: list[socket.socket] = []
    try:
        for port in random.SystemRandom().sample(range(LOWEST, HIGHEST), k=50 + count):
            candidate = socket.socket()
            held.append(candidate)
            if not _bind(candidate, port):
                held.pop().close()
            elif len(held) == count:
                return [one.getsockname()[1] for one in held]
        raise BrokerError(f"no free port found between {LOWEST} and {HIGHEST}; name one with --port")
    finally:
        for one in held:
            one.close()


def is_free(port: int) -> bool:
    """Whether the port can be bound now."""
    with socket.socket() as candidate:
        return _bind(candidate, port)


def _bind(candidate: socket.socket, port: int) -> bool:
    # As Java does: a port whose last connections still linger in TIME_WAIT counts as free.
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind((HOST, port))
    except OSError:
        return False
    return True
