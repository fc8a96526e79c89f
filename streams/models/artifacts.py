"""Model artifacts in Kafka, so that every worker finds them wherever it runs."""

import shutil
import time
import uuid
from pathlib import Path

import msgspec

from state.artifact import MANIFEST, WEIGHTS, Artifact, Manifest, load_artifact
from state.errors import StateError
from streams.errors import EngineError, PromotionError
from streams.models.board import Entry, artifacts_topic, entry_key, models_topic
from streams.models.control import write
from streams.models.local import weights_folder
from streams.reading import read, whole
from streams.settings import Settings

CHUNK_BYTES = 512 * 1024


def add_artifact(settings: Settings, folder: str, first: bool = False) -> Entry:
    """Put an artifact into Kafka, its weights before what speaks of them; '' is the built-in prior.

    Raises PromotionError where it is none.
    """
    try:
        artifact = load_artifact(folder)
    except StateError as error:
        raise PromotionError(str(error)) from error
    entry = Entry(artifact.version, artifact.fingerprint, int(time.time() * 1000), first=first)
    if folder:
        text = (Path(folder) / MANIFEST).read_text()
        content = (Path(folder) / WEIGHTS).read_bytes()
        chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]
        for number, chunk in enumerate(chunks):
            write(settings, artifacts_topic(settings), {chunk_key(entry, number): chunk})
        notes = msgspec.json.decode(text, type=Manifest).notes
        entry = msgspec.structs.replace(entry, chunks=len(chunks), manifest=text, notes=notes)
    write(settings, models_topic(settings), {entry_key(entry.fingerprint): msgspec.json.encode(entry)})
    return entry


def fetch_artifact(settings: Settings, entry: Entry) -> Artifact:
    """The artifact, kept under `app.data` from then on. Raises EngineError where it is not whole."""
    folder = weights_folder(settings, entry)
    try:
        if entry.chunks == 0:
            return _checked(load_artifact(""), entry)
        if not (folder / MANIFEST).exists():
            _download(settings, entry, folder)
        return _checked(load_artifact(str(folder)), entry)
    except (StateError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise EngineError(f"model {entry.version} ({entry.code}): {error}") from error


def _checked(artifact: Artifact, entry: Entry) -> Artifact:
    if artifact.fingerprint != entry.fingerprint:
        raise EngineError(
            f"model {entry.version}: this build reads it as {artifact.fingerprint:08x}, and it was added as "
            f"{entry.code}: run one build everywhere"
        )
    return artifact


def _download(settings: Settings, entry: Entry, folder: Path) -> None:
    wanted = {chunk_key(entry, number): number for number in range(entry.chunks)}
    found: dict[int, bytes] = {}
    topic = artifacts_topic(settings)
    for record in read(settings, whole(settings, topic, settled=False)):
        number = wanted.get(record.key or b"")
        if number is not None and record.value is not None:
            found[number] = record.value
    if len(found) < entry.chunks:
        raise EngineError(
            f"{topic}: {entry.chunks - len(found)} parts of model {entry.version} are missing: add it again"
        )
    fresh = folder.with_name(f"{entry.code}-{uuid.uuid4().hex}")
    fresh.mkdir(parents=True)
    (fresh / WEIGHTS).write_bytes(b"".join(found[number] for number in range(entry.chunks)))
    (fresh / MANIFEST).write_text(entry.manifest)
    try:
        fresh.rename(folder)
    except OSError:
        # Another process of this machine was faster.
        shutil.rmtree(fresh, ignore_errors=True)


def chunk_key(entry: Entry, number: int) -> bytes:
    """Key of one record of its weights."""
    return f"{entry.code}/{number}".encode()
