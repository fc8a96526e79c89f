"""Training on CUDA, in half precision: it learns what it learns on the CPU."""

import numpy as np
import pytest
import torch

from state.learning.interactions import interactions_of
from state.learning.metrics import per_event
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Task
from state.learning.ranks import RankingOptions, rank
from state.learning.sequential import KINDS, Plan, train
from state.learning.splits import leave_one_out
from state.learning.trainer import Schedule

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine shows no CUDA device"),
]
GROUP, ITEMS, USERS, EVENTS = 8, 48, 90, 14


@pytest.mark.parametrize("kind", KINDS)
def test_learns_what_follows(kind: str) -> None:
    first = np.random.default_rng(0).integers(0, ITEMS, USERS)[:, None]
    item = first // GROUP * GROUP + (first + np.arange(EVENTS)) % GROUP
    source = interactions_of(
        {
            "user": np.repeat(np.arange(USERS), EVENTS),
            "item": item.ravel(),
            "time_ms": 1_600_000_000_000 + np.tile(np.arange(EVENTS) * 60_000, USERS),
            "action": np.full(USERS * EVENTS, 2),
        },
        [str(at) for at in range(USERS)],
        [str(at) for at in range(ITEMS)],
    )
    split = leave_one_out(source)
    fast = Schedule(epochs=20, batch=16, length=32, optimiser=OptimiserSettings(rate=1e-2, warm_up=5))
    task = Task(split.train, split.validation, None, 0)
    made = train(Plan(kind, schedule=fast), task, lambda done: None, torch.device("cuda"))
    found = per_event(rank(made.recommender, split.test, RankingOptions(hide_seen=False)))
    assert found["hr@5"].mean() > 0.6
    assert np.isfinite(made.outcome.course.losses).all()
