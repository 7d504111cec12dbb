# %% [markdown]
# # 05 Local response normalisation
#
# After its first two convolutions AlexNet has a layer that has since gone out of use: each number is divided by a
# measure of its neighbours in the other channels. This lesson works it out by hand, on 32 numbers from a tutorial; then
# come the formula, the backward pass, and a trap: the same arguments have four meanings in four libraries.
#
# You need lesson 01 (gradients and the backward pass), lesson 02 (what a channel is) and lesson 03 (ReLU).

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, nn
from minicnn import functional as F
from minicnn.lessons import check

# %% [markdown]
# ## What is a neighbour?
#
# The first convolution of AlexNet has 96 filters, so after it and its ReLU there are 96 numbers at each position of the
# image: one for each filter, one in each *channel*. Filters next to each other in the list are neighbours. Nothing
# makes them similar, the order is arbitrary; but it is fixed, and the filters learn with these neighbours.
#
# The layer lets neighbours compete. A channel with a strong response weakens the channels beside it at the same
# position, and is itself weakened by them. The authors refer to nerve cells that do this (*lateral inhibition*), and
# call the layer *local response normalisation* (section 3.3 of the paper; LRN from here on). Positions do not affect
# one another.
#
# The tutorial that these lessons follow shows it on an image of two by two positions with eight channels. Here are its
# numbers. `image[h, w]` has the eight channels of row `h`, column `w`.

# %%
image = np.array(
    [
        [[1.0, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1]],
        [[4.0, 3, 2, 1, 8, 7, 6, 5], [1, 2, 3, 4, 5, 6, 7, 8]],
    ]
)
printed = """
    0.07142857 0.06666667 0.05454545 0.04444445
    0.03703704 0.03157895 0.04022989 0.05369128

    0.05369128 0.04022989 0.03157895 0.03703704
    0.04444445 0.05454545 0.06666667 0.07142857

    0.13793103 0.10000001 0.0212766  0.00787402
    0.05194805 0.04       0.03448276 0.04545454

    0.07142857 0.06666667 0.05454545 0.04444445
    0.03703704 0.03157895 0.04022989 0.05369128
"""
printed = np.array(printed.split(), dtype=float).reshape(2, 2, 8)
print("rows, columns, channels:", image.shape)
print("numbers in all:", image.size)

# %% [markdown]
# `printed` is the tutorial's output, from TensorFlow. How do these 32 numbers come about?
#
# ## Three of them by hand
#
# The rule, for the tutorial's settings: *divide the number by the sum of the squares of five channels: its own, the two
# below it and the two above it.* At the ends there are fewer: channel 0 has none below it, and missing channels are
# left out.
#
# The tutorial works out three numbers: channels 0 and 3 of the first position, and channel 0 of the second.

# %%
for h, w, channel in [(0, 0, 0), (0, 0, 3), (0, 1, 0)]:
    channels = image[h, w]
    first, last = max(0, channel - 2), min(7, channel + 2)
    window = channels[first : last + 1]  # a slice ends before its end
    squares = " + ".join(f"{neighbour:.0f}²" for neighbour in window)
    number, total = channels[channel], np.sum(window**2)
    print(f"position ({h}, {w}), channel {channel}:", end=" ")
    print(f"the window is channels {first} to {last}")
    print(f"    {number:.0f} / ({squares})", end=" ")
    print(f"= {number:.0f} / {total:.0f} = {number / total:.8f}")
    print(f"    the tutorial prints {printed[h, w, channel]:.8f}\n")

# %% [markdown]
# All three agree with the printed numbers up to the last digit: TensorFlow computed in float32, with about seven
# digits. Here are the three windows:

# %%
examples = [(0, 0, 0), (0, 0, 3), (0, 1, 0)]
fig, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True)
for ax, (h, w, channel) in zip(axes, examples, strict=True):
    near = [abs(other - channel) <= 2 for other in range(8)]
    colours = ["#2a7ab8" if inside else "#d5dde5" for inside in near]
    colours[channel] = "#c8500a"
    ax.bar(range(8), image[h, w], color=colours)
    ax.set_title(f"position ({h}, {w}), channel {channel}", fontsize=10)
    ax.set_xlabel("channel")
