# %% [markdown]
# # 06 Dropout
#
# AlexNet has 61 million weights, most of them in two layers that could memorise the training images. To prevent this it
# uses a trick that sounds absurd: during training, half of these layers' outputs are set to zero, a random half each
# time. This lesson does it by hand, shows why the survivors must be scaled up, finds eight networks inside one, and
# lets a small network overfit wrong labels, with and without dropout.
#
# You need lesson 01 (gradients and the backward pass) and lesson 03 (ReLU and sigmoid).

# %% tags=["setup"]
# %matplotlib inline
from itertools import product

import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, nn, optim
from minicnn import functional as F
from minicnn.lessons import check

# %% [markdown]
# ## Tossing a coin for each unit
#
# A *unit* is one output of a layer, and its number for one image is its *activation*. Here are the activations of eight
# units. For each we draw a random number $u$ between 0 and 1, uniformly. A unit is *dropped*, that is, its activation
# is set to 0, if its $u$ is below some number $p$. Otherwise it is kept.

# %%
a = np.array([3.0, 0.0, 1.0, 2.0, 5.0, 0.0, 4.0, 1.0])  # as after a ReLU
u = np.array([0.81, 0.35, 0.12, 0.57, 0.24, 0.09, 0.66, 0.93])
p = 0.25
m = (u >= p).astype(float)
print("activations a:", a)
print("drawn       u:", u)
print("mask        m:", m)
print("a times     m:", a * m)

# %% [markdown]
# The ones and zeros in $m$ are the *mask*. Multiplying by it drops the units.
#
# How likely is a unit to be dropped? The numbers below $p = 0.25$ are a quarter of all numbers between 0 and 1. So
# there are two probabilities:
#
# - $p$, the probability that a unit is dropped: 0.25;
# - $q = 1 - p$, the probability that it is kept: 0.75.
#
# Keep the two apart. In the paper both are 0.5, so it makes no difference. Everywhere else, confusing them is the most
# common mistake with dropout.
#
# ## The expected input of the next layer
#
# The next layer learns to work with numbers of a certain scale. At test time nothing is dropped any more, because one
# wants the best answer and no randomness. Does the next layer then get numbers of the scale that it was trained on?
#
# Take the unit with activation 3. It arrives as 3 in three quarters of all draws, and as 0 in one quarter. The *mean
# over all draws*, its *expectation*, is the sum of each value times its probability:

# %%
activation, p = 3.0, 0.25
q = 1 - p
mean = q * activation + p * 0.0
print(f"in training:  {q} * {activation} + {p} * 0 = {mean}")
print(f"at test time: {activation}")
print(f"too large by a factor of {activation / mean:.4f}", end=", ")
print(f"and 1 / q is {1 / q:.4f}")
mean = q * (activation / q) + p * 0.0
print(f"survivors divided by q: {q} * {activation / q} + {p} * 0 = {mean}")

# %% [markdown]
# In training the unit's mean is 2.25, at test time it is 3. If the survivors are divided by $q$, the mean is 3 in both
# cases. With $a_i$ for the activation of unit $i$, $m_i$ for its mask and $y_i$ for its output after dropout:
#
# $$y_i = \frac{a_i\, m_i}{q}$$
#
# and its expectation, written $E$, is
#
# $$E(y_i) = q \cdot \frac{a_i}{q} + p \cdot 0 = a_i$$
#
# We can measure an expectation: draw 2,000 times and follow the mean of the draws so far, with three divisors: none,
# the right one, and $p$, the common mistake.

# %%
draws = np.random.default_rng(6).random(2000) >= p
how_many = np.arange(1, 2001)
ways = {
    "divided by p: wrong": (1 / p, "#c8500a"),
    "divided by q = 1 - p": (1 / q, "#2a7ab8"),
    "not divided": (1.0, "#767676"),
}
fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.axhline(activation, color="black", linewidth=1, linestyle=":")
for name, (factor, colour) in ways.items():
    running = np.cumsum(activation * draws * factor) / how_many
    ax.plot(how_many, running, color=colour, label=name)
    print(f"{name:<21} mean of 2,000 draws: {running[-1]:.2f}")
