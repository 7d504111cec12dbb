# %% [markdown]
# # 03 ReLU, tanh, sigmoid
#
# Between two layers of a network is an *activation function*, a curve applied to every number. For decades it was
# S-shaped; AlexNet took one with a corner, and its authors say that it learns six times as fast. Why should a corner
# learn faster? This lesson measures it, and finds a condition that is easily overlooked.
#
# You need lesson 01 (gradients and the backward pass) and lesson 02 (convolution and channels).

# %% tags=["setup"]
# %matplotlib inline
import time

import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, nn, viz
from minicnn import functional as F
from minicnn.data import Loader, load_shapes, scaling
from minicnn.lessons import check
from minicnn.lessons.browser import training_epochs
from minicnn.optim import SGD
from minicnn.training import train_epoch

BLUE, ORANGE, GREY = "#2a7ab8", "#c8500a", "#767676"

# %% [markdown]
# ## Why an activation function?
#
# A fully connected layer multiplies by a matrix, and so does a convolution, with a matrix of a special form. What do
# two of them in a row do?

# %%
first = np.array([[1.0, -2.0], [3.0, 1.0]])
second = np.array([[2.0, 1.0], [0.0, -1.0]])
x = np.array([1.0, 2.0])
print("two layers:       ", second @ (first @ x))
print("one, multiplied:  ", (second @ first) @ x)
print("ReLU between them:", second @ np.maximum(0, first @ x))

# %% [markdown]
# Two such layers can do nothing that one could not: the product of their matrices is one matrix. A hundred layers could
# do no more. Something nonlinear is needed between them. In the last line it is $\max(0, x)$: the -3 of the first layer
# became 0, and no single matrix does that for every $x$.
#
# The activation function is applied to each number separately (*elementwise*). Its output is called an *activation*,
# and the place that computes it a *unit*.
#
# ## Three curves
#
# First some numbers:

# %%
some = Tensor(np.array([-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0]))
for name, function in [
    ("x", lambda x: x),
    ("sigmoid", F.sigmoid),
    ("tanh", F.tanh),
    ("relu", F.relu),
]:
    values = function(some).numpy()
    print(f"{name:<8}", *(f"{value:8.4f}" for value in values))

# %% [markdown]
# The sigmoid goes from 0 to 1, with 0.5 in the middle:
#
# $$\mathrm{sigmoid}(x) = \frac{1}{1 + e^{-x}}$$
#
# The hyperbolic tangent goes from -1 to 1. It is the same curve, twice as high, half as wide and moved down by 1:
# $\tanh x = 2\, \mathrm{sigmoid}(2x) - 1$.
#
# $$\tanh x = \frac{e^x - e^{-x}}{e^x + e^{-x}}$$
#
# The rectified linear unit, ReLU, passes positive numbers and sets all others to 0. It has no upper bound:
#
# $$\mathrm{ReLU}(x) = \max(0, x)$$
#
# ## Their slopes
#
# The backward pass multiplies the upstream gradient by the slope of the curve at $x$ (lesson 01: the chain rule). For
# the sigmoid with output $y$, school calculus gives
#
# $$\frac{dy}{dx} = \frac{e^{-x}}{(1 + e^{-x})^2} = y\,(1 - y)$$
#
# and for the hyperbolic tangent, by the quotient rule,
#
# $$\frac{dy}{dx} = 1 - \frac{(e^x - e^{-x})^2}{(e^x + e^{-x})^2} = 1 - y^2$$
#
# ReLU's slope is 1 for positive $x$ and 0 for negative $x$. At 0 there is a corner and no slope. One has to choose a
# number there; the usual choice is 0.
#
# minicnn gives us all three: the gradient of the sum of the outputs is, element by element, the slope.

# %%
across = np.linspace(-6, 6, 601)
curves, slopes = {}, {}
for name in ("sigmoid", "tanh", "relu"):
    x = Tensor(across, requires_grad=True)
    y = getattr(F, name)(x)
    y.sum().backward()
    curves[name], slopes[name] = y.numpy(), x.grad
    steepest = slopes[name].max()
    at_three = slopes[name][np.argmin(np.abs(across - 3))]
    print(f"{name:<8} steepest {steepest:.4f}", end="   ")
    print(f"slope at x = 3: {at_three:.4f}")
