"""The models: each encoder, the writer, the alignment and the interest model load and give what they must."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from encoders.base import Float32
from encoders.errors import EncodersError, LanguageError
from state.errors import StateError
from streams.doctor.finding import Finding, fail, ok, warn
from streams.errors import PenchantError
from streams.settings import Settings

if TYPE_CHECKING:
    import torch

    from encoders.language.settings import LanguageSettings
    from state.artifact import Artifact

SECOND_SAMPLES = 16_000
ANSWER_SECONDS = 10.0
PASSING = ("busy", "malformed")
"""Why a service that is there may give no sentence."""
KEYS = ("captions", "sounds", "transcripts", "phonemes", "emotion")


def check_models(settings: Settings) -> Iterator[Finding]:
    """Loads all of them, on the device that the settings name."""
    import torch

    from encoders.device import resolve_device

    try:
        device = resolve_device(settings.encoders.device)
    except EncodersError:
        device = torch.device("cpu")
    for modality, load in _LOADERS.items():
        name = getattr(settings.encoders, modality)
        if modality != "video" or name in settings.encoders.models:
            yield _loaded(modality, name, partial(load, settings, device))
    yield from _describers(settings, device)
    yield from _language(settings)
    yield _alignment(settings)
    yield from _interest_model(settings)


def _loaded(modality: str, name: str, load: Callable[[], Float32]) -> Finding:
    subject = f"encoder of {modality}"
    mend = f"choose another encoders.{modality}, or install what it needs"
    try:
        vectors = load()
    except (EncodersError, ImportError, OSError) as error:
        return fail(subject, f"{name} does not load: {error}", mend)
    if not np.isfinite(vectors).all():
        return fail(subject, f"{name} gives numbers that are not finite", mend)
    return ok(subject, f"{name}, {vectors.shape[1]} numbers a vector")


def _text(settings: Settings, device: "torch.device") -> Float32:
    from encoders.registry import text_encoder

    return text_encoder(settings.encoders, device).encode(["a tabby cat"])


def _image(settings: Settings, device: "torch.device") -> Float32:
    from encoders.registry import image_encoder

    return image_encoder(settings.encoders, device).encode([np.full((64, 64, 3), 128, np.uint8)])


def _audio(settings: Settings, device: "torch.device") -> Float32:
    from encoders.registry import audio_encoder

    return audio_encoder(settings.encoders, device).encode([np.zeros(SECOND_SAMPLES, np.float32)])


def _video(settings: Settings, device: "torch.device") -> Float32:
    from encoders.registry import image_encoder, video_encoder

    image = image_encoder(settings.encoders, device)
    return video_encoder(settings.encoders, device, image).encode([np.full((2, 64, 64, 3), 128, np.uint8)])


_LOADERS = {"text": _text, "image": _image, "audio": _audio, "video": _video}
"""Video has a model of its own only where the settings name one."""


def _describers(settings: Settings, device: "torch.device") -> Iterator[Finding]:
    from encoders.describe.configured import Describers
    from encoders.observer import Observer

    try:
        described = Describers(settings.encoders, device, Observer())
    except (EncodersError, ImportError, OSError) as error:
        yield fail("describers", str(error), "choose other models in encoders.describe, or none")
        return
    if described:
        names = [getattr(settings.encoders.describe, key) for key in KEYS]
        yield ok("describers", ", ".join(dict.fromkeys(filter(None, names))))


def _alignment(settings: Settings) -> Finding:
    folder = settings.encoders.alignment
    if not folder:
        return ok("alignment", "built in")
    from encoders.alignment_artifact import load_alignment

    try:
        load_alignment(Path(folder))
    except (EncodersError, OSError) as error:
        return fail(
            "alignment", str(error), "set encoders.alignment to a folder of a fitted one, or to nothing"
        )
    return ok("alignment", folder)


def _language(settings: Settings) -> Iterator[Finding]:
    """The writer, made as the describe worker makes it; a service behind an address is asked."""
    if not settings.describe.enabled:
        return
    from encoders.language.writers import configured_writer

    try:
        configured_writer(settings.language).close()
    except (EncodersError, ImportError, OSError) as error:
        yield fail("language", str(error), "the describe worker would not start")
        return
    if settings.language.backend == "http":
        yield _service(settings.language)
    else:
        yield ok("language", settings.language.backend)


def _service(settings: "LanguageSettings") -> Finding:
    """Whether it answers: once, within ANSWER_SECONDS. The describe worker starts without it, too."""
    from encoders.language.base import Kind, Request, Statement
    from encoders.language.endpoint import Endpoint

    subject, who = "language", f"{settings.model} at {settings.endpoint}"
    seconds = min(settings.timeout_seconds, ANSWER_SECONDS)
    statement = Statement("t1", Kind.TOPIC, "music", weight=1.0)
    started = time.monotonic()
    with closing(Endpoint(replace(settings, timeout_seconds=seconds, retries=0))) as endpoint:
        (answer,) = endpoint.write([Request("doctor", settings.languages[0], (statement,))])
    if not isinstance(answer, LanguageError):
        return ok(subject, f"{who} answers in {time.monotonic() - started:.1f} s")
    if answer.reason == "timeout":
        mend = "it may still load; the template writes where it takes longer than language.timeout_seconds"
        return warn(subject, f"{who} does not answer within {seconds:g} s", mend)
    if answer.reason in PASSING:
        return warn(subject, f"{who} gives no sentence: {answer}", "the template writes meanwhile")
    mend = "check language.endpoint, model and api_key_env; the template writes meanwhile"
    return fail(subject, f"{who}: {answer}", mend)


def _interest_model(settings: Settings) -> Iterator[Finding]:
    artifact = settings.model.artifact
    from state.artifact import load_artifact

    try:
        model = load_artifact(artifact)
    except (StateError, OSError) as error:
        yield fail("interest model", str(error), "set model.artifact to a trained one, or to nothing")
        return
    yield ok("interest model", artifact or "built-in content prior")
    problem = _slate_problem(settings, model)
    if problem and problem == _slate_problem(settings, _promoted(settings) or model):
        yield fail("slates", problem, "the interests worker would not start")


def _slate_problem(settings: Settings, model: "Artifact") -> str:
    """Why no slates can be made, found as the interests worker finds it; empty where they can."""
    from state.catalogue import Catalogue
    from state.fusion import Fusion
    from state.recommend import Recommender

    try:
        Recommender(Catalogue(Fusion(model)), settings.recommend, model.judges)
    except StateError as error:
        return str(error)
    return ""


def _promoted(settings: Settings) -> "Artifact | None":
    """The model that serves in place of the settings' one, where the cluster tells of one."""
    from streams.models.live import live_model

    try:
        live = live_model(settings)
        return live.artifact() if live.entry is not None else None
    except PenchantError:
        return None