ax.set(xlabel="draws so far", ylabel="mean", xscale="log", ylim=(0, 13))
ax.set_title("A unit of activation 3 (dotted), dropped with p = 0.25")
ax.legend(loc=(0.72, 0.32))
plt.show()

# %% [markdown]
# The blue line settles on 3. After division by $p$, the next layer is trained on numbers three times as large as at
# test time.
#
# ## Libraries differ
#
# The name of the argument does not tell which of the two probabilities it is:
#
# | | the argument is the probability of being | name |
# |---|---|---|
# | paper, section 4.2 | dropped: 0.5 (and kept: 0.5) | none |
# | minicnn, PyTorch | dropped | p |
# | Keras | dropped | rate |
# | Caffe | dropped | dropout_ratio |
# | TensorFlow 1 | kept | keep_prob |
# | Srivastava and others, 2014, the longer paper on dropout | kept | p |
#
# So "divide by p" is right with the last row's $p$ and wrong with PyTorch's. The tutorial that these lessons follow
# speaks of the probability of losing a unit, and then divides by p: right at 0.5, and only there.
#
# ## Training and test time
#
# minicnn's dropout divides by $q$, as all libraries do today. It must know whether the network is being trained. Three
# images with the same activations:

# %%
minicnn.manual_seed(3)
x = Tensor(np.tile(a, (3, 1)))  # (3, 8): three images, eight units
print("training:")
print(F.dropout(x, p=0.25, training=True).numpy().round(2))
print("at test time:")
print(F.dropout(x, p=0.25, training=False).numpy().round(2))

# %% [markdown]
# In training every image of the batch has a mask of its own. At test time nothing happens at all.
#
# A network has a switch for it: `network.train()` and `network.eval()` set the mode of all layers inside. Forgetting
# `eval()` is a silent mistake: the network answers, a little worse, and differently each time.

# %%
layer = nn.Dropout(p=0.5)
ones = Tensor(np.ones(10_000))
for name, switch in (("train", layer.train), ("eval", layer.eval)):
    switch()
    y = layer(ones).numpy()
    print(f"after {name + '():':<8}", end=" ")
    print(f"zeros {np.mean(y == 0):6.1%}, largest {y.max():.0f}", end=", ")
    print(f"mean {y.mean():.3f}")

# %% [markdown]
# ### The paper scales at test time
#
# In 2012 the survivors were not scaled; instead, *at test time* all activations were multiplied by 0.5, that is, by $q$
# (section 4.2). The expected input of the next layer is then $q\, a_i$ in both cases:
#
# | | in training | at test time | mean |
# |---|---|---|---|
# | the paper | a m | a q | q a |
# | minicnn, and libraries of today | a m / q | a | a |
#
# The two differ by the factor $q$ throughout, which the next layer's weights absorb. The second way is called
# *inverted* dropout. Its advantage is practical: a trained network can be used without knowing how it was trained.
#
# ### A slip in the tutorial: weights or activations?
#
# The tutorial says that the *weights* of the surviving units are divided. It is their *activations*. The difference:
# weights persist, while each image has its own activations. Follow one weight of 0.01 that is divided by $q = 0.5$ at
# every step:

# %%
weight = 0.01
for step in (1, 2, 3, 10, 100):
    print(f"after step {step:>3}: {weight / 0.5**step:.3g}")

# %% [markdown]
# And even for a single step it is not clear whose weights: above, each of the three images has its own survivors, but
# all images share the same weights.
#
# ## Eight networks in one
#
# Why should this help? Here is one explanation. Take a tiny network: three *hidden* units between input and output,
# with activations $a_i$, and one output unit that weighs them with $w_i$ and adds a bias $b$. Its output is the *score*
# $s = w_0 a_0 + w_1 a_1 + w_2 a_2 + b$. Each hidden unit is kept or dropped, so dropout makes $2 \cdot 2 \cdot 2 = 8$
# networks out of it. With three units we can draw them all. (The inputs stay the same, so the activations do, too;
# survivors are divided by $q = 0.5$.)

