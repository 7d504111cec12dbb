"""Normalisation as layers: over neighbouring channels, with the arguments of four libraries, and over the batch."""

from typing import Any, ClassVar, Self

import numpy as np

from minicnn import functional as F
from minicnn.arguments import not_negative, number, switch, whole
from minicnn.autograd import Tensor, as_tensor
from minicnn.nn import init
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module
from minicnn.nn.parameter import Buffer, Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNormLayer", "LocalResponseNorm"]


class LocalResponseNorm(Module):
    """Divide each number by a measure of its neighbours in other channels.

    b_i = a_i / (k + alpha / size * sum of a_j^2 over the window around channel i)^beta. Input (N, C, *),
    output of the same shape; see :func:`minicnn.functional.local_response_norm`.

    Parameters
    ----------
    size : int
        Number of channels in the window.
    alpha, beta, k : float
        As in the formula. PyTorch divides alpha by `size` and the paper does not: the paper's layer (n = 5,
        alpha = 1e-4, beta = 0.75, k = 2) is ``LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)``, or
        :meth:`from_paper`. :meth:`from_tensorflow` and :meth:`from_caffe` convert the arguments of those.

    References
    ----------
    Krizhevsky et al. 2012, section 3.3.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = whole("LocalResponseNorm", "size", size, 1)
        self.alpha = number("LocalResponseNorm", "alpha", alpha)
        self.beta = number("LocalResponseNorm", "beta", beta)
        self.k = number("LocalResponseNorm", "k", k)

    @classmethod
    def from_paper(cls, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> Self:
        """Make the layer from the paper's numbers: b_i = a_i / (k + alpha * sum of a_j^2)^beta, alpha undivided.

        Parameters
        ----------
        n : int
            How many neighbouring channels the sum runs over, odd: n // 2 on each side.
        k, alpha, beta : float
            As in the paper, whose numbers are the defaults.

        References
        ----------
        Krizhevsky et al. 2012, section 3.3.
        """
        n = _odd("LocalResponseNorm.from_paper", "n", n)
        return cls(n, number("LocalResponseNorm.from_paper", "alpha", alpha) * n, beta, k)

    @classmethod
    def from_tensorflow(cls, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5) -> Self:
        """Make the layer from the arguments of ``tf.nn.local_response_normalization``, whose defaults these are.

        The sum runs over 2 depth_radius + 1 channels, and alpha is not divided. TensorFlow's channels are the
        last dimension; here they are the second.

        Parameters
        ----------
        depth_radius : int
            How many neighbours on each side; 2 in the paper.
        bias : float
            The paper's k.
        alpha, beta : float
            As in the paper.
        """
        size = 2 * whole("LocalResponseNorm.from_tensorflow", "depth_radius", depth_radius, 0) + 1
        k = number("LocalResponseNorm.from_tensorflow", "bias", bias)
        return cls(size, number("LocalResponseNorm.from_tensorflow", "alpha", alpha) * size, beta, k)

    @classmethod
    def from_caffe(cls, local_size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0) -> Self:
        """Make the layer from the parameters of Caffe's LRN across channels, whose defaults these are.

        Caffe divides alpha by local_size, as this class does.

        Parameters
        ----------
        local_size : int
            How many neighbouring channels the sum runs over, odd.
        alpha, beta, k : float
            As in Caffe.
        """
        return cls(_odd("LocalResponseNorm.from_caffe", "local_size", local_size), alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        if len(input_shape) < 2:
            raise ValueError(f"local_response_norm: input must have shape (N, C, *), got {input_shape}")
        return LayerInfo(input_shape, f"LRN over {self.size} channels", notes=("LRN",))

    def to_onnx(self, graph: OnnxGraph) -> None:
        # of an even size the larger half is below the channel here and in PyTorch, above it in ONNX
        if self.size % 2 == 0:
            raise NotImplementedError(f"size must be odd, got {self.size}: ONNX mirrors the windows of an even size")
        if len(graph.input_shape) != 4:
            raise NotImplementedError(f"its input must have shape (N, C, H, W), got {graph.input_shape}")
        graph.add("LRN", size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _odd(function: str, argument: str, value: Any) -> int:
    """Return a window's size, refusing an even one, which has no centre."""
    size = whole(function, argument, value, 1)
    if size % 2 == 0:
        raise ValueError(f"{function}: {argument} must be odd, got {size}")
    return size