axes[0].set_ylabel("input")
title = "Orange: the number. Blue: the rest of its window. Grey: not seen."
fig.suptitle(title, fontsize=11, y=1.02)
plt.show()

# %% [markdown]
# ## The formula
#
# Let $C$ be the number of channels, counted from 0 to $C - 1$, and $a_i$ the number in channel $i$ at some position.
# The layer's output there is $b_i$:
#
# $$b_i = \frac{a_i}{D_i^{\,\beta}}$$
#
# $$D_i = k + \alpha \sum_{j \in W(i)} a_j^2$$
#
# - $W(i)$ is the window around channel $i$: the channels $j$ from $\max(0,\ i - n/2)$ to $\min(C - 1,\ i + n/2)$, where
#   $n/2$ is rounded down. So $n$ is the number of channels in a whole window.
# - $k$ keeps a weak neighbourhood from dividing by nearly zero.
# - $\alpha$ is the weight of the neighbours, and $\beta$ the strength of the normalisation.
#
# (The paper writes $N$ for the number of channels. In minicnn $N$ is the batch size.)
#
# The tutorial's settings were $n = 5$, $k = 0$, $\alpha = 1$, $\beta = 1$. The paper's are $n = 5$, $k = 2$,
# $\alpha = 10^{-4}$, $\beta = 0.75$.
#
# **A slip in the tutorial.** It writes the window's lower end as $\max(0,\ i - k)$, but calculates with $i - n/2$. Does
# it matter? With its $k = 0$ the window of channel 3 would begin at channel 3 itself:

# %%
channels = image[0, 0]
as_written = channels[3] / np.sum(channels[max(0, 3 - 0) : 3 + 2 + 1] ** 2)
as_meant = channels[3] / np.sum(channels[max(0, 3 - 2) : 3 + 2 + 1] ** 2)
print(f"lower end i - k:   {as_written:.8f}")
print(f"lower end i - n/2: {as_meant:.8f}")
print(f"printed:           {printed[0, 0, 3]:.8f}")

# %% [markdown]
# For channel 0 both ends are 0, so two of its three examples could not show the slip. $k$ has nothing to do with the
# window.
#
# (If you read the tutorial alongside: it takes $N$ for the columns of the innermost axis, which are the channels in its
# example, and says that the squares are summed from $j$ to $i$, although the window extends beyond $i$. What it spells
# blas, deepth_radius and belta are TensorFlow's arguments bias, depth_radius and beta; more on them below.)
#
# ## All 32
#
# minicnn has this layer. Two things need translating. The tutorial's channels are the *last* axis (TensorFlow's
# convention), and minicnn's are the second, after the batch: (N, C, H, W), as in PyTorch. And minicnn's `alpha`, like
# PyTorch's, is divided by the window size, so $\alpha = 1$ is written as `alpha=5`. We return to this below.

# %%
batch = image[np.newaxis].transpose(0, 3, 1, 2)  # (H, W, C) -> (1, C, H, W)
computed = F.local_response_norm(Tensor(batch), size=5, alpha=5 * 1.0, beta=1.0, k=0.0)
ours = computed.numpy()[0].transpose(1, 2, 0)  # back to (H, W, C)
print(ours)
apart = np.abs(ours - printed)
print(f"largest difference to the printed numbers: {apart.max():.1e}")
print(f"spacing of float32 numbers near 0.1:       {np.spacing(np.float32(0.1)):.1e}")
print(f"numbers that agree to 1.5e-8: {np.sum(apart < 1.5e-8)} of {apart.size}")

# %% [markdown]
# They differ by at most one in the eighth decimal place, which is the precision of float32: all 32 printed numbers are
# right.
#
# ## What it does
#
# Take twelve channels that all respond with 1, except one that responds with 4. To make the effect visible, we take
# $\alpha = 0.1$.

