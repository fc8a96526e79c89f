"""PEFT, imported where an adapter is asked for."""

from types import ModuleType

from encoders.errors import ArtifactError


def peft_library() -> ModuleType:
    """Raises ArtifactError where it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise ArtifactError(f"adapters take {error.name}: install penchant[adapters]") from error
    return peft
