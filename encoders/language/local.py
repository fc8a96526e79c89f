"""A causal language model in this process, in the format of `transformers` or as a GGUF file."""

import logging
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
import xxhash

from encoders.device import resolve_device, working_dtype
from encoders.errors import ArtifactError, LanguageError
from encoders.hub.precision import trained_dtype
from encoders.hub.weights import one_line, quiet
from encoders.language import prompt
from encoders.language.answers import sentences_of
from encoders.language.base import Description, Request, Sentence
from encoders.language.local_files import LocalFiles, local_files
from encoders.language.prompt import Message
from encoders.language.settings import LanguageSettings
from encoders.language.tags import keywords_of, tags_of

LOGGER = logging.getLogger(__name__)

GGUF_PACKAGES = ("gguf", "accelerate")


class LocalModel:
    """Writes with the likeliest words, or at a temperature, in batches of prompts of one length or nearly.

    Raises ArtifactError where the model cannot be loaded.
    """

    def __init__(self, settings: LanguageSettings) -> None:
        self._settings = settings
        self._device = resolve_device(settings.device)
        self._files = local_files(settings)
        # It takes from seconds to minutes, in which a worker is silent otherwise.
        LOGGER.info("loading the language model %s", settings.model)
        started = time.monotonic()
        self._tokenizer, self._model = _loaded(self._files, settings, self._device)
        seconds = time.monotonic() - started
        LOGGER.info("%s is loaded on %s after %.1f s", settings.model, self._device, seconds)
        self.name = settings.model
        options = (settings.prompt, settings.max_new_tokens, settings.temperature, settings.max_sentences)
        weights = xxhash.xxh3_64_hexdigest(f"{self._files.stamp} {settings.dtype} {options}".encode())
        self.version = f"{settings.model} {weights} {prompt.VERSION}"

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        """A description or a typed error per request, within `timeout_seconds` a request."""
        deadline = time.monotonic() + self._settings.timeout_seconds * max(1, len(requests))
        jobs = [job for number, request in enumerate(requests) for job in self._jobs(number, request)]
        jobs.sort(key=lambda job: len(job.text))
        answers: dict[int, list[tuple[int, tuple[Sentence, ...]]]] = {n: [] for n in range(len(requests))}
        late: set[int] = set()
        for start in range(0, len(jobs), self._settings.batch):
            batch = jobs[start : start + self._settings.batch]
            if time.monotonic() >= deadline:
                late.update(job.request for job in batch)
                continue
            for job, text in zip(batch, self._generated(batch, deadline), strict=True):
                answers[job.request].append((job.place, _sentences(text, job.cites)))
        return [
            self._description(request, sorted(answers[number]), number in late)
            for number, request in enumerate(requests)
        ]

    def close(self) -> None:
        """Lets the model's memory go."""
        self._model = None

    def _jobs(self, number: int, request: Request) -> list["_Job"]:
        if self._settings.prompt == "whole":
            if not request.statements:
                return []
            messages = prompt.whole_messages(request, self._settings.max_sentences)
            return [_Job(number, 0, self._as_text(messages), ())]
        return [
            _Job(
                number,
                place,
                self._as_text(prompt.cluster_messages(cluster, request.language)),
                tuple(one.id for one in cluster.statements),
            )
            for place, cluster in enumerate(prompt.clusters(request)[: self._settings.max_sentences])
        ]

    def _as_text(self, messages: Sequence[Message]) -> str:
        if self._tokenizer.chat_template:
            turns = [turn._asdict() for turn in messages]
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        # A model that was never taught to converse goes on with the pattern.
        return "".join(f"{turn.content}\n" + "\n" * (turn.role == "assistant") for turn in messages)

    @torch.inference_mode()
    def _generated(self, batch: Sequence["_Job"], deadline: float) -> list[str]:
        inputs = self._tokenizer(
            [job.text for job in batch], return_tensors="pt", padding=True, add_special_tokens=False,
            return_token_type_ids=False,
        ).to(self._device)  # fmt: skip
        one_line_each = self._settings.prompt != "whole"
        chance = self._settings.temperature
        sampling = {"do_sample": True, "temperature": chance} if chance else {"do_sample": False}
        with quiet():
            output = self._model.generate(
                **inputs, **sampling, num_beams=1, max_new_tokens=self._settings.max_new_tokens,
                max_time=max(0.01, deadline - time.monotonic()), pad_token_id=self._tokenizer.pad_token_id,
                stopping_criteria=[self._line_ends] if one_line_each else None,
            )  # fmt: skip
        written = output[:, inputs["input_ids"].shape[1] :]
        texts = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return [text.strip().split("\n")[0] if one_line_each else text for text in texts]

    def _line_ends(self, tokens: torch.Tensor, scores: object, **more: object) -> torch.Tensor:
        """Per row whether its latest token ends the line."""
        latest = self._tokenizer.batch_decode(tokens[:, -1:])
        return torch.tensor(["\n" in text for text in latest], device=tokens.device)

    def _description(
        self, request: Request, answers: Sequence[tuple[int, tuple[Sentence, ...]]], is_late: bool
    ) -> Description | LanguageError:
        sentences = tuple(sentence for _, part in answers for sentence in part)
        if not sentences and request.statements:
            if is_late:
                return LanguageError("timeout", "nothing was written within language.timeout_seconds")
            return LanguageError("malformed", "the model wrote no sentence")
        return Description(
            sentences=sentences,
            keywords=keywords_of(request.statements),
            tags=tags_of(request.statements),
            model=self.name,
            language=request.language,
        )


class _Job:
    """One prompt of one request."""

    def __init__(self, request: int, place: int, text: str, cites: tuple[str, ...]) -> None:
        self.request = request
        self.place = place
        self.text = text
        self.cites = cites


def _sentences(text: str, cites: tuple[str, ...]) -> tuple[Sentence, ...]:
    try:
        found = sentences_of(text)
    except LanguageError:
        return ()
    return tuple(Sentence(one.text, one.cites or cites) for one in found)


def _loaded(files: LocalFiles, settings: LanguageSettings, device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    placing: dict[str, Any] = {}
    if files.gguf:
        options["gguf_file"] = files.gguf
        placing = _dequantized()
    dtype = working_numbers(files, settings, device)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(files.folder, **options)
            model = AutoModelForCausalLM.from_pretrained(files.folder, **options, **placing, dtype=dtype)
        except Exception as error:
            # Whatever is in a stranger's folder, the reader must learn which setting named it.
            raise ArtifactError(
                f"language.model is {settings.model}: {one_line(error)}; name a causal language model that "
                "this transformers can load"
            ) from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    placed_model: Any = model
    return tokenizer, placed_model.to(device).eval().requires_grad_(False)


def working_numbers(files: LocalFiles, settings: LanguageSettings, device: torch.device) -> torch.dtype:
    """What the model computes in. A GGUF file does not say; most language models are trained in bfloat16."""
    if settings.dtype != "auto":
        found: torch.dtype = getattr(torch, settings.dtype)
        return found
    trained = torch.bfloat16 if files.gguf else trained_dtype(files.folder, files.config)
    return working_dtype(device, trained)


def _dequantized() -> dict[str, Any]:
    missing = [name for name in GGUF_PACKAGES if find_spec(name) is None]
    if missing:
        raise ArtifactError(
            f"language.model is a GGUF file, which needs {' and '.join(missing)}: install penchant[gguf]"
        )
    from transformers import GgufConfig

    return {"quantization_config": GgufConfig(dequantize=True)}
