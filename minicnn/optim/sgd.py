"""Stochastic gradient descent."""

from collections.abc import Iterable, Mapping
from typing import Any

from minicnn import kernels
from minicnn.arguments import not_negative, number, only
from minicnn.autograd import Tensor
from minicnn.backend import Array, get_array_module, split
from minicnn.optim.optimizer import Optimizer

__all__ = ["SGD"]

_WORTH_SPLITTING = 1 << 20  # numbers, which one core updates in about half a millisecond


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and weight decay.

    For a weight w with gradient g, learning rate lr, momentum m and weight decay d, each step is

        PyTorch's style:  v <- m v + (g + d w)       w <- w - lr v
        with Nesterov:    v <- m v + (g + d w)       w <- w - lr (g + d w + m v)
        the paper's:      v <- m v - lr (g + d w)    w <- w + v

    with v = 0 at first. Without Nesterov both styles give the same w while lr is constant. When lr is lowered, the
    paper's v still contains the old, larger steps for a while; PyTorch's steps become smaller at once.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters; or groups of them with their own settings, such as
        ``[{"params": weights}, {"params": biases, "lr": 0.002, "weight_decay": 0}]``.
    lr : float
        The learning rate, 0 or more.
    momentum : float
        m, the part of v that is kept from step to step; 0 or more.
    dampening : float
        Only 0.
    weight_decay : float
        d, which pulls the weights towards 0; 0 or more.
    nesterov : bool
        Use Nesterov's momentum; in PyTorch's style only.
    style : {"pytorch", "paper"}
        Whether the learning rate is outside or inside the velocity v.

    References
    ----------
    Krizhevsky et al. 2012, section 5: lr 0.01, momentum 0.9, weight decay 0.0005.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> net = nn.Linear(4, 2)
    >>> optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005, style="paper")
    """

    state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        style: str = "pytorch",
    ) -> None:
        only("SGD", "dampening", number("SGD", "dampening", dampening), 0.0)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "style": style,
        }
        super().__init__(params, defaults)

    def _check(self, group: Mapping[str, Any]) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            not_negative("SGD", name, group[name])
        if group["style"] not in ("pytorch", "paper"):
            raise ValueError(f"SGD: style must be 'pytorch' or 'paper', got {group['style']!r}")
        if group["nesterov"] and (group["momentum"] == 0 or group["style"] == "paper"):
            raise ValueError(
                "SGD: nesterov=True needs a momentum above 0 and style='pytorch', got "
                f"momentum={group['momentum']} and style={group['style']!r}"
            )

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        xp = get_array_module(parameter.data)
        if group["momentum"] and "momentum_buffer" not in state:
            state["momentum_buffer"] = xp.zeros_like(parameter.data, order="C")
        # reshape copies an array that is not contiguous, and the update would be lost with the copy
        parameter.data = xp.asarray(parameter.data, order="C")
        w, g = parameter.data.reshape(-1), gradient.reshape(-1)
        v = state["momentum_buffer"].reshape(-1) if group["momentum"] else None
        # plain floats and bools, because Numba compiles a kernel for each type of number
        lr, momentum, decay = (float(group[name]) for name in ("lr", "momentum", "weight_decay"))
        nesterov, paper = bool(group["nesterov"]), group["style"] == "paper"

        def update(i: int, j: int) -> None:
            kernels.sgd_step(w[i:j], g[i:j], None if v is None else v[i:j], lr, momentum, decay, nesterov, paper)

        if w.size < _WORTH_SPLITTING:
            update(0, w.size)
        else:
            split(xp, w.size, update)