flat = across[(across > 0) & (slopes["tanh"] < 0.01)][0]
print(f"tanh's slope is below 0.01 from x = {flat:.2f} on")
flat = across[(across > 0) & (slopes["sigmoid"] < 0.01)][0]
print(f"the sigmoid's from x = {flat:.2f} on")

styles = {
    "sigmoid": {"color": GREY, "linestyle": ":"},
    "tanh": {"color": ORANGE, "linestyle": "--"},
    "relu": {"color": BLUE},
}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for name, style in styles.items():
    axes[0].plot(across, curves[name], label=name, **style)
    axes[1].plot(across, slopes[name], label=name, **style)
axes[0].set(title="the curve", xlabel="input x", ylabel="output y")
axes[0].set_ylim(-1.2, 3)
axes[1].set(title="its slope", xlabel="input x", ylabel="slope dy/dx")
axes[0].legend()
plt.show()

# %% [markdown]
# A unit whose input is where the curve is flat is *saturated*. Its output hardly depends on its input any more, and the
# gradient that flows back through it is multiplied by nearly 0. The layers below learn next to nothing from it. tanh is
# flat on both sides from about 3 on, the sigmoid from about 4.6 on. ReLU is flat on the left only. On the right its
# slope is 1, however large the number.
#
# The sigmoid's largest slope is a quarter. So even at its best it removes three quarters of the gradient.
#
# ## Slow to differentiate?
#
# The tutorial whose order these lessons follow says that sigmoid and tanh are slow because their gradients take long to
# compute, and ReLU's do not. But $1 - y^2$ is one multiplication and one subtraction, and the forward pass has already
# computed $y$. Compare that with a convolution: with 32 filters of 5 by 5 on 32 maps, each number that it passes to a
# tanh is a sum of 5 times 5 times 32 products. Let us time them:

# %%
rng = np.random.default_rng(3)
maps = Tensor(rng.normal(size=(64, 32, 16, 16)).astype(np.float32))
filters = rng.normal(size=(32, 32, 5, 5)).astype(np.float32)
weight = Tensor(filters, requires_grad=True)
print("products per output of the convolution:", 5 * 5 * 32)


def milliseconds(function):
    """Return the shortest of five times for forward and backward."""
    times = []
    for _ in range(5):
        x = Tensor(maps.numpy(), requires_grad=True)
        start = time.perf_counter()
        y = function(x)
        y.backward(maps.numpy())
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


times = {
    "convolution": milliseconds(lambda x: F.conv2d(x, weight, padding=2)),
    "tanh": milliseconds(F.tanh),
    "sigmoid": milliseconds(F.sigmoid),
    "relu": milliseconds(F.relu),
}
for name, duration in times.items():
    print(f"{name:<12} {duration:8.2f} ms")
for name in ("tanh", "sigmoid"):
    both = times["convolution"] + times[name]
    share = both / (times["convolution"] + times["relu"])
    print(f"convolution with {name}: {share:.2f} times as long", end=" ")
    print("as with relu")

# %% [markdown]
# (The times depend on the machine.) The convolution takes longer than any activation function, and with tanh the two
# together take hardly longer than with ReLU: nowhere near six times. When the paper says that a network with tanh
# learns more slowly, it counts *epochs*: passes through the whole training set. An epoch that teaches little is slow on
# any machine. The reason is saturation, and that we can measure.
#
# ## Slopes multiply
#
# Take ten layers of 50 units each. Each layer multiplies by a weight matrix and applies the activation function. The
# weights are drawn from a normal distribution with mean 0 and variance 1/50, so that a sum of 50 products is about as
# large as its inputs. (The *variance* is the mean squared distance from the mean. Its root is the *standard deviation*:
# how far numbers typically are from the mean.) ReLU sets half of its inputs to 0, so its weights get the variance 2/50
# to compensate; lesson 10 returns to weight initialisation. The upstream gradient is random, the same for all three.
# How much of it reaches each layer's weights? We measure each gradient's *norm*, the root of the sum of its squared
# numbers.

# %%
DEPTH, WIDTH = 10, 50


