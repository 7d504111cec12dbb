# %% [markdown]
# # 04 Pooling
#
# After three of its five convolutions AlexNet makes the maps smaller: it keeps only the largest number of each small
# window. Nothing is learned here, and hardly a layer is simpler; still it is easy to get wrong. This lesson covers
# overlapping windows, sizes that do not divide evenly, padding, ties, and the backward pass.
#
# You need lesson 01 (gradients), lesson 02 (windows, stride, padding) and lesson 03 (ReLU).

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from matplotlib.patches import Rectangle
from minicnn import Tensor
from minicnn import functional as F
from minicnn.data import load_shapes
from minicnn.lessons import check

# %% [markdown]
# ## Sixteen numbers by hand
#
# Lay a window of 2 x 2 over the upper left corner of a map. Keep its largest number and drop the other three. Then move
# the window by two. That is *max pooling* with window size $K = 2$ and stride $S = 2$.
#
# The function `grid` draws a map with its numbers; we use it throughout.

# %%
COLOURS = ["#2a7ab8", "#c8500a", "#7b4fa3", "#5b6b2f"]


def grid(ax, numbers, title="", frames=(), marked=()):
    """Draw a map's numbers; frame windows (top, left, size, colour)."""
    numbers = np.asarray(numbers)
    H, W = numbers.shape
    ax.set(xlim=(-0.6, W - 0.4), ylim=(H - 0.4, -0.6), aspect="equal")
    for row, column in np.ndindex(H, W):
        fill = "#fbdcc8" if (row, column) in marked else "white"
        place = (column - 0.5, row - 0.5)
        ax.add_patch(Rectangle(place, 1, 1, fc=fill, ec="#c3ccd4"))
        text = f"{numbers[row, column]:g}"
        ax.text(column, row, text, ha="center", va="center", size=11)
    for top, left, size, colour in frames:
        place = (left - 0.42, top - 0.42)
        side = size - 0.16
        ax.add_patch(Rectangle(place, side, side, fill=False, ec=colour, lw=2.5))
    ax.set_title(title, fontsize=10)
    ax.axis("off")


small = np.array(
    [[1.0, 5, 2, 0], [3, 4, 7, 1], [6, 2, 3, 8], [-1, 0, 9, 2]],
)
corners = [(0, 0), (0, 2), (2, 0), (2, 2)]
for top, left in corners:
    window = small[top : top + 2, left : left + 2]
    numbers = ", ".join(f"{number:g}" for number in window.ravel())
    print(f"window at row {top}, column {left}: the largest of", end=" ")
    print(f"{numbers} is {window.max():g}")
x = Tensor(small[np.newaxis, np.newaxis])  # (N, C, H, W) = (1, 1, 4, 4)
pooled = F.max_pool2d(x, kernel_size=2, stride=2).numpy()[0, 0]
print("minicnn:", pooled.tolist())

fig, axes = plt.subplots(1, 2, figsize=(6.5, 3), layout="constrained")
frames = [(*corner, 2, COLOURS[i]) for i, corner in enumerate(corners)]
largest = [(0, 1), (1, 2), (2, 0), (3, 2)]
grid(axes[0], small, "four windows, and the largest of each", frames, largest)
frames = [(*np.divmod(i, 2), 1, COLOURS[i]) for i in range(4)]
grid(axes[1], pooled, "what is kept", frames)
plt.show()

# %% [markdown]
# As a formula: let $W(o)$ be the window of output $o$, a set of places. Then
#
# $$y_o = \max_{p \in W(o)}\ x_p$$
#
# Each channel is pooled separately, and there are no weights.
#
# ## What for?
#
# The paper says that pooling *summarises* the outputs of neighbouring units of a map (section 3.4). That has two
# effects.
#
# First, there are fewer numbers: with stride 2 a quarter. Everything that follows costs less.
#
# Second, it matters less *where* exactly something is. A strong response that moves by a pixel often stays in the same
# window, and the output does not change (*translation invariance*, over small distances). Let us measure it: take a
# hundred images, convolve them with 16 random filters, apply ReLU, and compare the maps with the same maps one pixel
# further to the right.

# %%
images = load_shapes(train=100, test=1).train_images / 255.0
images = Tensor((images - images.mean()).astype(np.float32))
filters = np.random.default_rng(4).normal(size=(16, 3, 5, 5))
filters = Tensor(filters.astype(np.float32))
maps = F.relu(F.conv2d(images, filters, padding=2)).numpy()
here, moved = maps[:, :, :, :-1], maps[:, :, :, 1:]


