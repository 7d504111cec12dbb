# %% [markdown]
# # 02 Convolution
#
# AlexNet's first five layers slide small filters over an image. This lesson does so by hand, on sixteen numbers. Then
# it counts how many windows fit (and shows why 224 does not work), turns all windows into one matrix product, and
# derives the backward pass: three gradients, each checked.
#
# You need lesson 01 (tensors, gradients, the backward pass).

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, data, kernels, nn, viz
from minicnn import functional as F
from minicnn.lessons import check

# %% [markdown]
# ## Too many weights
#
# A fully connected layer has a weight for each pair of an input and an output. AlexNet's first layer reads a colour
# image, 3 times 227 times 227 numbers (below we see why not 224), and outputs 96 times 55 times 55 numbers. How many
# weights would that be?

# %%
inputs = 3 * 227 * 227
outputs = 96 * 55 * 55
print(f"numbers in:  {inputs:,}")
print(f"numbers out: {outputs:,}")
print(f"a weight for each pair:      {inputs * outputs:,}")
print(f"    at four bytes each:      {4 * inputs * outputs / 1e9:.0f} GB")
print(f"96 filters of 3 x 11 x 11:   {96 * 3 * 11 * 11:,}")

# %% [markdown]
# 180 gigabytes of weights for one layer; a GPU of 2012 had 3 (paper, section 3.2). A *convolution* needs only the last
# line, thanks to two ideas:
#
# 1. **Local windows.** Whether there is an edge here depends on the pixels around here.
# 2. **Shared weights.** An edge is an edge, at the top left as well as at the bottom right.
#
# The weights for one window are a *filter* (or kernel). It slides over the image.
#
# ## Sixteen numbers by hand
#
# Here is an image of four by four pixels, and a filter of two by two. Lay the filter on the image's top left corner,
# multiply each weight by the pixel below it, and add up. That is the first number of the output. Then move on by one.

# %%
image = np.array(
    [
        [1.0, 2.0, 0.0, 1.0],
        [0.0, 1.0, 3.0, 1.0],
        [2.0, 1.0, 0.0, 0.0],
        [1.0, 0.0, 2.0, 1.0],
    ]
)
filter_ = np.array([[1.0, 2.0], [3.0, -1.0]])

for top, left in [(0, 0), (0, 1), (1, 1)]:
    window = image[top : top + 2, left : left + 2]
    pairs = zip(filter_.flat, window.flat, strict=True)
    products = " + ".join(f"({w:.0f})({x:.0f})" for w, x in pairs)
    print(f"window at row {top}, column {left}:", end=" ")
    print(f"{products} = {np.sum(filter_ * window):.0f}")

# %% [markdown]
# Let $x_{p, q}$ be the pixel in row $p$, column $q$, and $w_{i, j}$ the filter's weight in row $i$, column $j$, all
# counted from 0. The output $y_{r, c}$ in row $r$, column $c$ is
#
# $$y_{r, c} = \sum_{i, j} w_{i, j}\ x_{r + i,\ c + j}$$
#
# where the sum runs over all weights of the filter. Four by four pixels have room for three by three windows, so there
# are nine outputs. In Python that is a loop over the outputs, with our hand calculation inside.
#
# In minicnn this is `conv2d`, in the module of functions that the lessons import as `F`. It wants the image as (N, C,
# H, W): N images, C *channels* (colours), H rows, W columns; and the filters as (F, C, KH, KW): F filters, each with KH
# rows and KW columns for every channel. The output is (N, F, OH, OW): for each image F maps of OH rows and OW columns.
# Here N, C and F are 1, and `reshape` adds these axes of length 1 in front.

# %%
by_hand = np.zeros((3, 3))
for r in range(3):
    for c in range(3):
        by_hand[r, c] = np.sum(filter_ * image[r : r + 2, c : c + 2])
print(by_hand)

x = Tensor(image.reshape(1, 1, 4, 4))
w = Tensor(filter_.reshape(1, 1, 2, 2))
y = F.conv2d(x, w)
print("shape of conv2d's output:", y.shape)
print("the same as by hand:", np.array_equal(y.numpy()[0, 0], by_hand))