# %%
hidden = np.array([2.0, 1.0, 3.0])
weights, bias = np.array([1.5, -2.0, 0.5]), -0.5
q = 0.5
masks = np.array(list(product([1, 0], repeat=3)))  # (8, 3)
scores = (hidden * masks / q) @ weights + bias  # (8,)

fig, axes = plt.subplots(1, 8, figsize=(11, 2.6), layout="constrained")
for ax, mask, score in zip(axes, masks, scores, strict=True):
    for unit, there in enumerate(mask):
        colour = "#2a7ab8" if there else "#d5dde5"
        if there:
            for end in ((-1, 0.5), (-1, 1.5), (1, 1)):
                ax.plot([0, end[0]], [unit, end[1]], color=colour, zorder=1)
        ax.scatter(0, unit, s=160, color=colour, zorder=2)
    ax.scatter([-1, -1], [0.5, 1.5], s=160, color="#767676", zorder=2)
    ax.scatter(1, 1, s=160, color="#c8500a", zorder=2)
    ax.set_title(f"mask {''.join(map(str, mask))}", fontsize=9)
    ax.text(0, 2.9, f"score {score:.1f}", ha="center", fontsize=9)
    ax.set(xlim=(-1.5, 1.5), ylim=(-0.5, 3.1))
    ax.invert_yaxis()
    ax.axis("off")
title = "Inputs grey, hidden units blue, output orange; dropped units pale"
fig.suptitle(title, fontsize=11)
plt.show()

# %% [markdown]
# All eight share their weights: what one of them learns, the others have, too. Each training step picks one of the
# eight at random for each image, and makes that one a little better. So every unit learns to be useful with many
# combinations of other units. It cannot rely on one particular unit to correct its mistakes, because that one may be
# gone.
#
# And at test time? Averaging the answers of several networks (an *ensemble*) is nearly always better than asking one.
# (The paper's best result of 2012 is the mean of seven networks.) That means running all eight. But look at the mean
# score:

# %%
for q in (0.5, 0.75):
    scores = (hidden * masks / q) @ weights + bias
    kept = masks.sum(axis=1)
    chances = q**kept * (1 - q) ** (3 - kept)  # (8,): how likely each is
    print(f"q = {q}: the probabilities add up to {chances.sum():.3f}")
    print(f"  mean score of eight networks {chances @ scores:.6f}")
    print(f"  score with nothing dropped   {weights @ hidden + bias:.6f}")

# %% [markdown]
# (A network with two units kept and one dropped has the probability $q \cdot q \cdot p$, and so on. More likely ones
# weigh more in the mean.)
#
# One pass with all units gives exactly the mean score of all eight networks. That is no accident: the score is a sum of
# terms $w_i y_i$, the expectation of a sum is the sum of the expectations, and $E(y_i) = a_i$.
#
# ### What the paper says about the geometric mean
#
# In the end a score becomes a probability, say with the sigmoid of lesson 03: $P = 1 / (1 + e^{-s})$ is the network's
# probability for "cat", and $1 - P$ for "no cat". Is $P$ at test time the mean of the eight networks' probabilities?

# %%
q = 0.5
scores = (hidden * masks / q) @ weights + bias
cats = F.sigmoid(Tensor(scores)).numpy()  # (8,)
all_units = F.sigmoid(Tensor(weights @ hidden + bias)).item()
for mask, score, cat in zip(masks, scores, cats, strict=True):
    print(f"mask {mask}  score {score:5.1f}  probability {cat:.4f}")
cat, none = np.prod(cats ** (1 / 8)), np.prod((1 - cats) ** (1 / 8))
print(f"one pass with all units:     {all_units:.6f}")
print(f"mean of the eight:           {cats.mean():.6f}")
print(f"geometric mean, cat:         {cat:.6f}")
print(f"geometric mean, no cat:      {none:.6f}")
print(f"cat, normalised:             {cat / (cat + none):.6f}")