def gradient_sizes(function, variance):
    """Return the norm of the gradient of each layer's weights."""
    rng = np.random.default_rng(0)
    hidden = Tensor(rng.normal(size=(100, WIDTH)))
    weights = []
    for _ in range(DEPTH):
        drawn = rng.normal(0, np.sqrt(variance), size=(WIDTH, WIDTH))
        weights.append(Tensor(drawn, requires_grad=True))
        hidden = function(hidden @ weights[-1])
    hidden.backward(rng.normal(size=(100, WIDTH)))
    return np.array([np.linalg.norm(weight.grad) for weight in weights])


sizes = {
    "sigmoid": gradient_sizes(F.sigmoid, 1 / WIDTH),
    "tanh": gradient_sizes(F.tanh, 1 / WIDTH),
    "relu": gradient_sizes(F.relu, 2 / WIDTH),
}
for name, norms in sizes.items():
    share = norms[0] / norms[-1]
    print(f"{name:<8} first layer {norms[0]:9.5f}", end="  ")
    print(f"last layer {norms[-1]:7.2f}  first / last {share:.7f}")
print(f"0.25 to the power of nine: {0.25**9:.7f}")

fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for name, style in styles.items():
    ax.semilogy(range(1, DEPTH + 1), sizes[name], marker="o", label=name, **style)
ax.set(xlabel="layer", ylabel="norm of the gradient")
ax.set_title("The gradient that reaches each layer's weights", fontsize=10)
ax.legend()
plt.show()

# %% [markdown]
# With sigmoids the gradient shrinks from each layer to the one below to about a quarter, the sigmoid's largest slope.
# On this logarithmic axis that is nearly a straight line, and from the tenth layer to the first the factor is nearly
# the last line's number. The first layers get so little that they hardly change. This is the *vanishing gradient*. ReLU
# and tanh pass the gradient on. So the difference between these two must have another cause: here the weights were
# chosen to keep all numbers small, and for small numbers tanh does well.
#
# ## Saturation, measured
#
# What if the numbers are larger? The pixels of an image go from 0 to 255. The authors of AlexNet subtracted from each
# pixel its mean over the training set, and did nothing else (section 2 of the paper). We call such pixels *raw*. Nearly
# everybody since then also divides by the standard deviation, so that each colour channel has mean 0 and variance 1.
# Such pixels are *standardised*.
#
# minicnn draws a small data set: ten classes, from disc and star to stripes and waves. To save time we halve the sides,
# averaging each two by two pixels.

# %%
data = load_shapes(train=1200, test=1)
halves = data.train_images.reshape(1200, 3, 16, 2, 16, 2)
images, labels = halves.mean(axis=(3, 5)), data.train_labels
inputs = {
    "raw": scaling.raw(images)[0],
    "standardised": scaling.standardised(images)[0],
}
for name, numbers in inputs.items():
    print(f"{name:<13} from {numbers.min():7.2f}", end=" ")
    print(f"to {numbers.max():6.2f}, deviation {numbers.std():.2f}")

fig, axes = plt.subplots(1, 10, figsize=(10, 1.5), layout="constrained")
for number, ax in enumerate(axes):
    image = images[labels == number][0]
    ax.imshow(image.transpose(1, 2, 0).astype(int))
    ax.set_title(data.classes[number], fontsize=8)
    ax.axis("off")
fig.suptitle("One image of each class, 16 by 16 pixels", fontsize=10)
plt.show()

# %% [markdown]
# The network has four layers, as in the paper's Figure 1: three convolutions, each followed by the activation function
# and by max pooling (lesson 04: it keeps the largest number of each three by three window), and a fully connected layer
# with a score for each of the ten classes. The initial weights are drawn from a normal distribution with standard
# deviation 0.03, the same weights for every activation function.

# %%
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def make_network(activation):
    """Return the four-layer network with its initial weights."""
    minicnn.manual_seed(0)
    layers, channels = [], 3
    for filters in (16, 16, 32):
        layers.append(nn.Conv2d(channels, filters, 5, padding=2))
        layers.append(ACTIVATIONS[activation]())
        layers.append(nn.MaxPool2d(3, stride=2))
        channels = filters
    # 16 by 16 pixels have become 7 by 7, 3 by 3, then 1 by 1, in 32 maps.
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10))
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, std=0.03)
    return net


def tanh_steps(net, numbers):
    """Return the step of each tanh of the network, for 200 images."""
    with minicnn.no_grad(), minicnn.trace() as trace:
        net(Tensor(numbers[:200]))
    return [step for step in trace.forward_steps() if step.name == "Tanh"]


