"""The museum of bugs: mistakes that everybody makes once, each small, alone and behind glass.

Every exhibit is a Function that runs without complaint and is wrong, beside the right one, and the check that
tells them apart. Two kinds of check are needed. A gradient check finds a backward that does not belong to its
forward. It cannot find a forward that computes the wrong thing and is differentiated correctly: for that one
needs a reference, which here is the definition written out in plain loops.

Examples
--------
>>> exhibit = exhibits()["relu-writes-into-gradient"]
>>> print(exhibit.complaint(exhibit.broken))
gradcheck failed: ReLUWritesIntoGradient.backward writes into the gradient it is given, which others may need
>>> exhibit.complaint(exhibit.correct)
''
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Literal

import numpy as np

from minicnn.autograd import Function, Tensor
from minicnn.backend import Array, generator, manual_seed, random_uniform
from minicnn.checks import gradcheck
from minicnn.ops.activation import ReLU, Softmax, Tanh
from minicnn.ops.conv import Conv2d
from minicnn.ops.dropout import Dropout
from minicnn.ops.linear import Linear
from minicnn.ops.loss import CrossEntropy
from minicnn.ops.lrn import LocalResponseNorm
from minicnn.ops.pool import AvgPool2d, MaxPool2d

__all__ = ["MUSEUM", "Exhibit", "exhibits"]

Maker = Callable[[], Function]
Place = tuple[int, ...]


def _once(make: Maker, *inputs: Tensor) -> Tensor:
    return make()(*inputs)


@dataclass(frozen=True)
class Exhibit:
    """A mistake, its correction, and the check that tells them apart.

    Attributes
    ----------
    name : str
        What it is called in the registry.
    broken, correct : callable
        Make the wrong and the right Function.
    inputs : callable
        Makes the tensors on which the two are tried.
    caught_by : {"gradcheck", "reference"}
        Which check finds it.
    hint : str
        A question that leads to the mistake without naming it, for the bug hunt.
    use : callable
        How the Function is put to use: ``use(make, *inputs)`` returns the output.
    reference : callable or None
        For exhibits caught by it: the right output for these arrays, in plain loops.
    reference_gradient : callable or None
        If given: the right gradient of the output's sum by the first input, in plain loops.
    """

    name: str
    broken: Maker
    correct: Maker
    inputs: Callable[[], tuple[Tensor, ...]]
    caught_by: Literal["gradcheck", "reference"]
    hint: str
    use: Callable[..., Tensor] = _once
    reference: Callable[..., Array] | None = None
    reference_gradient: Callable[..., Array] | None = None

    @property
    def story(self) -> str:
        """What the mistake is, why it is tempting, and how it shows."""
        return inspect.getdoc(type(self.broken())) or ""

    def complaint(self, make: Maker) -> str:
        """Put a Function to the exhibit's check, and return what speaks against it: nothing if it is right.

        Parameters
        ----------
        make : callable
            ``exhibit.broken``, ``exhibit.correct``, or a candidate of one's own.
        """
        random_state = generator().bit_generator.state
        try:
            return self._complaint(make)
        finally:
            generator().bit_generator.state = random_state

    def _complaint(self, make: Maker) -> str:
        inputs = self.inputs()
        if self.caught_by == "gradcheck":
            report = gradcheck(partial(self.use, make), inputs, raise_exception=False)
            return "" if report else str(report)
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is what one exhibit is about
            output = self.use(make, *inputs)
        arrays = [tensor.numpy() for tensor in inputs]
        complaint = ""
        if self.reference is not None:
            complaint = _difference("output", output.numpy(), self.reference(*arrays))
        if self.reference_gradient is not None and not complaint:
            output.sum().backward()
            complaint = _difference("gradient", inputs[0].grad, self.reference_gradient(*arrays))
        return complaint


def _difference(what: str, found: Array, expected: Array) -> str:
    if found.shape != expected.shape:
        return f"the {what} has shape {found.shape}, the reference {expected.shape}"
    wrong = ~np.isclose(found, expected, rtol=1e-10, atol=1e-10)
    if not wrong.any():
        return ""
    first = tuple(map(int, np.argwhere(wrong)[0]))
    return f"the {what} at {first} is {found[first]:.10g}, the reference says {expected[first]:.10g}"


# --- activations --------------------------------------------------------------------------------------------


class ReLUWritesIntoGradient(ReLU):
    """The incoming gradient is masked in place, and handed on.

    Tempting because it saves an array. But where a value is used twice, both users hold the same gradient
    array, and the second one gets it with holes in.

    Symptom: a plain chain of layers trains perfectly; with the first branch or skip connection, gradients of
    layers that have nothing to do with this one are wrong.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_output[self.y <= 0] = 0
        return grad_output