def change(pool):
    """Return the size of the change, relative to the numbers themselves."""
    before, after = pool(Tensor(here)).numpy(), pool(Tensor(moved)).numpy()
    return np.sqrt(np.sum((after - before) ** 2) / np.sum(before**2))


ways = {
    "not pooled": lambda x: x,
    "every other number": lambda x: x[:, :, ::2, ::2],
    "max, 2x2, stride 2": lambda x: F.max_pool2d(x, 2, 2),
    "max, 3x3, stride 2": lambda x: F.max_pool2d(x, 3, 2),
}
print("maps:", maps.shape)
for name, pool in ways.items():
    print(f"{name:<20} {change(pool):.0%} change by one pixel")

# %% [markdown]
# Dropping every other number saves as much and does not help. Max pooling does help, and larger windows help more.
#
# (The price is that the network no longer knows exactly where something was. To distinguish dogs from cats, that is
# welcome.)
#
# ## Windows that overlap
#
# Usually the windows do not overlap: $S = K$. In AlexNet they are 3 x 3 and move by 2, so that neighbours share a row
# or a column of numbers. The paper calls this *overlapping pooling*.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 2.2), layout="constrained")
for ax, size in zip(axes, (2, 3), strict=True):
    for pixel in range(7):
        place = (pixel - 0.5, -0.5)
        ax.add_patch(Rectangle(place, 1, 1, fc="#e8f1f8", ec="#9ab6cc"))
        ax.text(pixel, 0, pixel, ha="center", va="center")
    for i in range(3):
        level = -0.9 - 0.35 * (i % 2)
        ends = [2 * i - 0.42, 2 * i + size - 0.58]
        ax.plot(ends, [level, level], color=COLOURS[i], lw=5)
    ax.set(xlim=(-0.7, 6.7), ylim=(-1.6, 0.7))
    ax.set_title(f"size {size}, stride 2: the windows on 7 pixels", size=10)
    ax.axis("off")
plt.show()

# %% [markdown]
# How many windows contain each number? The backward pass can tell: the gradient of a *sum* is 1 for each number in it,
# so each place gets one 1 for each of its windows. (An average pool with divisor 1 is a sum; more on it below.)

# %%
x = Tensor(np.zeros((1, 1, 7, 7)), requires_grad=True)
F.avg_pool2d(x, 3, 2, divisor_override=1).sum().backward()
counts = x.grad[0, 0]

fig, ax = plt.subplots(figsize=(3.4, 3.4), layout="constrained")
often = [(int(row), int(column)) for row, column in np.argwhere(counts == 4)]
title = "3x3 windows that contain each place"
grid(ax, counts, title, marked=often)
plt.show()

# %% [markdown]
# Up to four. Keep this in mind for the backward pass.
#
# **Is it worth it?** The paper compares it with 2 x 2 windows at stride 2, which give maps of the same size: 0.4 points
# less top-1 error and 0.3 points less top-5 error, and networks that are "slightly" harder to overfit (section 3.4).
# That is the smallest gain for which it gives a number. We have tried: the network of lesson 10, on CIFAR-10, 24 epochs. With
# 3 x 3 windows its test error was 19.6 to 20.1 % in three runs, with 2 x 2 windows 19.3 and 20.0 % in two (they are in the
# project's folder `docs/results`). Whatever the difference is, it is smaller than that between two seeds.
#
# Are the maps really of the same size? From lesson 02: there are $(H - K) / S + 1$ windows, rounded down.

# %%
for name, side in [("pool1", 55), ("pool2", 27), ("pool5", 13)]:
    print(f"{name} reads {side} x {side}")
    for size in (3, 2):
        x = Tensor(np.zeros((1, 1, side, side)))
        made = F.max_pool2d(x, size, 2).shape[-1]
        exact = f"({side} - {size}) / 2 + 1 = {(side - size) / 2 + 1:g}"
        print(f"    size {size}: {exact}, output {made}")

# %% [markdown]
# They are. But only windows of 3 fit exactly; windows of 2 leave the last row and column of each map unread. (The
# tutorial's own network ends in a 2 x 2 pool on maps of 12 x 12, and gets the same 6 x 6.)
#
# ## What if the size does not fit?
#
# Six pixels, windows of 3, stride 2: $(6 - 3) / 2 + 1 = 2.5$. Either we round **down**, and the last pixel is never
# read. Or we round **up**, and the last window overhangs the edge; it takes the largest of the numbers that exist.
# PyTorch rounds down by default (`ceil_mode=True` rounds up); Caffe, and the authors' own program of 2012, round up.

