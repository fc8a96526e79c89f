"""Training a fusion of modalities on a catalogue, without labels.

Two parts of an item are told that they are of one item. Each step hides modalities at random: of an item with
several, a part is seen on the one side and the rest on the other; of an item with a single one, the same with
other noise. Each side is to be as near to the other side of every item of the batch, and to every item as a
whole, as whole items are to one another before training: cross-entropy between two softmaxes over the batch,
in both directions. With `focus` near 0 this is InfoNCE (arXiv 1807.03748), which drives apart all that is not
the same item; with more of it, neighbours stay neighbours.

Some items are kept out: the numbers under which most of these find their other half are kept, be they those
from before training. The projections are not trained: they hold more numbers than a catalogue can tell, and
measured worse.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from state.errors import ModelError
from state.fusions import ItemFusion, build_fusion
from state.fusions.differentiable import item_vectors
from state.fusions.late import Late
from state.fusions.sums import Gated
from state.fusions.untrained import untrained
from state.shapes import Float32

FEWEST = 32
"""Items of several modalities that training asks for."""
FIXED = frozenset({"item_project", "item_gain", "item_concept_share"})
OF_MEAN_ZERO = frozenset({"item_bias", "item_join", "item_join_out", "item_value", "item_concepts"})
"""Arrays whose rows are kept at mean zero, as item space is: then layer normalisation changes no cosine."""
CONCEPTS = 256
"""Items of the catalogue that the concepts of a late fusion begin as."""
DRAWN = frozenset({"item_query", "item_key", "item_join_in"})
"""Arrays that begin at random, since from zero they would never leave it."""


class Learning(msgspec.Struct, frozen=True):
    """How a fusion is trained; the numbers were chosen by `tests/bench/bench_item_fusions.py`."""

    steps: int = 150
    batch: int = 512
    rate: float = 1e-3
    temperature: float = 0.1
    focus: float = 0.1
    """Temperature of what is aimed at."""
    hold: float = 0.01
    """Pull of each number towards where it began."""
    noise: float = 0.5
    """Length of the noise beside each unit vector."""
    kept_out: float = 0.15
    every: int = 20
    """Steps between two looks at the items that are kept out."""
    seed: int = 0


class Learned(NamedTuple):
    """A fusion, and the mean inverse rank at which halves of items that were kept out find each other: before
    training, and with the numbers kept. Equal where training did not help, and the start was kept."""

    fusion: ItemFusion
    before: float
    after: float


class _Sides:
    """Two sides of each item, [n, 4] each: parts that share nothing where an item has several modalities."""

    def __init__(self, present: Tensor, generator: torch.Generator) -> None:
        order = torch.rand(present.shape, generator=generator).masked_fill(~present, torch.inf)
        rank = order.argsort(dim=1).argsort(dim=1)
        count = present.sum(dim=1, keepdim=True)
        cut = 1 + torch.floor(torch.rand(count.shape, generator=generator) * (count - 1).clamp(min=1))
        single = count == 1
        self.left = present & (single | (rank < cut))
        self.right = present & (single | (rank >= cut))


def learn(
    kind: str,
    vectors: Float32,
    present: NDArray[np.bool_],
    learning: Learning | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> Learned:
    """Train on vectors [n, 4, SHARED_DIM] of unit length and what is present [n, 4].

    `tell` is told how many steps are done. The same input gives the same numbers. Raises ModelError for too
    few items of several modalities.
    """
    chosen = learning or Learning()
    several = int((present.sum(axis=1) > 1).sum())
    if several < FEWEST:
        raise ModelError(
            f"{several} items have more than one modality; a fusion is trained on {FEWEST} or more"
        )
    some = present.any(axis=1)
    return _Course(kind, chosen, (vectors[some], present[some])).run(tell)


class _Adam:
    """Adam (arXiv 1412.6980). That of torch takes ten seconds to import, more than most trainings take."""

    def __init__(self, numbers: Sequence[Tensor], rate: float) -> None:
        self._numbers, self._rate = numbers, rate
        self._means = [torch.zeros_like(each) for each in numbers]
        self._squares = [torch.zeros_like(each) for each in numbers]
        self._steps = 0

    def step(self, loss: Tensor) -> None:
        self._steps += 1
        slopes = torch.autograd.grad(loss, self._numbers)
        with torch.no_grad():
            for number, slope, mean, square in zip(
                self._numbers, slopes, self._means, self._squares, strict=True
            ):
                mean.lerp_(slope, 1 - 0.9)
                square.lerp_(slope * slope, 1 - 0.999)
                spread = (square / (1 - 0.999**self._steps)).sqrt() + 1e-8
                number.sub_(self._rate * mean / (1 - 0.9**self._steps) / spread)


class _Course:
    """One training."""

    def __init__(self, kind: str, learning: Learning, items: tuple[Float32, NDArray[np.bool_]]) -> None:
        self._kind, self._learning = kind, learning
        self._generator = torch.Generator().manual_seed(learning.seed)
        vectors, present = (torch.from_numpy(np.ascontiguousarray(part)) for part in items)
        order = torch.randperm(len(vectors), generator=self._generator)
        out = max(1, int(len(order) * learning.kept_out))
        self._seen = vectors[order[out:]], present[order[out:]]
        self._judges = vectors[order[:out]], _Sides(present[order[:out]], self._generator)
        before = untrained(Gated.kind).fuse(self._seen[0][self._seen[1]].numpy(), self._seen[1].numpy())
        whole = torch.from_numpy(before.vectors)
        self._near = whole @ whole.T
        self._start = {name: torch.from_numpy(array.copy()) for name, array in untrained(kind).arrays.items()}
        for name in DRAWN & self._start.keys():
            width = self._start[name].shape[-2] ** -0.5
            self._start[name] = torch.randn(self._start[name].shape, generator=self._generator) * width
        if kind == Late.kind:
            self._start["item_concepts"] = whole[:CONCEPTS].clone()
            share = torch.full((len(self._start["item_concepts"]),), 1 / min(CONCEPTS, len(whole)))
            self._start["item_concept_share"] = share
        self._numbers = {name: start.clone() for name, start in self._start.items()}
        self._moving = [name for name in self._numbers if name not in FIXED]
        for name in self._moving:
            self._numbers[name].requires_grad_()

    def run(self, tell: Callable[[int], None]) -> Learned:
        learning = self._learning
        optimiser = _Adam([self._numbers[name] for name in self._moving], learning.rate)
        before = best = self._found()
        kept = self._arrays()
        for step in range(1, learning.steps + 1):
            optimiser.step(self._loss())
            if step % learning.every == 0:
                found = self._found()
                if found > best:
                    best, kept = found, self._arrays()
            tell(step)
        return Learned(build_fusion(self._kind, kept), before, best)

    def _centred(self) -> Mapping[str, Tensor]:
        return {
            name: array - array.mean(dim=-1, keepdim=True) if name in OF_MEAN_ZERO else array
            for name, array in self._numbers.items()
        }

    def _loss(self) -> Tensor:
        vectors, present = self._seen
        rows = torch.randperm(len(vectors), generator=self._generator)[: self._learning.batch]
        vectors, present = vectors[rows], present[rows]
        sides, arrays = _Sides(present, self._generator), self._centred()
        left = item_vectors(self._kind, arrays, self._noisy(vectors), sides.left)
        right = item_vectors(self._kind, arrays, self._noisy(vectors), sides.right)
        whole = item_vectors(self._kind, arrays, vectors, present)
        told = sum(
            (
                self._apart(one, other, self._near[rows][:, rows])
                for one, other in ((left, right), (left, whole), (right, whole))
            ),
            torch.zeros(()),
        )
        drift = sum(((self._numbers[name] - self._start[name]) ** 2).sum() for name in self._moving)
        return told + self._learning.hold * drift

    def _noisy(self, vectors: Tensor) -> Tensor:
        length = self._learning.noise * vectors.shape[-1] ** -0.5
        drawn = torch.randn(vectors.shape, generator=self._generator) * length
        return torch.nn.functional.normalize(vectors + drawn, dim=-1)

    def _apart(self, one: Tensor, other: Tensor, near: Tensor) -> Tensor:
        logits = one @ other.T / self._learning.temperature
        aim = torch.softmax(near / self._learning.focus, dim=1)
        return cross_entropy(logits, aim) + cross_entropy(logits.T, aim)

    def _found(self) -> float:
        """How well the halves of the items that are kept out find each other: the mean inverse rank."""
        vectors, sides = self._judges
        with torch.no_grad():
            arrays = self._centred()
            left = item_vectors(self._kind, arrays, vectors, sides.left)
            right = item_vectors(self._kind, arrays, vectors, sides.right)
        several = (sides.left != sides.right).any(dim=1)
        cosines = left[several] @ right.T
        own = cosines.gather(1, torch.nonzero(several))
        ranks = (cosines > own).sum(dim=1) + 1
        return float((1 / ranks).mean()) if len(ranks) else 0.0

    def _arrays(self) -> dict[str, Float32]:
        return {name: array.detach().numpy().copy() for name, array in self._centred().items()}
