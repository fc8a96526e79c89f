"""What features of items tell of likes, counted in a file's events or in the topics."""

from pathlib import Path

from state.errors import StateError
from state.learning.gain import Gain, gains, modalities_of, topics_of
from state.learning.reading import ReadingOptions
from streams.errors import InputError
from streams.given_data import given_dataset
from streams.progress import progress
from streams.settings import Settings
from streams.topic_learning import offsets, read_topics


def gains_in(source: Path | None, reading: ReadingOptions, settings: Settings) -> list[Gain]:
    """Of `source`, or of the topics where it is None. Raises InputError and TopicError."""
    try:
        if source is not None:
            dataset = given_dataset(source, reading)
            return gains(dataset.interactions, topics_of(dataset.topics))
        with progress("reading the topics", offsets(settings)) as tell:
            events, content, _ = read_topics(settings, tell)
        return gains(events, topics_of(content.topics) | modalities_of(content))
    except StateError as error:
        raise InputError(str(error)) from error
