# %% [markdown]
# # 07 Fully connected layers, softmax and cross-entropy
#
# The convolutions of AlexNet turn an image into a block of numbers. Its last three layers turn this block into a
# thousand probabilities, and one more formula measures how wrong these are. This lesson follows the numbers to the end,
# derives the gradients, and shows where the formulas overflow in floating point, and how to write them so that they do
# not.
#
# You need lesson 01 (gradients and the backward pass), lesson 02 (what a filter is) and lesson 03 (ReLU and sigmoid).

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, nn
from minicnn import functional as F
from minicnn.data import load_shapes
from minicnn.lessons import check

# %% [markdown]
# ## From a block to a row
#
# After AlexNet's last pooling layer an image is a block of 256 channels of 6 rows and 6 columns. The next layer ignores
# rows and columns. So the block is *flattened* into one row of numbers, channel after channel, and row after row within
# a channel. Here is a smaller block, of 2 channels, 2 rows and 3 columns:

# %%
block = np.arange(12.0).reshape(1, 2, 2, 3)  # (N, C, H, W), N = 1 image
print("channel 0:")
print(block[0, 0])
print("channel 1:")
print(block[0, 1])
row = F.flatten(Tensor(block), 1)
print("flattened:", row.numpy())
print("shape", block.shape, "became", row.shape)
print("AlexNet:", 256 * 6 * 6, "numbers in a row")

# %% [markdown]
# The 1 in `flatten(..., 1)` means that the first axis stays, because the images of a batch must not be mixed. No number
# changes, so the backward pass only reshapes the gradients.
#
# ## A fully connected layer by hand
#
# In a *fully connected* layer each output reads *all* inputs. It multiplies every input by its own weight, sums, and
# adds a bias. Three inputs and two outputs make six weights:

# %%
x = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 2.0]])  # (2, 3): two images
w = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.5]])  # (2, 3): two outputs
b = np.array([0.5, -1.0])
for n in range(2):
    for o in range(2):
        terms = " + ".join(f"({x[n, i]:g})({w[o, i]:g})" for i in range(3))
        y = sum(x[n, i] * w[o, i] for i in range(3)) + b[o]
        print(f"image {n}, output {o}: {terms} + ({b[o]:g}) = {y:g}")
print("minicnn:", F.linear(Tensor(x), Tensor(w), Tensor(b)).numpy().tolist())

# %%
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
heights_in, heights_out = [2, 1, 0], [1.6, 0.4]
for o, end in enumerate(heights_out):
    colour = ["#2a7ab8", "#c8500a"][o]
    for i, start in enumerate(heights_in):
        ax.plot([0, 1], [start, end], color=colour, linewidth=1)
        along = 0.22 if o == 0 else 0.38
        ax.text(
            *(along, start + along * (end - start), f"{w[o, i]:g}"),
            **{"color": colour, "ha": "center", "va": "center"},
            bbox={"color": "white", "pad": 1},
        )
    total = x[0] @ w[o] + b[o]
    ax.scatter(1, end, s=900, color=colour, zorder=3)
    ax.text(1, end, f"{total:g}", color="white", ha="center", va="center")
    ax.text(1.08, end, f"output {o}, bias {b[o]:g}", va="center")
for i, start in enumerate(heights_in):
    ax.scatter(0, start, s=900, color="#767676", zorder=3)
    ax.text(0, start, f"{x[0, i]:g}", color="white", ha="center", va="center")
    ax.text(-0.08, start, f"input {i}", ha="right", va="center")
ax.set(xlim=(-0.35, 1.5), ylim=(-0.4, 2.4))
ax.axis("off")
ax.set_title("Image 0: every output reads every input (weights on the lines)")
plt.show()

# %% [markdown]
# Let $x_{ni}$ be input $i$ of image $n$, $w_{oi}$ the weight of input $i$ in output $o$, and $b_o$ that output's bias.
# Then
#
# $$y_{no} = \sum_i x_{ni}\, w_{oi} + b_o$$
#
# For all images and outputs at once this is a matrix product, $y = x\, W^T + b$. With N images, I inputs and O outputs
# the shapes are: $x$ (N, I), $W$ (O, I), its transpose $W^T$ (I, O), and $y$ (N, O).
#
# ### It is a convolution, too
#
# A filter as large as its whole input fits in one place only. So a fully connected layer is a convolution whose filters
# see everything:

# %%
random = np.random.default_rng(7)
image = random.normal(size=(1, 2, 3, 3))
filters, biases = random.normal(size=(4, 2, 3, 3)), random.normal(size=4)
convolved = F.conv2d(Tensor(image), Tensor(filters), Tensor(biases))
rows = Tensor(filters.reshape(4, -1))  # each filter as a row of weights
connected = F.linear(Tensor(image.reshape(1, -1)), rows, Tensor(biases))
print("convolution:    ", convolved.shape, convolved.numpy().ravel().round(6))
print("fully connected:", connected.shape, connected.numpy().ravel().round(6))

# %% [markdown]
# ### Where AlexNet's parameters are
#
# The three layers are called fc6, fc7 and fc8. A layer of I inputs and O outputs has I · O weights and O biases, and
# one image takes I · O multiplications. (Lesson 08 counts the totals for the whole network.)

# %%
layers = {"fc6": (9216, 4096), "fc7": (4096, 4096), "fc8": (4096, 1000)}
parameters = multiplications = 0
for name, (inputs, outputs) in layers.items():
    parameters += inputs * outputs + outputs
    multiplications += inputs * outputs
    print(f"{name}: {inputs * outputs + outputs:>10,} parameters")
print(f"together: {parameters:,}")
print(f"{parameters / 60_965_224:.1%} of AlexNet's parameters", end=", ")
print(f"{multiplications / 724_406_816:.1%} of its multiplications")

# %% [markdown]
# Nearly all of the parameters, and little of the work. Convolutions are the opposite: a filter's weight is used at
# every position of the image, a weight of fc6 once.
#
# ## The three gradients
#
# Let $L$ be the loss, one number, and $g_{no} = \partial L / \partial y_{no}$ the upstream gradient. What are the
# gradients of the inputs, the weights and the biases? For each of them ask: *in which outputs does it occur, and with
# which factor?* The chain rule is then a sum over these outputs.
#
# - The weight $w_{oi}$ occurs in output $o$, once for *each image*, and its factor there is $x_{ni}$:
#
# $$\frac{\partial L}{\partial w_{oi}} = \sum_n g_{no}\, x_{ni}$$
#
# - The input $x_{ni}$ occurs in *each output* of its own image, with the factor $w_{oi}$:
#
# $$\frac{\partial L}{\partial x_{ni}} = \sum_o g_{no}\, w_{oi}$$
#
# - The bias $b_o$ occurs in output $o$ of *each image*, with the factor 1:
#
# $$\frac{\partial L}{\partial b_o} = \sum_n g_{no}$$
#
# One number of each kind, by hand and by minicnn:

# %%
g = np.array([[1.0, -2.0], [0.5, 3.0]])  # (N, O)
inputs = [Tensor(array.copy(), requires_grad=True) for array in (x, w, b)]
F.linear(*inputs).backward(g)
grad_x, grad_w, grad_b = (tensor.grad for tensor in inputs)

by_hand = g[0, 0] * x[0, 2] + g[1, 0] * x[1, 2]
print(f"dL/dw[0, 2] = (1)(3) + (0.5)(2) = {by_hand}, minicnn {grad_w[0, 2]}")
by_hand = g[0, 0] * w[0, 0] + g[0, 1] * w[1, 0]
print(f"dL/dx[0, 0] = (1)(1) + (-2)(2) = {by_hand}, minicnn {grad_x[0, 0]}")
by_hand = g[0, 1] + g[1, 1]
print(f"dL/db[1] = -2 + 3 = {by_hand}, minicnn {grad_b[1]}")
for name, gradient in (("x", grad_x), ("w", grad_w), ("b", grad_b)):
    print(f"dL/d{name} has shape {gradient.shape}")

