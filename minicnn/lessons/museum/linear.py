"""Broken fully connected layers."""

from types import ModuleType
from typing import Any

from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, normal
from minicnn.ops.linear import Linear


class LinearForgetsTranspose(Linear):
    """dL/dx = dL/dy w^T, with forward's w^T, instead of dL/dy w.

    Tempting because forward multiplies by w^T, and the shapes agree wherever input and output have the same width.

    Symptom: networks of equally wide layers run and train badly; the first layer of another width raises a shape
    error, which is then "repaired" there alone.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        _, grad_w, grad_b = super().backward(xp, grad_output)
        return grad_output @ self.w.T, grad_w, grad_b


class LinearKeepsLastImage(Linear):
    """The weight gradient is overwritten for each image of the batch, instead of summed over the batch.

    Tempting because the derivation is done for one image, and the loop is put around it afterwards.

    Symptom: right with a batch of one, where it is tested; with 128 images the network learns from the last one only:
    noisily, and better with a smaller learning rate.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        grad_x, grad_w, grad_b = super().backward(xp, grad_output)
        for x, grad_y in zip(self.x, grad_output, strict=True):
            grad_w = xp.outer(grad_y, x)
        return grad_x, grad_w, grad_b


class LinearBiasNotSummed(Linear):
    """The bias was added to every row of the batch, but its gradient is not summed over the rows.

    Tempting because y = ... + b has the derivative 1, so the gradient is returned unchanged. But forward broadcasts
    b, and the gradient of a value that is used many times is the sum over its uses.

    Symptom: the gradient has one row for each image. Without a shape check, ``b = b - lr * grad`` broadcasts, and b
    silently becomes a matrix that fits this batch size only.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        grad_x, grad_w, _ = super().backward(xp, grad_output)
        return grad_x, grad_w, grad_output


_LAYER = normal((3, 4), (4, 4), (4,))


EXHIBITS = [
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
        "Does the first image of the batch change the weight gradient?",
    ),
    Exhibit(
        "linear-bias-not-summed",
        LinearBiasNotSummed,
        Linear,
        _LAYER,
        "gradcheck",
        "To how many rows was the bias added?",
    ),
]