# %%
lone = np.ones(12)
lone[5] = 4.0
x = Tensor(lone[np.newaxis])  # (1, 12)
after = F.local_response_norm(x, size=5, alpha=5 * 0.1, beta=0.75, k=1.0)
after = after.numpy()[0]
print("after:", after.round(3))
for other in (8, 4):
    before_ratio, ratio = lone[5] / lone[other], after[5] / after[other]
    print(f"channel 5 was {before_ratio:.1f} times channel {other}", end=" ")
    print(f"and is {ratio:.1f} times")

fig, axes = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
colours = ["#c8500a" if channel == 5 else "#2a7ab8" for channel in range(12)]
axes[0].set_title("before", fontsize=10)
axes[1].set_title("after", fontsize=10)
for ax, numbers in zip(axes, [lone, after], strict=True):
    ax.bar(range(12), numbers, color=colours)
    ax.set_xlabel("channel")
    ax.set_ylabel("response")
fig.suptitle("One strong channel (orange) among equals", fontsize=11)
plt.show()

# %% [markdown]
# The two channels on each side of the strong one are now weaker than those farther away, whose windows do not contain
# it; before, they were equal. The strong channel keeps its lead over these four, since their windows hold the same
# numbers as its own, but loses some of its lead over the others: it is weakened, too. (Channels 0, 1, 10 and 11 have
# fewer neighbours, so they are divided by a little less.)
#
# And with the paper's settings? $\alpha = 10^{-4}$ looks negligible. But it multiplies *squares*, and the network of
# 2012 read pixels of 0 to 255. A channel whose neighbours are zero, with the number $a$, becomes
# $a / (2 + 10^{-4} a^2)^{0.75}$:

# %%
a = np.linspace(0, 1000, 2001)
b = a / (2 + 1e-4 * a**2) ** 0.75
small = a / 2**0.75
print(f"2^0.75 is {2**0.75:.3f}")
print(f"an input of 10 becomes {b[a == 10][0]:.2f}", end=", ")
print(f"and with division by 2^0.75 alone {small[a == 10][0]:.2f}")
print(f"half of D is the channel's own square at a = {np.sqrt(2 / 1e-4):.1f}")
print(f"the largest output is {b.max():.1f}, at a = {a[b.argmax()]:.0f}")

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.plot(a, b, color="#2a7ab8", label="LRN, as in the paper")
ax.plot(a, small, color="#767676", linestyle="--", label="divided by $2^{0.75}$")
ax.set(xlabel="input a, all neighbours zero", ylabel="output b")
ax.set_ylim(0, 140)
ax.set_title("Linear for small inputs, damped for large ones", fontsize=10)
ax.legend()
plt.show()

# %% [markdown]
# An input of 10 is divided by 1.682 like every other small number. At 141, where half of $D$ is the channel's own
# square, the curve has clearly left the line. The largest output belongs to an input of 200; a larger input even gives
# *less*. So the layer depends on the scale of its input: in a network whose numbers are near 1, because its pixels were
# standardised, the paper's $\alpha$ has no noticeable effect.
#
# **What is it good for?** The paper reports 1.4 points less top-1 error and 1.2 points less top-5 error, and for a
# four-layer network on CIFAR-10 an error of 11 % instead of 13 % (section 3.3). It calls this better generalisation.
# The tutorial gives two other reasons: that a ReLU's output has no upper bound and must therefore be normalised, and
# that LRN speeds up convergence. Neither is in the paper; it even praises ReLUs for not needing normalised inputs.
# Lesson 10 measures the layer's effect on training. Today networks use other kinds of normalisation, and LRN is rare; the end of this
# lesson shows the one that took its place.
#
# ## The backward pass
#
# Training needs $\partial L / \partial a_j$, where $L$ is the loss and $g_i = \partial L / \partial b_i$ is the
# upstream gradient. A number $a_j$ appears in two roles:
#
# 1. It is the numerator of its own output $b_j$. With $D_j$ held fixed, that gives $g_j\, D_j^{-\beta}$.
# 2. It is one of the squares in $D_i$, for every channel $i$ whose window contains it, its own included. From
#    $b_i = a_i D_i^{-\beta}$ the chain rule gives
#
# $$\frac{\partial b_i}{\partial D_i} = -\beta\, a_i\, D_i^{-\beta - 1} = -\beta\, \frac{b_i}{D_i}$$
#
# $$\frac{\partial D_i}{\partial a_j} = 2 \alpha\, a_j$$
#
# Multiply these two and $g_i$, and sum over all such $i$:
#
# $$\frac{\partial L}{\partial a_j} = g_j\, D_j^{-\beta} - 2 \alpha \beta\, a_j \sum_{i:\ j \in W(i)} g_i\, \frac{b_i}{D_i}$$
#
# The window reaches equally far to both sides, so $j$ is in the window of $i$ exactly if $i$ is in the window of $j$:
# the sum runs over $W(j)$.
#
# Does `backward` agree with finite differences? We ask for one output at a time: with $g_i = 1$ and all other $g$ zero,
# `backward` computes how $b_i$ depends on each of the eight inputs. For comparison we move each input a little up and
# down, and see how the outputs change.

