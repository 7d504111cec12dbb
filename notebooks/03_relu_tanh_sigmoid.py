# %% [markdown]
# # 03 ReLU, tanh, sigmoid
#
# Between two layers of a network stands a curve, through which every single number goes. For decades it was S-shaped;
# AlexNet took one with a corner, and its authors say that it learns six times as fast. Why should a corner learn
# faster? This lesson measures it, and finds a condition that is easily overlooked.
#
# You need lesson 01 (gradients and the backward walk) and lesson 02 (convolution and channels).

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
from minicnn.optim import SGD
from minicnn.training import train_epoch

BLUE, ORANGE, GREY = "#2a7ab8", "#c8500a", "#767676"

# %% [markdown]
# ## Why is there a curve at all?
#
# A fully connected layer multiplies by a matrix, and a convolution does so too, with a matrix of its own kind. What do
# two of them do, one behind the other?

# %%
first = np.array([[1.0, -2.0], [3.0, 1.0]])
second = np.array([[2.0, 1.0], [0.0, -1.0]])
x = np.array([1.0, 2.0])
print("two layers:       ", second @ (first @ x))
print("one, multiplied:  ", (second @ first) @ x)
print("ReLU between them:", second @ np.maximum(0, first @ x))

# %% [markdown]
# Two layers do nothing that one could not do: the product of their matrices is one matrix. A hundred layers would not
# do more. It takes something between them that is not a multiplication. In the last line it is $\max(0, x)$: the -3 of
# the first layer became 0, and no single matrix does the like for every $x$.
#
# Such a curve is called an *activation function*. It is applied to each number by itself. A number that comes out of it
# is called an *activation*, and the place where that happens a *unit*.
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
# The sigmoid goes from 0 to 1, and is 0.5 in the middle:
#
# $$\mathrm{sigmoid}(x) = \frac{1}{1 + e^{-x}}$$
#
# The hyperbolic tangent goes from -1 to 1. It is the same curve, twice as high, squeezed to half its width, and
# moved down by 1, so that $\tanh x = 2\, \mathrm{sigmoid}(2x) - 1$:
#
# $$\tanh x = \frac{e^x - e^{-x}}{e^x + e^{-x}}$$
#
# The rectified linear unit, ReLU, lets positive numbers through and makes a 0 of the others. It has no upper end:
#
# $$\mathrm{ReLU}(x) = \max(0, x)$$
#
# ## Their slopes
#
# The backward walk multiplies the gradient that comes from above by the slope of the curve at $x$ (lesson 01: the chain
# rule). For the sigmoid school calculus gives, with $y$ for its output,
#
# $$\frac{dy}{dx} = \frac{e^{-x}}{(1 + e^{-x})^2} = y\,(1 - y)$$
#
# and for the hyperbolic tangent, by the quotient rule,
#
# $$\frac{dy}{dx} = 1 - \frac{(e^x - e^{-x})^2}{(e^x + e^{-x})^2} = 1 - y^2$$
#
# ReLU's slope is 1 for positive $x$ and 0 for negative $x$. At 0 there is a corner and no slope at all. One has to
# choose a number there; the usual choice is 0.
#
# We ask the engine for all three: the gradient of the sum of the outputs is, number by number, the slope.

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
# A unit whose input lies where the curve is flat is called *saturated*. Its output hardly depends on its input any
# more, and a gradient that comes to it from above is multiplied by nearly 0. What lies below it learns next to nothing
# from it. tanh is flat on both sides from about 3 on, the sigmoid from about 4.6 on. ReLU is flat on the left only. On
# the right its slope is 1, however large the number.
#
# The largest slope of the sigmoid is a quarter. So even in its best place it takes three quarters of the gradient away.
#
# ## Slow to differentiate?
#
# The tutorial whose order these lessons follow says that sigmoid and tanh are slow because their gradients take long to
# compute, and ReLU's do not. You have just seen what they take: $1 - y^2$ is one multiplication and one subtraction, and
# $y$ is there already, from the way forward. Next to it stands the convolution. If it has 32 filters of 5 by 5 on 32
# maps, each number that it hands to a tanh is a sum of 5 times 5 times 32 products. Let the machine say it:

