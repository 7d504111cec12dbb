"""Lesson 11, speed."""

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]


# --- multiply-adds --------------------------------------------------------------------------------------------


def conv_multiply_adds(
    in_channels: int, out_channels: int, kernel: int, out_height: int, out_width: int, groups: int
) -> int:
    """Return the number of multiply-adds for one image."""
    return out_channels * out_height * out_width * (in_channels // groups) * kernel * kernel


multiply_adds = Exercise(
    lesson=11,
    task="Return the number of multiply-adds of a convolution for one image, without biases.",
    solution=conv_multiply_adds,
    cases=[
        (1, 2, 3, 4, 5, 1),
        (3, 96, 11, 55, 55, 1),
        (96, 256, 5, 27, 27, 2),
        (256, 384, 3, 13, 13, 1),
        (384, 256, 3, 13, 13, 2),
    ],
    mistakes=[
        Mistake(
            "the groups make no difference",
            "With two groups a filter sees half of the channels. How many weights does it have then?",
            lambda i, o, k, h, w, g: o * h * w * i * k * k,
        ),
        Mistake(
            "only one side of the filter is counted",
            "A filter of 3 by 3 has nine weights in each channel.",
            lambda i, o, k, h, w, g: o * h * w * (i // g) * k,
        ),
        Mistake(
            "the weights are counted, but not how often they are used",
            "That is the number of weights. At how many positions of the map is each of them used?",
            lambda i, o, k, h, w, g: o * (i // g) * k * k,
        ),
        Mistake(
            "multiplications and additions are counted separately",
            "A multiplication together with its addition is one multiply-add.",
            lambda i, o, k, h, w, g: 2 * conv_multiply_adds(i, o, k, h, w, g),
        ),
        Mistake(
            "the filters are divided by the groups, too",
            "Each filter belongs to one group, and all filters are computed. What do groups reduce: the filters, or "
            "the channels that a filter sees?",
            lambda i, o, k, h, w, g: (o // g) * h * w * (i // g) * k * k,
        ),
    ],
)


# --- arithmetic intensity -------------------------------------------------------------------------------------


def linear_intensity(batch: int, inputs: int, outputs: int) -> float:
    """Return the operations per byte of a fully connected layer."""
    return 2 * batch * inputs * outputs / (4 * (batch * inputs + inputs * outputs + batch * outputs))


intensity = Exercise(
    lesson=11,
    task="Return the operations per byte of a fully connected layer without bias, at 4 bytes per number.",
    solution=linear_intensity,
    cases=[(1, 2, 3), (1, 4096, 4096), (128, 4096, 4096), (128, 9216, 4096), (32, 4096, 1000)],
    mistakes=[
        Mistake(
            "a multiply-add is counted as one operation",
            "A multiplication is one operation, and the addition is another.",
            lambda batch, inputs, outputs: linear_intensity(batch, inputs, outputs) / 2,
        ),
        Mistake(
            "numbers are counted instead of bytes",
            "How many bytes does a number have?",
            lambda batch, inputs, outputs: linear_intensity(batch, inputs, outputs) * 4,
        ),
        Mistake(
            "the outputs are not written",
            "The outputs have to be written to memory, too.",
            lambda batch, inputs, outputs: 2 * batch * inputs * outputs / (4 * (batch * inputs + inputs * outputs)),
        ),
        Mistake(
            "the weights are read again for every image",
            "Every weight is read once for the whole batch: that is the advantage of a batch.",
            lambda batch, inputs, outputs: 2 * inputs * outputs / (4 * (inputs + inputs * outputs + outputs)),
        ),
        Mistake(
            "the weights are not read",
            "The weights are in memory too, and usually they are the largest part.",
            lambda batch, inputs, outputs: 2 * batch * inputs * outputs / (4 * (batch * inputs + batch * outputs)),
        ),
    ],
)


# --- Winograd's multiplications -------------------------------------------------------------------------------


def winograd_multiplications(tile: int, kernel: int) -> tuple[int, int]:
    """Return the multiplications by the formula and with Winograd's method."""
    return tile**2 * kernel**2, (tile + kernel - 1) ** 2


multiplications = Exercise(
    lesson=11,
    task="Return the multiplications for tile x tile outputs, kernel x kernel filters: by the formula and Winograd's.",
    solution=winograd_multiplications,
    cases=[(4, 3), (2, 5), (2, 3), (1, 3), (6, 3)],
    mistakes=[
        Mistake(
            "only along a line",
            "These are the numbers for a row. In an image, rows and columns are treated the same way: what do 6 points "
            "in each direction make?",
            lambda tile, kernel: (tile * kernel, tile + kernel - 1),
        ),
        Mistake(
            "one point too many",
            "A filter of 3 weights and 4 outputs need 6 pixels, not 7. How many pixels does a row of windows cover?",
            lambda tile, kernel: (tile**2 * kernel**2, (tile + kernel) ** 2),
        ),
        Mistake(
            "the two numbers are exchanged",
            "The multiplications by the formula come first.",
            lambda tile, kernel: ((tile + kernel - 1) ** 2, tile**2 * kernel**2),
        ),
        Mistake(
            "the outputs are counted only along one side",
            "There are tile by tile outputs, and by the formula each takes kernel by kernel multiplications.",
            lambda tile, kernel: (tile * kernel**2, (tile + kernel - 1) ** 2),
        ),
        Mistake(
            "one multiplication for each output",
            "Winograd multiplies once for each point. How many points are there in a row, and how many in a square?",
            lambda tile, kernel: (tile**2 * kernel**2, tile**2),
        ),
    ],
)


# --- cache lines ----------------------------------------------------------------------------------------------


def lines_fetched(count: int, step: int, line: int) -> int:
    """Return how many cache lines contain the numbers that are read."""
    return len({number * step // line for number in range(count)})


lines = Exercise(
    lesson=11,
    task="Return how many cache lines of `line` numbers contain `count` numbers at a distance of `step` numbers.",
    solution=lines_fetched,
    cases=[
        (5, 6, 16),
        (16, 1, 16),
        (17, 1, 16),
        (8, 4, 16),
        (9, 4, 16),
        (3, 7, 16),
        (100, 4096, 16),
        (3, 24, 16),
        (1, 1, 16),
    ],
    mistakes=[
        Mistake(
            "every number has a line of its own",
            "With a step of 1, a line contains 16 of the numbers. Which numbers share a line?",
            lambda count, step, line: count,
        ),
        Mistake(
            "the step is ignored",
            "That would be right if the numbers were side by side.",
            lambda count, step, line: -(-count // line),
        ),
        Mistake(
            "a last line that is not full is left out",
            "17 numbers side by side do not fit in one line of 16, and a single number needs a line, too.",
            lambda count, step, line: count * step // line,
        ),
        Mistake(
            "the step after the last number is counted, too",
            "Between 3 numbers there are 2 steps: in which line is the last number? And are the lines that a long step "
            "skips ever loaded?",
            lambda count, step, line: -(-count * step // line),
        ),
        Mistake(
            "lines that are skipped are counted, too",
            "With a step larger than a line, some lines contain none of the numbers, and are never loaded.",
            lambda count, step, line: (count - 1) * step // line + 1,
        ),
    ],
)

EXERCISES = [multiply_adds, intensity, multiplications, lines]