# %%
settings = {"size": 5, "alpha": 5 * 1.0, "beta": 1.0, "k": 0.0}


def forward(numbers):
    return F.local_response_norm(Tensor(numbers), **settings).numpy()


row = image[0, 0][np.newaxis]  # (1, 8): one position, eight channels
slopes = np.zeros((8, 8))
for i in range(8):
    x = Tensor(row.copy(), requires_grad=True)
    F.local_response_norm(x, **settings).backward(np.eye(8)[[i]])
    slopes[i] = x.grad[0]

differences = np.zeros((8, 8))
for j in range(8):
    step = 1e-5 * np.eye(8)[[j]]
    differences[:, j] = (forward(row + step) - forward(row - step))[0] / 2e-5
print(f"denominator of channel 0: {np.sum(row[0, :3] ** 2):.0f}")
apart = np.abs(slopes - differences).max()
print(f"largest difference between the two: {apart:.1e}")

fig, ax = plt.subplots(figsize=(6, 4.6), layout="constrained")
largest = np.abs(slopes).max()
shown = ax.imshow(slopes, cmap="RdBu_r", vmin=-largest, vmax=largest)
for i in range(8):
    for j in range(max(0, i - 2), min(7, i + 2) + 1):
        dark = abs(slopes[i, j]) > largest / 2
        number = f"{1000 * slopes[i, j]:.1f}"
        colour = "white" if dark else "black"
        ax.text(j, i, number, ha="center", va="center", color=colour)
ax.set(xlabel="input channel j", ylabel="output channel i")
ax.set_title("How output i depends on input j, in thousandths", fontsize=10)
fig.colorbar(shown, label="slope of $b_i$ along $a_j$")
plt.show()

# %% [markdown]
# The two agree. The diagonal is positive, if only just at its end: as a channel's input rises, so does its own output.
# (Here. In the last figure the curve falls on the right.) Next to the diagonal everything is negative: when a neighbour
# rises, the output falls, which is the competition. Farther away it is zero, because the window does not reach. Channel
# 0 stands out: it has the smallest denominator, 14.
#
# The card shows what minicnn runs. It writes $x$ for our $a$, $y$ for $b$, $c$ for the channel, a for $\alpha$ (or for
# $\alpha / n$, where the argument is divided by $n$), and W'(c) for the channels whose window contains $c$: the sum of
# our formula. The loss is the sum of all outputs here, so every $g_i$ is 1.

# %%
x = Tensor(row.copy(), requires_grad=True)
with minicnn.trace() as trace:
    loss = F.local_response_norm(x, **settings).sum()
loss.backward()
list(trace.backward_steps())[-1]

