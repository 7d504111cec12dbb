"""Lesson 08, AlexNet assembled."""

from dataclasses import dataclass
from typing import Any

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Layers = list[tuple[int, int, int]]

ALEXNET: Layers = [(11, 4, 0), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0)]


# --- parameters -----------------------------------------------------------------------------------------------


def alexnet_conv_parameters(in_channels: int, out_channels: int, kernel: int, groups: int) -> int:
    """Return the number of weights and biases."""
    return out_channels * (in_channels // groups) * kernel**2 + out_channels


parameters = Exercise(
    lesson=8,
    task="Return how many weights and biases a convolution with groups has.",
    solution=alexnet_conv_parameters,
    cases=[(4, 6, 3, 2), (3, 96, 11, 1), (96, 256, 5, 2), (256, 384, 3, 1), (12, 6, 2, 3)],
    mistakes=[
        Mistake(
            "the biases are missing",
            "Each filter adds a bias of its own to its sum.",
            lambda in_channels, out_channels, kernel, groups: out_channels * (in_channels // groups) * kernel**2,
        ),
        Mistake(
            "the groups are ignored",
            "With two groups a filter of conv2 reads 48 of 96 channels. How deep is a filter with `groups` groups?",
            lambda in_channels, out_channels, kernel, groups: out_channels * (in_channels * kernel**2 + 1),
        ),
        Mistake(
            "the filters are divided by the groups too",
            "Each group has its share of the filters, and there are `groups` groups. How many filters are there in "
            "all?",
            lambda in_channels, out_channels, kernel, groups: (
                (out_channels // groups) * (in_channels // groups) * kernel**2 + out_channels
            ),
        ),
        Mistake(
            "the window has only one row",
            "A kernel x kernel window has kernel rows and kernel columns.",
            lambda in_channels, out_channels, kernel, groups: out_channels * ((in_channels // groups) * kernel + 1),
        ),
        Mistake(
            "one bias for the whole layer",
            "A bias belongs to a filter. How many filters are there?",
            lambda in_channels, out_channels, kernel, groups: out_channels * (in_channels // groups) * kernel**2 + 1,
        ),
        Mistake(
            "the groups and the biases are ignored",
            "With two groups a filter of conv2 reads 48 of 96 channels. And each filter has a bias of its own.",
            lambda in_channels, out_channels, kernel, groups: out_channels * in_channels * kernel**2,
        ),
        Mistake(
            "a filter reads only one channel",
            "A filter has a window of weights for each channel that it reads.",
            lambda in_channels, out_channels, kernel, groups: out_channels * (kernel**2 + 1),
        ),
    ],
)


# --- the walk -------------------------------------------------------------------------------------------------


def alexnet_walk(side: int, layers: Layers) -> list[int]:
    """Return the side of the maps after each layer."""
    return _walked(side, layers)


def _walked(side: int, layers: Layers, extra: int = 1, sides_padded: int = 2, up: bool = False) -> list[int]:
    sides = []
    for kernel, stride, padding in layers:
        room = side + sides_padded * padding - kernel
        side = (-(-room // stride) if up else room // stride) + extra
        sides.append(side)
    return sides


def _not_handed_on(side: int, layers: Layers) -> list[int]:
    return [(side + 2 * padding - kernel) // stride + 1 for kernel, stride, padding in layers]


def _rounded(side: int, layers: Layers) -> list[int]:
    sides = []
    for kernel, stride, padding in layers:
        side = round((side + 2 * padding - kernel) / stride) + 1
        sides.append(side)
    return sides


walk = Exercise(
    lesson=8,
    task="Return a list: the side of square maps after each layer, given as (kernel, stride, padding).",
    solution=alexnet_walk,
    cases=[(10, [(3, 1, 0), (2, 2, 0)]), (227, ALEXNET), (224, ALEXNET), (32, [(5, 1, 2), (3, 2, 0), (5, 2, 2)])],
    mistakes=[
        Mistake(
            "the + 1 is missing",
            "A window of 3 on a map of 3 has one place, and 3 - 3 is 0. What counts the place where it starts?",
            lambda side, layers: _walked(side, layers, extra=0),
        ),
        Mistake(
            "padding is counted on one side only",
            "Zeros are added on the left and on the right.",
            lambda side, layers: _walked(side, layers, sides_padded=1),
        ),
        Mistake(
            "every layer gets the image",
            "What does the second layer read: the image, or the output of the first?",
            _not_handed_on,
        ),
        Mistake(
            "sizes are rounded up",
            "A window that no longer fits has no place. Which operator divides and rounds down?",
            lambda side, layers: _walked(side, layers, up=True),
        ),
        Mistake(
            "only the last size is returned",
            "Return a list with one number for each layer.",
            lambda side, layers: _walked(side, layers)[-1],
        ),
        Mistake(
            "sizes are rounded to the nearest number",
            "26.5 places are 26, because half a place is none. Which operator divides and rounds down?",
            _rounded,
        ),
        Mistake(
            "the list starts with the side of the image",
            "Return one number for each layer: the side of its *output*.",
            lambda side, layers: [side, *_walked(side, layers)],
        ),
        Mistake(
            "kernel and stride are exchanged",
            "Each layer is (kernel, stride, padding), in this order.",
            lambda side, layers: _walked(side, [(kernel, stride, padding) for stride, kernel, padding in layers]),
        ),
    ],
)


# --- multiply-adds --------------------------------------------------------------------------------------------


def alexnet_conv_macs(
    side: int, in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> int:
    """Return the number of multiply-adds."""
    places = ((side + 2 * padding - kernel) // stride + 1) ** 2
    return out_channels * (in_channels // groups) * kernel**2 * places


def _a_row_of_places(
    side: int, in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> int:
    return out_channels * (in_channels // groups) * kernel**2 * ((side + 2 * padding - kernel) // stride + 1)


def _at_the_places_of_the_input(
    side: int, in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> int:
    return out_channels * (in_channels // groups) * kernel**2 * side**2


def _biases_too(
    side: int, in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> int:
    places = ((side + 2 * padding - kernel) // stride + 1) ** 2
    return out_channels * ((in_channels // groups) * kernel**2 + 1) * places


def _padded_on_one_side(
    side: int, in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> int:
    return alexnet_conv_macs(side + padding, in_channels, out_channels, kernel, stride, 0, groups)


def _one_place_too_few(
    side: int, in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, groups: int
) -> int:
    places = ((side + 2 * padding - kernel) // stride) ** 2
    return out_channels * (in_channels // groups) * kernel**2 * places


macs = Exercise(
    lesson=8,
    task="Return how many multiply-adds a convolution with groups needs for one image, without the biases.",
    solution=alexnet_conv_macs,
    cases=[
        (5, 2, 4, 3, 1, 0, 1),
        (27, 96, 256, 5, 1, 2, 2),
        (227, 3, 96, 11, 4, 0, 1),
        (13, 256, 384, 3, 1, 1, 1),
        (7, 12, 6, 2, 2, 1, 3),
    ],
    mistakes=[
        Mistake(
            "each weight is used at only one place",
            "That is the number of weights. A filter moves over the image: at how many places is it applied?",
            lambda side, in_channels, out_channels, kernel, stride, padding, groups: (
                out_channels * (in_channels // groups) * kernel**2
            ),
        ),
        Mistake(
            "only one row of places is counted",
            "The output map has rows and columns.",
            _a_row_of_places,
        ),
        Mistake(
            "the places are those of the input",
            "A filter is applied once for each number of the *output* map. How large is that?",
            _at_the_places_of_the_input,
        ),
        Mistake(
            "the groups are ignored",
            "How many channels does a filter read if there are groups?",
            lambda side, in_channels, out_channels, kernel, stride, padding, groups: (
                groups * alexnet_conv_macs(side, in_channels, out_channels, kernel, stride, padding, groups)
            ),
        ),
        Mistake(
            "the biases are counted",
            "A bias is added, but not multiplied.",
            _biases_too,
        ),
        Mistake(
            "the filters are divided by the groups too",
            "Each group has its share of the filters, and there are `groups` groups. How many filters are there in "
            "all?",
            lambda side, in_channels, out_channels, kernel, stride, padding, groups: (
                alexnet_conv_macs(side, in_channels, out_channels, kernel, stride, padding, groups) // groups
            ),
        ),
        Mistake(
            "padding is counted on one side only",
            "Zeros are added on the left and on the right.",
            _padded_on_one_side,
        ),
        Mistake(
            "the + 1 of the places is missing",
            "A window of 3 on a map of 3 has one place, and 3 - 3 is 0.",
            _one_place_too_few,
        ),
    ],
)


# --- the towers -----------------------------------------------------------------------------------------------


def alexnet_meeting_layers() -> tuple[str, ...]:
    """Return the names of the layers that read both towers."""
    return ("conv3", "fc6", "fc7", "fc8")


ASKED = ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


@dataclass(frozen=True, repr=False)
class _Chosen:
    """An answer whose report says how many layers are right, but not which: there is no second input to try."""

    names: frozenset[str]

    def __repr__(self) -> str:
        right = sum((name in self.names) == (name in alexnet_meeting_layers()) for name in ASKED)
        return f"{right} of {len(ASKED)} layers right"


def _chosen(answer: Any) -> _Chosen:
    if not isinstance(answer, tuple | list | set | frozenset):
        raise ValueError('expected a tuple of names, such as ("conv2", "conv4"); a tuple of one name is ("conv2",)')
    if not all(name in ASKED for name in answer):
        raise ValueError(f"each name must be one of {', '.join(ASKED)}")
    return _Chosen(frozenset(answer))


meeting = Exercise(
    lesson=8,
    task="Return a tuple of the names of those layers, conv2 to fc8, in which a unit reads both towers.",
    solution=alexnet_meeting_layers,
    cases=[()],
    measure=_chosen,
    mistakes=[
        Mistake(
            "these are the layers whose units read one tower",
            "These have two groups: a filter reads half of the maps. The question is about the others.",
            lambda: ("conv2", "conv4", "conv5"),
        ),
        Mistake(
            "the fully connected layers are missing",
            "fc6 has 9216 inputs, as the summary shows. How many numbers does one tower have after pool5?",
            lambda: ("conv3",),
        ),
        Mistake(
            "conv3 is missing",
            "Look at the shape of conv3's weight: how many channels does one of its filters read?",
            lambda: ("fc6", "fc7", "fc8"),
        ),
        Mistake(
            "fc8 is missing",
            "fc8 has no towers itself, but its input has: 4096 units, 2048 of each tower.",
            lambda: ("conv3", "fc6", "fc7"),
        ),
        Mistake(
            "the towers meet only at the end",
            "The article says that the branches are merged in the last layer. Look at the orange lines in the drawing.",
            lambda: ("fc8",),
        ),
        Mistake(
            "all layers are listed",
            "A cell of the lesson prints how many maps there are, and how many a filter reads. Where is it half of "
            "them?",
            lambda: ASKED,
        ),
    ],
)

EXERCISES = [parameters, walk, macs, meeting]
