# %% [markdown]
# # 10 Training
#
# The network is built, and the backward pass gives a gradient for each of its weights. What remains is to take steps.
# How long should they be? Why momentum? When should they get shorter, and where should training begin? This lesson goes
# through the recipe of section 5 of the paper, number by number. Then it trains a network, and measures what AlexNet's
# five contributions are worth.
#
# You need lesson 01 (gradients), lesson 07 (the loss) and lesson 08 (the network).

# %% tags=["setup"]
# %matplotlib inline
import copy

import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, nn
from minicnn import functional as F
from minicnn.data import Loader, load_shapes, scaling
from minicnn.lessons import check
from minicnn.lessons.browser import training_epochs
from minicnn.optim import SGD
from minicnn.training import TrainingError, train_epoch

BLUE, ORANGE, GREY = "#2a7ab8", "#c8500a", "#767676"

# %% [markdown]
# ## A step
#
# Take one weight $w$ and a loss that is a parabola: $L = \frac{1}{2} w^2$. Its gradient is $g = dL/dw = w$, and the
# minimum is at $w = 0$. We begin at $w = 1$ and descend: in each step
#
# $$w \leftarrow w - \varepsilon\, g$$
#
# The number $\varepsilon$ (epsilon; `lr` in the code) is the *learning rate*. Here every step multiplies $w$ by
# $1 - \varepsilon$. What happens depends on that number alone:

# %%
for rate in (0.1, 1.0, 1.9, 2.1):
    w, path = 1.0, []
    for _ in range(6):
        path.append(w)
        gradient = w
        w = w - rate * gradient
    print(f"lr {rate}:", *(f"{w:8.4f}" for w in path))

# %% [markdown]
# - 0.1: it converges, slowly.
# - 1.0: it arrives in one step. But that is luck: it holds for this parabola, not for a steeper one.
# - 1.9: each step overshoots to the other side. It converges all the same.
# - 2.1: each step overshoots so far that it ends higher than it began. The loss grows without bound: training
#   *diverges*.
#
# In general, with $L = \frac{c}{2} w^2$, a step multiplies $w$ by $1 - \varepsilon c$, where $c$ is the *curvature*. A
# network has millions of weights, and the loss is steep along some directions and flat along others. Take two: $c = 20$
# for $w_0$ and $c = 1$ for $w_1$. The steep direction limits the learning rate, and the flat one is slow because of it:

# %%
curvatures = np.array([20.0, 1.0])


def descend(rate, momentum, steps=40):
    """Return the path of SGD, shape (steps + 1, 2)."""
    w = Tensor(np.array([0.5, 2.0]), requires_grad=True)
    optimizer = SGD([w], lr=rate, momentum=momentum)
    points = [w.numpy().copy()]
    for _ in range(steps):
        loss = (w * w * curvatures).sum() * 0.5
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        points.append(w.numpy().copy())
    return np.array(points)


across, along = np.meshgrid(np.linspace(-0.7, 0.7, 81), np.linspace(-1, 2.3, 81))
height = (20 * across**2 + along**2) / 2
fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
tries = [
    (0.02, 0.0, "lr 0.02: slow"),
    (0.095, 0.0, "lr 0.095: zigzag"),
    (0.02, 0.8, "lr 0.02, momentum 0.8"),
]
for ax, (rate, momentum, name) in zip(axes, tries, strict=True):
    points = descend(rate, momentum)
    last = (points[-1] ** 2 * curvatures).sum() / 2
    print(f"{name:<22} loss after 40 steps: {last:.6f}")
    levels = [0.02, 0.1, 0.4, 1, 2, 4]
    ax.contour(across, along, height, levels=levels, colors=GREY)
    ax.plot(*points.T, ".-", color=ORANGE)
    ax.set(title=name, xlabel="steep direction $w_0$")
axes[0].set_ylabel("flat direction $w_1$")
plt.show()

