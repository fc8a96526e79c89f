"""What is asked of a fetch, and what comes back."""

import msgspec


class Validators(msgspec.Struct, frozen=True, array_like=True):
    """By what a source tells whether its content changed (RFC 9110, section 8.8); empty where it does not."""

    etag: str = ""
    modified: str = ""

    def __bool__(self) -> bool:
        return bool(self.etag or self.modified)


class FetchRequest(msgspec.Struct, frozen=True):
    """A reference to fetch. Where `sha256` (hexadecimal) is given, other content is an error.

    `known` are the validators of content that is at hand: where they still hold, it is not sent again.
    """

    uri: str
    sha256: str | None = None
    known: Validators | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a reference names. `content` None means: what was known is still right."""

    content: bytes | None
    validators: Validators = Validators()
    fresh_seconds: float = 0.0
    """How long nobody need ask again."""
