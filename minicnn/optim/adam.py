"""Adam, and AdamW."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from minicnn.arguments import not_negative, number, only
from minicnn.autograd import Tensor
from minicnn.backend import Array, get_array_module
from minicnn.optim.optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam: the step is the running mean of the gradient over the root of its running mean square.

    For a weight w with gradient g, in step t, with h = g + d w for the weight decay d,

        m <- b1 m + (1 - b1) h        v <- b2 v + (1 - b2) h^2
        w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    m and v start at zero and are too small at first; the divisions by 1 - b^t correct this bias.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters, or groups of them with their own settings, as in :class:`SGD <minicnn.optim.SGD>`.
    lr : float
        The learning rate, 0 or more.
    betas : pair of float
        b1 and b2, from 0 to below 1.
    eps : float
        Limits the step where gradients are almost 0; 0 or more.
    weight_decay : float
        d, which pulls the weights towards 0; 0 or more.
    amsgrad : bool
        Only False.

    References
    ----------
    Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.
    """

    state_names = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        only(type(self).__name__, "amsgrad", amsgrad, False)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _check(self, group: Mapping[str, Any]) -> None:
        kind = type(self).__name__
        for name in ("lr", "eps", "weight_decay"):
            not_negative(kind, name, group[name])
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{kind}: betas must be a pair of numbers, got {betas!r}")
        if not all(0 <= number(kind, "betas", beta) < 1 for beta in betas):
            raise ValueError(f"{kind}: betas must be at least 0 and below 1, got {betas!r}")

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        xp = get_array_module(parameter.data)
        if not state:
            zeros = xp.zeros_like(parameter.data)
            state.update(step=0, exp_avg=zeros, exp_avg_sq=zeros.copy())
        state["step"] += 1
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        lr, eps, decay = (float(group[name]) for name in ("lr", "eps", "weight_decay"))
        b1, b2 = (float(beta) for beta in group["betas"])
        if decay:
            gradient = gradient + decay * parameter.data
        mean *= b1
        mean += (1 - b1) * gradient
        square *= b2
        square += (1 - b2) * gradient * gradient
        root = xp.sqrt(square) / math.sqrt(1 - b2 ** state["step"]) + eps
        parameter.data -= lr / (1 - b1 ** state["step"]) * mean / root


class AdamW(Adam):
    """Adam whose weight decay acts on the weight, and not by way of the gradient's means.

        w <- w - lr d w        and then Adam's step with g alone.

    Adam divides each step by the gradient's size, and with it what the weight decay adds to the gradient: weights with
    large gradients hardly decay. Here all decay alike.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters, or groups of them with their own settings, as in :class:`SGD <minicnn.optim.SGD>`.
    lr, betas, eps, amsgrad
        As in :class:`Adam`.
    weight_decay : float
        d, which pulls the weights towards 0; 0 or more.

    References
    ----------
    Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        parameter.data *= 1 - float(group["lr"]) * float(group["weight_decay"])
        super()._update(parameter, gradient, {**group, "weight_decay": 0.0}, state)
