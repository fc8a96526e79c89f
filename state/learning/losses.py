"""What training makes small: cross-entropy over all items or a sample of them, what is not to be recommended,
and how users judge."""

from typing import Any, NamedTuple

import msgspec
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from state.learning.interest import InterestModel
from state.learning.model import Asked, SequenceModel, Told
from state.learning.sequences import NO_ITEM, UNJUDGED, Batch
from state.learning.taken import Taken, nothing_taken, taken_before

CELLS = 250_000
"""Logits at once: as many as a processor's own memory holds."""
CELLS_ON_GPU = 4_000_000
FEWEST = 64
"""Queries whose logits are worked out together, at least."""
_NEAR_ONE = 1 - 1e-6
_TINY = torch.finfo(torch.float32).tiny


class LossSettings(msgspec.Struct, frozen=True):
    """Weights of the parts, and which items an event is told from."""

    avoid: bool = True
    """Whether items that the user turned away are not to be recommended. Else they are foretold as all others
    are, which next-item protocols ask for."""
    taken: bool = False
    """Whether what the user took before an item is a wrong answer where that item is new to the user. It is
    no answer at all where serving leaves out what was seen; an item taken again is told from all others."""
    likes: float = 0.05
    ratings: float = 0.05
    whole_until: int = 50_000
    """Up to so many items the softmax is over all; beyond, over a sample."""
    negatives: int = 1_024
    """Of the sample."""


class Wanted(NamedTuple):
    """Of each of q queries: the column [q] of its target, whether that is rejected, bool [q], and what is no
    wrong answer to it."""

    column: Tensor
    rejected: Tensor
    taken: Taken