# %% [markdown]
# A gradient has the shape of what it belongs to. This is useful: two of the three sums are matrix products, and of all
# ways to multiply two of $g$ (N, O), $x$ (N, I) and $W$ (O, I) only one gives the required shape, provided that N, I
# and O are different. The first exercise asks you for it.
#
# ## From scores to probabilities
#
# The last layer, fc8, has one output for each class. These numbers are called *scores* (or *logits*): any numbers, also
# negative ones. We want probabilities: positive, adding up to 1, and larger where the score is larger. Two steps do it.
# Take $e$ to the power of each score, then divide by the sum.

# %%
names = ["cat", "dog", "ship"]
s = np.array([2.0, 1.0, -1.0])
powers = np.exp(s)
total = powers.sum()
for name, score, power in zip(names, s, powers, strict=True):
    print(f"{name:<5} score {score:4.1f}", end="  ")
    print(f"e^score {power:.4f}  divided by {total:.4f}: {power / total:.4f}")
print("sum of the three:", (powers / total).sum())

fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
titles = ["scores", "e to the power of the score", "probabilities"]
for ax, title, numbers in zip(axes, titles, (s, powers, powers / total), strict=True):
    bars = ax.bar(names, numbers, color=["#2a7ab8", "#c8500a", "#767676"])
    ax.bar_label(bars, fmt="%.2f", padding=2)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.margins(y=0.2)
    ax.set(title=title, xlabel="class", ylabel="value")
plt.show()

# %% [markdown]
# This is the *softmax*. With $C$ classes, $s_i$ for the score of class $i$ and $p_i$ for its probability:
#
# $$p_i = \frac{e^{s_i}}{\sum_{j=0}^{C-1} e^{s_j}}$$
#
# Only differences of scores matter: $p_i / p_j = e^{s_i - s_j}$. A class whose score is higher by 1 is $e = 2.718...$
# times as likely. So adding the same number to all scores changes nothing:

# %%
for shift in (0.0, 5.0, -100.0):
    shifted = F.softmax(Tensor(s + shift), 0).numpy()
    print(f"scores {s + shift}: {shifted.round(6)}")
print(f"cat : dog = {powers[0] / powers[1]:.4f}, e^(2 - 1) = {np.exp(1.0):.4f}")

# %% [markdown]
# (With two classes of scores $s$ and 0 the first one's probability is $e^s / (e^s + 1) = 1 / (1 + e^{-s})$, the sigmoid
# of lesson 03. The softmax is the sigmoid for many classes.)
#
# ## Where it overflows
#
# Networks usually compute in float32. The first line below shows its largest number. How large may a score be?

# %%
for kind in (np.float32, np.float64):
    largest = np.finfo(kind).max
    print(f"largest {kind.__name__}: {largest:.2g}", end=", ")
    print(f"its logarithm: {np.log(largest):.1f}")
with np.errstate(over="ignore", invalid="ignore"):
    for score in (10, 88, 89, 1000):
        pair = np.array([score, 0], np.float32)
        e = np.exp(pair)
        print(f"scores {score} and 0: e^score = {e[0]:.4g}", end=", ")
        print("softmax", e / e.sum())

# %% [markdown]
# At 89 the power is `inf`, and `inf / inf` is `nan`, "not a number". One such score in one image makes the loss `nan`,
# then all gradients, and one step later every weight of the network. Float64 only postpones it: by the second line it
# happens at 710.
#
# The remedy is what we have just seen: the same number may be added to all scores. So subtract the largest score first.
# With $c = \max_j s_j$,
#
# $$p_i = \frac{e^{s_i - c}}{\sum_j e^{s_j - c}}$$
#
# Now the largest power is $e^0 = 1$: nothing can overflow, and the sum is at least 1, so there is no division by 0.
# Very small powers may underflow to 0. That does no harm: such a probability *is* practically 0.

# %%
large = np.array([1000, 999, 0], np.float32)
shifted = large - large.max()
print("shifted scores:", shifted)
print("their powers:  ", np.exp(shifted))
print("minicnn:       ", F.softmax(Tensor(large), 0).numpy())

# %% [markdown]
# ## How wrong is it?
#
# Training needs one number that says how good the probabilities are. An image has a *label* $t$, the index of its true
# class. The loss is
#
# $$L = - \log p_t$$
#
# with the natural logarithm: the probability of the true class should be large, so its negative logarithm should be
# small. The other classes enter only through the sum in the softmax. This loss is called *cross-entropy*. (*Guessing*
# means here: the same probability for each class.)