# %% [markdown]
# Each grey line joins points of equal loss; the minimum is at (0, 0). At 0.02 the steep direction converges within some
# steps, but the flat one creeps. At 0.095 the steep direction oscillates. (At 0.1 it would oscillate forever:
# $1 - 0.1 \cdot 20 = -1$.) The third panel has the small rate and still arrives first. It has momentum.
#
# ## Momentum and weight decay: the paper's step
#
# The paper does not move a weight by the gradient itself, but by a *velocity* $v$ that remembers earlier gradients.
# Section 5 has two lines:
#
# $$v \leftarrow 0.9\, v - 0.0005\, \varepsilon\, w - \varepsilon\, g$$
#
# $$w \leftarrow w + v$$
#
# - The velocity starts at 0. Each step keeps nine tenths of it. 0.9 is the *momentum*, $m$ below.
# - $-\varepsilon\, g$ is the step from before.
# - $-0.0005\, \varepsilon\, w$ pulls the weight towards 0, in proportion to its size. 0.0005 is the *weight decay*, $d$
#   below.
# - $g$ is the mean of the gradients over the images of a batch. ($w$ in the second line moves by the *new* velocity.)
#
# Five steps from $w = 1$ on $L = \frac{1}{2} w^2$, with $\varepsilon = 0.1$ and a weight decay of 0.01 to make it
# visible; by hand, and beside it minicnn:

# %%
m, d, rate = 0.9, 0.01, 0.1
w, v = 1.0, 0.0
weight = Tensor(np.array([1.0]), requires_grad=True)
optimizer = SGD([weight], rate, momentum=m, weight_decay=d, style="paper")
for step in range(1, 6):
    g = w
    terms = m * v, -d * rate * w, -rate * g
    v = sum(terms)
    w = w + v
    optimizer.zero_grad()
    (weight * weight * 0.5).sum().backward()
    optimizer.step()
    print(f"step {step}: v =", *(f"{term:+.4f}" for term in terms), end=" ")
    print(f"= {v:+.4f}  w = {w:.4f}  minicnn {weight.numpy()[0]:.4f}")

# %% [markdown]
# Both agree. The velocity grows: the first step is about a tenth, later ones are longer, although the gradient has
# become smaller. That is momentum.
#
# How far can that go? Let the gradient be 1 in every step, as on a long constant slope:

# %%
v, lengths = 0.0, []
for _ in range(40):
    v = 0.9 * v - 0.01 * 1.0
    lengths.append(-v)
for step in (1, 2, 3, 10, 40):
    print(f"step {step:2d} moves the weight by {lengths[step - 1]:.4f}")
print(f"without momentum each would move it by {0.01:.4f}")
print(f"0.01 / (1 - 0.9) = {0.01 / (1 - 0.9):.4f}")

# %% [markdown]
# The steps are $0.01 \cdot (1 + 0.9 + 0.9^2 + \ldots)$, and that sum approaches $1 / (1 - 0.9) = 10$. So along a
# direction in which the gradients agree, momentum makes the steps ten times as long. Where they alternate in sign, as
# across the steep valley, they cancel. This is why the third panel above won.
#
# ## What weight decay does
#
# Let the gradient be 0, so that only the decay is left, with the paper's own numbers. How fast does a weight shrink?
# Once the velocity has built up it multiplies the decay by ten: each step multiplies the weight by about
# $1 - 10 \cdot 0.0005 \cdot 0.01$.

# %%
w = Tensor(np.array([1.0]), requires_grad=True)
optimizer = SGD([w], 0.01, momentum=0.9, weight_decay=0.0005, style="paper")
w.grad = np.zeros(1)
for _ in range(10_000):
    optimizer.step()
factor = 1 - 10 * 0.0005 * 0.01
print(f"after 10,000 steps: {w.numpy()[0]:.4f}")
print(f"{factor:.5f} to the power 10,000: {factor**10_000:.4f}")
print(f"steps in an epoch, 1.2 million / 128: {1_200_000 // 128}")

# %% [markdown]
# In an epoch of AlexNet, a weight without a gradient loses about four tenths of its size. Gradients rebuild the weights
# that the images need. The paper stresses that this small decay is more than a regulariser: it also lowered the
# *training* error (section 5).
#
# ## Learning rate inside or outside the velocity
#
# PyTorch writes momentum differently. The learning rate is outside the velocity:
#
# $$v \leftarrow m\, v + (g + d\, w)$$
#
# $$w \leftarrow w - \varepsilon\, v$$
#
# Is it the same? The paper's $v$ is then $-\varepsilon$ times PyTorch's. As long as $\varepsilon$ is constant, there is
# no difference. But the paper divides it by ten during training. We do so after step 4, on the constant slope with
# gradient 1:


# %%
def moves(style, steps=24, drop=12):
    """Return how far each step moves a weight with gradient 1."""
    w = Tensor(np.array([0.0]), requires_grad=True)
    w.grad = np.ones(1)
    optimizer = SGD([w], lr=0.1, momentum=0.9, style=style)
    moved = []
    for step in range(1, steps + 1):
        before = w.numpy()[0]
        optimizer.step()
        moved.append(before - w.numpy()[0])
        if step == drop:
            optimizer.param_groups[0]["lr"] = 0.01
    return moved


paper, pytorch = moves("paper", drop=4), moves("pytorch", drop=4)
print("step    1      2      3      4   |  5      6      7      8")
for name, row in [("paper  ", paper), ("pytorch", pytorch)]:
    print(name, *(f"{move:.4f}" for move in row[:8]))

fig, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
steps = range(1, 25)
ax.plot(steps, moves("paper"), "o-", color=BLUE, label="paper: inside")
ax.plot(steps, moves("pytorch"), "s--", color=ORANGE, label="PyTorch: outside")
ax.axvline(12.5, color=GREY, linestyle=":")
ax.text(12.8, 0.35, "learning rate\ndivided by 10", color=GREY)
ax.set(xlabel="step", ylabel="step length", ylim=(0, 0.8))
ax.set_title("Gradient 1, momentum 0.9: a drop after step 12", fontsize=10)
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# Up to the drop the two are equal, digit by digit. Then PyTorch's steps are at once ten times shorter. The paper's
# velocity still carries the earlier long steps, and takes some dozens of steps to forget them. In minicnn
# `style="paper"` chooses this. Remember this figure: the effect returns below, in a network.
#
# ## Learning rate schedules
#
# Why lower the learning rate at all? Because $g$ is computed from a batch and not from the whole training set, it is
# the true gradient plus noise. With long steps the noise keeps the weight moving around the minimum. We add noise of
# standard deviation 1 to the parabola's gradient, and divide the rate by ten twice. Since one run depends on luck, we
# run 200 weights at once, each with its own noise, print the mean of their losses, and plot the first weight.