# %% [markdown]
# Not the arithmetic mean, but the *geometric* one: multiply the eight probabilities, take the eighth root, do the same
# for "no cat", and normalise the two so that they add up to one. The last line equals the first, to the last digit.
#
# The reason is short. $P / (1 - P) = e^{s}$, so the geometric mean of these ratios is $e$ to the power of the mean
# score, and the mean score is what one pass computes. This is exact with one layer after the dropped units. With a ReLU
# and another layer it no longer is: the paper says "a reasonable approximation" (section 4.2).
#
# And how many networks are in AlexNet? Dropout is applied to the outputs of its first two fully connected layers, fc6
# and fc7, with 4,096 units each:

# %%
networks = 2 ** (4096 + 4096)
print(f"2^8192 networks, a number of {len(str(networks))} digits")
fc6, fc7, all_of_it = 37_752_832, 16_781_312, 60_965_224
print(f"fc6 and fc7 have {(fc6 + fc7) / all_of_it:.1%} of all parameters")

# %% [markdown]
# (Lessons 07 and 08 count the three numbers of parameters.) Hardly any of these networks is ever picked, and
# practically none twice. But all share the same weights.
#
# The convolutions have no dropout. They have few weights, each used at many positions, so they cannot memorise as much.
#
# ## The backward pass
#
# Write $g_i = \partial L / \partial y_i$ for the upstream gradient, where $L$ is the loss. The mask is a constant: it
# was drawn, and does not depend on $a$. So $y_i = a_i m_i / q$ is linear in $a_i$ with the slope $m_i / q$, and
#
# $$\frac{\partial L}{\partial a_i} = g_i\, \frac{m_i}{q}$$
#
# A dropped unit had no part in the output, so its gradient is zero. A survivor's gradient is scaled up just as its
# activation was. In minicnn:

# %%
minicnn.manual_seed(22)
x = Tensor(a.copy(), requires_grad=True)
g = np.array([1.0, 1.0, 1.0, 1.0, -3.0, -3.0, -3.0, -3.0])
y = F.dropout(x, p=0.25)
y.backward(g)
print("a    :", a)
print("y    :", y.numpy().round(2))
print("g    :", g)
print("dL/da:", x.grad.round(2) + 0.0)

# %% [markdown]
# Where `a` is already 0, `y` does not show whether the unit was dropped. `dL/da` does. Units 1 and 5 are such cases:
# unit 1 was dropped, unit 5 was not. (Units are counted from 0.) So the backward pass needs the mask itself. The card
# shows the step that minicnn runs. Unfold its code: in the last line `self.mask` is what the forward pass saved, the
# mask already divided by $q$.

# %%
minicnn.manual_seed(22)
x = Tensor(a.copy(), requires_grad=True)
with minicnn.trace() as trace:
    loss = (F.dropout(x, p=0.25) * g).sum()
loss.backward()
list(trace.backward_steps())[-1]

# %% [markdown]
# It must be the *same* mask. Drawing a new one in the backward pass is a common mistake: the wrong units learn, yet
# averaged over many steps the direction is right, so training still works, only worse. Lesson 13 hunts for such bugs.
#
# ## Overfitting, live
#
# Does it help? The data: 100 points in a plane. A point's class is 1 if it lies in the disc, else 0. But the labels are
# noisy: one in five is wrong. A network that learns the rule misclassifies these; a network that memorises the labels
# gets them right, and has learned something false. We test with correct labels, on 2,000 other points.

# %%
RADIUS = 1.4**0.5


def points(number, seed, noise):
    random = np.random.default_rng(seed)
    x = random.normal(size=(number, 2)).astype(np.float32)
    truth = np.hypot(x[:, 0], x[:, 1]) < RADIUS
    wrong = random.permutation(number) < noise * number
    return x, (truth != wrong).astype(np.int64), wrong


train_x, train_labels, wrong = points(100, seed=1, noise=0.2)
test_x, test_labels, _ = points(2000, seed=2, noise=0.0)
print(f"{wrong.sum()} of 100 training labels are wrong")
print(f"class 1 has {test_labels.mean():.0%} of the test points")