def saturated(steps):
    """Return the share of saturated units in each layer."""
    return [float(np.mean(np.abs(step.output) > 0.99)) for step in steps]


entering = {}
for kind, numbers in inputs.items():
    steps = tanh_steps(make_network("tanh"), numbers)
    entering[kind] = steps[0].inputs["x"].ravel()
    print(f"{kind}:")
    for layer, share in enumerate(saturated(steps), start=1):
        slope = np.mean(1 - steps[layer - 1].output ** 2)
        print(f"  tanh {layer}: mean slope {slope:.3f}", end=", ")
        print(f"saturated: {share:6.1%}")

# %% [markdown]
# Here a unit counts as saturated on an image if its output is beyond 0.99 or -0.99. Its slope $1 - y^2$ is then below
# 0.02: of the gradient that arrives, less than a fiftieth goes on.
#
# Nothing has been trained yet. With raw pixels most units of the first layer are saturated from the start, and their
# mean slope is small. With standardised pixels none is. Where do the inputs of these units lie?

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
wide = np.linspace(-40, 40, 801)
for ax, (kind, numbers) in zip(axes, entering.items(), strict=True):
    weights = np.full(numbers.size, 100 / numbers.size)
    ax.hist(numbers, bins=80, range=(-40, 40), weights=weights, color=BLUE)
    ax.set(title=f"{kind} pixels", xlabel="input of the first tanh")
    ax.set_ylabel("% of the units", color=BLUE)
    right = ax.twinx()
    right.plot(wide, np.tanh(wide), color=ORANGE)
    right.set_ylabel("tanh of it", color=ORANGE)
    right.set_ylim(-1.1, 1.1)
plt.show()

# %% [markdown]
# On the left most of the blue is where the orange curve is flat, and there the backward pass multiplies by almost
# nothing. On the right all of it is on the steep part. ReLU does not care: ten times the input is ten times the output,
# and the slope stays 1. The paper says just this in section 3.1: ReLUs do not need input normalisation to prevent them
# from saturating.
#
# ## Figure 1, reproduced in seconds
#
# Figure 1 of the paper shows how the *training error* of a four-layer network on CIFAR-10 falls from epoch to epoch,
# with ReLU and with tanh. The training error is the share of the training images that the network misclassifies. (The
# tutorial speaks of the error rate reaching 0.25, as if it were the error on new images; but the caption says training
# error. The figure does not tell how good the network is on images it has not seen.)
#
# We train the network above: `Loader` gives the images in batches of 32, and after each batch `SGD` moves the weights a
# step against the gradient (lesson 10 explains its `momentum`). `train_epoch` goes through all batches once, which is
# one epoch. The *learning rate* sets how far a step goes; more in lesson 10. As in the paper, each of the four runs has
# its own. (A third of it and three times as much ended with larger errors.)

# %%
RATES = {
    ("raw", "relu"): 0.001,
    ("raw", "tanh"): 0.03,
    ("standardised", "relu"): 0.03,
    ("standardised", "tanh"): 0.03,
}


def learning_curve(label, run, rate):
    """Return a curve for the figure: ReLU solid, tanh dashed."""
    detail = f", learning rate {rate:g}"
    if label == "ReLU":
        return viz.Curve(label, [run], BLUE, "-", detail)
    return viz.Curve(label, [run], ORANGE, "--", detail)


# %% tags=["heavy"]
errors, shares = {}, {}
passes = training_epochs(7, in_browser=2)
for (kind, activation), rate in RATES.items():
    net = make_network(activation)
    optimizer = SGD(net.parameters(), lr=rate, momentum=0.9)
    batches = Loader(inputs[kind], labels, batch_size=32, seed=0)
    run, after = [], [saturated(tanh_steps(net, inputs[kind]))]
    for _ in range(passes):
        run.append(train_epoch(net, optimizer, batches).error)
        after.append(saturated(tanh_steps(net, inputs[kind])))
    errors[kind, activation] = run
    if activation == "tanh":
        shares[kind] = np.array(after)  # (epochs, layers)
    print(f"{kind:<13} {activation}", *(f"{error:.2f}" for error in run))

# %% tags=["heavy"]
panels = []
for kind in inputs:
    lines = [
        learning_curve(label, errors[kind, name], RATES[kind, name])
        for label, name in [("ReLU", "relu"), ("tanh", "tanh")]
    ]
    panels.append(viz.Panel(f"{kind} pixels", "1,200 shapes", lines))
