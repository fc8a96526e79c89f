"""Whether the arrays of a model are what its formulas take."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from state.errors import ModelError

Float32 = NDArray[np.float32]
Shapes = Mapping[str, tuple[str, ...]]
"""Shape of each array by the names of its sizes; one not given must be the same wherever it stands."""


def check_arrays(
    arrays: Mapping[str, Float32], shapes: Shapes, sizes: Mapping[str, int], may_exclude: Collection[str] = ()
) -> None:
    """Raises ModelError for another type or shape, and for numbers that are not finite.

    Those of `may_exclude` may hold minus infinity. All arrays that `shapes` names must be there.
    """
    free: dict[str, int] = {}
    for name, names in shapes.items():
        array = arrays[name]
        if array.dtype != np.float32:
            raise ModelError(f"weight {name} is {array.dtype}, not float32")
        wanted = tuple(sizes.get(size, free.get(size, -1)) for size in names)
        if array.ndim != len(names) or any(
            want not in (-1, got) for want, got in zip(wanted, array.shape, strict=True)
        ):
            raise ModelError(f"weight {name} has shape {array.shape}, wanted {names} = {wanted}")
        free.update({size: got for size, got in zip(names, array.shape, strict=True) if size not in sizes})
        excluded = np.isneginf(array) if name in may_exclude else np.zeros(array.shape, bool)
        if not (np.isfinite(array) | excluded).all():
            raise ModelError(f"weight {name} is not finite")
