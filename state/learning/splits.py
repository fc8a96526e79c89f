"""What is learnt from, what tells when to stop, and what is measured on: no event is in two of them."""

from dataclasses import dataclass

import numpy as np

from state.errors import LearningError
from state.learning.interactions import Interactions
from state.learning.protocol import Targets

FEWEST = 3
"""Events that leave-one-out asks of a user: one for each part."""


@dataclass(frozen=True)
class Split:
    """`train` holds none of the targets. Each target is told from all that its user did before it, which may
    be in any part."""

    protocol: str
    train: Interactions
    validation: Targets
    test: Targets

    @property
    def cut_ms(self) -> int:
        """Time of the first test event."""
        return int(self.test.source.time_ms[self.test.positions].min())


def leave_one_out(interactions: Interactions) -> Split:
    """The last event of each user is the test, the one before it validation; who has less than three is
    trained on alone. Comparable with papers, but what others did later is known to what is trained."""
    starts = interactions.starts
    counts = np.diff(starts)
    last = starts[1:][counts >= FEWEST] - 1
    if not len(last):
        raise LearningError(f"no user has the {FEWEST} events that leave-one-out asks for")
    train = np.ones(len(interactions), np.bool_)
    train[last] = train[last - 1] = False
    return Split(
        "leave-one-out",
        interactions.subset(train),
        Targets(interactions, last - 1),
        Targets(interactions, last),
    )


def temporal(interactions: Interactions, test: float = 0.2, validation: float = 0.1) -> Split:
    """One moment for all: every event from it on is a test, whoever's it is; those just before, validation.

    The shares are of all events, and moved so that no moment is on two sides. Raises LearningError for
    shares that leave a part empty.
    """
    if not (0 < test < 1 and 0 < validation < 1 and test + validation < 1):
        raise LearningError(
            "the shares of test and validation must be above 0 and leave something to train on"
        )
    times = np.sort(interactions.time_ms)
    at = len(times)
    test_from = int(times[min(at - 1, round(at * (1 - test)))])
    validation_from = int(times[min(at - 1, round(at * (1 - test - validation)))])
    before = interactions.time_ms < validation_from
    tested = interactions.time_ms >= test_from
    between = ~before & ~tested
    if not before.any() or not between.any():
        raise LearningError("too few moments to split by time: a part would be empty")
    return Split(
        "temporal",
        interactions.subset(before),
        Targets(interactions, np.flatnonzero(between)),
        Targets(interactions, np.flatnonzero(tested)),
    )


def without_items(split: Split, share: float, seed: int) -> Split:
    """The same with a share of the test's items held out of training and validation; the test is those alone.

    Their events stay in the histories of targets that come later. A model that knows items by their ids alone
    can tell nothing of them. Raises LearningError where nothing would be left to train on.
    """
    tested = np.unique(split.test.items)
    count = max(1, round(len(tested) * share))
    cold = np.zeros(split.train.items, np.bool_)
    cold[np.random.default_rng(seed).choice(tested, count, replace=False)] = True
    train = split.train.subset(~cold[split.train.item])
    validation = split.validation.part(~cold[split.validation.items])
    if not len(train) or not len(validation):
        raise LearningError("holding out so many items leaves nothing to train on")
    return Split(split.protocol, train, validation, split.test.part(cold[split.test.items]))