# %%
rng = np.random.default_rng(0)
w, track = np.full(200, 4.0), []
for step in range(1, 901):
    rate = 0.2 / 10 ** ((step - 1) // 300)
    w = w - rate * (w + rng.normal(size=200))
    track.append(w[0])
    if step in (100, 200, 300, 600, 900):
        print(f"step {step}: rate {rate:.3f}", end=", ")
        print(f"mean loss {np.mean(w**2 / 2):.4f}")

fig, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
ax.plot(track, color=BLUE, linewidth=0.8)
for drop in (300, 600):
    ax.axvline(drop, color=GREY, linestyle=":")
ax.set(xlabel="step", ylabel="weight w")
ax.set_title("A noisy gradient; the rate falls at the dotted lines", fontsize=10)
plt.show()

# %% [markdown]
# From step 100 to step 300 waiting gains nothing. Each drop then lowers the loss to where the longer steps would never
# have brought it. Why not begin with the small rate? From $w = 4$ it would have taken far longer to get here. So: long
# steps first, short ones at the end. The authors divided the rate by ten whenever the error on held-out images (the
# *validation error*) stopped improving. They began with 0.01 and did so three times in about 90 epochs (section 5).
#
# A real network behaves the same. minicnn's AlexNet for the small images of CIFAR-10, trained with the paper's step for
# 42 epochs, had its rate divided by ten after epoch 26 (from `docs/results/alexnet_cifar_steps.csv` of the project):
#
# | epoch | learning rate | training error | validation error |
# |---|---|---|---|
# | 25 | 0.02 | 16.9 % | 19.1 % |
# | 26 | 0.02 | 16.1 % | 19.3 % |
# | 27 | 0.002 | 12.5 % | 15.7 % |
# | 28 | 0.002 | 11.0 % | 16.3 % |
#
# minicnn has `optim.MultiStepLR` for drops at given epochs, and `training.schedule.Plateau` for drops decided by the
# validation error.
#
# ## Weight initialisation
#
# If all weights began at 0, all units of a layer would compute the same, get the same gradient, and stay the same
# forever. So the weights are drawn at random. How wide should the distribution be? The paper takes a normal
# distribution of standard deviation 0.01 for all weights. We compare it, in eight layers of 200 ReLU units each, with
# the standard deviation that He and others proposed in 2015, $\sqrt{2 / n}$, where $n$ is the number of inputs of each
# unit (here 200):

# %%
rng = np.random.default_rng(0)
for name, deviation in [("0.01", 0.01), ("root of 2 / n", np.sqrt(2 / 200))]:
    numbers, sizes = rng.normal(size=(100, 200)), []
    for _ in range(8):
        weights = rng.normal(0, deviation, size=(200, 200))
        numbers = np.maximum(0, numbers @ weights)
        sizes.append(numbers.std())
    print(f"{name:>13}:", *(f"{size:.0e}" for size in sizes))

# %% [markdown]
# With 0.01 each layer makes the numbers about ten times smaller, and after eight of them almost nothing is left.
# $\sqrt{2/n}$ keeps the scale: a sum of $n$ products is $\sqrt{n}$ times as wide as one of them, and the 2 compensates
# for the half that ReLU cuts off.
#
# Why was 0.01 good enough for AlexNet? Three things help. Its units have many more inputs than 200 (fc6 has 9,216). Its
# pixels are raw, so its inputs are some sixty times as wide as standardised ones (lesson 03). And the biases of conv2,
# conv4, conv5, fc6 and fc7 begin at **1**, all others at 0. The paper says that this gives the ReLUs positive inputs,
# and so a gradient, from the start (section 5). On small data that is not enough: with these initial weights minicnn's
# AlexNet had learned next to nothing from 400 images after nine epochs; with He's, and standardised pixels, it had
# memorised the 380 it was trained on after sixteen (from `docs/results` of the project). So `minicnn train` chooses He's
# for fewer than 100,000 images (`--recipe small`).
#
# ## A batch of 128
#
# All 1.2 million images for one step would be a waste; a single one would be very noisy. The mean of $B$ images'
# gradients is $\sqrt{B}$ times less noisy than one image's. We measure that in a small network: two convolutions, two
# fully connected layers, on drawn shapes of 16 by 16 pixels. The noise is the distance of the gradient of $B$ random
# images from that of the whole training set.

# %%
data = load_shapes(train=1200, test=400)


def halved(images):
    """Return the mean of each two by two pixels."""
    return images.reshape(len(images), 3, 16, 2, 16, 2).mean(axis=(3, 5))


train_x, test_x = scaling.standardised(
    halved(data.train_images), halved(data.test_images)
)
train_y, test_y = data.train_labels, data.test_labels


def make_network(seed=0):
    """Return a small network with Kaiming He's initialisation."""
    minicnn.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Flatten(),
        nn.Linear(32 * 3 * 3, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    for name, parameter in net.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.zeros_(parameter)
    return net


def gradient_of(net, chosen):
    """Return all gradients as one flat array."""
    for parameter in net.parameters():
        parameter.grad = None
    loss = F.cross_entropy(net(Tensor(train_x[chosen])), train_y[chosen])
    loss.backward()
    return np.concatenate([p.grad.ravel() for p in net.parameters()])


net, rng = make_network(), np.random.default_rng(0)
whole = gradient_of(net, np.arange(1200))
for B in (2, 8, 32, 128):
    distances = [
        np.linalg.norm(gradient_of(net, rng.choice(1200, B)) - whole) for _ in range(8)
    ]
    noise = np.mean(distances) / np.linalg.norm(whole)
    print(f"B = {B:3d}: noise / gradient {noise:.2f}", end=", ")
    print(f"times root of B: {noise * B**0.5:.2f}")

# %% [markdown]
# The last column stays about the same: four times as many images halve the noise, and take four times as long. At 128
# the gradient exceeds the noise, and the batch kept a GPU of 2012 busy.
#
# ## First, overfit one batch
#
# Before you train for hours, let the network memorise twenty images. If it cannot do that, something is broken: a wrong
# gradient, labels that do not belong to the images, a rate that is far off. It takes a second. You can also predict one
# number: an untrained network gives each of ten classes about one tenth, so its loss is $\log 10$, the natural
# logarithm (lesson 07). Initial weights that make it confidently wrong start above that.

# %%
print(f"log 10 = {np.log(10):.3f}")
net = make_network()
optimizer = SGD(net.parameters(), lr=0.02, momentum=0.9)
for step in range(41):
    scores = net(Tensor(train_x[:20]))
    loss = F.cross_entropy(scores, train_y[:20])
    if step % 10 == 0:
        wrong = int((scores.numpy().argmax(axis=1) != train_y[:20]).sum())
        print(f"step {step:2d}: loss {loss.item():.4f}, {wrong} of 20 wrong")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %% [markdown]
# It can.
#
# ## Which learning rate?
#
# A network's curvatures are not known in advance. So one tries several rates, in steps of three or ten, for a few
# epochs each. (`Loader` and `train_epoch` are those of lesson 03: batches in a new random order each time, and one pass
# through them.)

# %% tags=["heavy"]
rates = [0.0003, 0.003, 0.01, 0.1, 1.0]
passes = training_epochs(4, in_browser=2)
looks = [":", "--", "-", "-.", "-"]
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(rates)))
for rate, look, colour in zip(rates, looks, colours, strict=True):
    net = make_network()
    optimizer = SGD(net.parameters(), lr=rate, momentum=0.9, style="paper")
    batches = Loader(train_x, train_y, batch_size=64, seed=0)
    ended = "completed"
    epochs = []
    try:
        for _ in range(passes):
            progress = train_epoch(net, optimizer, batches)
            epochs.append(progress.loss)
    except TrainingError as error:
        ended = f"stopped: {str(error).split(' (')[0]}"
    print(f"lr {rate:<6} loss by epoch:", end=" ")
    print(*(f"{loss:.2f}" for loss in epochs), end="  ")
    print(ended)
    if rate in (0.01, 0.1):
        maps = net[:5](Tensor(train_x)).numpy()  # up to the second ReLU
        dead = (maps == 0).all(axis=(0, 2, 3))
        print(f"    {dead.sum()} of {dead.size} filters", end=" ")
        print("of the second convolution are dead")
    if epochs:
        where = range(1, len(epochs) + 1)
        ax.plot(where, epochs, look, marker="o", color=colour, label=f"{rate}")