# %% [markdown]
# The network has two hidden layers of 128 units, and far more weights than there are points. The loss (`cross_entropy`)
# is the subject of the next lesson and the optimiser (`Adam`) of lesson 10; for now, each step makes the labels of the
# 100 points a little more probable.

# %%
STEPS = 600


def train(p):
    """Train with dropout p; return the network and its errors."""
    minicnn.manual_seed(0)
    network = nn.Sequential(
        *(nn.Linear(2, 128), nn.ReLU(), nn.Dropout(p)),
        *(nn.Linear(128, 128), nn.ReLU(), nn.Dropout(p)),
        nn.Linear(128, 2),
    )
    optimizer = optim.Adam(network.parameters(), lr=0.005)
    errors = []
    for step in range(1, STEPS + 1):
        network.train()
        optimizer.zero_grad()
        F.cross_entropy(network(Tensor(train_x)), train_labels).backward()
        optimizer.step()
        if step % 20 == 0:
            network.eval()
            errors.append(
                (
                    np.mean(classes(network, train_x) != train_labels),
                    np.mean(classes(network, test_x) != test_labels),
                )
            )
    return network, np.array(errors)


def classes(network, x):
    with minicnn.no_grad():
        return network(Tensor(x)).numpy().argmax(axis=1)


count = sum(parameter.numel() for parameter in train(0.0)[0].parameters())
print(f"{count:,} parameters for 100 points")

# %%
runs = {"without dropout": train(0.0), "with dropout, p = 0.5": train(0.5)}
styles = dict(zip(runs, ["#c8500a", "#2a7ab8"], strict=True))
fig, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True, layout="constrained")
steps = np.arange(20, STEPS + 1, 20)
for name, (_, errors) in runs.items():
    for ax, column in zip(axes, errors.T, strict=True):
        ax.plot(steps, 100 * column, color=styles[name], label=name)
    last = errors[-10:].mean(axis=0)
    print(f"{name:<22} training {last[0]:5.1%}, test {last[1]:5.1%}", end=" ")
    print("(mean of the last ten)")
axes[0].set(title="training set: 100 points", ylabel="error (%)")
axes[1].set(title="test set: 2,000 other points")
for ax in axes:
    ax.set(xlabel="steps", ylim=(0, 45))
axes[0].legend()
plt.show()

# %% [markdown]
# Without dropout (orange) the network memorises all 100 labels, the wrong ones included, and pays for it on the
# test set: there its error rises while the training error falls. That is *overfitting*. With dropout (blue) it
# misclassifies more training points and fewer test points. Where does it go wrong? We ask both networks for every place
# in the plane:

# %%
side = np.linspace(-3, 3, 121, dtype=np.float32)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
for ax, (name, (network, _)) in zip(axes, runs.items(), strict=True):
    answer = classes(network, grid).reshape(121, 121)
    ax.contourf(side, side, answer, levels=[-1, 0.5, 2], colors=["#fdf1e7", "#bcd6ea"])
    for label, marker in ((0, "o"), (1, "s")):
        for of_these, colour in ((~wrong, "#3b4a57"), (wrong, "#c8500a")):
            chosen = train_x[of_these & (train_labels == label)]
            ax.scatter(*chosen.T, s=16, marker=marker, color=colour)
    ax.add_patch(plt.Circle((0, 0), RADIUS, fill=False, linestyle="--"))
    ax.set(title=name, xlabel="first coordinate", ylabel="second coordinate")
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
title = "Blue: predicted class 1. Dashed: the true disc. "
title += "Squares: labelled 1. Orange: wrong labels."
fig.suptitle(title, fontsize=10)
plt.show()

