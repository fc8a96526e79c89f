"""Tunes the text encoder to a catalogue: an adapter of the model that the settings name."""

from collections.abc import Callable, Iterable
from pathlib import Path

from encoders.adapters.settings import AdapterPlan
from encoders.adapters.texts import CatalogueText
from encoders.adapters.training import AdapterFit, fit_adapter
from encoders.device import limit_threads, resolve_device
from encoders.errors import EncodersError
from encoders.hub.files import ModelFiles, find_model
from streams.encode.items import describing_text
from streams.errors import InputError
from streams.records import Item
from streams.settings import Settings

Tell = Callable[[int, int], None]


def catalogue_texts(items: Iterable[Item]) -> list[CatalogueText]:
    """The texts of items as the encode worker makes them."""
    return [
        CatalogueText(
            describing_text(item),
            item.title.strip(),
            "\n".join(filter(None, (item.description.strip(), ", ".join(item.tags).strip()))),
            tuple(item.categories),
        )
        for item in items
    ]


def text_model(settings: Settings, name: str) -> ModelFiles:
    """The model `name` of `encoders.models`; an empty name is the encoder of texts.

    Raises InputError where it is none of them, or cannot be had.
    """
    chosen = name or settings.encoders.text
    model = settings.encoders.models.get(chosen)
    if model is None:
        known = ", ".join(sorted(settings.encoders.models)) or "none is named yet"
        raise InputError(
            f"{'--model' if name else 'encoders.text'} is '{chosen}': adapters are for transformers models, "
            f"by their names in encoders.models ({known})"
        )
    try:
        device = resolve_device(settings.encoders.device)
        limit_threads(settings.encoders.threads)
        return find_model(chosen, model, device)
    except EncodersError as error:
        raise InputError(str(error)) from error


def train_adapter(
    files: ModelFiles, items: Iterable[Item], plan: AdapterPlan, target: Path, tell: Tell
) -> AdapterFit:
    """Trains an adapter of the model on the items' texts, and saves it in the folder `target`.

    `tell` is told how many steps are done, of how many at most. Raises InputError for a model that takes
    none, for too few texts, and where training made nothing better: nothing is written then.
    """
    try:
        fitted = fit_adapter(files, catalogue_texts(items), plan, tell)
        fitted.save(target)
    except EncodersError as error:
        raise InputError(str(error)) from error
    return fitted