# %% [markdown]
# **A word about the name.** A mathematician's convolution first rotates the filter by 180 degrees. Without the rotation
# it is a *cross-correlation*. Neural networks use the latter and call it convolution all the same: the filter is
# learned, so its orientation makes no difference. Rotated filters return below, in the backward pass.
#
# ## What a filter sees
#
# A filter answers strongly where the image looks like the filter. One with negative weights on the left and positive
# ones on the right answers where the image gets lighter from left to right. Here are two filters on an image of 32 by
# 32 pixels.

# %%
shapes = data.load_shapes(train=8, test=1)
grey = shapes.train_images[7].mean(axis=0) / 255  # (3, 32, 32) -> (32, 32)
rightwards = np.array([[-1.0, 0.0, 1.0]] * 3)
downwards = rightwards.T
both = np.stack([rightwards, downwards])[:, np.newaxis]  # to (2, 1, 3, 3)
answers = F.conv2d(Tensor(grey.reshape(1, 1, 32, 32)), Tensor(both))
print("two maps:", answers.shape)

fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
axes[0].imshow(grey, cmap="gray", vmin=0, vmax=1)
axes[0].set_title("the image", fontsize=10)
titles = ["lighter to the right?", "lighter downwards?"]
for ax, map_, title in zip(axes[1:], answers.numpy()[0], titles, strict=True):
    shown = ax.imshow(map_, cmap="RdBu_r", vmin=-2, vmax=2)
    ax.set_title(title, fontsize=10)
for ax in axes:
    ax.set(xlabel="column", ylabel="row")
fig.colorbar(shown, ax=axes, label="answer", shrink=0.8)
plt.show()

# %% [markdown]
# Red means that it gets lighter in that direction, blue that it gets darker, white that nothing changes. Each filter
# makes an image of its own, called a *feature map*, or *map* for short. Its sides are 30, not 32: no window is centred
# on the first or the last row or column. No one designs AlexNet's filters; it learns them, and lesson 12 looks at what
# it has learned.
#
# ## Padding and stride
#
# Two settings change where the windows lie:
#
# - **padding** $P$: the number of zeros added to each side of the image;
# - **stride** $S$: the number of pixels by which the window moves.
#
# Rows and columns behave alike, so it is enough to look at one row of $H$ pixels and a filter of $K$ weights.


# %%
def draw_windows(ax, H, K, S, P):
    """Draw a row of pixels, its padding, and where the windows lie."""
    for i in range(H + 2 * P):
        inside = P <= i < P + H
        colour = "#2a7ab8" if inside else "#d5dde5"
        ax.add_patch(plt.Rectangle((i, 0), 1, 0.8, fc=colour, ec="white"))
    starts = range(0, H + 2 * P - K + 1, S)
    for number, start in enumerate(starts):
        height = -0.5 - 0.5 * number
        ax.plot([start + 0.1, start + K - 0.1], [height] * 2, "#c8500a", lw=3)
    ax.set(xlim=(-0.2, 9.2), ylim=(-4.2, 1), xticks=[], yticks=[])
    title = f"H = {H}, K = {K}, S = {S}, P = {P}: {len(starts)} windows"
    ax.set_title(title, fontsize=10)
    ax.set_frame_on(False)


fig, axes = plt.subplots(2, 2, figsize=(10, 5), layout="constrained")
for ax, settings in zip(
    axes.flat,
    [(7, 3, 1, 0), (7, 3, 1, 1), (7, 3, 2, 0), (8, 3, 2, 0)],
    strict=True,
):
    draw_windows(ax, *settings)
fig.suptitle("Blue: pixels. Grey: padding. Orange: the windows.", fontsize=11)
plt.show()

# %% [markdown]
# The padded row has $H + 2P$ pixels. The first window begins at 0, and the last possible one at $H + 2P - K$; beyond
# that a window would stick out. Between the two we take steps of $S$, whole steps only: at the lower right above, no
# window sees the last pixel. So the number of outputs is
#
# $$O = \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1$$
#
# where the brackets mean *rounded down*, and the 1 is the first window, which needs no step. Two cases have names:
#
# - **valid**: no padding, $P = 0$. Every window sees real pixels only.
# - **same**: the output is as large as the input. With $S = 1$ and odd $K$ that takes $P = (K - 1)/2$: AlexNet's 5x5
#   filters have padding 2, its 3x3 filters padding 1.
#
# ## 224 or 227?
#
# According to the paper, images are 224 by 224, the first filters are 11 by 11 with stride 4, and the next layer has 55
# by 55 places (section 3.5 and figure 2). See where the windows begin, and how large the output of `F.conv2d` is for
# a black image of each size.

