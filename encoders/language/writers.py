"""The writer that the settings ask for, with everything around it that makes its words safe to publish."""

import time
from collections.abc import Callable, Sequence

import msgspec

from encoders.errors import ArtifactError, LanguageError
from encoders.language import grounding
from encoders.language.base import Description, Kind, Request, Writer
from encoders.language.breaker import Breaker
from encoders.language.grounding import grounded
from encoders.language.sanitising import prepared
from encoders.language.settings import LanguageSettings
from encoders.language.template import Template
from encoders.language.tongues import TONGUES

OPEN = "open"
"""The model was not asked, because it had kept failing."""
UNGROUNDED = "ungrounded"
"""The model was asked, and nothing that it wrote held."""
_LEADING = "led-1"
"""Changes with what is put before a model's words."""


class SafeWriter:
    """A writer whose descriptions are always grounded, and always there.

    Names are made harmless and personal data masked before it reads them, what it writes is checked, and
    where it fails or nothing is left, the template writes. Where it leaves a main topic out, the template's
    sentence on the main topics leads. Not for calls from several threads at once.
    """

    def __init__(self, writer: Writer, template: Template, breaker: Breaker, max_sentences: int) -> None:
        self._writer = writer
        self._template = template
        self._breaker = breaker
        self._max_sentences = max_sentences
        self.name = writer.name
        self.version = f"{writer.version} {grounding.VERSION}"
        self._is_led = writer.name != template.name
        if self._is_led:
            self.version += f" {_LEADING}"

    @property
    def is_broken(self) -> bool:
        """Whether the model keeps failing, so that the template writes alone for now."""
        return self._breaker.is_open

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        """One description per request, and an error only for a language that is not known.

        `fallback` of a description says why the template wrote it.
        """
        harmless = [prepared(request) for request in requests]
        outcomes = self._asked(harmless)
        return [self._settled(request, outcome) for request, outcome in zip(harmless, outcomes, strict=True)]

    def close(self) -> None:
        """Lets the model go."""
        self._writer.close()

    def _asked(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        if not requests:
            return []
        if not self._breaker.allow():
            return [LanguageError(OPEN, "it kept failing") for _ in requests]
        told = False
        try:
            outcomes = self._writer.write(requests)
            # A refusal of one request says nothing of the others, and one success shows that it lives.
            self._breaker.tell(any(isinstance(one, Description) for one in outcomes))
            told = True
        finally:
            if not told:
                self._breaker.tell(False)
        return outcomes

    def _settled(self, request: Request, outcome: Description | LanguageError) -> Description | LanguageError:
        reason, detail = UNGROUNDED, "nothing that it wrote held against the facts"
        dropped: Description | None = None
        if isinstance(outcome, LanguageError):
            reason, detail = outcome.reason, outcome.detail
        else:
            checked = self._checked(request, outcome)
            if checked.sentences or not request.statements:
                return self._led(request, checked) if self._is_led else checked
            dropped = checked
        (written,) = self._template.write([request])
        if isinstance(written, LanguageError):
            return written
        found = self._checked(request, written)
        rejected = (dropped.rejected if dropped else ()) + found.rejected
        return msgspec.structs.replace(found, rejected=rejected, fallback=reason, fallback_detail=detail)

    def _led(self, request: Request, checked: Description) -> Description:
        """The description with all main topics named."""
        names = {one.id: one.text for one in request.statements}
        topics = tuple(one for one in request.statements if one.kind is Kind.TOPIC and one.weight > 0)
        (written,) = self._template.write([msgspec.structs.replace(request, statements=topics)])
        if isinstance(written, LanguageError) or not written.sentences:
            return checked
        lead = written.sentences[0]
        named = {names[cited] for sentence in checked.sentences for cited in sentence.cites}
        if {names[cited] for cited in lead.cites} <= named:
            return checked
        leading = self._checked(request, msgspec.structs.replace(written, sentences=(lead,)))
        sentences = (*leading.sentences, *checked.sentences)[: self._max_sentences]
        return msgspec.structs.replace(checked, sentences=sentences)

    def _checked(self, request: Request, description: Description) -> Description:
        found = grounded(request, description)
        return msgspec.structs.replace(found, sentences=found.sentences[: self._max_sentences])


def configured_writer(settings: LanguageSettings, clock: Callable[[], float] = time.monotonic) -> SafeWriter:
    """The writer of `settings.backend`. Raises ArtifactError for what cannot be: a language without a check,
    a model that cannot be loaded, an endpoint that is no address."""
    unknown = [language for language in settings.languages if language not in TONGUES]
    if unknown:
        known = ", ".join(TONGUES)
        raise ArtifactError(
            f"language.languages has '{unknown[0]}', whose sentences cannot be checked: known are {known}"
        )
    template = Template(settings.max_sentences)
    breaker = Breaker(settings.breaker_failures, settings.breaker_seconds, clock)
    return SafeWriter(_backend(settings, template), template, breaker, settings.max_sentences)


def _backend(settings: LanguageSettings, template: Template) -> Writer:
    if settings.backend == "transformers":
        from encoders.language.local import LocalModel

        return LocalModel(settings)
    if settings.backend == "http":
        from encoders.language.endpoint import Endpoint

        return Endpoint(settings)
    return template