# %%
x = Tensor(np.array([[[[1.0, 2, 3, 4, 5, 9]]]]))  # one row of six
down = F.max_pool2d(x, (1, 3), (1, 2))
up = F.max_pool2d(x, (1, 3), (1, 2), ceil_mode=True)
print("rounded down:", down.numpy().ravel())
print("rounded up:  ", up.numpy().ravel())
print("three pools in a row on 32 x 32:")
for ceil_mode in (False, True):
    sides = [32]
    for _ in range(3):
        x = Tensor(np.zeros((1, 1, sides[-1], sides[-1])))
        made = F.max_pool2d(x, 3, 2, ceil_mode=ceil_mode)
        sides.append(made.shape[-1])
    print("   up:  " if ceil_mode else "   down:", sides)

# %% [markdown]
# The row of six has a 9 at its end, which rounding down loses. After three pools the last map is 3 x 3 or 4 x 4,
# depending only on the rounding. Weights trained with one do not fit the other.
#
# Rounding up needs one more rule. It could make a window that begins *after* the last pixel and reads nothing. Such a
# window is left out: **a window must begin on a pixel, or in the padding before the first one.** (This holds for rows
# and columns separately.)

# %%
cases = [(6, 3, 2, 0), (5, 2, 3, 1), (7, 2, 4, 0)]
fig, axes = plt.subplots(3, 1, figsize=(8, 4.6), layout="constrained")
for ax, (side, K, S, P) in zip(axes, cases, strict=True):
    row = Tensor(np.zeros((1, 1, 1, side)))
    made = F.max_pool2d(row, (1, K), (1, S), (0, P), ceil_mode=True).shape[-1]
    exact = (side + 2 * P - K) / S + 1
    print(f"{side} pixels, K = {K}, S = {S}, P = {P}:", end=" ")
    print(f"exactly {exact:.2f} windows, rounded up {np.ceil(exact):.0f}", end="")
    print(f", minicnn makes {made}")
    for pixel in range(-P, side + P):
        inside = 0 <= pixel < side
        fill = "#e8f1f8" if inside else "#d9d9d9"
        place = (pixel - 0.5, -0.5)
        ax.add_patch(Rectangle(place, 1, 1, fc=fill, ec="#9ab6cc"))
        text = pixel if inside else "pad"
        ax.text(pixel, 0, text, ha="center", va="center", size=9)
    for i in range(int(np.ceil(exact))):
        start, level = i * S - P, -0.85 - 0.3 * (i % 2)
        style = "-" if i < made else ":"
        ends = [start - 0.42, start + K - 0.58]
        ax.plot(ends, [level, level], color="#c8500a", lw=4, ls=style)
    ax.set(xlim=(-1.7, 10.7), ylim=(-1.5, 0.7))
    title = f"{side} pixels, size {K}, stride {S}, padding {P}, rounded up"
    ax.set_title(title, fontsize=10)
    ax.axis("off")
fig.suptitle("Dotted: a window that is left out because it begins too late")
plt.show()

# %% [markdown]
# AlexNet's pools need no rounding: 55, 27 and 13 fit.
#
# ## Padding is minus infinity
#
# A convolution is padded with zeros. For a maximum, zero is not neutral: among negative numbers it wins, although it is
# not in the data. The number that never wins is minus infinity, so that is the padding value of a max pool.

# %%
cold = -np.array([[3.0, 1, 4], [1, 5, 9], [2, 6, 5]])
# None is short for np.newaxis: (3, 3) -> (1, 1, 3, 3)
right = F.max_pool2d(Tensor(cold[None, None]), 3, 2, padding=1)
zeros_around = np.pad(cold, 1)[None, None]
wrong = F.max_pool2d(Tensor(zeros_around), 3, 2)

fig, axes = plt.subplots(1, 3, figsize=(8, 2.8), layout="constrained")
grid(axes[0], cold, "a map of negative numbers")
grid(axes[1], right.numpy()[0, 0], "pooled, size 3, padding 1")
grid(axes[2], wrong.numpy()[0, 0], "the same with zeros around it: wrong")
plt.show()

