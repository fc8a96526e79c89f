"""What is asked of a fetch."""

import msgspec


class FetchRequest(msgspec.Struct, frozen=True):
    """A reference to fetch. Where `sha256` (hexadecimal) is given, other content is an error."""

    uri: str
    sha256: str | None = None
