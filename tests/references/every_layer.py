"""Every layer of minicnn.nn, found by itself, with an example of each."""

from minicnn import nn

KINDS: list[type[nn.Module]] = [
    kind
    for kind in (getattr(nn, name) for name in nn.__all__)
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.forward is not nn.Module.forward
    if kind not in (nn.Sequential, nn.BatchNormLayer) and not issubclass(kind, nn.Loss)  # a loss takes a target, too
]

SHAPE = (2, 4, 7, 9)

# Layers that need arguments, and further examples. Other layers are made without any, for an input of SHAPE.
WITH_ARGUMENTS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(4, 6, (3, 2), (2, 3), (1, 2), groups=2), SHAPE),
    (nn.Conv2d(4, 6, 3, bias=False), SHAPE),
    (nn.Conv2d(4, 6, (3, 2), padding=(2, 1), dilation=(2, 3), groups=2), SHAPE),
    (nn.Conv2d(4, 6, (3, 2), padding="same", dilation=(2, 1)), SHAPE),
    (nn.Conv2d(4, 6, 3, 2, padding="valid"), SHAPE),
    (nn.ConvTranspose2d(4, 6, 3), SHAPE),
    (nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), groups=2, dilation=(2, 1), bias=False), SHAPE),
    (nn.MaxPool2d((3, 2), 2, 1, dilation=(1, 3)), SHAPE),
    (nn.MaxPool2d(2, 2, 1, dilation=2, ceil_mode=True), SHAPE),
    (nn.MaxPool2d(3, 2), SHAPE),
    (nn.MaxPool2d(3, 2, ceil_mode=True), (2, 4, 8, 10)),
    (nn.MaxPool2d(2, 2, 1, ceil_mode=True), (2, 4, 7, 8)),
    (nn.AvgPool2d((2, 3), (3, 1), (1, 0), ceil_mode=True), SHAPE),
    (nn.AdaptiveAvgPool2d((3, None)), SHAPE),
    (nn.AdaptiveAvgPool2d(7), (2, 4, 7, 21)),
    (nn.AdaptiveAvgPool2d((7, 9)), SHAPE),
    (nn.BatchNorm2d(4), SHAPE),
    (nn.BatchNorm2d(4, affine=False, track_running_stats=False), SHAPE),
    (nn.BatchNorm1d(4, affine=False), (2, 4)),
    (nn.LocalResponseNorm(3), SHAPE),
    (nn.LocalResponseNorm(3), (2, 4)),
    (nn.ReLU(), (2, 4, 7)),
    (nn.LeakyReLU(0.1), (2, 4)),
    (nn.Tanh(), (2, 4)),
    (nn.Sigmoid(), (2, 4)),
    (nn.Dropout(), (2, 4)),
    (nn.Flatten(), SHAPE),
    (nn.Flatten(2), SHAPE),
    (nn.Flatten(), (2, 4)),
    (nn.Linear(4, 5), (2, 4)),
    (nn.Linear(4, 5, bias=False), (2, 3, 7, 4)),
    (nn.PadTo(9), SHAPE),
]


def examples() -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Return layers with the shape of an input: for every kind that takes images at least one of them."""
    has_one = {type(layer) for layer, shape in WITH_ARGUMENTS if len(shape) == len(SHAPE)} | {nn.BatchNorm1d}
    return [*WITH_ARGUMENTS, *((_without_arguments(kind), SHAPE) for kind in KINDS if kind not in has_one)]


def _without_arguments(kind: type[nn.Module]) -> nn.Module:
    try:
        return kind()
    except TypeError as error:
        raise TypeError(f"every_layer: {kind.__name__} needs arguments; add an example to WITH_ARGUMENTS") from error
