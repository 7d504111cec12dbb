"""Local response normalisation as a layer, with the arguments of the paper, PyTorch, TensorFlow and Caffe."""

from typing import Any, Self

from minicnn import functional as F
from minicnn.arguments import number, whole
from minicnn.autograd import Tensor
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module

__all__ = ["LocalResponseNorm"]


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