# %%
for H in (224, 227):
    starts = list(range(0, H - 11 + 1, 4))
    print(f"H = {H}: (H - 11)/4 = {(H - 11) / 4}")
    print(f"    windows begin at {starts[:3]} ... {starts[-1]}", end=", ")
    print(f"there are {len(starts)}")
    print(f"    the last one ends at {starts[-1] + 10}", end=", ")
    print(f"the last pixel is {H - 1}")

ways = {
    "224, no padding (the tutorial's Keras code)": (224, 0),
    "padded to 227 (the tutorial's text, minicnn)": (227, 0),
    "224 and padding 2 (torchvision)": (224, 2),
}
eleven = Tensor(np.zeros((1, 1, 11, 11)))
for way, (H, P) in ways.items():
    black = Tensor(np.zeros((1, 1, H, H)))
    output = F.conv2d(black, eleven, stride=4, padding=P)
    print(f"{way:<46} {output.shape[2]} x {output.shape[3]}")

# %% [markdown]
# 224 gives 54, and no window sees the last row or column of pixels. 55 needs 227. So 224 is a slip, and each
# implementation fixes it in its own way. (torchvision is PyTorch's collection of vision models.) The authors' own
# program takes 224 and rounds *up*: its last windows overhang the right and lower edges and see zeros there. minicnn
# does the same by adding three rows and columns of zeros at those edges.
#
# ## Colours, many filters, and a bias
#
# A colour image has three channels, so a filter has weights for all three, and the sum runs over them as well. Then the
# filter's *bias* $b_f$ is added to the whole map. $F$ filters make $F$ maps, which are the channels of the next layer.
# For filter $f$, stride $S$ and no padding:
#
# $$y_{f, r, c} = b_f + \sum_{k, i, j} w_{f, k, i, j}\ x_{k,\ rS + i,\ cS + j}$$
#
# where $k$ counts the channels. Here is one number of AlexNet's first layer, computed by this formula:

# %%
minicnn.manual_seed(0)
conv1 = nn.Conv2d(3, 96, 11, stride=4)
random = np.random.default_rng(0)
photo = random.normal(size=(1, 3, 227, 227)).astype(np.float32)
maps = conv1(Tensor(photo))
print("photo", photo.shape, " filters", conv1.weight.shape, end="  ")
print("maps", maps.shape)

f, r, c = 40, 7, 20
window = photo[0, :, r * 4 : r * 4 + 11, c * 4 : c * 4 + 11]
weights, bias = conv1.weight.numpy()[f], conv1.bias.numpy()[f]
print("window", window.shape, " filter", weights.shape)
number = np.sum(window * weights) + bias
print(f"by the formula {number:.4f}", end=", ")
print(f"by the layer {maps.numpy()[0, f, r, c]:.4f}")

# %% [markdown]
# What does this layer cost? Its *parameters* (what is learned) are the weights and the biases. Its work is counted in
# *multiply-adds*: one for each weight at each place of each map.
#
# **Two towers.** The network of 2012 had to be split over two GPUs. In the second, fourth and fifth convolution a
# filter sees only the half of the channels on its own GPU. Today such parts are called *groups*. The cell counts the
# second convolution's parameters without and with them.

# %%
per_filter = 3 * 11 * 11
parameters = 96 * per_filter + 96
multiply_adds = 96 * 55 * 55 * per_filter
print(f"weights per filter:  {per_filter}")
print(f"parameters:          {parameters:,}")
print(f"multiply-adds:       {multiply_adds:,} for one image")
print(f"each weight is used  {55 * 55:,} times per image")

for groups in (1, 2):
    conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=groups)
    count = conv2.weight.numel() + conv2.bias.numel()
    print(f"groups={groups}: filters {conv2.weight.shape}", end=", ")
    print(f"{count:,} parameters")