# %%
rng = np.random.default_rng(3)
maps = Tensor(rng.normal(size=(64, 32, 16, 16)).astype(np.float32))
filters = rng.normal(size=(32, 32, 5, 5)).astype(np.float32)
weight = Tensor(filters, requires_grad=True)
print("products for each number of the convolution:", 5 * 5 * 32)


def milliseconds(function):
    """Return the shortest of a few times for forward and backward."""
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
    print(f"convolution and {name}: {share:.2f} times as long", end=" ")
    print("as convolution and relu")

# %% [markdown]
# The times are those of the machine that ran this page. The convolution takes longer than any of the curves, and with
# tanh the two together take hardly longer than with ReLU: far from six times as long. When the paper says that a network
# with tanh learns more slowly, it counts *epochs*: how often a network has to see all the training pictures. An epoch
# that teaches little is slow on any machine. The reason is saturation, and that we can measure.
#
# ## Slopes multiply
#
# Ten layers of 50 units each, one behind the other. Each layer multiplies by a matrix of weights and applies the curve.
# The weights are drawn at random, from a normal distribution with mean 0 and variance 1/50; so a sum of 50 products is
# about as large as what came in. (The *variance* is the mean square of the distance from the mean. Its root is the
# *standard deviation*: how far from the mean numbers typically are.) ReLU makes half of its inputs 0. Its weights get the
# variance 2/50 to make up for that; lesson 10 returns to first weights. From above comes a gradient of random numbers,
# the same for all three. How much of it arrives at each layer's weights? We measure the *length* of each gradient, the
# root of the sum of the squares of all its numbers.

# %%
DEPTH, WIDTH = 10, 50


def gradient_sizes(function, variance):
    """Return the length of the gradient of each layer's weights."""
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
for name, lengths in sizes.items():
    share = lengths[0] / lengths[-1]
    print(f"{name:<8} first layer {lengths[0]:9.5f}", end="  ")
    print(f"last layer {lengths[-1]:7.2f}  first / last {share:.7f}")
print(f"a quarter, nine times over: {0.25**9:.7f}")

fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for name, style in styles.items():
    ax.semilogy(range(1, DEPTH + 1), sizes[name], marker="o", label=name, **style)
ax.set(xlabel="layer", ylabel="length of the gradient")
ax.set_title("What arrives at the weights of each layer", fontsize=10)
ax.legend()
plt.show()

# %% [markdown]
# With sigmoids the gradient shrinks from each layer to the one below to about a quarter, the sigmoid's largest slope. On
# this axis, whose steps are powers of ten, that is nearly a straight line, and from the tenth layer to the first it is
# nearly the number in the last line. The first layers get so little that they hardly change. This is called the *vanishing
# gradient*. ReLU and tanh pass the gradient on. So the difference between these two must come from something else: here
# the weights were chosen so that all numbers stay small, and among small numbers tanh does well.
#
# ## Saturation, measured
#
# What if the numbers are larger? The pixels of a picture go from 0 to 255. The authors of AlexNet subtracted from each
# pixel the mean of that pixel over all training pictures, and did nothing else (section 2 of the paper). We call such
# pixels *raw*. Nearly everybody since then also divides by the standard deviation, so that each colour has the mean 0
# and the variance 1. Such pixels are *standardised*.
#
# minicnn draws small pictures to learn from: ten classes, from disc and star to stripes and waves. To be quick we halve
# their sides: the mean of each two by two pixels.