# %% [markdown]
# ## Four libraries, four meanings
#
# TensorFlow, Caffe and PyTorch are deep learning libraries; ONNX is a file format to exchange networks between them.
# All four follow the formula above, and truncate the window at the ends. They differ in what their arguments mean:
#
# | | window below and above | factor of the sum | names of n, k |
# |---|---|---|---|
# | paper | n/2 and n/2 (n odd) | alpha | n, k |
# | TensorFlow | depth_radius on each side | alpha | depth_radius = n/2, bias = k |
# | Caffe | n/2 and n/2 (n odd) | alpha / n | local_size, k |
# | PyTorch, minicnn | n/2 and (n-1)/2 | alpha / n | size, k |
# | ONNX | (n-1)/2 and n/2 | alpha / n | size, bias |
#
# (Halves are rounded down. PyTorch and ONNX allow even windows, which lean to opposite sides.)
#
# So the paper's layer has $\alpha = 10^{-4}$ in one library and $5 \cdot 10^{-4}$ in another. minicnn has a constructor
# for each convention:

# %%
LRN = nn.LocalResponseNorm
layers = {
    "paper": LRN.from_paper(n=5, k=2, alpha=1e-4, beta=0.75),
    "TensorFlow": LRN.from_tensorflow(2, bias=2, alpha=1e-4, beta=0.75),
    "Caffe": LRN.from_caffe(local_size=5, alpha=5e-4, beta=0.75, k=2),
    "PyTorch": LRN(size=5, alpha=5e-4, beta=0.75, k=2),
    "PyTorch, copied": LRN(size=5, alpha=1e-4, beta=0.75, k=2),
}
random = np.random.default_rng(5).normal(0, 150, size=(1, 96, 4, 4))
responses = Tensor(np.maximum(0, random))  # as after a ReLU
right = layers["paper"](responses).numpy()
for name, layer in layers.items():
    numbers = layer(responses).numpy()
    apart = np.abs(numbers - right).max()
    print(f"{name:<15}  mean output {numbers.mean():6.2f}", end="  ")
    print(f"largest difference {apart:6.2f}")

# %% [markdown]
# The last line copies 1e-4 from the paper into PyTorch: nothing fails, but the numbers are different. (The authors' own
# program of 2012 also divides by $n$ and has 1e-4 in its settings. So its effective $\alpha$ is a fifth of the paper's.
# minicnn follows the paper.)

# %% [markdown]
# ## What came after: batch normalisation
#
# Three years later came a layer that almost every network has had since: *batch normalisation* (BN; Ioffe and Szegedy
# 2015). It normalises by other numbers:
#
# | | a number is compared with | of these it uses |
# |---|---|---|
# | LRN | neighbouring channels, at its position in its image | the sum of their squares |
# | BN | its own channel, at all positions in all images of the batch | their mean and variance |
#
# Let $m$ and $v$ be the mean and the variance of a channel over the batch, taken over $N$ images of $H \times W$
# positions, so over $NHW$ numbers. Each number $a$ of the channel becomes
#
# $$z = \frac{a - m}{\sqrt{v + \varepsilon}}, \qquad b = \gamma z + \beta$$
#
# A small $\varepsilon$ guards against a variance of 0. $z$ has mean 0 and variance 1. The scale $\gamma$ and the shift
# $\beta$ of each channel are learnt: the layer can choose any other mean and variance, but they no longer depend on
# the layers before it. It stands between the convolution and its ReLU; LRN comes after the ReLU.

# %%
random = np.random.default_rng(2015)
means = np.array([0.0, 5, -300]).reshape(1, 3, 1, 1)
deviations = np.array([1.0, 0.01, 40]).reshape(1, 3, 1, 1)
maps = means + deviations * random.standard_normal((8, 3, 6, 6))
layer = nn.BatchNorm2d(3, dtype=np.float64)
after = layer(Tensor(maps)).numpy()
for channel in range(3):
    before, now = maps[:, channel], after[:, channel]
    print(f"channel {channel}: mean {before.mean():8.2f}", end=", ")
    print(f"deviation {before.std():6.3f}  ->  ", end="")
    print(f"mean {now.mean() + 0:5.2f}, deviation {now.std():.3f}")