class _WholeSoftmax(torch.autograd.Function):
    """The sum of -log p of the targets, and of -log(1 - p) of those that are rejected, p being the softmax
    over all vectors. Slopes are made along with the sum, part by part, so that few logits are ever
    kept."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, vectors: Tensor, wanted: Wanted) -> Tensor:
        total = queries.new_zeros(())
        # One column more, for what is hidden of nothing: to scatter is far dearer where it has to choose.
        vectors = torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
        by_query, by_vector = torch.empty_like(queries), torch.zeros_like(vectors)
        turns = bool(wanted.rejected.any())
        cells = CELLS if queries.device.type == "cpu" else CELLS_ON_GPU
        size = max(FEWEST, cells // max(1, len(vectors)))
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            asked, own = queries[part], wanted.column[part, None]
            logits = asked @ vectors.T
            logits[:, -1] = -torch.inf
            logits.scatter_(1, wanted.taken.hidden(part), -torch.inf)
            shares = torch.softmax(logits, dim=1)
            chance = shares.gather(1, own)
            losses = -torch.log(chance.clamp(min=_TINY))
            if turns:
                turned = wanted.rejected[part, None]
                chance = chance.clamp(max=_NEAR_ONE)
                losses = torch.where(turned, -torch.log1p(-chance), losses)
                factor = torch.where(turned, -chance / (1 - chance), 1.0)
                shares *= factor
                shares.scatter_add_(1, own, -factor)
            else:
                shares.scatter_add_(1, own, -torch.ones_like(chance))
            total += losses.sum()
            by_query[part] = shares @ vectors
            by_vector.addmm_(shares.T, asked)
        ctx.save_for_backward(by_query, by_vector[:-1])
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None]:
        by_query, by_vector = ctx.saved_tensors
        return by_query * slope, by_vector * slope, None


def sampled_softmax(
    queries: Tensor, targets: Tensor, negatives: Tensor, corrections: tuple[Tensor, Tensor]
) -> Tensor:
    """-log p [n] of each target among itself and the negatives it is not.

    queries, targets [n, d]; negatives [m, d]. `corrections` are the logarithms of how often each target [n]
    and each negative [n, m] is drawn (logQ, Bengio and Senecal 2008), +inf for a negative that is the target.
    """
    own = (queries * targets).sum(dim=1) - corrections[0]
    others = queries @ negatives.T - corrections[1]
    return torch.logsumexp(torch.cat([own[:, None], others], dim=1), dim=1) - own


def _columns(items: Tensor, count: int) -> Tensor:
    """The place of each of `count` items among some, int64 [n], each once; NO_ITEM for the others."""
    out = torch.full((count,), NO_ITEM, device=items.device)
    out[items] = torch.arange(len(items), device=items.device)
    return out


class Objective:
    """The loss of a model on batches."""

    def __init__(self, model: SequenceModel, settings: LossSettings, counts: Tensor) -> None:
        """`counts` [items]: how often training saw each item."""
        self._model = model
        self._settings = settings
        self._candidates = model.candidates()
        self._column = _columns(self._candidates, model.items)
        often = counts[self._candidates].to(torch.float64) ** 0.5
        self._chances = (often / often.sum()).to(torch.float32)
        self._whole = len(self._candidates) <= settings.whole_until

    def __call__(self, batch: Batch) -> Tensor:
        """The mean over what is foretold. Zero where a batch has nothing."""
        known = (batch.wanted != NO_ITEM) & (self._column[batch.wanted.clamp(min=0)] != NO_ITEM)
        rows, places = torch.nonzero(known, as_tuple=True)
        asked = (rows, places)
        targets = self._column[batch.wanted[asked]]
        rejected = batch.rejected[asked] & self._settings.avoid
        if self._whole:
            told = self._model(batch, self._candidates, asked)
            own = told.vectors[targets]
            wanted = Wanted(targets, rejected, self._taken(batch, asked, self._column, len(self._candidates)))
            ranking = _WholeSoftmax.apply(told.queries.float(), told.vectors.float(), wanted)
        else:
            told, own, losses = self._sampled(batch, asked, targets)
            chance = torch.exp(-losses).clamp(max=_NEAR_ONE)
            ranking = torch.where(rejected, -torch.log1p(-chance), losses).sum()
        loss: Tensor = ranking / max(len(targets), 1)
        if isinstance(self._model, InterestModel):
            loss = loss + self._judged(self._model, (told, own), batch, asked)
        return loss

    def _taken(self, batch: Batch, asked: Asked, column: Tensor, count: int) -> Taken:
        """Of `count` items, which stand in the columns `column` [items]."""
        if self._settings.taken:
            return nothing_taken(batch, asked, count)
        return taken_before(batch, asked, column, count)

    def _sampled(self, batch: Batch, asked: Asked, targets: Tensor) -> tuple[Told, Tensor, Tensor]:
        drawn = torch.multinomial(self._chances, self._settings.negatives, replacement=True)
        told = self._model(batch, self._candidates[torch.cat([targets, drawn])], asked)
        own, others = told.vectors[: len(targets)], told.vectors[len(targets) :]
        often = torch.log(self._chances * self._settings.negatives)
        same = targets[:, None] == drawn
        known, columns = torch.unique(drawn, return_inverse=True)
        column = _columns(self._candidates[known], len(self._column))
        taken = self._taken(batch, asked, column, len(known))
        hidden = same.new_zeros(len(targets), len(known) + 1)
        same |= hidden.scatter_(1, taken.hidden(slice(None)), True)[:, columns]
        corrections = often[drawn].expand(same.shape).masked_fill(same, torch.inf)
        losses = sampled_softmax(told.queries, own, others, (often[targets], corrections))
        return told, own, losses

    def _judged(self, model: InterestModel, told: tuple[Told, Tensor], batch: Batch, asked: Asked) -> Tensor:
        user, item = told[0].user, told[1]
        liked, rating = batch.liked[asked], batch.rating[asked]
        total = user.new_zeros(())
        judged = liked != UNJUDGED
        if self._settings.likes and bool(judged.any()):
            logits = model.likes(user[judged], item[judged])
            verdict = liked[judged].to(logits.dtype)
            total = total + self._settings.likes * binary_cross_entropy_with_logits(logits, verdict)
        rated = torch.isfinite(rating)
        if self._settings.ratings and bool(rated.any()):
            errors = model.rates(user[rated], item[rated]) - rating[rated]
            total = total + self._settings.ratings * (errors**2).mean()
        return total