# %% [markdown]
# Few parameters and much work: that is a convolution. (The paper gives the first layer 253,440 neurons; the maps it
# describes have the 290,400 numbers counted at the beginning.)
#
# With two groups the first 128 filters see channels 0 to 47 and the others channels 48 to 95: half the weights, and
# half the work. Lesson 08 puts the whole network together.
#
# ## Every window becomes a column
#
# Python loops are slow, and computers are best at one thing: the product of two large matrices. So write every window
# as a column of a matrix $X$, pixel by pixel, row after row, and the filter as a row in the same order. Row times
# matrix then gives all outputs at once. The step from the image to $X$ is called *im2col*.

# %%
col = np.empty((1, 2, 2, 1, 3, 3))  # (C, KH, KW, N, OH, OW)
# windows of 2x2, stride 1, padding 0, dilation 1: each in height and width
kernels.im2col(x.numpy(), 2, 2, 1, 1, 0, 0, 1, 1, col)
X = col.reshape(4, 9)  # C KH KW rows, N OH OW columns
W = filter_.reshape(1, 4)
print("X, a column for each window:")
print(X)
print("W:", W)
print("W X:", W @ X)
print("as a map again:")
print((W @ X).reshape(3, 3))

# %% [markdown]
# Look at the first column: 1, 2, 0, 1 is the top left window, read row by row. The next column is the window beside it.
# Start the animation; pause it where you like, and step with the buttons.

# %%
viz.animate_im2col(image, filter_)

# %% [markdown]
# More filters add rows to $W$; more channels add rows to $X$ (and columns to $W$); more images add columns to $X$. For
# one image in AlexNet's first layer:

# %%
rows, columns = per_filter, 55 * 55
print(f"W: 96 x {rows}   X: {rows} x {columns}   W X: 96 x {columns}")
print(f"the image has {inputs:,} numbers, X has {rows * columns:,}")
print(f"X is {rows * columns / inputs:.1f} times as large")

# %% [markdown]
# That is the price: a pixel is copied once for each window that sees it, about $K \cdot K / (S \cdot S)$ times. So
# minicnn makes $X$ for a few images at a time, not for the whole batch. Lesson 11 looks at two algorithms that need no
# $X$ at all.
#
# ## The backward pass
#
# Training needs to know how the loss $L$ changes with each weight, each bias and each pixel. The upstream gradient has
# a number for each output: $g_{r, c} = \partial L / \partial y_{r, c}$. Take some values for our nine outputs, and go
# backward.

# %%
g = np.array([[1.0, -1.0, 2.0], [3.0, 2.0, 0.0], [0.0, 1.0, -2.0]])
x = Tensor(image.reshape(1, 1, 4, 4), requires_grad=True)
w = Tensor(filter_.reshape(1, 1, 2, 2), requires_grad=True)
b = Tensor(np.zeros(1), requires_grad=True)
y = F.conv2d(x, w, b)
y.backward(g.reshape(1, 1, 3, 3))  # starts at y, with g in place of 1
print("dL/db:", b.grad)
print("dL/dw:")
print(w.grad[0, 0])
print("dL/dx:")
print(x.grad[0, 0])

# %% [markdown]
# Where do these numbers come from?
#
# **The bias** is added to every output. If it rises by 1, each output rises by 1. So its gradient is the sum of all
# $g$.
#
# **A weight** is used in every window. $w_{0, 1}$ was multiplied by $x_{0, 1}$ for the first output, by $x_{0, 2}$ for
# the second, and so on: by the nine pixels one column to the right of a window's corner. In general, with stride 1,
#
# $$\frac{\partial L}{\partial w_{i, j}} = \sum_{r, c} g_{r, c}\ x_{r + i,\ c + j}$$
#
# These pixels are one row of $X$! So the whole gradient is a matrix product too: $G X^T$, where $G$ is $g$ written as a
# row and $X^T$ is the transpose of $X$.

# %%
G = g.reshape(1, 9)
print("dL/db:", g.sum())
print("nine pixels multiplied by w[0, 1]:", X[1])
print("times g, summed:", np.sum(X[1] * G[0]))
print("dL/dw by the product:", G @ X.T)

