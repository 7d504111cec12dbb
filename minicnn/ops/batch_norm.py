"""Batch normalisation: each channel gets mean 0 and variance 1 over the batch, then a learnt scale and shift."""

import math
from types import ModuleType
from typing import Any

from minicnn.arguments import floating, not_negative, number, same_dtype, switch, writeable
from minicnn.autograd import OWN_PLACE, Function, Tensor, Window, as_tensor, mark_written
from minicnn.backend import Array, batch_part, on_device_of, same_device
from minicnn.ops.lrn import positions

__all__ = ["BatchNorm", "batch_norm"]


class BatchNorm(Function):
    """y = g z + b  with  z = (x - m) / s  and  s = sqrt(v + eps);  dL/dg = sum of dL/dy z,  dL/db = sum of dL/dy.

    The mean m and the variance v of a channel are those of its n numbers: all images, all positions. So each x moves
    the z of all others. Let d = g dL/dy, which is dL/dz. With m and v held fixed, dL/dx would be d / s. But dm/dx_i is
    1 / n and ds/dx_i is z_i / n. So dz_j/dx_i is ([i = j] - 1 / n - z_i z_j / n) / s, and the sum of d_j dz_j/dx_i

        dL/dx_i = (d_i - mean of d - z_i (mean of d z)) / s.

    What remains of d has mean 0 and no part along z: neither a shift nor a scale of the channel can change the loss,
    because z undoes both. With given m and v, in evaluation, dL/dx = d / s. Any shape (N, C, *).

    Where processes share the batch, each mean is the sum of their sums, divided by the number of all their values.

    Ioffe and Szegedy 2015, section 3.
    """

    needed_by = {1: (0,)}

    def __init__(self, mean: Array | None, variance: Array | None, eps: float) -> None:
        self.mean, self.variance, self.eps = mean, variance, eps

    @property
    def reads(self) -> Window | None:
        """Its own place with given statistics, else the whole batch."""
        return None if self.mean is None else OWN_PLACE

    def forward(self, xp: ModuleType, x: Array, g: Array | None, b: Array | None) -> Array:
        flat = positions(x)  # (N, C, S)
        if self.mean is None:
            self.batch_mean = _mean(flat)  # (C,)
            centred = flat - self.batch_mean[:, None]
            # a second pass: the mean of x^2 less the square of m would lose all digits where m is large
            self.batch_variance = _mean(centred * centred)
        else:
            centred = flat - self.mean[:, None]
        variance = self.batch_variance if self.variance is None else self.variance
        self.s = xp.sqrt(variance + self.eps)[:, None]  # (C, 1)
        self.z, self.g = centred / self.s, g
        y = self.z if g is None else self.z * g[:, None]
        return (y + (0 if b is None else b[:, None])).reshape(x.shape)

    def backward(self, xp: ModuleType, grad_output: Array) -> tuple[Array, Array, Array]:
        grad_y = positions(grad_output)
        d = grad_y if self.g is None else grad_y * self.g[:, None]
        if self.mean is None:
            d = d - _mean(d)[:, None] - self.z * _mean(d * self.z)[:, None]
        return (d / self.s).reshape(grad_output.shape), (grad_y * self.z).sum(axis=(0, 2)), grad_y.sum(axis=(0, 2))


def _mean(x: Array) -> Array:
    """Return the mean of each channel of (N, C, S) as (C,), over all processes that share the batch."""
    part = batch_part()
    if part is None or part.total is None:
        return x.mean(axis=2).mean(axis=0)
    return part.total(x.mean(axis=2).sum(axis=0)) / x.dtype.type(part.count)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over the batch, or by running statistics, then scale and shift it.

    ``y = (x - mean) / sqrt(variance + eps) * weight + bias``.

    Parameters
    ----------
    input : Tensor of shape (N, C) or (N, C, *)
    running_mean, running_var : Tensor of shape (C,), optional
        In training they move towards the batch's statistics: ``running = (1 - momentum) running + momentum batch``,
        with the unbiased variance, whose divisor is one less than the number of values. Otherwise they normalise.
    weight, bias : Tensor of shape (C,), optional
        The scale and the shift; by default 1 and 0.
    training : bool
        Whether the batch's own mean and variance normalise it.
    momentum : float
        The share of the batch in the running statistics. (Optimisers call the share of the past momentum.)
    eps : float
        Added to the variance, which may be 0.

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    ValueError
        If a shape is wrong, running statistics are missing and `training` is False, or in training a channel has not
        more than one value: it would be 0 whatever it was.

    References
    ----------
    Ioffe and Szegedy 2015, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", algorithms 1 and 2.
    """
    input = as_tensor(input)
    floating("batch_norm", "input", input)
    if input.ndim < 2:
        raise ValueError(f"batch_norm: input must have shape (N, C) or (N, C, *), got {input.shape}")
    N, C, *others = input.shape
    channels: dict[str, Any] = {
        "running_mean": running_mean,
        "running_var": running_var,
        "weight": weight,
        "bias": bias,
    }
    channels = {name: None if tensor is None else as_tensor(tensor) for name, tensor in channels.items()}
    same_dtype("batch_norm", input=input, **channels)
    for name, tensor in channels.items():
        if tensor is not None and tensor.shape != (C,):
            raise ValueError(f"batch_norm: {name} must have shape ({C},), one number a channel, got {tensor.shape}")
    mean, variance = channels["running_mean"], channels["running_var"]
    if (mean is None) != (variance is None):
        raise ValueError("batch_norm: running_mean and running_var must both be given, or neither")
    momentum, eps = number("batch_norm", "momentum", momentum), not_negative("batch_norm", "eps", eps)
    parameters = channels["weight"], channels["bias"]
    if not switch("batch_norm", "training", training):
        if mean is None:
            raise ValueError("batch_norm: running_mean must be given unless training=True, got None")
        same_device("batch_norm", input=input.data, running_mean=mean.data, running_var=variance.data)
        return BatchNorm(mean.data, variance.data, eps)(input, *parameters)
    part = batch_part()
    images = N if part is None or part.total is None else part.count
    count = images * math.prod(others) if C else 0
    if count <= 1:
        raise ValueError(
            f"batch_norm: input must have more than one value per channel in training, got shape {input.shape}"
        )
    operation = BatchNorm(None, None, eps)
    if mean is None:
        return operation(input, *parameters)
    for name in ("running_mean", "running_var"):
        writeable("batch_norm", name, channels[name].data)
    output = operation(input, *parameters)
    with on_device_of(input.data):
        for running, batch in (
            (mean, operation.batch_mean),
            (variance, operation.batch_variance * (count / (count - 1))),
        ):
            running.data *= 1 - momentum
            running.data += momentum * batch
            mark_written(running, "batch_norm")
    return output
