"""A made-up catalogue in the words of the tiny models: what it calls alike, no random model does."""

from encoders.adapters.texts import CatalogueText

KINDS = {
    "transport": ("red bicycle", "train", "zug nach", "photo of the train"),
    "food": ("bread", "fresh cheese", "cheese and bread", "fresh bread"),
    "pets": ("cat", "dog", "the cat and dog", "photo of a dog"),
}
MARKS = "bcdefghi"


def catalogue() -> list[CatalogueText]:
    """96 texts of three categories."""
    return [
        CatalogueText(f"{words} {mark}", f"{words} {mark}", f"{mark} like {words}", (kind,))
        for kind, each in KINDS.items()
        for words in each
        for mark in MARKS
    ]
