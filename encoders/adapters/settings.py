"""How an adapter is trained."""

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

Kind = Literal["lora", "adalora", "prefix"]
"""LoRA (arXiv 2106.09685), AdaLoRA (arXiv 2303.10512), prefix tuning (arXiv 2101.00190)."""
Objective = Literal["categories", "parts"]
"""What is to lie near: texts of a category, or an item's title and the rest of its text."""

KINDS: tuple[Kind, ...] = get_args(Kind)
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
RATES: dict[Kind, float] = {"lora": 1e-3, "adalora": 5e-3, "prefix": 1e-1}

Share = Annotated[float, Meta(gt=0, lt=1)]


class AdapterPlan(msgspec.Struct, frozen=True):
    """What is trained, and for how long."""

    kind: Kind = "lora"
    objective: Objective | None = None
    """None takes categories where the texts have them, else parts."""
    rank: Annotated[int, Meta(ge=1)] = 8
    """Of each matrix's change, of AdaLoRA the mean; the tokens of a prefix."""
    epochs: Annotated[int, Meta(ge=1)] = 8
    """At most."""
    patience: Annotated[int, Meta(ge=1)] = 4
    """Epochs without a better one, after which training ends."""
    rate: float = 0.0
    """Of learning; 0 takes that of RATES."""
    seed: int = 0
    held_out: Share = 0.2
    """Share of the texts that nothing is learnt from: they tell when to stop."""
    batch: Annotated[int, Meta(ge=2)] = 64
    temperature: Annotated[float, Meta(gt=0)] = 0.1
    keep: Annotated[float, Meta(ge=0)] = 1.0
    """Weight of staying near the vectors of the model without the adapter, where categories are learnt."""
    longest: Annotated[int, Meta(ge=1)] = 128
    """Tokens of a text that training reads."""

    @property
    def step(self) -> float:
        """The rate of learning."""
        return self.rate or RATES[self.kind]
