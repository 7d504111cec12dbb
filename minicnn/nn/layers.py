"""The layers: each holds its settings and parameters, and calls the function of the same name."""

import math
from typing import Any, Self

import numpy as np

from minicnn import functional as F
from minicnn.arguments import image, number, pair, probability, whole
from minicnn.autograd import Tensor
from minicnn.nn import init
from minicnn.nn.module import Module, Parameter

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "PadTo",
    "ReLU",
    "Sigmoid",
    "Tanh",
]


# --- layers with parameters ---------------------------------------------------------------------------------


class Conv2d(Module):
    """Slide filters over images: :func:`minicnn.functional.conv2d` with a weight and a bias of its own.

    Input (N, C, H, W), output (N, F, OH, OW), OH = floor((H + 2 padding - KH) / stride) + 1.

    Parameters
    ----------
    in_channels, out_channels : int
        C and F, both divisible by `groups`.
    kernel_size, stride, padding : int or pair of int
        For height and width.
    dilation : int
        Only 1.
    groups : int
        Split the channels into that many parts which do not see each other, as AlexNet's two towers (2).
    bias : bool
        Whether a number per filter is added.
    padding_mode : str
        Only "zeros".
    device : str, optional
        Of the parameters: "cpu", "cuda", "cuda:0", ...; by default :func:`minicnn.get_default_device`'s. Wherever
        they are, their values are drawn on the CPU: the same seed gives the same ones.
    dtype : dtype, optional
        Of the parameters: float32, the default, or float64.

    Attributes
    ----------
    weight : Parameter of shape (F, C / groups, KH, KW)
        Drawn from U(-b, b), b = 1 / sqrt(fan_in), fan_in = C / groups * KH * KW.
    bias : Parameter of shape (F,) or None
        Drawn from the same distribution.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        Naming the argument, its value and what is accepted.

    References
    ----------
    Krizhevsky et al. 2012, section 3.5.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = whole("Conv2d", "in_channels", in_channels, 1)
        self.out_channels = whole("Conv2d", "out_channels", out_channels, 1)
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = pair("Conv2d", "padding", padding, 0)
        _only("Conv2d", "dilation", dilation, 1, (1, 1))
        self.groups = whole("Conv2d", "groups", groups, 1)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"Conv2d: {name} must be divisible by groups={self.groups}, got {channels}")
        _only("Conv2d", "padding_mode", padding_mode, "zeros")
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = _weight_and_bias("Conv2d", shape, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, groups=self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text + (", bias=False" if self.bias is None else "")


class Linear(Module):
    """Connect every input to every output: y = x W^T + b. Input (*, in), output (*, out).

    Parameters
    ----------
    in_features, out_features : int
        How many numbers come in and go out.
    bias : bool
        Whether b is there.
    device : str, optional
        Of the parameters: "cpu", "cuda", "cuda:0", ...; by default :func:`minicnn.get_default_device`'s. Wherever
        they are, their values are drawn on the CPU: the same seed gives the same ones.
    dtype : dtype, optional
        Of the parameters: float32, the default, or float64.

    Attributes
    ----------
    weight : Parameter of shape (out, in)
        Drawn from U(-b, b), b = 1 / sqrt(in).
    bias : Parameter of shape (out,) or None
        Drawn from the same distribution.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        Naming the argument, its value and what is accepted.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = whole("Linear", "in_features", in_features, 1)
        self.out_features = whole("Linear", "out_features", out_features, 1)
        shape = (self.out_features, self.in_features)
        self.weight, self.bias = _weight_and_bias("Linear", shape, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        biased = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={biased}"


# --- pooling and normalisation ------------------------------------------------------------------------------


class MaxPool2d(Module):
    """Keep the largest number of each window: :func:`minicnn.functional.max_pool2d`.

    Input (N, C, H, W), output (N, C, OH, OW), OH = floor((H + 2 padding - KH) / stride) + 1.
    With a kernel of 3 and a stride of 2 the windows overlap, as AlexNet's do.

    Parameters
    ----------
    kernel_size, padding : int or pair of int
        For height and width. The padding is minus infinity, so it never wins.
    stride : int or pair of int, optional
        By default `kernel_size`: windows side by side.
    dilation : int
        Only 1.
    return_indices : bool
        Only False.
    ceil_mode : bool
        Round the output's size up instead of down.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        Naming the argument, its value and what is accepted.

    References
    ----------
    Krizhevsky et al. 2012, section 3.4.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = _window("MaxPool2d", kernel_size, stride, padding)
        _only("MaxPool2d", "dilation", dilation, 1, (1, 1))
        _only("MaxPool2d", "return_indices", return_indices, False)
        self.ceil_mode = bool(ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)

    def extra_repr(self) -> str:
        text = f"kernel_size={_short(self.kernel_size)}, stride={_short(self.stride)}"
        return text + f", padding={_short(self.padding)}, ceil_mode={self.ceil_mode}"


class AvgPool2d(Module):
    """Take the mean of each window: :func:`minicnn.functional.avg_pool2d`.

    Input (N, C, H, W), output (N, C, OH, OW), OH = floor((H + 2 padding - KH) / stride) + 1.

    Parameters
    ----------
    kernel_size, padding : int or pair of int
        For height and width.
    stride : int or pair of int, optional
        By default `kernel_size`: windows side by side.
    ceil_mode : bool
        Round the output's size up instead of down.
    count_include_pad : bool
        Whether the zeros of the padding count among the numbers that are averaged.
    divisor_override : int, optional
        Divide the sum by this instead of by the number of numbers.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        Naming the argument, its value and what is accepted.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = _window("AvgPool2d", kernel_size, stride, padding)
        self.ceil_mode = bool(ceil_mode)
        self.count_include_pad = bool(count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        text = f"kernel_size={_short(self.kernel_size)}, stride={_short(self.stride)}"
        return text + f", padding={_short(self.padding)}, ceil_mode={self.ceil_mode}"


class LocalResponseNorm(Module):
    """Divide each number by what its neighbours in the other channels amount to.

    b_i = a_i / (k + alpha / size * sum of a_j^2 over the window around channel i)^beta. Input (N, C, *),
    output of the same shape; see :func:`minicnn.functional.local_response_norm`.

    Parameters
    ----------
    size : int
        How many neighbouring channels the window holds.
    alpha, beta, k : float
        As in the formula. PyTorch divides alpha by `size` and the paper does not: the paper's layer (n = 5,
        alpha = 1e-4, beta = 0.75, k = 2) is ``LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)``, or
        :meth:`from_paper`; :meth:`from_tensorflow` and :meth:`from_caffe` take the numbers of those.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        Naming the argument, its value and what is accepted.

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

        Raises
        ------
        TypeError, ValueError
            If `n` is not an odd, positive integer, or another argument is no number.

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

        Raises
        ------
        TypeError, ValueError
            If `depth_radius` is not an integer of at least 0, or another argument is no number.
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

        Raises
        ------
        TypeError, ValueError
            If `local_size` is not an odd, positive integer, or another argument is no number.
        """
        return cls(_odd("LocalResponseNorm.from_caffe", "local_size", local_size), alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


# --- activations, dropout, shape ----------------------------------------------------------------------------


class ReLU(Module):
    """max(0, x), element by element. Krizhevsky et al. 2012, section 3.1.

    Parameters
    ----------
    inplace : bool
        Only False.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        _only("ReLU", "inplace", inplace, False)

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class Tanh(Module):
    """tanh x, element by element: what ReLU is compared with in Krizhevsky et al. 2012, section 3.1."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + e^-x), element by element."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Dropout(Module):
    """In training, zero each number with probability p and divide the others by 1 - p; else change nothing.

    Parameters
    ----------
    p : float
        Between 0 and 1.
    inplace : bool
        Only False.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        If `p` is not a number, does not lie between 0 and 1, or `inplace` is asked for.

    References
    ----------
    Krizhevsky et al. 2012, section 4.2, which instead multiplies by 1 - p at test time: the same expectation.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = probability("Dropout", "p", p)
        _only("Dropout", "inplace", inplace, False)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Flatten(Module):
    """Lay the dimensions from `start_dim` to `end_dim` out in one: (N, C, H, W) to (N, C*H*W) by default."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class PadTo(Module):
    """Pad pictures with zeros, below and to the right, until they measure `size`. Input (N, C, H, W).

    It makes 227 of AlexNet's 224. The authors' program rounds the number of windows up,
    1 + ceil((224 - 11) / 4) = 55, so that the last ones hang over the edge by three pixels, which is the same.

    Parameters
    ----------
    size : int
        Height and width of the output.
    smallest : int
        The smallest height and width that are padded; what is smaller is refused, for it is hardly meant.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a positive integer, or `smallest` is more than `size`.
    """

    def __init__(self, size: int, smallest: int = 1) -> None:
        super().__init__()
        self.size = whole("PadTo", "size", size, 1)
        self.smallest = whole("PadTo", "smallest", smallest, 1)
        if self.smallest > self.size:
            raise ValueError(f"PadTo: smallest must be at most size={self.size}, got {smallest}")

    def forward(self, input: Tensor) -> Tensor:
        input = input if isinstance(input, Tensor) else Tensor(input)
        image("PadTo", input)
        below, right = self.missing(input.shape)
        return F.pad(input, (0, right, 0, below))

    def missing(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return how many rows and columns pictures of shape (N, C, H, W) are short of.

        Raises
        ------
        ValueError
            If they are larger than `size` or smaller than `smallest`.
        """
        H, W = shape[2:]
        if not all(self.smallest <= side <= self.size for side in (H, W)):
            raise ValueError(
                f"PadTo: input must have a height and width from {self.smallest} to {self.size}, got {H}x{W}"
            )
        return self.size - H, self.size - W

    def extra_repr(self) -> str:
        return f"{self.size}, smallest={self.smallest}"


# --- what several layers do ---------------------------------------------------------------------------------


def _odd(function: str, argument: str, value: Any) -> int:
    """Return a window's size, refusing an even one, which has no middle."""
    size = whole(function, argument, value, 1)
    if size % 2 == 0:
        raise ValueError(f"{function}: {argument} must be odd, got {size}")
    return size


def _only(layer: str, argument: str, value: Any, *accepted: Any) -> None:
    """Refuse an argument that PyTorch has, for any value that is not supported here."""
    if not any(type(value) is type(choice) and value == choice for choice in accepted):
        choices = " or ".join(map(repr, accepted))
        raise NotImplementedError(f"{layer}: {argument}={value!r} is not supported; accepted: {choices}")


Pair = tuple[int, int]


def _window(layer: str, kernel_size: Any, stride: Any, padding: Any) -> tuple[Pair, Pair, Pair]:
    kernel_size = pair(layer, "kernel_size", kernel_size, 1)
    stride = kernel_size if stride is None else pair(layer, "stride", stride, 1)
    return kernel_size, stride, pair(layer, "padding", padding, 0)


def _short(values: Pair) -> str:
    """Write a pair of equal numbers as one."""
    return str(values[0] if values[0] == values[1] else values)


def _weight_and_bias(
    layer: str, shape: tuple[int, ...], bias: bool, device: str | None, dtype: Any
) -> tuple[Parameter, Parameter | None]:
    """Make the parameters as PyTorch does: both from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))."""
    if not isinstance(bias, bool):
        raise TypeError(f"{layer}: bias must be True or False, got {bias!r}")
    if dtype not in (None, "float32", "float64", np.float32, np.float64):
        raise NotImplementedError(f"{layer}: dtype={dtype!r} is not supported; accepted: float32 or float64")
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    weight = Parameter(init.new_array(shape, dtype or np.float32, device))
    init.uniform_(weight, -bound, bound)
    if not bias:
        return weight, None
    return weight, init.uniform_(Parameter(init.new_array(shape[:1], dtype or np.float32, device)), -bound, bound)