class ReLUInPlace(ReLU):
    """The input is overwritten with the output.

    Tempting because it halves the memory, and ReLU itself needs only its output. But the array belongs to
    whoever made it, and the operation before may have saved it for its own backward.

    Symptom: right after a convolution, which does not need its output again; wrong after tanh, which does.
    The same input gives another result when it is used a second time.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.y = xp.maximum(x, 0, out=x)
        return self.y


class ReLUMaskedByGradient(ReLU):
    """The gradient is let through where the *gradient* is positive, instead of where the input was.

    Tempting because "max(0, ...) of what comes in" is what forward does, so backward gets the same line.
    (Pictures of what a network sees have been made with this rule on purpose; it is no derivative.)

    Symptom: only positive gradients come through, so a unit is ever told to fall and never to rise, until
    most of them are silent.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return xp.where(grad_output > 0, grad_output, 0)


class TanhDerivativeOfInput(Tanh):
    """1 - x^2 instead of 1 - tanh(x)^2.

    Tempting because the formula is learnt as 1 - y^2 and typed with whatever the saved array is called.

    Symptom: near 0, where tanh(x) = x, nothing is wrong, so it survives small initial weights; once a unit
    leaves [-1, 1] its gradient has the wrong sign, and grows without bound.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return xp.tanh(x)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * (1 - self.x * self.x)


class SoftmaxElementwise(Softmax):
    """dL/dx = dL/dy y (1 - y), as for the sigmoid: the diagonal of the Jacobian only.

    Tempting because softmax looks like an activation function. But every output depends on every input of its
    row.

    Symptom: the gradients of a row no longer add up to zero; training works, slowly, and nobody asks why.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * self.y * (1 - self.y)


class SoftmaxOverflowing(Softmax):
    """e^x without subtracting the largest x first.

    Tempting because it is the formula. But e^710 is more than a float64 holds, and e^89 more than a float32.

    Symptom: none for weeks, then one large score makes inf / inf = NaN, and every parameter is NaN a step
    later.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        e = xp.exp(x)
        self.y = e / e.sum(axis=self.dim, keepdims=True)
        return self.y


# --- fully connected layer and loss -------------------------------------------------------------------------


class LinearForgetsTranspose(Linear):
    """dL/dx = dL/dy w^T, with forward's w^T, instead of dL/dy w.

    Tempting because forward multiplies by w^T, and the shapes agree wherever a layer is as wide as the next.

    Symptom: networks of equally wide layers run and train badly; the first layer of another width raises an
    error about shapes, which is then "repaired" there alone.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        _, grad_w, grad_b = super().backward(xp, grad_output)
        return grad_output @ self.w.T, grad_w, grad_b


class LinearKeepsLastImage(Linear):
    """The weight gradient is assigned for each image of the batch, instead of added up.

    Tempting because the derivation is done for one image, and the loop is put around it afterwards.

    Symptom: it is right with a batch of one, where it is tested; with 128 the network learns as if 127 of
    them were not there: noisily, and better with a smaller learning rate.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        grad_x, grad_w, grad_b = super().backward(xp, grad_output)
        for x, grad_y in zip(self.x, grad_output, strict=True):
            grad_w = xp.outer(grad_y, x)
        return grad_x, grad_w, grad_b


class LinearBiasNotSummed(Linear):
    """The bias was added to every row of the batch, but its gradient is not summed over the rows.

    Tempting because y = ... + b has the derivative 1, so the gradient is handed on as it is. But forward
    broadcast b, and what is read many times gets the sum of what comes back.

    Symptom: the gradient has the batch's shape. Where nobody checks, ``b = b - lr * grad`` broadcasts, and b
    quietly becomes a matrix that fits this batch size only.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        grad_x, grad_w, _ = super().backward(xp, grad_output)
        return grad_x, grad_w, grad_output