ax.axhline(np.log(10), color=GREY, linewidth=0.8)
ax.text(3.3, np.log(10) + 0.08, "log 10: guessing", color=GREY, fontsize=9)
ax.set(xlabel="epoch", ylabel="training loss", xticks=[1, 2, 3, 4])
ax.set_ylim(1, 4)
ax.set_title("The same network at different learning rates", fontsize=10)
ax.legend(title="learning rate")
plt.show()

# %% [markdown]
# - The smallest rate learns, but would need many times as long.
# - The good ones are in between. They are close to one another: within a factor of three it matters little.
# - 0.1 falls to $\log 10$ and stays there. Its first long steps have killed most filters of the second convolution
#   (lesson 03: they output 0 for every image, at every place), and the few that are left cannot learn.
# - 1.0 overflows after some steps. minicnn then stops with an error.
#
# This leads to common advice: take the largest rate that does no harm, or somewhat less.
#
# ## A training run
#
# Now all together: the paper's step with its momentum and weight decay, batches, and one drop of the rate, after nine
# epochs. After each epoch we measure the error on 400 images that are not in the training set. (For real work, hold out
# two such sets: the validation set, to make choices, and the test set, to be used once.)


# %%
def test_error(net):
    """Return the share of the test images that are misclassified."""
    net.eval()
    with minicnn.no_grad():
        scores = net(Tensor(test_x)).numpy()
    net.train()
    return float(np.mean(scores.argmax(axis=1) != test_y))


def paper_sgd(net, rate):
    """Return the paper's optimiser with a learning rate."""
    parameters = net.parameters()
    return SGD(parameters, rate, 0.9, weight_decay=0.0005, style="paper")


def some_epochs(net, optimizer, batches, epochs):
    """Train; return training and test error of each epoch, (epochs, 2)."""
    errors = []
    for _ in range(epochs):
        trained = train_epoch(net, optimizer, batches)
        errors.append((trained.error, test_error(net)))
    return np.array(errors)


# %% tags=["heavy"]
net = make_network()
optimizer = paper_sgd(net, 0.02)
batches = Loader(train_x, train_y, batch_size=64, seed=0)
print("steps per epoch:", len(batches))
first = training_epochs(9, in_browser=4)
before = some_epochs(net, optimizer, batches, first)
weights = copy.deepcopy(net.state_dict())
velocities = copy.deepcopy(optimizer.state_dict())

fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True, layout="constrained")
for ax, style in zip(axes, ("paper", "pytorch"), strict=True):
    net.load_state_dict(weights)
    state = copy.deepcopy(velocities)
    state["param_groups"][0].update(lr=0.002, style=style)
    if style == "pytorch":  # its v is -1 / lr times the paper's
        for memory in state["state"].values():
            memory["momentum_buffer"] /= -0.02
    optimizer.load_state_dict(state)
    batches.epoch = first
    after = some_epochs(net, optimizer, batches, 4)
    errors = np.concatenate([before, after])
    for epoch in (1, first, first + 1, first + 4):
        train, test = errors[epoch - 1]
        print(f"{style:<7} epoch {epoch:2d}: training error", end=" ")
        print(f"{train:.2f}, test error {test:.2f}")
    epochs = range(1, first + 5)
    ax.plot(epochs, errors[:, 0], color=BLUE, label="training")
    ax.plot(epochs, errors[:, 1], "--", color=ORANGE, label="test")
    ax.axvline(first + 0.5, color=GREY, linestyle=":")
    ax.set(title=f"style {style}", xlabel="epoch")
    ax.legend()
axes[0].set_ylabel("error")
fig.suptitle("At the dotted line the rate is divided by 10", fontsize=11)
plt.show()

# %% [markdown]
# Such curves show three things. The drop of the rate appears as a step down. The gap between the two curves is what the
# network has memorised: where the training error keeps falling and the test error does not, it *overfits*. And on the
# left the step comes late, after a rise. This is the paper's velocity, which still holds the old rate: for some dozens
# of steps the weights coast on, while the gradient that should steer them counts only a tenth. Here an epoch has just
# 19 steps. With AlexNet's thousands, a few dozen steps do not show.
#
# (The training error of an epoch is the mean over its batches, each measured just before its own step. So it lags by
# about half an epoch, and can be above the test error at first.)
#
# ## Checkpoint and resume
#
# AlexNet took five to six days (paper, section 5). What must be saved so that an interrupted run can resume with
# exactly the same results? Not only the weights:

# %%


def resume(net, optimizer, batches, epochs):
    """Train for some more epochs, and return three weights."""
    for _ in range(epochs):
        train_epoch(net, optimizer, batches)
    return net[0].weight.numpy()[0, 0, 0, :3]


def start():
    """Return a network, its optimiser, and batches of 300 images."""
    net = make_network()
    batches = Loader(train_x[:300], train_y[:300], batch_size=64, seed=0)
    return net, paper_sgd(net, 0.01), batches


net, optimizer, batches = start()
resume(net, optimizer, batches, 1)
weights = copy.deepcopy(net.state_dict())
velocities = copy.deepcopy(optimizer.state_dict())
print("uninterrupted:         ", resume(net, optimizer, batches, 1))

for name, with_velocity, next_epoch in [
    ("all restored:          ", True, 1),
    ("velocities lost:       ", False, 1),
    ("batches from the start:", True, 0),
]:
    net, optimizer, batches = start()
    net.load_state_dict(weights)
    if with_velocity:
        optimizer.load_state_dict(velocities)
    batches.epoch = next_epoch
    print(name, resume(net, optimizer, batches, 1))

# %% [markdown]
# Weights, velocities, the position in the data, the schedule, and the state of the random number generators (for
# dropout and crops): with all of them the numbers are the same to the last digit, and without one they are not. minicnn
# writes them into one file, a *checkpoint*, after each epoch: `minicnn train --resume` resumes from it.
#
# ## The five contributions
#
# The tutorial that these lessons follow names five contributions of AlexNet: more layers, ReLU, dropout, LRN, data
# augmentation. (The paper has two more that one could count: overlapping pools, and two GPUs.) What is each worth? The
# command `minicnn contributions` trains the small AlexNet on CIFAR-10 with everything on, then with one thing off at a
# time (an *ablation study*). These are its numbers in `docs/results/contributions.json`: 50,000 images, 24 epochs. The
# training errors are those of images without augmentation and of the network without dropout, as at test time.