viz.error_curves(panels, target=0.6)

# %% [markdown]
# On the left is the paper's result: with raw pixels tanh falls behind early, and stays behind. On the right the gap is
# gone: the two curves are about level. These are the same networks with the same initial weights and the same images.
# Only the scale of the pixels differs, and with it the learning rate that suits ReLU. (Compare the two curves within a
# panel, not across panels, whose inputs and learning rates differ. And a single run of some seconds depends on luck.)
#
# Does training free the saturated units? While the networks with tanh were trained, we counted them before the first
# epoch and after each:

# %% tags=["heavy"]
fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for (kind, each), line in zip(shares.items(), ("-", ":"), strict=True):
    for layer, share in enumerate(each.T, start=1):
        shade = plt.colormaps["Oranges"](1.1 - 0.25 * layer)
        label = f"{kind}, layer {layer}"
        ax.plot(100 * share, color=shade, linestyle=line, label=label)
    print(f"{kind}, first layer:", *(f"{share:.1%}" for share in each[:, 0]))
ax.set(xlabel="epoch", ylabel="% of the units saturated")
ax.set_title("With raw pixels the first layer stays saturated", fontsize=10)
ax.legend(ncols=2, fontsize=9)
plt.show()

# %% [markdown]
# It does not: more and more units of the first layer become saturated, until nearly all are. A saturated unit hardly gets
# a gradient, so little moves its weights back; and where a gradient does get through, weights grow as they learn, and push
# further units outwards. Such a layer passes on little more than signs: which side of an edge is lighter, not by how much.
# The other two layers see numbers between -1 and 1, whatever the pixels were, and with both kinds of pixels about as many
# of their units become saturated. So the difference between the two panels comes from the layer that meets the pixels.
#
# ## Figure 1 on CIFAR-10
#
# The paper's curves, read off its figure: ReLU has 24.8 % training error after 6 epochs, and tanh 25.1 % after 36. The
# network and its learning rates are not published. minicnn has measured the same on the 50,000 training images of
# CIFAR-10 (compressed as JPEG, which may change an error by some tenths of a percent), with a network like ours but
# wider. The command is `minicnn relu-vs-tanh --data cifar10 --seeds 0,1,2 --epochs 60 --stop-at-target`. It takes an hour;
# its results are `relu_vs_tanh.csv` and `relu_vs_tanh.json` in the project's folder `docs/results`. Here are those of the
# first seed:

# %%
raw_relu = ".595 .415 .342 .299 .278 .257 .240"
raw_tanh = """
    .631 .493 .439 .406 .388 .370 .351 .344 .336 .332
    .332 .318 .313 .307 .303 .294 .295 .295 .294 .284
    .284 .281 .276 .280 .275 .272 .283 .280 .276 .275
    .275 .269 .268 .262 .267 .265 .267 .267 .268 .272
    .275 .271 .264 .257 .258 .261 .255 .259 .260 .255
    .257 .261 .252 .259 .255 .2505 .255 .243
"""
std_relu = ".731 .481 .371 .311 .279 .254 .237"
std_tanh = ".697 .473 .373 .318 .281 .255 .234"
measured = {
    ("raw", "ReLU", 0.001): raw_relu,
    ("raw", "tanh", 0.01): raw_tanh,
    ("standardised", "ReLU", 0.01): std_relu,
    ("standardised", "tanh", 0.01): std_tanh,
}
cifar_panels = []
for kind in ("raw", "standardised"):
    lines = []
    for (scale, label, rate), text in measured.items():
        if scale == kind:
            run = [float(error) for error in text.split()]
            lines.append(learning_curve(label, run, rate))
    cifar_panels.append(viz.Panel(f"{kind} pixels", "CIFAR-10", lines))
viz.error_curves(cifar_panels, target=0.25)