class BatchNormLayer(Module):
    """Base class of batch normalisation, whose subclasses differ in the shapes that they accept.

    In training, y = (x - mean) / sqrt(variance + eps) * weight + bias with the mean and the variance of each channel
    over the batch and all positions; in evaluation, with the running ones. See :func:`minicnn.functional.batch_norm`.

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
        Added to the variance.
    momentum : float, optional
        The share of a batch in the running statistics. None: they are the averages over all batches so far.
    affine : bool
        Whether there are `weight` and `bias`.
    track_running_stats : bool
        False: no running statistics; each batch is normalised by its own, in evaluation, too.
    device, dtype
        Of the parameters and buffers, as in :class:`Linear`.
    bias : bool
        False: a scale, if `affine`, and no shift.

    Attributes
    ----------
    weight, bias : Parameter of shape (num_features,) or None
        The scale and the shift, 1 and 0 at first.
    running_mean, running_var : Buffer of shape (num_features,) or None
        0 and 1 at first.
    num_batches_tracked : Buffer of shape () or None
        How many batches they have seen.

    References
    ----------
    Ioffe and Szegedy 2015, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift".
    """

    dimensions: ClassVar[tuple[int, ...]] = ()
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Buffer | None
    running_var: Buffer | None
    num_batches_tracked: Buffer | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.num_features = whole(name, "num_features", num_features, 1)
        self.eps = not_negative(name, "eps", eps)
        self.momentum = None if momentum is None else number(name, "momentum", momentum)
        self.affine = switch(name, "affine", affine)
        self.track_running_stats = switch(name, "track_running_stats", track_running_stats)

        def new(kind: type[Parameter] | type[Buffer], value: float) -> Any:
            kind_of_numbers = init.checked_dtype(name, dtype)
            return init.constant_(kind(init.new_array((self.num_features,), kind_of_numbers, device)), value)

        self.weight = new(Parameter, 1.0) if affine else None
        self.bias = new(Parameter, 0.0) if affine and switch(name, "bias", bias) else None
        tracked = track_running_stats
        self.running_mean, self.running_var = (new(Buffer, 0.0), new(Buffer, 1.0)) if tracked else (None, None)
        self.num_batches_tracked = Buffer(init.new_zero(np.int64, device)) if tracked else None

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input)
        self._check(input.shape)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.data += 1
            if self.momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        own = self.training or self.running_mean is None
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(input, mean, var, self.weight, self.bias, own, momentum, self.eps)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) not in self.dimensions:
            accepted = " or ".join(("(N, C)", "(N, C, L)", "(N, C, H, W)")[number - 2] for number in self.dimensions)
            raise ValueError(f"batch_norm: input must have shape {accepted}, got {shape}")
        if shape[1] != self.num_features:
            raise ValueError(f"batch_norm: input has {shape[1]} channels, the layer takes {self.num_features}")

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        self._check(input_shape)
        return LayerInfo(input_shape, "batch normalisation", notes=("BN",))

    def to_onnx(self, graph: OnnxGraph) -> None:
        if self.running_mean is None or self.running_var is None:
            raise NotImplementedError("track_running_stats must be True: ONNX normalises by running statistics")
        constants = graph.parameters()
        for name, value in (("weight", 1.0), ("bias", 0.0))[len(constants) :]:  # those that are absent
            constants.append(graph.constant(name, np.full(self.num_features, value, np.float32)))
        for name, buffer in (("running_mean", self.running_mean), ("running_var", self.running_var)):
            constants.append(graph.constant(name, buffer.numpy()))
        graph.add("BatchNormalization", *constants, epsilon=self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNormLayer):
    """Batch normalisation of units, (N, C), or of sequences, (N, C, L); parameters as in :class:`BatchNormLayer`."""

    dimensions = 2, 3


class BatchNorm2d(BatchNormLayer):
    """Batch normalisation of maps, (N, C, H, W); parameters as in :class:`BatchNormLayer`."""

    dimensions = (4,)