ten_times = np.abs(layer(Tensor(10 * maps)).numpy() - after).max()
print(f"ten times the input changes the output by at most {ten_times:.3f}")

# %% [markdown]
# Whatever the mean and the scale of a channel, they are gone afterwards. (Channel 1 falls a little short of 1 because
# its variance is not much larger than $\varepsilon = 10^{-5}$, and that is also where ten times the input makes a
# difference.) LRN could not do this: as the figure above shows, it depends on the scale of its input.
#
# **In evaluation** there may be only one image, and its prediction must not depend on which others come with it. So the
# layer keeps running averages of $m$ and $v$ during training, and uses these after `eval()`. They are not parameters,
# since no gradient changes them, but they belong to the network and are saved with it: they are *buffers*.

# %%
print([name for name, parameter in layer.named_parameters()])
print([name for name, buffer in layer.named_buffers()])
one, pair = maps[:1], maps[:2]
layer.train()
together = layer(Tensor(pair)).numpy()[0]
alone = layer(Tensor(one)).numpy()[0]
print(f"training: {np.abs(together - alone).max():.2f}", end=" ")
print("is what the second image changes in the first")
layer.eval()
together = layer(Tensor(pair)).numpy()[0]
alone = layer(Tensor(one)).numpy()[0]
print(f"evaluation: {np.abs(together - alone).max():.2f}")

# %% [markdown]
# ### Its backward pass
#
# Every $a_i$ of a channel moves $m$ and $v$, and with them all $z$. Let there be $n$ numbers, let $s = \sqrt{v +
# \varepsilon}$ and $d_i = \gamma\, \partial L / \partial b_i$. From $\partial m / \partial a_i = 1/n$ and $\partial s /
# \partial a_i = z_i / n$ follows
#
# $$\frac{\partial L}{\partial a_i} = \frac{1}{s} \left( d_i - \bar d - z_i\, \overline{d z} \right)$$
#
# where the bars are means over the channel. In words: from the gradient that arrives, take away its mean and its part
# along $z$. A shift of the whole channel cannot change the loss, because subtracting $m$ undoes it; nor can a scale,
# because dividing by $s$ undoes that. (With the plain sum of the outputs as the loss, nothing at all would be left. So
# we weight them.) The card writes $x$ for our $a$, $y$ for $b$, $g$ and $b$ for $\gamma$ and $\beta$.

# %%
x = Tensor(random.standard_normal((6, 1)), requires_grad=True)
weights = Tensor(np.arange(6.0).reshape(6, 1))
ones, zeros = Tensor(np.ones(1)), Tensor(np.zeros(1))
with minicnn.trace() as trace:
    y = F.batch_norm(x, None, None, ones, zeros, training=True)
    loss = (weights * y).sum()
loss.backward()
print(f"sum of the gradient: {x.grad.sum():.1e}")
print(f"its part along z:    {(x.grad * y.numpy()).sum():.1e}")
list(trace.backward_steps())[-1]

# %% [markdown]
# The second number is not exactly 0 because $\varepsilon$ lets a little of the scale through.
#
# ### Side by side
#
# `models.alexnet` and `models.alexnet_cifar` take `norm="lrn"`, `"batch"` or `"none"`. BN follows all five
# convolutions, LRN the first two. We have trained AlexNet's recipe for small images twice each way, on 9,000 images of
# CIFAR-10 for 8 epochs. That is far too short for good results, but shows which is fast at the start:
#
# ```
# minicnn train alexnet-cifar --data cifar10 --recipe paper --limit 10000 --epochs 8 --threads 1 --seed 0 --norm batch
# ```
#
# | | training error, epoch 1 | epoch 4 | epoch 8 | test error |
# |---|---|---|---|---|
# | nothing | 88.7 % and 88.6 % | 79.4 % and 66.9 % | 67.9 % and 55.0 % | 67.4 % and 52.2 % |
# | LRN | 81.6 % and 82.1 % | 62.8 % and 62.1 % | 52.9 % and 52.5 % | 52.1 % and 48.2 % |
# | BN | 75.0 % and 76.9 % | 53.2 % and 54.7 % | 45.9 % and 45.2 % | 45.9 % and 43.7 % |
#
# The two numbers are those of seeds 0 and 1 (every epoch is in `docs/results/normalisation.csv`). With both seeds BN is
# ahead of LRN from the first epoch on, and LRN is ahead of no normalisation, which starts slowest, and with one seed
# much more slowly than with the other. The settings are the same for all, the learning rate 0.01 among them; each may
# have a better one. That is the point of BN, as its authors see it: with it, networks learn at higher rates, and need
# less care with their initial weights.
#
# ## Exercises
#
# Fill in the functions, and run the cell below each to check it.
#
# ### 1. The window
#
# `lrn_window(i, n, C)` returns two integers: the first and the last channel of the window around channel `i`, where a
# window has `n` channels (odd) and there are `C` channels in all. For instance `lrn_window(3, 5, 8)` is `(1, 5)`.