# %% [markdown]
# After a ReLU no one would notice, since all numbers are 0 or more. That is why this mistake survives so long.
#
# ## The backward pass: the winner takes it all
#
# How much does $y_o$ change if one number of its window changes a little? As much as that number if it is the largest;
# otherwise not at all. So the whole gradient of an output goes to the place that won, and the others get nothing. A
# place that wins in several windows gets the sum, as always when something is used several times (lesson 01). With
# $g_o = \partial L / \partial y_o$:
#
# $$\frac{\partial L}{\partial x_p} = \sum_{o:\ p \ \mathrm{wins \ in} \ W(o)} g_o$$
#
# By hand: five by five numbers, windows of 3 at stride 2, so four outputs, with the gradients 1, 10, 100 and 1000.

# %%
five = np.array(
    [
        [2.0, 1, 0, 3, 1],
        [0, 4, 1, 2, 8],
        [1, 3, 6, 0, 2],
        [4, 2, 1, 5, 0],
        [0, 7, 3, 1, 2],
    ]
)
incoming = np.array([[1.0, 10], [100, 1000]])
x = Tensor(five[None, None], requires_grad=True)
with minicnn.trace() as trace:
    y = F.max_pool2d(x, 3, 2)
y.backward(incoming[None, None])
for oh, ow in np.ndindex(2, 2):
    window = five[2 * oh : 2 * oh + 3, 2 * ow : 2 * ow + 3]
    print(f"output ({oh}, {ow}): the largest is {window.max():g}", end=", ")
    print(f"its gradient {incoming[oh, ow]:g} goes there")

fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.2), layout="constrained")
corners = [(0, 0), (0, 2), (2, 0), (2, 2)]
frames = [(*corner, 3, COLOURS[i]) for i, corner in enumerate(corners)]
gradient = x.grad[0, 0]
winners = [(int(row), int(column)) for row, column in np.argwhere(gradient)]
grid(axes[0], five, "x, and four windows", frames, winners)
frames = [(*np.divmod(i, 2), 1, COLOURS[i]) for i in range(4)]
grid(axes[1], incoming, "the gradient of y", frames)
grid(axes[2], gradient, "the gradient of x", marked=winners)
plt.show()

# %% [markdown]
# The 6 in the middle is in all four windows, and wins in two of them: it gets 1 + 1000 = 1001. The 8 and the 7 win in
# one each. All others get nothing. Make the 6 a 9, or a 1, and run the cell again.
#
# So the forward pass must remember the winners. For each output minicnn saves *where in its window* the winner was, one
# byte; it is called `index` on the card below.

# %%
next(iter(trace.backward_steps()))

# %% [markdown]
# ## Ties
#
# What if two numbers of a window are the largest? This is not rare. After a ReLU many numbers are 0, and in a window of
# zeros all nine are equal. In the maps that we made above:

# %%
windows = np.lib.stride_tricks.sliding_window_view(maps, (3, 3), (2, 3))
windows = windows[:, :, ::2, ::2]  # stride 2: (N, C, OH, OW, 3, 3)
winners = windows == windows.max(axis=(4, 5), keepdims=True)
tied = winners.sum(axis=(4, 5)) > 1
print(f"windows with several largest numbers: {tied.mean():.0%}")

zeros = Tensor(np.zeros((1, 1, 3, 3)), requires_grad=True)
F.max_pool2d(zeros, 3).backward(np.ones((1, 1, 1, 1)))
print("nine zeros, and a gradient of 1:")
print(zeros.grad[0, 0])
print(minicnn.gradcheck(lambda x: F.max_pool2d(x, 3), zeros, raise_exception=False))

# %% [markdown]
# At a tie there is no derivative. If one of the nine rises, so does the maximum; if it falls, the maximum stays,
# because of the other eight. So the slope to the right differs from the slope to the left, and no measurement can
# decide. (`gradcheck` multiplies each output by a random number first, so its slopes are not 0 and 1.) It takes a
# **rule**. That of PyTorch, Caffe, TensorFlow and minicnn is: *the first* wins, reading row by row.
#
# Giving the gradient to *all* of them would be wrong. For nine zeros, a gradient of 1 would become nine ones: nine
# times as much. Few tests show it, because random numbers never tie. You will meet it again in lesson 13.
#
# ## Average pooling
#
# An *average pool* takes the mean of each window. LeNet had a form of it, AlexNet has none. Its backward pass needs no
# saved arrays: each number of a window of $n$ numbers has a share of $1 / n$, so each gets $g_o / n$, again summed over
# all windows that contain it.

# %%
x = Tensor(five[None, None], requires_grad=True)
y = F.avg_pool2d(x, 3, 2)
y.backward(incoming[None, None])
print("the mean of each window:")
print(y.numpy()[0, 0].round(3))
print("the gradient times 9:")
print((9 * x.grad[0, 0]).round().astype(int))