# %%
data = load_shapes(train=1200, test=1)
halves = data.train_images.reshape(1200, 3, 16, 2, 16, 2)
pictures, labels = halves.mean(axis=(3, 5)), data.train_labels
inputs = {
    "raw": scaling.raw(pictures)[0],
    "standardised": scaling.standardised(pictures)[0],
}
for name, numbers in inputs.items():
    print(f"{name:<13} from {numbers.min():7.2f}", end=" ")
    print(f"to {numbers.max():6.2f}, deviation {numbers.std():.2f}")

fig, axes = plt.subplots(1, 10, figsize=(10, 1.5), layout="constrained")
for number, ax in enumerate(axes):
    picture = pictures[labels == number][0]
    ax.imshow(picture.transpose(1, 2, 0).astype(int))
    ax.set_title(data.classes[number], fontsize=8)
    ax.axis("off")
fig.suptitle("One picture of each class, 16 by 16 pixels", fontsize=10)
plt.show()

# %% [markdown]
# The network has four layers, as the paper's Figure 1 has: three convolutions, each followed by the activation and by a
# pool (lesson 04; here it keeps the largest number of each window of three by three), and a fully connected layer that
# gives a score for each of the ten classes. The first weights are drawn from a normal distribution of standard
# deviation 0.03, and they are the same for every activation.

# %%
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def make_network(activation):
    """Return the four-layer network with its first weights."""
    minicnn.manual_seed(0)
    layers, channels = [], 3
    for filters in (16, 16, 32):
        layers.append(nn.Conv2d(channels, filters, 5, padding=2))
        layers.append(ACTIVATIONS[activation]())
        layers.append(nn.MaxPool2d(3, stride=2))
        channels = filters
    # 16 by 16 pixels have become 7 by 7, 3 by 3, and 1; 32 maps are left.
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10))
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, std=0.03)
    return net


entering = {}
for kind, numbers in inputs.items():
    net = make_network("tanh")
    with minicnn.trace() as trace:
        net(Tensor(numbers[:200]))
    steps = [step for step in trace.forward_steps() if step.name == "Tanh"]
    entering[kind] = steps[0].inputs["x"].ravel()
    print(f"{kind}:")
    for layer, step in enumerate(steps, start=1):
        slope = 1 - step.output**2
        print(f"  tanh {layer}: mean slope {slope.mean():.3f}", end=", ")
        print(f"slope below 0.01: {np.mean(slope < 0.01):6.1%}")

# %% [markdown]
# Nothing has been trained yet. With raw pixels most units of the first layer are saturated from the start, and the
# mean slope there is small. With standardised pixels not one is. Where do the inputs of these units lie?

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
# On the left most of the blue lies where the orange curve is level, and there the backward walk multiplies by nothing.
# On the right all of it lies on the steep part. ReLU does not care: ten times as large an input is a ten times as large
# output, and the slope stays 1. The paper says just this, in section 3.1: ReLUs do not need normalised inputs to keep
# from saturating.
#
# ## Figure 1, on the spot
#
# Figure 1 of the paper shows, for a four-layer network on the pictures of CIFAR-10, how the *training error* falls from
# epoch to epoch, with ReLU and with tanh. The training error is the share of the training pictures that the network
# classes wrongly. (The tutorial speaks of the error rate reaching 0.25, as if it were the error on new pictures; but the
# figure's caption says training error. Nothing in it tells how good the network is on pictures it has not seen.)
#
# We train the network above: `Loader` hands out the pictures in batches of 32, and after each batch `SGD` moves the
# weights a step against the gradient (its `momentum` is explained in lesson 10). `train_epoch` goes through all batches
# once, which is one epoch. How far a step goes is set by the *learning rate*. Lesson 10 is about all that. Here it
# suffices that each of the four runs has a learning rate of its own. (A third of it and three times as much were tried as
# well, and ended with larger errors.) In the paper, too, each curve has its own.

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
errors = {}
for (kind, activation), rate in RATES.items():
    net = make_network(activation)
    optimizer = SGD(net.parameters(), lr=rate, momentum=0.9)
    batches = Loader(inputs[kind], labels, batch_size=32, seed=0)
    run = [train_epoch(net, optimizer, batches).error for _ in range(7)]
    errors[kind, activation] = run
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
# On the left is the paper's picture: with raw pixels tanh falls behind early, and stays there. On the right it is gone:
# the two curves are about level. They are the same networks with the same first weights and the same pictures. Only the
# scale of the pixels differs, and with it the learning rate that suits ReLU. (Compare the two curves of a panel, not
# the panels with each other: the left and the right learn at different rates and begin with numbers of different size.
# And one run of some seconds has luck in it.)
#
# ## Figure 1, the real one
#
# The paper's curves, read off its figure: ReLU has 24.8 % training error after 6 epochs, and tanh 25.1 % after 36. The
# network and its learning rates are not published. minicnn has measured the same on the 50,000 training pictures of
# CIFAR-10 (compressed as JPEG, which may change an error by some tenths of a percent), with a network like ours but
# wider. The numbers come from the command `minicnn relu-vs-tanh --data cifar10 --seeds 0,1,2 --stop-at-target`, which
# takes hours; they lie in the project's folder `docs/results`, in `relu_vs_tanh.csv` and `relu_vs_tanh.json`. Here are
# those of the first seed:

# %%
raw_relu = ".594 .414 .346 .300 .275 .254 .240"
raw_tanh = """
    .632 .498 .438 .407 .387 .375 .358 .347 .339 .330
    .330 .315 .316 .307 .307 .302 .307 .297 .294 .283
    .291 .287 .281 .292 .280 .282 .274 .272 .267 .272
    .280 .271 .271 .271 .271 .255 .263 .262 .260 .262
"""
std_relu = ".731 .482 .370 .308 .276 .25016 .237"  # .250 is above .25
std_tanh = ".697 .472 .374 .319 .281 .256 .232"
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
# And when each of the three seeds reached 25 % training error:
#
# | pixels | activation | learning rate | epochs, seeds 0, 1, 2 |
# |---|---|---|---|
# | raw | ReLU | 0.001 | 7, 8, 7 |
# | raw | tanh | 0.01 | not in 40 (26.2 %, 25.6 %, 25.8 % in epoch 40) |
# | standardised | ReLU | 0.01 | 7, 7, 7 |
# | standardised | tanh | 0.01 | 7, 7, 7 |
#
# On raw pixels tanh takes more than 40 epochs where ReLU takes 7: more than 5.7 times as many, in the paper about six.
# On standardised pixels the two are level. So the six times are real, and they are a statement about *unnormalised
# inputs*. ReLU's merit is that it needs no care: whatever the size of the numbers, its slope on the right is 1. In a
# deep network that counts in every layer, since nobody standardises the numbers between the layers by hand.
#
# ## Dead units
#
# ReLU has a weakness of its own. To the left of 0 its slope is exactly 0. A unit that gives 0 for *every* picture gets
# no gradient from any of them, so its weights never change again: it is *dead*. Take one unit with the weight $w$ and
# the bias $b$, three inputs, and one step that is too long:

# %%
x = Tensor(np.array([1.0, 2.0, 3.0]))
w = Tensor(np.array([0.5]), requires_grad=True)
b = Tensor(np.array([0.0]), requires_grad=True)
for step in range(3):
    y = F.relu(w * x + b)
    w.grad = b.grad = None
    y.sum().backward()  # the loss wants the outputs to be small
    print(f"step {step}: outputs {y.numpy()}", end="  ")
    print(f"dL/dw {w.grad[0]:.1f}  dL/db {b.grad[0]:.1f}")
    w.data = w.data - 0.2 * w.grad
    b.data = b.data - 0.2 * b.grad

# %% [markdown]
# After one step all three outputs are 0. The gradient is 0 as well, and will be forever: this unit is lost, whatever
# the other units need.
#
# How often does it happen? A hundred ReLU units are to learn whether a point of the plane lies near the middle or
# outside (200 points, two scores, the loss of lesson 07), once at a sensible learning rate and twice at one that is too
# high. After each step we count the units that are 0 for all 200 points.