# %% [markdown]
# On the left there are bays and islands around single orange marks: wrong labels, memorised. On the right the shape is
# simpler and nearer to the disc, except for the two marks at the top. No one has told the network about discs. It just
# could not build an island from a few units, since any of them might be missing.
#
# ### What it costs
#
# Dropout is not free. The noise slows learning: the paper says that it takes about twice as many steps (section 4.2).
# And a network that does not overfit is only hindered. This project's own results show it (`docs/results`): a small
# AlexNet learns CIFAR-10 for 24 epochs, with augmentation (lesson 09).
#
# | | without dropout (two runs) | with dropout 0.5 (three runs) |
# |---|---|---|
# | epochs to 25 % training error | 10 and 12 | 11 to 13 |
# | training error, without dropping | 12.8 and 13.4 % | 15.0 to 15.2 % |
# | test error | 19.1 and 18.8 % | 19.6 to 20.1 % |
#
# (An epoch is one pass over the training set.) Augmentation already keeps the two errors close together, so dropout has
# mostly cost time. The question is always: is the training error far below the test error? If so, dropout may help.
#
# ## Exercises
#
# Fill in the functions, and run the cell below each to check it. In all of them $p$ is the probability of being
# *dropped*.
#
# ### 1. The paper's network at test time
#
# A unit has the weights `w` and the bias `b`, and reads the activations `a` (`w` and `a` have shape (n,), `b` is a
# number). During training, the activations were dropped with probability `p`, and the survivors were **not** divided by
# anything, as in the paper. `dropout_paper_score(w, b, a, p)` returns the mean over all masks of the unit's score (with
# the bias), one number. This is what has to be computed at test time.
#
# For instance, with `w = [2.0]`, `b = 1.0`, `a = [3.0]` and `p = 0.25` the score is 7 in three of four draws and 1 in
# the fourth: the mean is 5.5.


# %%
def dropout_paper_score(w, b, a, p):
    """Return the mean score over all masks, one number."""
    ### BEGIN SOLUTION
    return w @ (a * (1 - p)) + b
    ### END SOLUTION


# %%
check.dropout_paper_score(dropout_paper_score)

# %% [markdown]
# ### 2. Forward
#
# `dropout_forward(x, u, p)` returns `y`, an array of the shape of `x`: inverted dropout, as in minicnn. `x` holds
# activations and `u`, of the same shape, the number drawn for each, from 0 (included) to 1 (not included). A unit is
# dropped if its `u` is *less than* `p`. `p` is at least 0 and less than 1.


# %%
def dropout_forward(x, u, p):
    """Return y, of the shape of x: dropped or scaled up."""
    ### BEGIN SOLUTION
    return x * (u >= p) / (1 - p)
    ### END SOLUTION


# %%
check.dropout_forward(dropout_forward)

# %% [markdown]
# ### 3. Backward
#
# `dropout_backward(grad_y, x, u, p)` returns $\partial L / \partial x$. `grad_y` is $\partial L / \partial y$, and `x`,
# `u` and `p` are the inputs of the forward pass. You may not need all of them. `x` comes from a ReLU, so it has zeros
# of its own.


# %%
def dropout_backward(grad_y, x, u, p):
    """Return dL/dx, of the shape of x."""
    ### BEGIN SOLUTION
    return grad_y * (u >= p) / (1 - p)
    ### END SOLUTION


# %%
check.dropout_backward(dropout_backward)

# %% [markdown]
# ### 4. Two conventions
#
# A network of 2014 keeps its units with probability `keep`, in both its first and its second hidden layer, following
# the longer paper in the table above. `dropout_chances(keep, n1, n2)` returns a tuple of two numbers: the `p` that you
# give to `nn.Dropout` to get the same network, and the probability that in one draw *nothing at all* is dropped, if the
# two layers have `n1` and `n2` units.


# %%
def dropout_chances(keep, n1, n2):
    """Return (p of nn.Dropout, probability that nothing is dropped)."""
    ### BEGIN SOLUTION
    return 1 - keep, keep ** (n1 + n2)
    ### END SOLUTION


# %%
check.dropout_chances(dropout_chances)

# %% [markdown]
# ## Summary
#
# - During training, dropout sets random activations to zero; each image has its own mask.
# - The survivors are divided by the probability of being *kept*. Then the expected input of the next layer is the same
#   as at test time, when nothing is dropped. The paper multiplies at test time instead.
# - One network is trained as many networks that share weights, and used as their mean: exact for the score of the next
#   layer, approximate after more layers.
# - In the backward pass the gradient is multiplied by the same mask, with the same factor.
# - Dropout reduces overfitting, and costs time.