# %% [markdown]
# The number in the middle is in all four windows and gets a ninth of 1111; its left neighbour, in the two left windows,
# gets a ninth of 101.
#
# The two behave differently. Here is an image's red channel, pooled twice with windows of 3 at stride 2:

# %%
ring = load_shapes(train=60, test=1).train_images[57]
red = Tensor(ring[np.newaxis, :1].astype(np.float32))
once, average = F.max_pool2d(red, 3, 2), F.avg_pool2d(red, 3, 2)
shown = {
    "red, 32 x 32": red,
    "max, once": once,
    "max, twice": F.max_pool2d(once, 3, 2),
    "average, once": average,
    "average, twice": F.avg_pool2d(average, 3, 2),
}
fig, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
for ax, (name, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image.numpy()[0, 0], cmap="Greys_r", vmin=0, vmax=255)
    side = image.shape[-1]
    ax.set_title(f"{name}" + f", {side} x {side}" * (side < 32), size=9)
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# With the maximum, bright areas grow and dark gaps close; the average blurs. In a feature map, "bright" means that the
# filter has found what it looks for, and one find per window is what counts. That speaks for the maximum.
#
# One more thing: max pooling and ReLU commute. Taking the largest number and then cutting off below zero gives the same
# as the reverse order; and pooling first leaves fewer numbers for ReLU. (In AlexNet the normalisation of lesson 05
# comes between the two, so minicnn keeps the paper's order.)

# %%
numbers = Tensor(np.random.default_rng(0).normal(size=(2, 3, 9, 9)))
first_relu = F.max_pool2d(F.relu(numbers), 3, 2).numpy()
first_pool = F.relu(F.max_pool2d(numbers, 3, 2)).numpy()
print("the same numbers:", bool(np.all(first_relu == first_pool)))

# %% [markdown]
# ## Exercises
#
# ### 1. How many windows?
#
# `pool_output_size(size, kernel, stride, padding, ceil_mode)` returns how many windows there are along one side of
# `size` pixels, an integer. `padding` is added at both ends. If `ceil_mode` is False, round down. If it is True, round
# up, but leave out a last window that does not begin on a pixel: counted from the beginning of the left padding, a
# window must begin before `size + padding`.


# %%
def pool_output_size(size, kernel, stride, padding, ceil_mode):
    """Return the number of windows along one side."""
    ### BEGIN SOLUTION
    room = size + 2 * padding - kernel
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    if (count - 1) * stride >= size + padding:
        count -= 1
    return count
    ### END SOLUTION


# %%
check.pool_output_size(pool_output_size)

# %% [markdown]
# ### 2. Forward
#
# `max_pool_forward(x, kernel, stride)` pools one map. `x` is an array of floats of shape (H, W), and the windows are
# square, `kernel` by `kernel`. There is no padding, and the number of windows is rounded down, in both height and
# width. The result has shape (OH, OW). Two loops are enough.


# %%
def max_pool_forward(x, kernel, stride):
    """Return the largest number of each window of x, shape (OH, OW)."""
    ### BEGIN SOLUTION
    OH = (x.shape[0] - kernel) // stride + 1
    OW = (x.shape[1] - kernel) // stride + 1
    y = np.empty((OH, OW))
    for oh, ow in np.ndindex(OH, OW):
        top, left = oh * stride, ow * stride
        y[oh, ow] = x[top : top + kernel, left : left + kernel].max()
    return y
    ### END SOLUTION


# %%
check.max_pool_forward(max_pool_forward)

# %% [markdown]
# ### 3. Backward
#
# `max_pool_backward(x, grad_y, kernel, stride)` returns $\partial L / \partial x$, shape (H, W). `x` is the input of
# the forward pass, and `grad_y`, shape (OH, OW), holds the $g_o$. At a tie the first of the largest numbers takes the
# gradient, row by row.
#
# `window.argmax()` returns the index of the first largest number, counted row by row through the window;
# `np.unravel_index(place, window.shape)` turns it into a row and a column of the window.


# %%
def max_pool_backward(x, grad_y, kernel, stride):
    """Return dL/dx, shape (H, W), from x and dL/dy, shape (OH, OW)."""
    ### BEGIN SOLUTION
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        top, left = oh * stride, ow * stride
        window = x[top : top + kernel, left : left + kernel]
        row, column = np.unravel_index(window.argmax(), window.shape)
        grad_x[top + row, left + column] += grad_y[oh, ow]
    return grad_x
    ### END SOLUTION


# %%
check.max_pool_backward(max_pool_backward)