# %%
contributions = {  # training and test error in %, a pair for each seed
    "everything on": [(15.24, 20.06), (15.00, 19.62), (15.00, 19.77)],
    "without augmentation": [(0.08, 24.54), (0.30, 23.85)],
    "without dropout and augmentation": [(0.00, 23.91), (0.00, 23.82)],
    "without conv3 and conv4": [(18.26, 21.88), (18.74, 22.37)],
    "tanh instead of ReLU": [(16.98, 21.26), (17.38, 21.24)],
    "without LRN": [(15.26, 20.36), (15.04, 19.82)],
    "pools without overlap": [(14.40, 19.33), (15.06, 19.96)],
    "without dropout": [(12.76, 19.09), (13.38, 18.81)],
}
test = {name: [pair[1] for pair in runs] for name, runs in contributions.items()}
spread = max(max(errors) - min(errors) for errors in test.values())
print(f"widest spread of a network's seeds: {spread:.2f} points")
for name, errors in test.items():
    apart = np.mean(errors) - np.mean(test["everything on"][: len(errors)])
    if name != "everything on":
        print(f"{name:<36} {apart:+5.2f} points of test error")

fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for row, runs in enumerate(contributions.values()):
    for number, (trained, tested) in enumerate(runs):
        first = row == number == 0
        ax.plot([trained, tested], [row, row], color=GREY, linewidth=1, zorder=0)
        ax.plot(
            trained,
            row,
            "o",
            color="white",
            markeredgecolor=BLUE,
            label="training images" if first else None,
        )
        ax.plot(tested, row, "o", color=BLUE, label="test images" if first else None)
ax.axvline(np.mean(test["everything on"]), color=ORANGE, linewidth=0.8, linestyle="--")
ax.set_yticks(range(len(contributions)), list(contributions))
ax.invert_yaxis()
ax.set(xlabel="error, %; a pair of dots for each seed")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# The distance between a pair of dots is the *overfitting*: how much worse a network does on images that it has not seen.
# Read the figure from there.
#
# - **Augmentation** (lesson 09) is worth most. Without it the network memorises its training images (0.2 % error), and makes
#   4.4 points more errors on others. Without dropout as well, it is much the same.
# - **Dropout** (lesson 06) makes the distance shorter, 4.7 points instead of 5.9, but the test error is 0.9 points *higher*
#   with it: where augmentation already prevents overfitting, dropout hinders more than it helps.
# - **Depth**: without conv3 and conv4 both errors are higher, by 3.4 points on training images and 2.3 on others. That is no
#   overfitting: the smaller network cannot fit as well.
# - **tanh** is ahead of ReLU for half of the epochs, since the pixels are standardised (lesson 03), but ends 1.4 points above
#   it.
# - **LRN** and **overlapping pools** change the test error by 0.2 points.
#
# And read it with care. Networks that differ in nothing but their random numbers differ by up to 0.7 points of test error. A
# smaller difference may be chance, as those of LRN and of the pools.
#
# What the paper claims, for networks trained to the end on a million images: LRN 1.4 points of top-1 error (section
# 3.3), overlapping pools 0.4 (3.4), the colour part of the augmentation more than 1 (4.1), any one of the middle layers
# about 2 (section 7). Without dropout the network overfits substantially, and with it training takes about twice as
# many steps (4.2).
#
# ## One of them, live
#
# Why does a contribution that is worth so much look useless at first? Take augmentation (lesson 09): 300 images, either
# unchanged, or each time randomly mirrored and shifted by up to two pixels. 48 epochs each.

# %%


def mirror_and_shift(images, rng):
    """Return randomly shifted and mirrored images, (N, 3, 16, 16)."""
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    changed = np.empty_like(images)
    for number, image in enumerate(padded):
        top, left = rng.integers(0, 5, size=2)
        cut = image[:, top : top + 16, left : left + 16]
        changed[number] = cut[:, :, ::-1] if rng.random() < 0.5 else cut
    return changed


