"""Our figures are those of ranx, which compiles itself for a minute before it tells any."""

import numpy as np
import pytest

from state.learning.metrics import per_event
from state.learning.ranks import Ranking, best

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


def test_figures_agree_with_ranx() -> None:
    import ranx

    rng = np.random.default_rng(3)
    count, items = 200, 60
    scores = rng.random((count, items)).astype(np.float32)
    wanted = rng.integers(items, size=count)
    own = scores[np.arange(count), wanted]
    ranks = (scores >= own[:, None]).sum(axis=1)
    values = per_event(Ranking(ranks, np.full(count, items), best(scores), own))
    qrels = ranx.Qrels({str(row): {str(item): 1} for row, item in enumerate(wanted.tolist())})
    run = ranx.Run(
        {
            str(row): {str(item): float(score) for item, score in enumerate(each)}
            for row, each in enumerate(scores.tolist())
        }
    )
    names = {"hit_rate@5": "hr@5", "hit_rate@20": "hr@20", "ndcg@10": "ndcg@10", "ndcg@20": "ndcg@20",
             "mrr": "mrr", "recall@10": "hr@10"}  # fmt: skip
    theirs = ranx.evaluate(qrels, run, list(names))
    for their_name, own_name in names.items():
        assert values[own_name].mean() == pytest.approx(theirs[their_name], abs=1e-6), their_name