# %%
rng = np.random.default_rng(0)
points = rng.normal(size=(200, 2))
outside = (np.hypot(*points.T) > 1.18).astype(int)


def count_dead(rate, steps=100):
    """Train, and return for each step how many of 100 units are dead."""
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
ax.set_title("Too long a step kills, and nothing revives", fontsize=10)
ax.legend()
plt.show()

# %% [markdown]
# At the sensible rate no unit dies. At the highest many die within a few steps, and no curve ever comes down again. The
# authors of AlexNet set the biases of several layers to 1 at first, so that their ReLUs begin on the right-hand side,
# with a gradient (section 5 of the paper; lesson 10).
#
# ## How the engine does it
#
# Here is one ReLU on its way back, in full: what comes in, what goes out, and the lines that run. The loss is
# $L = y_0 + 2 y_1 + 3 y_2 + 4 y_3$, so from above come 1, 2, 3 and 4.

# %%
x = Tensor(np.array([[1.5, -0.5, 0.0, 2.0]]), requires_grad=True)
with minicnn.trace() as trace:
    loss = (F.relu(x) * np.array([1.0, 2.0, 3.0, 4.0])).sum()
loss.backward()
print("dL/dx:", x.grad)
next(step for step in trace.backward_steps() if step.name == "ReLU")

# %% [markdown]
# Note what the operation keeps for the way back: its output $y$, not its input. $y$ is positive exactly where $x$ was,
# and the next layer holds $y$ anyway, so nothing extra is stored. tanh and sigmoid do the same, which is why their
# slopes were written with $y$ above.
#
# ## Exercises
#
# ### 1. The way back through a ReLU
#
# `relu_backward(x, grad_y)` returns $\partial L / \partial x$ as an array. `x` is what went into the ReLU, `grad_y` is
# $\partial L / \partial y$; both are arrays of floats of the same shape, any shape. Leave them as they are. For
# instance `x = [-1, 2]` and `grad_y = [5, -6]` give `[0, -6]`.
#
# `np.where(condition, a, b)` goes through arrays number by number: where the condition holds it takes from `a`, elsewhere
# from `b`, each of which may also be a single number.


# %%
def relu_backward(x, grad_y):
    """Return dL/dx of a ReLU, from its input x and dL/dy, all of one shape."""
    ### BEGIN SOLUTION
    return np.where(x > 0, grad_y, 0.0)
    ### END SOLUTION


# %%
check.relu_backward(relu_backward)

# %% [markdown]
# ### 2. The way back through a tanh
#
# `tanh_backward(y, grad_y)` returns $\partial L / \partial x$. Mind what comes in: `y` is the *output* of the tanh, as
# in the engine; the input is not there. Both are arrays of the same shape, any shape.


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
# `relu_dead_share(y)` returns which share of the units is dead, as one number from 0 to 1. `y`, of shape (N, C), has
# the outputs of C ReLU units for N pictures: `y[n, c]` is unit `c` on picture `n`. A unit is dead if its output is 0
# for all the pictures. (`count_dead` above has to answer nearly the same question.)


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
# Computed as it is written above, the sigmoid of -1000 needs $e^{1000}$, and no float is so large: NumPy says
# `overflow`, and what comes after is `inf` or `nan`. `sigmoid_stable(x)` returns the sigmoid of each number of the
# array `x`, of any shape, and works for any finite float: 0 for -1000, 1 for 1000. (If NumPy warns of an overflow, some
# form was computed where it is not safe: `np.where` computes both of its arrays in full. The check judges the numbers
# alone.) Small results must come out exactly, too: the sigmoid of -50 is about $2 \cdot 10^{-22}$, and that of -720
# about $2 \cdot 10^{-313}$; neither is 0.
#
# A hint: if you multiply the numerator and the denominator of $1 / (1 + e^{-x})$ by $e^{x}$, the value stays the same.
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