# %% [markdown]
# **A pixel** is seen by several windows, each with a different weight. Take $x_{1, 1}$, which four windows see. It is
# at the lower right of the first, so its weight there was $w_{1, 1}$; at the lower left of the second, with $w_{1, 0}$;
# and so on. Each window sends back its $g$ times its weight, and they add up:

# %%
total = 0.0
for r, c in [(0, 0), (0, 1), (1, 0), (1, 1)]:
    i, j = 1 - r, 1 - c  # where pixel (1, 1) lies in the window
    part = g[r, c] * filter_[i, j]
    total += part
    print(f"output ({r}, {c}) used it with weight ({i}, {j}):", end=" ")
    print(f"{g[r, c]:.0f} times {filter_[i, j]:.0f} is {part:.0f}")
print(f"sum {total:.0f}, minicnn says {x.grad[0, 0, 1, 1]:.0f}")

# %% [markdown]
# With matrices: each column of $W^T G$ says what one window sends back to its pixels. Then *col2im* puts each column
# back where its window was, and **adds** where windows overlap.

# %%
print("W^T G:")
print(W.T @ G)
viz.animate_col2im(g, filter_, (4, 4))

# %% [markdown]
# The last frame is `dL/dx` from above. A pixel in the middle receives from four windows, one in a corner from one.
#
# ## The backward pass is a convolution, too
#
# Look again at pixel $(1, 1)$. The top left $g$ was multiplied by the bottom right weight, the top right $g$ by the
# bottom left one: the filter lies on $g$ *rotated by 180 degrees*. Pixels at the edge are seen by fewer windows; zeros
# around $g$ stand for the missing ones. So with stride 1, $\partial L / \partial x$ is the convolution of $g$, padded
# by $K - 1$, with the rotated filter.
#
# Channels and filters swap roles: forward, a filter gathers from all channels; backward, a channel gathers from all
# filters. In the second half of the cell 4 filters on 3 channels become 3 filters on 4 channels. Its forward has
# padding 1. $K - 1$ zeros around $g$ would give the gradient of the *padded* image, whose outer $P$ rows and columns
# are not needed; so $K - 1 - P$ are enough.

# %%
rotated = filter_[::-1, ::-1].copy()
print("the rotated filter:")
print(rotated)
back = F.conv2d(
    Tensor(g.reshape(1, 1, 3, 3)),
    Tensor(rotated.reshape(1, 1, 2, 2)),
    padding=1,
)
print("g convolved with it:")
print(back.numpy()[0, 0])
print("equal to dL/dx:", np.array_equal(back.numpy(), x.grad))

random = np.random.default_rng(2)
x = Tensor(random.normal(size=(2, 3, 6, 7)), requires_grad=True)
w = Tensor(random.normal(size=(4, 3, 3, 3)), requires_grad=True)
y = F.conv2d(x, w, padding=1)
g = random.normal(size=y.shape)
y.backward(g)

# Swap axes 0 and 1, and rotate each filter: rows and columns reversed.
swapped = w.numpy().swapaxes(0, 1)[:, :, ::-1, ::-1].copy()
print("filters", w.shape, " for the backward pass", swapped.shape)
back = F.conv2d(Tensor(g), Tensor(swapped), padding=3 - 1 - 1)  # K - 1 - P
print("equal to dL/dx:", np.allclose(back.numpy(), x.grad))

# %% [markdown]
# ## Is it right?
#
# `minicnn.gradcheck` moves every input a little up and down, measures how a loss changes, and compares this with the
# result of `backward` (lesson 01). With stride 2, padding 1 and two groups it tests everything:

# %%
x = Tensor(random.normal(size=(2, 4, 6, 7)), requires_grad=True)
w = Tensor(random.normal(size=(6, 2, 3, 3)), requires_grad=True)
b = Tensor(random.normal(size=6), requires_grad=True)


def convolve(x, w, b):
    return F.conv2d(x, w, b, stride=2, padding=1, groups=2)


print(minicnn.gradcheck(convolve, (x, w, b)))