# %%
for probability in (1.0, 0.9, 0.5, 0.1, 0.01, 0.001):
    loss = -np.log(probability) + 0.0
    print(f"probability of the true class {probability:<5}  loss {loss:.3f}")
for count in (2, 10, 1000):
    print(f"guessing among {count} classes: loss {np.log(count):.3f}")

fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
p = np.linspace(0.001, 1, 500)
ax.plot(p, -np.log(p), color="#2a7ab8")
for count, side in ((2, 0.02), (10, 0.02), (1000, 0.03)):
    ax.plot(1 / count, np.log(count), "o", color="#c8500a")
    ax.text(1 / count + side, np.log(count) + 0.15, f"guessing among {count:,}")
ax.set(xlabel="probability of the true class", ylabel="loss")
ax.set_ylim(-0.4, 7.8)
ax.set_title("Being sure and wrong is expensive")
plt.show()

# %% [markdown]
# Two numbers to remember: an untrained network has a loss of about 2.3 with 10 classes, and 6.9 with 1000. If yours
# starts far above, its initial scores are too large.
#
# **Why the logarithm?** The probability that *all* images of a batch are given their true class is the product of the
# individual probabilities. The logarithm turns it into a sum, which is easier to differentiate and does not underflow.
# The paper states the equivalent: it maximises the mean, over the training images, of the log probability of the true
# label (section 3.5). For a batch of N images with losses $L_n$ the loss is the mean, $L = \frac{1}{N} \sum_n L_n$.
#
# ### The logarithm fails, too
#
# If $p_t$ has underflowed to 0, its logarithm is minus infinity. But we need not compute the probability first. Put the
# softmax into the logarithm:
#
# $$\log p_i = s_i - \log \sum_j e^{s_j} = (s_i - c) - \log \sum_j e^{s_j - c}$$
#
# No power overflows, the argument of the logarithm is between 1 and C, and nothing is divided. This is the
# *log-softmax*. We compare three ways of computing the loss in float32, with two classes: the wrong class's score
# exceeds the true one's by a growing gap.

# %%
gaps = np.linspace(0, 150, 301, dtype=np.float32)
pairs = np.stack([np.zeros_like(gaps), gaps], axis=1)  # (301, 2); true: 0


def by_logarithm(scores):
    return -F.softmax(scores, 1)[:, 0].log()


def with_epsilon(scores):
    return -(F.softmax(scores, 1)[:, 0] + 1e-7).log()


def by_log_softmax(scores):
    return -F.log_softmax(scores, 1)[:, 0]


ways = {
    "-log(p)": (by_logarithm, "#c8500a", "-"),
    "-log(p + 0.0000001)": (with_epsilon, "#767676", "-"),
    "log-softmax": (by_log_softmax, "#2a7ab8", "--"),
}
fig, ax = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
with np.errstate(divide="ignore", invalid="ignore"):
    for name, (way, colour, style) in ways.items():
        losses = way(Tensor(pairs)).numpy()
        ax.plot(gaps, losses, style, color=colour, label=name, linewidth=2)
        at_120 = Tensor(pairs[gaps == 120], requires_grad=True)
        loss = way(at_120).sum()
        loss.backward()
        print(f"{name:<19} at a gap of 120: loss {loss.item():8.3f}", end=", ")
        print(f"gradient {at_120.grad[0, 0]:.3f}")
ax.set(xlabel="wrong score minus true score", ylabel="loss", ylim=(0, 160))
ax.set_title("The loss of a confidently wrong network, in float32")
ax.legend()
plt.show()