class CrossEntropyForgetsMean(CrossEntropy):
    """The loss is the mean over the batch, the gradient p - q is not divided by the batch's size.

    Tempting because p - q is so beautiful that one stops there.

    Symptom: everything works with a learning rate that is 128 times smaller than everybody else's, and stops
    working when the batch size changes.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return (self.p - self.qv) * grad_output


# --- convolution --------------------------------------------------------------------------------------------


class Im2col(Function):
    """All 3x3 windows of a picture, x (N, C, H, W) -> y (3, 3, N, C, H - 2, W - 2); backward is col2im."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        H, W = x.shape[2:]
        shifts = [x[:, :, kh : kh + H - 2, kw : kw + W - 2] for kh in range(3) for kw in range(3)]
        return xp.stack(shifts).reshape(3, 3, *shifts[0].shape)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        H, W = self.input_shape[2:]
        for kh in range(3):
            for kw in range(3):
                grad_x[:, :, kh : kh + H - 2, kw : kw + W - 2] += grad_output[kh, kw]
        return grad_x


class Col2imOverwrites(Im2col):
    """col2im with = for +=: of the windows that read a pixel, only the last one counts.

    Tempting because col2im is im2col with the two sides of the assignment exchanged.

    Symptom: right as long as windows do not overlap, which is how it is tested. With overlapping ones the
    picture's gradient is wrong everywhere but in the corners; only layers *below* the convolution learn badly.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        H, W = self.input_shape[2:]
        for kh in range(3):
            for kw in range(3):
                grad_x[:, :, kh : kh + H - 2, kw : kw + W - 2] = grad_output[kh, kw]
        return grad_x


class ConvFlipsFilters(Conv2d):
    """The filters are turned by 180 degrees before the picture's gradient is computed with col2im.

    Tempting because every text says that the gradient is a convolution with the flipped filter. So it is,
    when it is computed as a convolution. col2im scatters instead of gathering, which is the flip already.

    Symptom: right for filters that look the same upside down; the filters' own gradients are right, so the
    last convolution trains and the ones below drift.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        self.w = self.w[:, :, ::-1, ::-1]
        return super().backward(xp, grad_output)


# --- pooling ------------------------------------------------------------------------------------------------


class MaxPoolZeroPadded(MaxPool2d):
    """The picture is padded with zeros, where a maximum needs minus infinity.

    Tempting because convolution pads with zeros, and a helper for that is there already.

    Symptom: invisible behind a ReLU, whose output is never negative. Behind tanh, or in front of the ReLU,
    every border window of negative numbers gives 0 and sends its gradient into the padding. The gradient is
    right for what is computed, so a gradient check is content.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        (PH, PW), self.padding = self.padding, (0, 0)
        self.inside = slice(PH, PH + x.shape[2]), slice(PW, PW + x.shape[3])
        return super().forward(xp, xp.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW))))

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return super().backward(xp, grad_output)[:, :, *self.inside]


class MaxPoolFeedsAllTies(MaxPool2d):
    """The gradient goes to every element that equals the maximum, instead of to the first.

    Tempting because ``x == y`` finds the maximum in one line.

    Symptom: none on random numbers, which never tie. Behind a ReLU whole windows are 0, and a gradient of 1
    comes out as 9. At a tie there is no derivative, so that no gradient check can decide; only the rule can.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x, self.y = x, super().forward(xp, x)
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros_like(self.x)
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        for oh in range(self.y.shape[2]):
            for ow in range(self.y.shape[3]):
                window = ..., slice(oh * SH, oh * SH + KH), slice(ow * SW, ow * SW + KW)
                largest = self.x[window] == self.y[:, :, oh, ow, None, None]
                grad_x[window] += largest * grad_output[:, :, oh, ow, None, None]
        return grad_x