# %% [markdown]
# The epoch in which each of the three seeds reached 25 % training error:
#
# | pixels | activation | learning rate | epochs, seeds 0, 1, 2 |
# |---|---|---|---|
# | raw | ReLU | 0.001 | 7, 8, 7 |
# | raw | tanh | 0.01 | 58, 41, 47 |
# | standardised | ReLU | 0.01 | 7, 7, 7 |
# | standardised | tanh | 0.01 | 7, 7, 7 |
#
# On raw pixels tanh takes 47 epochs where ReLU takes 7 (the medians): 6.7 times as many, in the paper about six. On
# standardised pixels the two are level. So the factor of six is real, but it is a statement about *unnormalised inputs*.
# ReLU's merit is that it is robust: whatever the scale of the numbers, its slope on the right is 1. In a deep network that
# counts in every layer, since nothing standardises the numbers between the layers.
#
# The command counts saturated units as we did above, after each epoch, on the first 1,000 training images: the columns
# `saturated_1` to `saturated_3` of its table, and the third panel of its figure. Means of the three seeds:
#
# | pixels | after epoch | layer 1 | layer 2 | layer 3 |
# |---|---|---|---|---|
# | raw | 1 | 95 % | 7.5 % | 0.2 % |
# | raw | 7 | 98.5 % | 39 % | 14 % |
# | raw | 41 | 100 % | 68 % | 52 % |
# | standardised | 1 | 0 % | 0 % | 0 % |
# | standardised | 7 | 3 % | 14 % | 10 % |
#
# The first layer is saturated before the first epoch is over. In a network as wide as this, the second follows: what it
# reads are nearly all numbers close to -1 and 1.
#
# ## Dead units
#
# ReLU has a weakness of its own. Left of 0 its slope is exactly 0. A unit that outputs 0 for *every* image gets no
# gradient from any of them, so its weights never change again: it is *dead*. Take one unit with weight $w$ and bias
# $b$, three inputs, and one step that is too large:

# %%
x = Tensor(np.array([1.0, 2.0, 3.0]))
w = Tensor(np.array([0.5]), requires_grad=True)
b = Tensor(np.array([0.0]), requires_grad=True)
for step in range(3):
    y = F.relu(w * x + b)
    w.grad = b.grad = None
    y.sum().backward()  # the loss is the sum of the outputs
    print(f"step {step}: outputs {y.numpy()}", end="  ")
    print(f"dL/dw {w.grad[0]:.1f}  dL/db {b.grad[0]:.1f}")
    w.data = w.data - 0.2 * w.grad
    b.data = b.data - 0.2 * b.grad

# %% [markdown]
# After one step all three outputs are 0. The gradient is 0 as well, and stays 0: this unit is lost, whatever happens to
# other units.
#
# How often does that happen? A hundred ReLU units learn whether a point of the plane is near the middle or outside (200
# points, two scores, the loss of lesson 07), once at a sensible learning rate and twice at one that is too high. After
# each step we count the units that are 0 for all 200 points.

# %%
rng = np.random.default_rng(0)
points = rng.normal(size=(200, 2))
outside = (np.hypot(*points.T) > 1.18).astype(int)