# %% [markdown]
# - The plain logarithm (orange) ends at a gap of a little over 100, where $p$ underflows to 0 in float32. Beyond, the
#   loss is infinite and the gradient is not a number.
# - Adding a small number (grey), a common trick, only hides this: beyond a gap of about 16 the loss stops growing, and
#   the gradient goes to 0. The network is as wrong as it can be, and gets no gradient to improve.
# - Log-softmax (blue) continues: the loss is the gap, and the gradient of the true score, in the last column, is -1:
#   raise this score.
#
# So a library's cross-entropy takes *scores*, not probabilities. With a softmax in front of it, the softmax is applied
# twice.
#
# ## The most beautiful gradient of all
#
# For one image, $L = -\log p_t = -s_t + \log \sum_j e^{s_j}$. How does it depend on the score $s_i$? By the chain rule,
# the second term gives
#
# $$\frac{\partial}{\partial s_i} \log \sum_j e^{s_j} = \frac{e^{s_i}}{\sum_j e^{s_j}} = p_i$$
#
# and the first term gives $-1$ if $i$ is the true class, else 0. Let $q_i$ be 1 for the true class and 0 for the others
# (the *one-hot* encoding of the label). Then
#
# $$\frac{\partial L}{\partial s_i} = p_i - q_i$$
#
# What the network says, minus what it should say. By hand, by minicnn and by finite differences, for the three scores
# from above and the label "dog":

# %%
label = 1
p = np.exp(s) / np.exp(s).sum()
one_hot = np.array([0.0, 1.0, 0.0])
scores = Tensor(s[np.newaxis].copy(), requires_grad=True)  # (1, 3)
F.cross_entropy(scores, np.array([label])).backward()


def loss_of(scores):
    return -F.log_softmax(Tensor(scores), 0).numpy()[label]