class MaxPoolOverwrites(MaxPool2d):
    """Each window assigns its gradient to its maximum, instead of adding it.

    Tempting because with windows side by side, each element lies in one of them.

    Symptom: right for 2x2 windows at stride 2. AlexNet's 3x3 windows at stride 2 overlap, and an element that
    is the largest of four of them gets the gradient of the last one only.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        for n, c, oh, ow in np.ndindex(*grad_output.shape):
            kh, kw = divmod(int(self.index[n, c, oh, ow]), self.kernel_size[1])
            h, w = oh * self.stride[0] + kh, ow * self.stride[1] + kw
            grad_x[n, c, h, w] = grad_output[n, c, oh, ow]
        return grad_x


class AvgPoolDividesOnlyForward(AvgPool2d):
    """Forward divides by the window's size, backward hands the whole gradient to each of its elements.

    Tempting because it is the max pool's backward without the question which element it was.

    Symptom: everything below the layer has a gradient 9 times too large: it explodes at a learning rate that
    suits the layers above, and Adam, which does not mind the scale, hides it.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        self.divisor = xp.ones_like(self.divisor)
        return super().backward(xp, grad_output)


# --- local response normalisation ---------------------------------------------------------------------------


def neighbours(values: Array, below: int, above: int) -> Array:
    """Sum over channels c - below to c + above, as far as they exist. values (N, C, *)."""
    sums = [values[:, max(0, c - below) : c + above + 1].sum(axis=1) for c in range(values.shape[1])]
    return np.stack(sums, axis=1)


class LRNWindowOffByOne(LocalResponseNorm):
    """The window ends one channel too early.

    Tempting because the paper's sum runs to i + n/2 *inclusive*, and Python's range does not.

    Symptom: none. The gradient is right for what is computed, and with the paper's alpha = 1e-4 the numbers
    differ in the fifth digit: only a reference with alpha near 1 shows it.
    """

    def __init__(self, below: int, above: int, k: float, a: float, beta: float) -> None:
        super().__init__(below, above - 1, k, a, beta)


class LRNDividesAlpha(LocalResponseNorm):
    """alpha is divided by the window's size, which the paper's formula does not do.

    Tempting because PyTorch, Caffe and ONNX all divide, and their alpha has the same name and default as the
    paper's.

    Symptom: none, but the normalisation is five times weaker than the one described: the paper's 1e-4 is
    their 5e-4.
    """

    def __init__(self, below: int, above: int, k: float, a: float, beta: float) -> None:
        super().__init__(below, above, k, a / (below + above + 1), beta)


class LRNForgetsNeighbours(LocalResponseNorm):
    """A channel's effect on its own denominator is differentiated, its effect on its neighbours' is not.

    Tempting because b_i = a_i / D_i^beta reads like a formula about channel i.

    Symptom: with alpha = 1e-4 the missing term is small, training hardly differs, and a loose tolerance
    passes it.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        D = self.k + self.a * neighbours(self.x * self.x, self.below, self.above)
        own = grad_output * self.x * D ** -(self.beta + 1)
        return grad_output * D**-self.beta - 2 * self.a * self.beta * self.x * own


class LRNWindowNotTransposed(LocalResponseNorm):
    """Backward sums over forward's window, instead of over the channels whose window holds this one.

    Tempting because for odd n, such as the paper's 5, the two are the same.

    Symptom: none for odd n; for even n the window reaches further down than up, and the gradient belongs to a
    layer that looks the other way.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        D = self.k + self.a * neighbours(self.x * self.x, self.below, self.above)
        through_D = neighbours(grad_output * self.x * D ** -(self.beta + 1), self.below, self.above)
        return grad_output * D**-self.beta - 2 * self.a * self.beta * self.x * through_D


# --- dropout ------------------------------------------------------------------------------------------------