# %% [markdown]
# Here is what minicnn runs: the two edge filters from the beginning, on a card. (Each map now has a frame: with padding
# 1 the filters see the edge between the image and the zeros around it.) Unfold its code to see `im2col` and the matrix
# product, and its documentation for the backward pass. (`use_kernels("numpy")` selects the version with the matrix; the
# compiled default is faster.) Its letters are n, f, c, oh, ow, kh, kw for image, filter, channel, output row and
# column, filter row and column; SH and SW are the stride, PH and PW the padding.

# %%
x = Tensor(grey.reshape(1, 1, 32, 32))
with minicnn.use_kernels("numpy"), minicnn.trace() as trace:
    F.conv2d(x, Tensor(both), padding=1)
next(iter(trace.forward_steps()))

# %% [markdown]
# ## Exercises
#
# Fill in the functions, and run the cell below each to check it. All numbers are floats in arrays, and sizes are
# integers. Do not change the arguments.
#
# ### 1. How large is the output?
#
# `conv_output_size(size, kernel, stride, padding)` returns how many windows fit along one side: a row of `size` pixels,
# a filter of `kernel` weights, and `padding` zeros on each side. The result is an integer. For instance
# `conv_output_size(7, 3, 2, 1)` is 4.


# %%
def conv_output_size(size, kernel, stride, padding):
    """Return the number of windows along one side."""
    ### BEGIN SOLUTION
    return (size + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


# %%
check.conv_output_size(conv_output_size)

# %% [markdown]
# ### 2. The bias's gradient
#
# `grad_y`, shape (N, F, OH, OW), holds the gradients of all outputs of F filters for N images.
# `conv_bias_gradient(grad_y)` returns the gradient of the biases, shape (F,): filter $f$ has one bias, which was added
# to every number of its map, in every image.


# %%
def conv_bias_gradient(grad_y):
    """Return dL/db, shape (F,), from dL/dy, shape (N, F, OH, OW)."""
    ### BEGIN SOLUTION
    return grad_y.sum(axis=(0, 2, 3))
    ### END SOLUTION


# %%
check.conv_bias_gradient(conv_bias_gradient)

# %% [markdown]
# ### 3. im2col
#
# `im2col_one_channel(x, KH, KW, stride)` returns the matrix $X$ for an image `x` of shape (H, W): KH times KW rows, and
# a column for each window. There is no padding, and the stride is the same for rows and columns. Each window is read
# row by row. The windows come in reading order, too: first those of the top row, from left to right.
#
# `np.empty((rows, columns))` makes an array to fill in, and `window.reshape(-1)` flattens a window.


# %%
def im2col_one_channel(x, KH, KW, stride):
    """Return X, shape (KH * KW, OH * OW), for an image of shape (H, W)."""
    ### BEGIN SOLUTION
    H, W = x.shape
    OH, OW = (H - KH) // stride + 1, (W - KW) // stride + 1
    X = np.empty((KH * KW, OH * OW))
    for oh in range(OH):
        for ow in range(OW):
            top, left = oh * stride, ow * stride
            window = x[top : top + KH, left : left + KW]
            X[:, oh * OW + ow] = window.reshape(-1)
    return X
    ### END SOLUTION


# %%
check.im2col_one_channel(im2col_one_channel)

# %% [markdown]
# ### 4. col2im
#
# `col2im_one_channel(columns, H, W, KH, KW, stride)` does the reverse: it returns an image of shape (H, W) in which
# every column has been added at its window's place. `columns` has the shape of the matrix above, (KH KW, OH OW), in the
# same order. A pixel that no window sees gets 0.


# %%
def col2im_one_channel(columns, H, W, KH, KW, stride):
    """Return the sum of all columns at their windows' places, (H, W)."""
    ### BEGIN SOLUTION
    image = np.zeros((H, W))
    OH, OW = (H - KH) // stride + 1, (W - KW) // stride + 1
    for oh in range(OH):
        for ow in range(OW):
            top, left = oh * stride, ow * stride
            window = columns[:, oh * OW + ow].reshape(KH, KW)
            image[top : top + KH, left : left + KW] += window
    return image
    ### END SOLUTION


# %%
check.col2im_one_channel(col2im_one_channel)