def count_dead(rate, steps=100):
    """Train, and return after each step how many of 100 units are dead."""
    rng = np.random.default_rng(10)
    w1 = Tensor(rng.normal(size=(2, 100)), requires_grad=True)
    b1 = Tensor(np.zeros(100), requires_grad=True)
    w2 = Tensor(rng.normal(0, 0.2, size=(100, 2)), requires_grad=True)
    optimizer = SGD([w1, b1, w2], lr=rate)
    dead = []
    for _ in range(steps):
        hidden = F.relu(Tensor(points) @ w1 + b1)
        loss = F.cross_entropy(hidden @ w2, outside)
        dead.append(int((hidden.numpy() == 0).all(axis=0).sum()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dead, loss.item()


fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
choices = [(0.3, BLUE, "-"), (3, GREY, ":"), (30, ORANGE, "--")]
for rate, color, style in choices:
    dead, loss = count_dead(rate)
    print(f"learning rate {rate:>4}: {dead[-1]} of 100 dead", end=", ")
    print(f"loss {loss:.2f}")
    label = f"learning rate {rate}"
    ax.plot(dead, color=color, linestyle=style, label=label)
ax.set(xlabel="step", ylabel="dead units of 100")
ax.set_title("Large steps kill units, and nothing revives them", fontsize=10)
ax.legend()
plt.show()

# %% [markdown]
# At the sensible rate no unit dies. At the highest many die within a few steps, and no curve ever comes down again. The
# authors of AlexNet initialised the biases of several layers to 1, so that their ReLUs start on the right-hand side,
# with a gradient (section 5 of the paper; lesson 10).
#
# ## What minicnn runs
#
# Here is the backward pass of one ReLU: the gradient that comes in, the one that goes out, and the code. The loss is
# $L = y_0 + 2 y_1 + 3 y_2 + 4 y_3$, so the upstream gradient is 1, 2, 3 and 4.

# %%
x = Tensor(np.array([[1.5, -0.5, 0.0, 2.0]]), requires_grad=True)
with minicnn.trace() as trace:
    loss = (F.relu(x) * np.array([1.0, 2.0, 3.0, 4.0])).sum()
loss.backward()
print("dL/dx:", x.grad)
next(step for step in trace.backward_steps() if step.name == "ReLU")

# %% [markdown]
# Note what the operation saves for the backward pass: its output $y$, not its input. $y$ is positive exactly where $x$
# was, and the next layer holds $y$ anyway, so it takes no extra memory. tanh and sigmoid do the same, which is why
# their slopes were written with $y$ above.
#
# ## Exercises
#
# ### 1. ReLU, backward
#
# `relu_backward(x, grad_y)` returns $\partial L / \partial x$ as an array. `x` is the input of the ReLU, `grad_y` is
# $\partial L / \partial y$; both are arrays of floats of the same shape, any shape. Do not change them. For instance
# `x = [-1, 2]` and `grad_y = [5, -6]` give `[0, -6]`.
#
# `np.where(condition, a, b)` works element by element: it takes from `a` where the condition holds and from `b`
# elsewhere. `a` and `b` may also be single numbers.


# %%
def relu_backward(x, grad_y):
    """Return dL/dx of a ReLU, from its input x and dL/dy, all of one shape."""
    ### BEGIN SOLUTION
    return np.where(x > 0, grad_y, 0.0)
    ### END SOLUTION


# %%
check.relu_backward(relu_backward)

# %% [markdown]
# ### 2. tanh, backward
#
# `tanh_backward(y, grad_y)` returns $\partial L / \partial x$. Note that `y` is the *output* of the tanh, as in
# minicnn; its input is not given. Both are arrays of the same shape, any shape.


# %%
def tanh_backward(y, grad_y):
    """Return dL/dx of a tanh, from its output y and dL/dy, all of one shape."""
    ### BEGIN SOLUTION
    return grad_y * (1 - y**2)
    ### END SOLUTION


# %%
check.tanh_backward(tanh_backward)

# %% [markdown]
# ### 3. Dead units
#
# `relu_dead_share(y)` returns the share of dead units, from 0 to 1. `y`, of shape (N, C), has the outputs of C ReLU
# units for N images: `y[n, c]` is unit `c` on image `n`. A unit is dead if its output is 0 for all images.
# (`count_dead` above does nearly the same.)


# %%
def relu_dead_share(y):
    """Return the share of dead units, 0 to 1; y (N, C) are ReLU outputs."""
    ### BEGIN SOLUTION
    return float(np.mean((y == 0).all(axis=0)))
    ### END SOLUTION


# %%
check.relu_dead_share(relu_dead_share)

# %% [markdown]
# ### 4. A sigmoid that does not overflow
#
# Computed as written above, the sigmoid of -1000 needs $e^{1000}$, which no float can hold: NumPy warns of an
# `overflow`, and the result is `inf` or `nan`. `sigmoid_stable(x)` returns the sigmoid of each number of the array `x`,
# of any shape, and works for any finite float: 0 for -1000, 1 for 1000. (If NumPy warns of an overflow, some form was
# computed where it is not safe: `np.where` computes both of its arrays in full. The check looks only at the numbers.)
# Small results must be accurate, too: the sigmoid of -50 is about $2 \cdot 10^{-22}$, and that of -720 about
# $2 \cdot 10^{-313}$; neither is 0.
#
# A hint: multiplying the numerator and the denominator of $1 / (1 + e^{-x})$ by $e^{x}$ does not change the value.
# Which of the two forms is safe for which $x$?


# %%
def sigmoid_stable(x):
    """Return the sigmoid of each number of x, without overflow."""
    ### BEGIN SOLUTION
    small = np.exp(-np.abs(x))  # between 0 and 1, whatever x is
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    ### END SOLUTION


# %%
check.sigmoid_stable(sigmoid_stable)
