"""The content prior as it serves, with each of the fusions of an item's modalities."""

from dataclasses import replace

from state.artifact import Artifact
from state.errors import LearningError
from state.fusions import ItemFusion
from state.fusions.attention import CrossAttention, SelfAttention
from state.fusions.concatenation import Concatenation
from state.fusions.late import Late
from state.fusions.sums import WeightedSum
from state.fusions.untrained import untrained
from state.learning.interactions import ItemContent
from state.learning.protocol import Learner, Recommender, Task, Tell
from state.learning.served import JudgingServed, Served
from state.prior import content_prior


def served(name: str, artifact: Artifact, task: Task) -> Served:
    """Raises LearningError where nothing is told of the items, or by other encoders than the artifact's."""
    if task.content is None and artifact.known is None:
        raise LearningError(f"{name} ranks by content, and nothing is told of these items")
    made_by = "" if task.content is None else task.content.space
    if artifact.space and made_by and artifact.space != made_by:
        raise LearningError(
            f"{name} was trained on vectors of {artifact.space}, and the items were encoded by {made_by}: "
            "set the encoders that it was trained with"
        )
    kind = Served if artifact.judges is None else JudgingServed
    return kind(name, artifact, task.content, task.train)


def prior(task: Task, tell: Tell) -> Recommender:
    return served("content-prior", content_prior(), task)


def _with(kind: str) -> Learner:
    def learn_it(task: Task, tell: Tell) -> Recommender:
        name = f"content-prior/{kind}"
        if task.content is None:
            raise LearningError(f"{name} ranks by content, and nothing is told of these items")
        artifact = replace(content_prior(), items=_fusion(kind, task.content))
        return served(name, artifact, task)

    return learn_it


def _fusion(kind: str, content: ItemContent) -> ItemFusion:
    """Trained on the items without labels where enough of them have several modalities, else as it begins."""
    if not (content.present.sum(axis=1) > 1).any():
        return untrained(kind)
    from state.fusions.learning import FEWEST, learn

    if int((content.present.sum(axis=1) > 1).sum()) < FEWEST:
        return untrained(kind)
    return learn(kind, content.vectors, content.present).fusion


weighted_sum = _with(WeightedSum.kind)
concatenation = _with(Concatenation.kind)
late = _with(Late.kind)
self_attention = _with(SelfAttention.kind)
cross_attention = _with(CrossAttention.kind)
