"""Decodes one medium, in whatever process it is called."""

from encoders.base import Medium, Modality
from encoders.errors import MediumError
from encoders.media.decoded import Decoded
from encoders.media.image import decode_image
from encoders.media.sniff import sniff
from encoders.media.text import decode_text
from encoders.settings import EncoderSettings


def modality_of(medium: Medium) -> Modality:
    """What the medium says that it is, else what its content says. Raises MediumError("unsupported")."""
    found = medium.modality or sniff(medium.content, medium.name)
    if found is None:
        reason = "unsupported" if medium.content else "empty"
        raise MediumError(reason, "neither the content nor the name tells what it is")
    return found


def decode_medium(medium: Medium, settings: EncoderSettings) -> Decoded:
    """One medium to arrays. Raises MediumError for whatever is wrong with it.

    A container without a stated modality that turns out to hold sound alone is audio.
    """
    modality = modality_of(medium)
    if modality is Modality.TEXT:
        return Decoded(modality, text=decode_text(medium.content, settings.max_text_characters))
    if modality is Modality.IMAGE:
        return Decoded(modality, image=decode_image(medium.content, settings.max_pixels))
    if modality is Modality.VIDEO and (medium.modality is not None or _has_pictures(medium.content)):
        return _video(medium.content, settings)
    # Loading PyAV takes a tenth of a second and much memory, which pictures and text need not pay.
    from encoders.media.sound import decode_sound

    return Decoded(Modality.AUDIO, sound=decode_sound(medium.content, settings.max_audio_seconds))


def _video(content: bytes, settings: EncoderSettings) -> Decoded:
    from encoders.media.video import decode_video

    frames, sound = decode_video(content, settings)
    return Decoded(Modality.VIDEO, frames=frames, sound=sound)


def _has_pictures(content: bytes) -> bool:
    from encoders.media.container import opened
    from encoders.media.video import has_pictures

    with opened(content) as container:
        return has_pictures(container)
