"""Which hosts and addresses may be reached."""

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpcore

from encoders.errors import MediumError

Resolve = Callable[[str, int], list[str]]
"""Name and port to addresses; raises OSError for a name that does not resolve."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is assigned of the public IPv6 internet (RFC 4291)."""

NAT64 = IPv6Network("64:ff9b::/96")


def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of a name as the system's resolver gives them, in its order, each once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, and so does any IPv4 address wrapped in it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        wrapped = _wrapped(parsed)
        if wrapped is not None:
            return is_public(str(wrapped))
        if parsed not in GLOBAL_UNICAST:
            return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def is_allowed_host(host: str, allowed: Sequence[str]) -> bool:
    """Whether the allow-list names the host; an empty list names every host.

    An entry `*.example.org` names the sub-domains of example.org and not itself.
    """
    name = host.lower().rstrip(".")
    if not allowed:
        return True
    for entry in allowed:
        wanted = entry.lower()
        if name == wanted or (wanted.startswith("*.") and name.endswith(wanted[1:]) and name != wanted[1:]):
            return True
    return False


class Resolver:
    """Resolves names within a time limit, which the system's resolver has not, and vets the addresses."""

    def __init__(self, resolve: Resolve, allow_private: bool, threads: int) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """Addresses of the host, all vetted.

        Raises MediumError: "missing", "refused", "too_slow"; ConnectError where the name may resolve later.
        """
        try:
            found = self._threads.submit(self._resolve, host, port).result(seconds)
        except LateError as error:
            raise MediumError("too_slow", f"{host} does not resolve in time") from error
        except (OSError, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise httpcore.ConnectError(f"{host} does not resolve now") from error
            raise MediumError("missing", f"{host} does not resolve: {error}") from error
        if not found:
            raise MediumError("missing", f"{host} has no address")
        if not self._allow_private and not all(is_public(address) for address in found):
            raise MediumError("refused", f"{host} has an address that is not public")
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