# %%
def lrn_window(i, n, C):
    """Return the first and the last channel of the window around channel i."""
    ### BEGIN SOLUTION
    return max(0, i - n // 2), min(C - 1, i + n // 2)
    ### END SOLUTION


# %%
check.lrn_window(lrn_window)

# %% [markdown]
# ### 2. Forward
#
# `lrn_forward(a, n, k, alpha, beta)` returns an array `b` of the same length as `a`: the channels of one position,
# normalised by the formula above. `a` is an array of floats of shape (C,). Do not divide `alpha` by `n`. Loops are
# fine. (Each exercise stands alone: do not call `lrn_window`.)


# %%
def lrn_forward(a, n, k, alpha, beta):
    """Return b, shape (C,): every channel of a, shape (C,), normalised."""
    ### BEGIN SOLUTION
    b = np.empty_like(a)
    for i in range(len(a)):
        window = a[max(0, i - n // 2) : i + n // 2 + 1]
        b[i] = a[i] / (k + alpha * np.sum(window**2)) ** beta
    return b
    ### END SOLUTION


# %%
check.lrn_forward(lrn_forward)

# %% [markdown]
# ### 3. Backward
#
# `lrn_backward(a, grad_b, n, k, alpha, beta)` returns $\partial L / \partial a$, shape (C,). `a` is the input of the
# forward pass, and `grad_b`, shape (C,), holds the $g_i$. Two loops are enough: one over $j$, and inside it one over
# the window. Do not change `a` and `grad_b`: others may still need them.


# %%
def lrn_backward(a, grad_b, n, k, alpha, beta):
    """Return dL/da, shape (C,), from a and dL/db, both of shape (C,)."""
    ### BEGIN SOLUTION
    C = len(a)
    windows = [slice(max(0, i - n // 2), i + n // 2 + 1) for i in range(C)]
    D = np.array([k + alpha * np.sum(a[window] ** 2) for window in windows])
    b = a / D**beta
    grad_a = np.empty_like(a)
    for j in range(C):
        competition = sum(grad_b[i] * b[i] / D[i] for i in range(C)[windows[j]])
        grad_a[j] = grad_b[j] / D[j] ** beta - 2 * alpha * beta * a[j] * competition
    return grad_a
    ### END SOLUTION


# %%
check.lrn_backward(lrn_backward)

# %% [markdown]
# ### 4. From TensorFlow to PyTorch
#
# A network was trained in TensorFlow, and you have the four arguments of its layer.
# `lrn_for_pytorch(depth_radius, bias, alpha, beta)` returns the arguments of the same layer in PyTorch, as a tuple
# `(size, alpha, beta, k)`.


# %%
def lrn_for_pytorch(depth_radius, bias, alpha, beta):
    """Return (size, alpha, beta, k) from the arguments of TensorFlow's layer."""
    ### BEGIN SOLUTION
    size = 2 * depth_radius + 1
    return size, alpha * size, beta, bias
    ### END SOLUTION


# %%
check.lrn_for_pytorch(lrn_for_pytorch)