class DropoutUnmasked(Dropout):
    """Backward scales the gradient but lets it through to the dropped units as well.

    Tempting because the scale is the part that one is told never to forget.

    Symptom: dropped units learn from an output they had no part in; training is noisier, never plainly
    broken.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output / (1 - self.p)


class DropoutDrawsAgain(Dropout):
    """Backward draws a new mask instead of using forward's.

    Tempting because both need "a random mask", and a function that makes one is at hand.

    Symptom: on average, over many steps, the gradient even points the right way; training is merely noisier.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        keep = random_uniform(xp, grad_output.shape, grad_output.dtype) >= self.p
        return grad_output * keep / (1 - self.p)


class DropoutDividesByP(Dropout):
    """The survivors are divided by p, the probability of being dropped, instead of by 1 - p.

    Tempting because papers mean by p now the one, now the other.

    Symptom: with p = 0.5, AlexNet's, the two are the same. With p = 0.1 training sees activations nine times
    as large as the test does, and the test error is a riddle.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        keep = random_uniform(xp, x.shape, x.dtype) >= self.p
        self.mask = keep / self.p
        return x * self.mask


# --- what is saved ------------------------------------------------------------------------------------------


class Square(Function):
    """y = x^2;  dL/dx = dL/dy 2 x."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return x * x

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * 2 * self.x


class SquareSharesBuffer(Square):
    """What backward needs is saved in a buffer that all uses of the operation share.

    Tempting because it saves an allocation a step, and the shape never changes.

    Symptom: right as long as the operation occurs once in the network. The second use overwrites what the
    first had saved, and the first one's gradient is computed from the second one's numbers.
    """

    buffer = np.empty((3, 4))

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = self.buffer
        self.x[...] = x
        return x * x


# --- references: definitions in plain loops -----------------------------------------------------------------


def _max_pool_windows(x: Array, size: int, stride: int, padding: int) -> Iterator[tuple[Place, list[Place]]]:
    """Yield each output (n, c, oh, ow) with the pixels (n, c, h, w) in its window, padding left out."""
    N, C, H, W = x.shape
    for n, c in np.ndindex(N, C):
        for oh, top in enumerate(range(-padding, H + padding - size + 1, stride)):
            for ow, left in enumerate(range(-padding, W + padding - size + 1, stride)):
                window = [(n, c, h, w) for h in range(top, top + size) for w in range(left, left + size)]
                yield (n, c, oh, ow), [place for place in window if 0 <= place[2] < H and 0 <= place[3] < W]


