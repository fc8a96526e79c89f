"""What training makes small: cross-entropy over all items or a sample of them, what is not to be recommended,
and how users judge."""

from typing import Any

import msgspec
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from state.learning.interest import InterestModel
from state.learning.model import SequenceModel, Told
from state.learning.sequences import NO_ITEM, UNJUDGED, Batch

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
    modalities: float = 0.0
    """Of items being foretold by one modality alone, another one at each step, so that each says something
    without the others and without the id. Where the softmax is over all items."""
    likes: float = 0.05
    ratings: float = 0.05
    whole_until: int = 50_000
    """Up to so many items the softmax is over all; beyond, over a sample."""
    negatives: int = 1_024
    """Of the sample."""


class _WholeSoftmax(torch.autograd.Function):
    """The sum of -log p of the targets, and of -log(1 - p) of those that are rejected, p being the softmax
    over all vectors. Slopes are made along with the sum, part by part, so that few logits are ever
    kept."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, vectors: Tensor, targets: Tensor, rejected: Tensor) -> Tensor:
        total = queries.new_zeros(())
        by_query, by_vector = torch.empty_like(queries), torch.zeros_like(vectors)
        turns = bool(rejected.any())
        cells = CELLS if queries.device.type == "cpu" else CELLS_ON_GPU
        size = max(FEWEST, cells // max(1, len(vectors)))
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            asked, own = queries[part], targets[part, None]
            shares = torch.softmax(asked @ vectors.T, dim=1)
            chance = shares.gather(1, own)
            told = -torch.log(chance.clamp(min=_TINY))
            if turns:
                turned = rejected[part, None]
                chance = chance.clamp(max=_NEAR_ONE)
                told = torch.where(turned, -torch.log1p(-chance), told)
                factor = torch.where(turned, -chance / (1 - chance), 1.0)
                shares *= factor
                shares.scatter_add_(1, own, -factor)
            else:
                shares.scatter_add_(1, own, -torch.ones_like(chance))
            total += told.sum()
            by_query[part] = shares @ vectors
            by_vector.addmm_(shares.T, asked)
        ctx.save_for_backward(by_query, by_vector)
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        by_query, by_vector = ctx.saved_tensors
        return by_query * slope, by_vector * slope, None, None


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


class Objective:
    """The loss of a model on batches."""

    def __init__(self, model: SequenceModel, settings: LossSettings, counts: Tensor) -> None:
        """`counts` [items]: how often training saw each item."""
        self._model = model
        self._settings = settings
        self._candidates = model.candidates()
        self._column = torch.full((model.items,), NO_ITEM, device=counts.device)
        self._column[self._candidates] = torch.arange(len(self._candidates), device=counts.device)
        often = counts[self._candidates].to(torch.float64) ** 0.5
        self._chances = (often / often.sum()).to(torch.float32)
        self._whole = len(self._candidates) <= settings.whole_until
        self._told: list[int] = []
        if isinstance(model, InterestModel) and model.tower.told:
            some = model.tower.present[self._candidates].any(dim=0)
            self._told = torch.nonzero(some)[:, 0].tolist()

    def __call__(self, batch: Batch) -> Tensor:
        """The mean over what is foretold. Zero where a batch has nothing."""
        asked = (batch.wanted != NO_ITEM) & (self._column[batch.wanted.clamp(min=0)] != NO_ITEM)
        targets = self._column[batch.wanted[asked]]
        rejected = batch.rejected[asked] & self._settings.avoid
        if self._whole:
            told = self._model(batch, self._candidates)
            own, queries = told.vectors[targets], told.queries[asked]
            ranking = _WholeSoftmax.apply(queries.float(), told.vectors.float(), targets, rejected)
        else:
            told, own, losses = self._sampled(batch, asked, targets)
            chance = torch.exp(-losses).clamp(max=_NEAR_ONE)
            ranking = torch.where(rejected, -torch.log1p(-chance), losses).sum()
        loss: Tensor = ranking / max(len(targets), 1)
        if isinstance(self._model, InterestModel):
            loss = loss + self._judged(self._model, (told, own), batch, asked)
            if self._settings.modalities and self._whole and self._told:
                kept = ~rejected
                loss = loss + self._by_content(self._model, told.queries[asked][kept], targets[kept])
        return loss

    def _by_content(self, model: InterestModel, queries: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy over the items that have a modality, by it alone."""
        code = self._told[int(torch.randint(len(self._told), ()))]
        has = model.tower.present[self._candidates, code]
        column = torch.cumsum(has, dim=0) - 1
        asked = has[targets]
        vectors = model.tower.alone(self._candidates[has], code)
        own = column[targets[asked]]
        rejected = torch.zeros_like(asked[asked])
        total: Tensor = _WholeSoftmax.apply(queries[asked].float(), vectors.float(), own, rejected)
        return self._settings.modalities * total / max(len(own), 1)

    def _sampled(self, batch: Batch, asked: Tensor, targets: Tensor) -> tuple[Told, Tensor, Tensor]:
        drawn = torch.multinomial(self._chances, self._settings.negatives, replacement=True)
        told = self._model(batch, self._candidates[torch.cat([targets, drawn])])
        own, others = told.vectors[: len(targets)], told.vectors[len(targets) :]
        often = torch.log(self._chances * self._settings.negatives)
        same = targets[:, None] == drawn
        corrections = often[drawn].expand(same.shape).masked_fill(same, torch.inf)
        losses = sampled_softmax(told.queries[asked], own, others, (often[targets], corrections))
        return told, own, losses

    def _judged(self, model: InterestModel, told: tuple[Told, Tensor], batch: Batch, asked: Tensor) -> Tensor:
        user, item = told[0].user[asked], told[1]
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
