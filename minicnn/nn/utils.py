"""What is done with the gradients of a network between ``backward`` and an optimiser's step."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn.arguments import not_negative, number, only, switch
from minicnn.autograd import Tensor
from minicnn.backend import get_array_module, on_device_of

__all__ = ["clip_grad_norm_"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Tensor:
    """Scale all gradients by one factor so that together, as one vector, they have a norm of at most `max_norm`.

    The direction of the step stays; one bad batch cannot throw the weights far.

    Parameters
    ----------
    parameters : iterable of Tensor
        Their gradients are changed in place; those without one are left out.
    max_norm : float
        0 or more.
    norm_type : float
        The p of the p-norm; inf for the largest absolute value.
    error_if_nonfinite : bool
        Whether a norm that is infinite or NaN is an error. Otherwise it makes all gradients 0 or NaN.
    foreach : None
        Only None.

    Returns
    -------
    Tensor of shape ()
        The norm before.

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` is True and the norm is infinite or NaN.
    """
    max_norm = not_negative("clip_grad_norm_", "max_norm", max_norm)
    p = number("clip_grad_norm_", "norm_type", norm_type)
    only("clip_grad_norm_", "foreach", foreach, None)
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    gradients = [tensor.grad for tensor in listed if tensor.grad is not None]
    norms = []
    for gradient in gradients:
        with on_device_of(gradient):
            size = get_array_module(gradient).abs(gradient)
            norms.append(float(size.max() if p == math.inf else (size**p).sum()))
    total = max(norms, default=0.0) if p == math.inf else sum(norms) ** (1 / p)
    if switch("clip_grad_norm_", "error_if_nonfinite", error_if_nonfinite) and not math.isfinite(total):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients must be finite, got {total}")
    if not total + 1e-6 <= max_norm:
        for gradient in gradients:
            with on_device_of(gradient):
                gradient *= max_norm / (total + 1e-6)
    return Tensor(np.asarray(total, gradients[0].dtype if gradients else np.float32))