def _max_pool(x: Array, size: int, stride: int, padding: int) -> Array:
    N, C, H, W = x.shape
    y = np.empty((N, C, (H + 2 * padding - size) // stride + 1, (W + 2 * padding - size) // stride + 1))
    for output, window in _max_pool_windows(x, size, stride, padding):
        y[output] = max(x[place] for place in window)
    return y


def _max_pool_gradient_of_sum(x: Array, size: int, stride: int, padding: int) -> Array:
    grad_x = np.zeros_like(x)
    for _, window in _max_pool_windows(x, size, stride, padding):
        grad_x[max(window, key=lambda place: x[place])] += 1  # of several largest, max() takes the first
    return grad_x


def _paper_lrn(x: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """Krizhevsky et al. 2012, section 3.3, letter for letter."""
    b = np.empty_like(x)
    N = x.shape[1]
    for place in np.ndindex(*x.shape):
        image, i, *position = place
        total = 0.0
        for j in range(max(0, i - n // 2), min(N - 1, i + n // 2) + 1):
            total += x[(image, j, *position)] ** 2
        b[place] = x[place] / (k + alpha * total) ** beta
    return b


def _dropout(x: Array, p: float) -> Array:
    keep = np.random.default_rng(0).random(x.shape) >= p
    return np.where(keep, x / (1 - p), 0)


def _softmax(x: Array) -> Array:
    y = np.empty_like(x)
    for row, column in np.ndindex(*x.shape):
        y[row, column] = 1 / sum(np.exp(min(other - x[row, column], 700)) for other in x[row])
    return y


# --- the rooms ----------------------------------------------------------------------------------------------


def _normal(*shapes: tuple[int, ...], scale: float = 1.0, shift: float = 0.0) -> Callable[[], tuple[Tensor, ...]]:
    def inputs() -> tuple[Tensor, ...]:
        random = np.random.default_rng(0)
        return tuple(Tensor(random.normal(shift, scale, shape), requires_grad=True) for shape in shapes)

    return inputs


def _tied() -> tuple[Tensor, ...]:
    picture = [[0.0, 0, 0, 2, 2], [0, 0, 0, 2, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    return (Tensor(np.array([[picture]]), requires_grad=True),)


def _seeded(make: Maker, *inputs: Tensor) -> Tensor:
    """Use a Function that draws random numbers, with the same ones each time."""
    manual_seed(0)
    return make()(*inputs)


def _twice(make: Maker, x: Tensor) -> Tensor:
    return make()(x) * make()(x + 1)


_ROWS = _normal((3, 4))
_LAYER = _normal((3, 4), (4, 4), (4,))
_PICTURES = _normal((2, 2, 5, 5))
_MAPS = _normal((2, 7, 2, 3))
_LABELS = np.array([0, 3, 2])
_PAPER_LRN = partial(_paper_lrn, n=5, k=2.0, alpha=1.0, beta=0.75)

MUSEUM: list[Exhibit] = [
    Exhibit(
        "relu-writes-into-gradient",
        ReLUWritesIntoGradient,
        ReLU,
        _ROWS,
        "gradcheck",
        "To whom does the gradient that comes in belong?",
    ),
    Exhibit(
        "relu-in-place",
        ReLUInPlace,
        ReLU,
        _ROWS,
        "gradcheck",
        "Look at the input before and after.",
    ),
    Exhibit(
        "relu-masked-by-gradient",
        ReLUMaskedByGradient,
        ReLU,
        _ROWS,
        "gradcheck",
        "Whose sign decides whether a unit was on? Section 3.1.",
    ),
    Exhibit(
        "tanh-derivative-of-input",
        TanhDerivativeOfInput,
        Tanh,
        _normal((3, 4), scale=2.0),
        "gradcheck",
        "What is the slope of tanh at 2, and can it be negative? Section 3.1.",
    ),
    Exhibit(
        "softmax-elementwise",
        partial(SoftmaxElementwise, 1),
        partial(Softmax, 1),
        _ROWS,
        "gradcheck",
        "If one score rises, what happens to the probabilities of the others?",
    ),
    Exhibit(
        "softmax-overflows",
        partial(SoftmaxOverflowing, 1),
        partial(Softmax, 1),
        _normal((3, 4), scale=1000.0),
        "reference",
        "What is e to the power of 1000 in this computer?",
        reference=_softmax,
    ),
    Exhibit(
        "linear-forgets-transpose",
        LinearForgetsTranspose,
        Linear,
        _LAYER,
        "gradcheck",
        "Try a layer whose input and output have different widths.",
    ),
    Exhibit(
        "linear-keeps-last-image",
        LinearKeepsLastImage,
        Linear,
        _LAYER,
        "gradcheck",
        "Does the first image of the batch have any say?",
    ),
    Exhibit(
        "linear-bias-not-summed",
        LinearBiasNotSummed,
        Linear,
        _LAYER,
        "gradcheck",
        "How many rows has the bias been added to?",
    ),
    Exhibit(
        "cross-entropy-forgets-mean",
        partial(CrossEntropyForgetsMean, _LABELS, None, -100, "mean", 0.0),
        partial(CrossEntropy, _LABELS, None, -100, "mean", 0.0),
        _ROWS,
        "gradcheck",
        "Double the batch by repeating it: what should happen to the gradient of each image?",
    ),
    Exhibit(
        "col2im-overwrites",
        Col2imOverwrites,
        Im2col,
        _PICTURES,
        "gradcheck",
        "In how many windows does the middle pixel lie?",
    ),
    Exhibit(
        "conv-flips-filters",
        partial(ConvFlipsFilters, (1, 1), (1, 1), 1),
        partial(Conv2d, (1, 1), (1, 1), 1),
        _normal((2, 2, 5, 5), (3, 2, 3, 3), (3,)),
        "gradcheck",
        "Follow one pixel: by which weight was it multiplied, and by which is its gradient?",
    ),
    Exhibit(
        "max-pool-zero-padded",
        partial(MaxPoolZeroPadded, (3, 3), (2, 2), (1, 1), False),
        partial(MaxPool2d, (3, 3), (2, 2), (1, 1), False),
        _normal((2, 2, 5, 5), shift=-2.0),
        "reference",
        "What is the maximum of a window of negative numbers at the border?",
        reference=partial(_max_pool, size=3, stride=2, padding=1),
    ),
    Exhibit(
        "max-pool-feeds-all-ties",
        partial(MaxPoolFeedsAllTies, (3, 3), (2, 2), (0, 0), False),
        partial(MaxPool2d, (3, 3), (2, 2), (0, 0), False),
        _tied,
        "reference",
        "How much gradient comes out of a window, compared with what went in?",
        reference=partial(_max_pool, size=3, stride=2, padding=0),
        reference_gradient=partial(_max_pool_gradient_of_sum, size=3, stride=2, padding=0),
    ),
    Exhibit(
        "max-pool-overwrites",
        partial(MaxPoolOverwrites, (3, 3), (2, 2), (0, 0), False),
        partial(MaxPool2d, (3, 3), (2, 2), (0, 0), False),
        _normal((2, 2, 7, 7)),
        "gradcheck",
        "How many windows can one pixel win? Section 3.4.",
    ),
    Exhibit(
        "avg-pool-divides-only-forward",
        partial(AvgPoolDividesOnlyForward, (3, 3), (2, 2), (0, 0), False, True, None),
        partial(AvgPool2d, (3, 3), (2, 2), (0, 0), False, True, None),
        _PICTURES,
        "gradcheck",
        "If one pixel rises by 1, by how much does the average rise?",
    ),
    Exhibit(
        "lrn-window-off-by-one",
        partial(LRNWindowOffByOne, 2, 2, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 2, 2.0, 1.0, 0.75),
        _MAPS,
        "reference",
        "Write down which channels are in the window of channel 3. Section 3.3.",
        reference=_PAPER_LRN,
    ),
    Exhibit(
        "lrn-divides-alpha",
        partial(LRNDividesAlpha, 2, 2, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 2, 2.0, 1.0, 0.75),
        _MAPS,
        "reference",
        "Compute one number of the paper's formula by hand. Section 3.3.",
        reference=_PAPER_LRN,
    ),
    Exhibit(
        "lrn-forgets-neighbours",
        partial(LRNForgetsNeighbours, 2, 2, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 2, 2.0, 1.0, 0.75),
        _MAPS,
        "gradcheck",
        "In how many denominators does one activation occur? Section 3.3.",
    ),
    Exhibit(
        "lrn-window-not-transposed",
        partial(LRNWindowNotTransposed, 2, 1, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 1, 2.0, 1.0, 0.75),
        _MAPS,
        "gradcheck",
        "With a window from c - 2 to c + 1: which windows is channel 3 in?",
    ),
    Exhibit(
        "dropout-unmasked",
        partial(DropoutUnmasked, 0.3),
        partial(Dropout, 0.3),
        _ROWS,
        "gradcheck",
        "What is the slope of an output that is 0 whatever the input? Section 4.2.",
        use=_seeded,
    ),
    Exhibit(
        "dropout-draws-again",
        partial(DropoutDrawsAgain, 0.3),
        partial(Dropout, 0.3),
        _ROWS,
        "gradcheck",
        "Are the units that get a gradient those that were awake? Section 4.2.",
        use=_seeded,
    ),
    Exhibit(
        "dropout-divides-by-p",
        partial(DropoutDividesByP, 0.3),
        partial(Dropout, 0.3),
        _ROWS,
        "reference",
        "What is the mean output over many masks, and what should it be? Section 4.2.",
        use=_seeded,
        reference=partial(_dropout, p=0.3),
    ),
    Exhibit(
        "square-shares-buffer",
        SquareSharesBuffer,
        Square,
        _ROWS,
        "gradcheck",
        "Use it twice before you go back.",
        use=_twice,
    ),
]
"""Every exhibit, room by room."""


def exhibits() -> dict[str, Exhibit]:
    """Return the museum by the exhibits' names."""
    return {exhibit.name: exhibit for exhibit in MUSEUM}