# %% tags=["heavy"]
last = training_epochs(48, in_browser=12)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True, layout="constrained")
for ax, (name, transform) in zip(
    axes,
    [("unchanged", None), ("mirrored and shifted", mirror_and_shift)],
    strict=True,
):
    net = make_network()
    optimizer = paper_sgd(net, 0.01)
    batches = Loader(train_x[:300], train_y[:300], batch_size=32, transform=transform)
    train, tested = [], {}
    for epoch in range(1, last + 1):
        if epoch == last - 7:
            optimizer.param_groups[0]["lr"] /= 10
        train.append(train_epoch(net, optimizer, batches).error)
        if epoch % 4 == 0:
            tested[epoch] = test_error(net)
    for epoch in sorted({12, last}):
        print(f"{name:<21} epoch {epoch}:", end=" ")
        print(f"training error {train[epoch - 1]:.2f}", end=", ")
        print(f"test error {tested[epoch]:.2f}")
    ax.plot(range(1, last + 1), train, color=BLUE, label="training")
    label = "test"
    ax.plot(tested.keys(), tested.values(), "--", color=ORANGE, label=label)
    ax.set(title=f"300 images, {name}", xlabel="epoch")
    ax.legend()
axes[0].set_ylabel("error")
plt.show()

# %% [markdown]
# Without augmentation the training error is soon 0: these 300 images are memorised, there is nothing left to learn from
# them, and the test error stops improving. With it an image hardly ever appears twice in the same way, so learning is
# harder. Up to about epoch 12 it shows no gain: if you stop there, it looks useless. In the end it is clearly ahead.
# (As in lesson 03: a single run depends on luck.)
#
# ## Exercises
#
# ### 1. The learning rate in an epoch
#
# `rate_in_epoch(epoch, first, drops)` returns the learning rate of epoch number `epoch` (counted from 1). The run
# begins with the rate `first`, and *after* each of the epochs in the tuple `drops` it is divided by ten. For instance,
# with `first = 0.02` and `drops = (26, 36)`, epoch 26 still has 0.02, epoch 27 has 0.002, and epoch 37 has 0.0002.


# %%
def rate_in_epoch(epoch, first, drops):
    """Return the learning rate in an epoch."""
    ### BEGIN SOLUTION
    return first / 10 ** sum(epoch > drop for drop in drops)
    ### END SOLUTION


# %%
check.rate_in_epoch(rate_in_epoch)

# %% [markdown]
# ### 2. The paper's step
#
# `sgd_paper_step(w, v, g, lr, momentum, weight_decay)` takes one step as in section 5 of the paper, and returns a
# tuple: the new weights and the new velocities. `w`, `v` and `g` (weights, velocities, gradients) are arrays of the
# same shape; the other three are numbers. Do not change the arrays.


# %%
def sgd_paper_step(w, v, g, lr, momentum, weight_decay):
    """Return (new w, new v) after one step of the paper's SGD."""
    ### BEGIN SOLUTION
    v = momentum * v - weight_decay * lr * w - lr * g
    return w + v, v
    ### END SOLUTION


# %%
check.sgd_paper_step(sgd_paper_step)

# %% [markdown]
# ### 3. How far does a step go?
#
# The gradient of a weight is `g` in every step, there is no weight decay, and the velocity starts at 0.
# `sgd_step_length(lr, momentum, g, steps)` returns by how much step number `steps` (counted from 1) *changes* the
# weight, by the paper's rule. Mind the sign: with a positive `g` the weight falls. A loop will do; a formula is
# shorter.


# %%
def sgd_step_length(lr, momentum, g, steps):
    """Return by how much the last of `steps` steps changes the weight."""
    ### BEGIN SOLUTION
    v = 0.0
    for _ in range(steps):
        v = momentum * v - lr * g
    return v
    ### END SOLUTION


# %%
check.sgd_step_length(sgd_step_length)

# %% [markdown]
# ### 4. Choose a learning rate
#
# The loss is $L = \frac{1}{2} (c_0 w_0^2 + c_1 w_1^2 + \ldots)$, and all weights start at 1.
# `choose_learning_rate(curvatures)` gets the array of all $c_i$ (positive, the largest up to ten times the smallest)
# and returns the rate for 50 steps without momentum. Many rates are right. The check takes the steps with yours, and
# wants $L$ to fall below a thousandth of its initial value.


# %%
def choose_learning_rate(curvatures):
    """Return a learning rate for a loss with these curvatures, (n,)."""
    ### BEGIN SOLUTION
    return 1 / curvatures.max()
    ### END SOLUTION


# %%
check.choose_learning_rate(choose_learning_rate)