measured = [(loss_of(s + step) - loss_of(s - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
print("probabilities:     ", p.round(6))
print("one-hot:           ", one_hot)
print("difference:        ", (p - one_hot).round(6))
print("minicnn:           ", scores.grad[0].round(6))
print("finite differences:", np.round(measured, 6))
print(f"sum of the gradient: {scores.grad.sum():.1e}")

fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
places = np.arange(3)
for offset, numbers, colour, name in (
    (-0.27, p, "#2a7ab8", "probability p"),
    (0.0, one_hot, "#d5dde5", "one-hot q"),
    (0.27, p - one_hot, "#c8500a", "gradient p - q"),
):
    ax.bar(places + offset, numbers, width=0.25, color=colour, label=name)
ax.axhline(0, color="black", linewidth=0.8)
ax.set_xticks(places, names)
ax.set(xlabel="class (the true one is dog)", ylabel="value")
ax.set_title("A step against the gradient raises dog and lowers the others")
ax.legend()
plt.show()

# %% [markdown]
# The gradients add up to 0: what the true class gains, the others lose, each in proportion to its probability. And no
# gradient is larger than 1. Compare another possible loss, the squared error $\sum_i (p_i - q_i)^2$, for two classes
# and a growing gap between the wrong score and the true one:

# %%
gaps = np.linspace(-10, 10, 201)
pairs = np.stack([np.zeros_like(gaps), gaps], axis=1)
target = np.tile([1.0, 0.0], (201, 1))
slopes = {}
scores = Tensor(pairs.copy(), requires_grad=True)
labels = np.zeros(201, dtype=int)
# the sum over the pairs, so that each keeps its own gradient
F.cross_entropy(scores, labels, reduction="sum").backward()
slopes["cross-entropy"] = scores.grad[:, 0]
scores = Tensor(pairs.copy(), requires_grad=True)
difference = F.softmax(scores, 1) - Tensor(target)
(difference * difference).sum().backward()
slopes["squared error"] = scores.grad[:, 0]

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, slope), colour in zip(slopes.items(), ["#2a7ab8", "#c8500a"], strict=True):
    ax.plot(gaps, slope, color=colour, label=name)
    print(f"{name}: gradient at a gap of 10 is {slope[-1]:.5f}")
ax.set(xlabel="wrong score minus true score")
ax.set(ylabel="gradient of the true score")
ax.set_title("Left: right. Right: confidently wrong.")
ax.legend()
plt.show()

# %% [markdown]
# The more wrong the network is, the larger the gradient of the cross-entropy. The squared error's gradient is smallest
# where it is needed most, because the softmax is flat there: it saturates, like the tanh of lesson 03. The logarithm
# exactly undoes the exponential.
#
# This is why minicnn has one operation for softmax, logarithm and loss together, with one backward step:

# %%
batch = np.array([[2.0, 1.0, -1.0], [0.5, 0.5, 3.0]])
labels = np.array([1, 2])
scores = Tensor(batch.copy(), requires_grad=True)
with minicnn.trace() as trace:
    loss = F.cross_entropy(scores, labels)
loss.backward()
list(trace.backward_steps())[-1]

# %% [markdown]
# (It writes $x$ for the scores. The upstream gradient dL/dy is 1: the loss is the end of the graph. In its code
# `self.qv` is $q$, and `self.divisor` the number of images, the subject of the next section. AlexNet does not use the
# options `ignore_index` and `label_smoothing`.)
#
# ## The mean over the batch
#
# The loss of a batch is the *mean*, so each image's gradient is divided by the batch size. It is easy to forget. Here
# is the same batch once, and repeated twice:

# %%
minicnn.manual_seed(0)
layer = nn.Linear(4, 3, dtype="float64")
images = np.random.default_rng(8).normal(size=(2, 4))
for times in (1, 2):
    x = Tensor(np.tile(images, (times, 1)), requires_grad=True)
    layer.weight.grad = None
    loss = F.cross_entropy(layer(x), np.tile(labels, times))
    loss.backward()
    print(f"{2 * times} images: loss {loss.item():.6f}", end=", ")
    print(f"gradient of w[0, 0] {layer.weight.grad[0, 0]:.6f}")
    print(f"    gradient of image 0's first number {x.grad[0, 0]:.6f}")

# %% [markdown]
# Loss and weight gradient do not depend on the batch size. So one can change the batch size without changing everything
# else. The image's own gradient is halved, because its share in the mean is.
#
# ## Right or wrong: top-1 and top-5
#
# To name a class no probabilities are needed: it is the class of the largest score, since softmax keeps the order. The
# *top-1 error* is the share of images whose label is not that class. With a thousand classes the paper also counts the
# *top-5 error*: the share of images whose label is not among the five highest scores. Here with four images, five
# classes and the top 2:

# %%
scores = np.array(
    [
        [2.0, 1.0, 0.0, -1.0, 0.5],
        [0.1, 0.2, 0.3, 0.0, -0.5],
        [-1.0, 4.0, 3.9, 0.0, 1.0],
        [1.0, 1.5, 0.0, 2.0, -2.0],
    ]
)
labels = np.array([0, 1, 2, 0])
order = np.argsort(-scores, axis=1)  # classes, the highest score first
single = F.cross_entropy(Tensor(scores), labels, reduction="none").numpy()
for n in range(4):
    print(f"image {n}: label {labels[n]}, order {order[n]}", end=", ")
    print(f"loss {single[n]:.3f}")
top1 = np.mean(order[:, 0] != labels)
top2 = np.mean([labels[n] not in order[n, :2] for n in range(4)])
print(f"top-1 error {top1:.0%}, top-2 error {top2:.0%}", end=", ")
print(f"mean loss {single.mean():.3f}")

# %% [markdown]
# Compare images 1 and 2. Both are narrowly wrong, and their losses differ: the loss sees all scores, the error only the
# order. We train on the loss, because the error is a step function, with gradient zero almost everywhere.
#
# ## All together
#
# One fully connected layer on the pixels, and cross-entropy: this is a complete classifier, if a weak one. It gets 500
# shapes, ten classes. Each step runs the backward pass and moves every weight a little against its gradient.

# %%
shapes = load_shapes(train=500, test=500)
train_x = shapes.train_images.reshape(500, -1).astype(np.float32) / 255 - 0.5
test_x = shapes.test_images.reshape(500, -1).astype(np.float32) / 255 - 0.5
minicnn.manual_seed(0)
layer = nn.Linear(3 * 32 * 32, 10)
layer.weight.data *= 0.01  # so that the initial scores are near 0
losses, errors = [], []
for _ in range(150):
    for parameter in layer.parameters():
        parameter.grad = None
    scores = layer(Tensor(train_x))
    loss = F.cross_entropy(scores, shapes.train_labels)
    loss.backward()
    for parameter in layer.parameters():
        parameter.data -= 0.02 * parameter.grad
    losses.append(loss.item())
    test_scores = layer(Tensor(test_x)).numpy()
    errors.append(
        (
            np.mean(scores.numpy().argmax(axis=1) != shapes.train_labels),
            np.mean(test_scores.argmax(axis=1) != shapes.test_labels),
        )
    )
print(f"first loss {losses[0]:.3f}, and log(10) is {np.log(10):.3f}")
print(f"last loss {losses[-1]:.3f}")
print(f"last training error {errors[-1][0]:.0%}, test {errors[-1][1]:.0%}")

fig, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
axes[0].plot(losses, color="#2a7ab8")
axes[0].axhline(np.log(10), color="black", linestyle=":", linewidth=1)
axes[0].set(xlabel="step", ylabel="loss")
axes[0].set_title("Loss (dotted: guessing)")
for column, name, colour in (
    (0, "training set", "#2a7ab8"),
    (1, "test set", "#c8500a"),
):
    axes[1].plot(100 * np.array(errors)[:, column], color=colour, label=name)
axes[1].set(xlabel="step", ylabel="top-1 error (%)", ylim=(0, 100))
axes[1].set_title("Error (guessing: 90 %)")
axes[1].legend()
plt.show()

# %% [markdown]
# It starts at the level of guessing, and then the loss falls. But new images are another matter. A layer with a
# separate weight for each pixel cannot know that a disc is a disc wherever it is. That takes convolutions; lesson 08
# puts everything together.
#
# ## Exercises
#
# Fill in the functions with NumPy, and run the cell below each to check it. Do not change the arguments.
#
# ### 1. Fully connected layer, backward
#
# The forward pass was $y = x\, W^T + b$. `linear_backward(x, w, grad_y)` returns a tuple of three arrays,
# $\partial L / \partial x$, $\partial L / \partial W$ and $\partial L / \partial b$. `x` has the shape (N, I), `w` (O,
# I), and `grad_y`, which is $\partial L / \partial y$, (N, O). No loop is needed.


# %%
def linear_backward(x, w, grad_y):
    """Return dL/dx (N, I), dL/dw (O, I) and dL/db (O,)."""
    ### BEGIN SOLUTION
    return grad_y @ w, grad_y.T @ x, grad_y.sum(axis=0)
    ### END SOLUTION


# %%
check.linear_backward(linear_backward)

# %% [markdown]
# ### 2. A softmax that cannot overflow
#
# `softmax_rows(s)` returns the probabilities of `s`, an array of scores of shape (N, C): each *row* is an image, and
# its probabilities add up to 1. Scores may be arbitrarily large, and differ from row to row by thousands.


# %%
def softmax_rows(s):
    """Return the probabilities, shape (N, C), of scores of shape (N, C)."""
    ### BEGIN SOLUTION
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %%
check.softmax_rows(softmax_rows)

# %% [markdown]
# ### 3. Cross-entropy
#
# `cross_entropy_value(s, labels)` returns the loss, one number: the mean over the batch of $-\log p_t$. `s` has the
# shape (N, C), and `labels` the shape (N,): integers from 0 to C - 1. The true class's score may be a thousand below
# the largest. (`array[np.arange(N), labels]` picks from each row the number at its label.)


# %%
def cross_entropy_value(s, labels):
    """Return the mean loss of scores of shape (N, C), one number."""
    ### BEGIN SOLUTION
    shifted = s - s.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(s)), labels].mean()
    ### END SOLUTION


# %%
check.cross_entropy_value(cross_entropy_value)

# %% [markdown]
# ### 4. Its gradient
#
# `cross_entropy_gradient(s, labels)` returns the gradient of exercise 3's loss with respect to the scores, shape (N,
# C).


# %%
def cross_entropy_gradient(s, labels):
    """Return dL/ds, shape (N, C), of the mean loss."""
    ### BEGIN SOLUTION
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(s)), labels] -= 1
    return p / len(s)
    ### END SOLUTION


# %%
check.cross_entropy_gradient(cross_entropy_gradient)

# %% [markdown]
# ## Summary
#
# - A fully connected layer is a matrix product and a bias, and each of its three gradients is a sum over the outputs in
#   which a number is used.
# - Softmax turns scores into probabilities. Subtract the largest score first.
# - Cross-entropy is minus the logarithm of the true class's probability. Compute it directly from the scores.
# - Its gradient is what the network says minus what it should say, divided by the batch size.
