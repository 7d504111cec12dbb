"""Stochastic gradient descent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minicnn import kernels
from minicnn.arguments import not_negative, number, only
from minicnn.autograd import Tensor
from minicnn.backend import Array, device_of, get_array_module, on_device_of, split
from minicnn.optim.optimizer import Optimizer, Ready

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

    def _update_group(self, ready: Sequence[Ready], group: Mapping[str, Any]) -> None:
        on_gpus: dict[Any, list[Ready]] = {}
        for one in ready:
            place = device_of(one[0].data)
            if place == "cpu":
                self._update(*one[:2], group, one[2])
            else:  # which updates all of them at once
                on_gpus.setdefault((place, one[0].dtype), []).append(one)
        for together in on_gpus.values():
            with on_device_of(together[0][0].data):
                w, g, v = zip(*(self._flat(*one, group) for one in together), strict=True)
                kernels.sgd_steps(list(w), list(g), list(v) if group["momentum"] else None, *_settings(group))

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        w, g, v = self._flat(parameter, gradient, state, group)
        settings = _settings(group)

        def update(i: int, j: int) -> None:
            kernels.sgd_step(w[i:j], g[i:j], None if v is None else v[i:j], *settings)

        if w.size < _WORTH_SPLITTING:
            update(0, w.size)
        else:
            split(get_array_module(w), w.size, update)

    def _flat(
        self, parameter: Tensor, gradient: Array, state: dict[str, Any], group: Mapping[str, Any]
    ) -> tuple[Array, Array, Array | None]:
        """Return w, g and v in one dimension, on the memory of the parameter and its state."""
        xp = get_array_module(parameter.data)
        if group["momentum"] and "momentum_buffer" not in state:
            state["momentum_buffer"] = xp.zeros_like(parameter.data, order="C")
        # reshape copies an array that is not contiguous, and the update would be lost with the copy
        parameter.data = xp.asarray(parameter.data, order="C")
        v = state["momentum_buffer"].reshape(-1) if group["momentum"] else None
        return parameter.data.reshape(-1), gradient.reshape(-1), v


def _settings(group: Mapping[str, Any]) -> tuple[float, float, float, bool, bool]:
    """Return a group's settings as the kernels take them.

    They are plain floats and bools, because Numba compiles a kernel for each type of number.
    """
    lr, momentum, decay = (float(group[name]) for name in ("lr", "momentum", "weight_decay"))
    return lr, momentum, decay, bool(group["nesterov"]), group["style"] == "paper"
