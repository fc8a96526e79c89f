"""One file that a stranger might send, and what may become of it."""

from typing import NamedTuple

from encoders.base import Medium, Modality


class Case(NamedTuple):
    """`expected` is `encoded` or a reason of `encoders.errors`; where versions of a decoder differ, several
    with a bar between them."""

    name: str
    content: bytes
    expected: str
    modality: Modality | None = None
    called: str = ""

    @property
    def medium(self) -> Medium:
        return Medium(self.content, self.modality, self.called)

    @property
    def outcomes(self) -> set[str]:
        return set(self.expected.split("|"))
