# %% [markdown]
# # 13 The bug hunt
#
# A wrong gradient raises no error. The network trains, a little worse, and no one knows how well it could have trained.
# This lesson is about finding such bugs: how a gradient check works, how it can be wrong itself, what it can never
# find, and how to read its report. Then you hunt some bugs yourself, in a museum of mistakes that everybody makes once.
#
# You need lessons 01 to 07: the museum has exhibits from all of them.

# %% tags=["setup"]
# %matplotlib inline
from functools import partial
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from minicnn import Tensor, gradcheck
from minicnn import functional as F
from minicnn.lessons import check, museum

# %% [markdown]
# ## A bug that no one notices
#
# Two networks learn to separate the points inside a disc from those outside. They have the same layers and initial
# weights, and see the same batches of 20 points. In one of them the weight gradient of the fully connected layers is
# wrong: instead of *summing* over the batch (lesson 07), it keeps only the last example's gradient. The broken layer
# comes from minicnn's *museum*: each exhibit has a name and two versions of the same operation, `broken` and `correct`.

# %%
random = np.random.default_rng(1)
x = random.normal(size=(200, 2))
labels = (np.hypot(x[:, 0], x[:, 1]) < 1.18).astype(int)


def train(make_layer):
    """Train two fully connected layers; return the error after each step."""
    random = np.random.default_rng(0)
    w1 = Tensor(random.normal(0, 0.7, size=(16, 2)), requires_grad=True)
    w2 = Tensor(random.normal(0, 0.3, size=(2, 16)), requires_grad=True)
    b1 = Tensor(np.zeros(16), requires_grad=True)
    b2 = Tensor(np.zeros(2), requires_grad=True)
    errors = []
    for _ in range(400):
        batch = random.integers(0, 200, 20)
        hidden = F.relu(make_layer()(Tensor(x[batch]), w1, b1))
        scores = make_layer()(hidden, w2, b2)
        F.cross_entropy(scores, labels[batch]).backward()
        for parameter in (w1, b1, w2, b2):
            parameter.data -= 0.3 * parameter.grad
            parameter.grad = None
        scores = F.linear(F.relu(F.linear(Tensor(x), w1, b1)), w2, b2)
        errors.append(np.mean(scores.numpy().argmax(axis=1) != labels))
    return np.array(errors)


fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
exhibit = museum.exhibits()["linear-keeps-last-image"]
for name, make, colour in (
    ("wrong weight gradient", exhibit.broken, "#c8500a"),
    ("correct", exhibit.correct, "#2a7ab8"),
):
    errors = train(make)
    ax.plot(100 * errors, color=colour, label=name)
    print(f"{name:<22} error after step 1: {errors[0]:.0%}", end=", ")
    print(f"mean of the last 50 steps: {errors[-50:].mean():.1%}")
ax.set(xlabel="step", ylabel="error (%)", ylim=(0, 60))
ax.legend()
plt.show()

# %% [markdown]
# The wrong one learns, too. Without the blue line for comparison, who would suspect the orange one? One would try
# another learning rate, more units, more steps. A bug like this can stay for years.
#
# How wrong is a wrong gradient? The museum has more than twenty broken operations, each beside the correct one. We take
# those whose backward does not match their forward, run both, and compare the *directions* of their gradients by the
# cosine of the angle between them: 1 is the same direction, 0 a right angle. (The chart leaves out those whose
# direction is the same. The names are the museum's, whose list comes further down.)


# %%
def gradient(make, exhibit):
    """Return the gradients of all inputs as one flat vector."""
    inputs = exhibit.inputs()
    output = exhibit.use(make, *inputs)
    output.backward(np.random.default_rng(5).normal(size=output.shape))
    return np.concatenate([tensor.grad.ravel() for tensor in inputs])


cosines = {}
for name, exhibit in museum.exhibits().items():
    # the gradient of linear-bias-not-summed has the wrong shape: an error
    if exhibit.caught_by == "reference" or name == "linear-bias-not-summed":
        continue
    right, wrong = (
        gradient(make, exhibit) for make in (exhibit.correct, exhibit.broken)
    )
    norms = np.linalg.norm(right) * np.linalg.norm(wrong)
    if right @ wrong / norms < 0.9999:
        cosines[name] = right @ wrong / norms
cosines = dict(sorted(cosines.items(), key=lambda item: item[1]))
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
bars = ax.barh(list(cosines), list(cosines.values()), color="#2a7ab8")
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0, 1.1), xlabel="cosine between wrong and correct gradient")
ax.set_title("Most wrong gradients point roughly in the right direction")
plt.show()

# %% [markdown]
# That is why they train. We need a judge that does not depend on how the gradient was derived.
#
# ## The gradient check: measure the slope
#
# A slope can be measured: move the input a little, and see how far the output moves. Let $f$ be a function of one
# number, and $h$ a small step. The *forward difference* moves to one side, the *central difference* to both:
#
# $$\frac{f(x + h) - f(x)}{h} \qquad \frac{f(x + h) - f(x - h)}{2 h}$$
#
# Take $f = \tanh$ at $x = 0.8$. Is its slope $1 - x^2$, or $1 - \tanh(x)^2$?

# %%
x0 = 0.8
print(f"1 - x^2       = {1 - x0**2:.8f}")
print(f"1 - tanh(x)^2 = {1 - np.tanh(x0) ** 2:.8f}")
for h in (0.1, 0.01, 0.001):
    forward = (np.tanh(x0 + h) - np.tanh(x0)) / h
    central = (np.tanh(x0 + h) - np.tanh(x0 - h)) / (2 * h)
    print(f"h = {h:<5}  forward {forward:.8f}", end="  ")
    print(f"central {central:.8f}")

# %% [markdown]
# The second is right. Note how fast the two differences converge: with a step ten times smaller the forward difference
# is ten times more accurate, and the central one a *hundred* times. Because of the curvature, a step to one side
# measures too flat or too steep a slope; two steps to opposite sides make opposite errors, which almost cancel.
#
# ### How small should the step be?
#
# As small as possible? Try the same slope with steps from 0.1 down to $10^{-14}$, in float64 and in float32:

# %%
steps = 10.0 ** np.arange(-1, -14.25, -0.25)
ways = {
    "forward, float64": (np.float64, False, "#767676"),
    "central, float64": (np.float64, True, "#2a7ab8"),
    "central, float32": (np.float32, True, "#c8500a"),
}
truth = 1 - np.tanh(x0) ** 2
fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, (dtype, central, colour) in ways.items():
    errors = []
    for h in steps:
        up, down = dtype(x0 + h), dtype(x0 - h if central else x0)
        width = 2 * h if central else h
        slope = float(np.tanh(up) - np.tanh(down)) / width
        errors.append(max(abs(slope - truth), 1e-13))
    ax.loglog(steps, errors, ".-", color=colour, label=name)
    best = int(np.argmin(np.convolve(np.log(errors), np.ones(5), "same")[2:-2]))
    print(f"{name}: best near h = {steps[best + 2]:.0e}", end=", ")
    print(f"error {errors[best + 2]:.0e}")
for dtype in (np.float64, np.float32):
    print(f"{dtype.__name__}: the next number after 1 is 1 +", end=" ")
    print(f"{np.finfo(dtype).eps:.0e}")
ax.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-13, 10))
ax.set_title("Left: the step is too small. Right: too large.")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Each line is a V. From right to left the error first falls, as the curvature matters less and less. Then it rises
# again, erratically: a computer keeps about 16 digits (float32: 7), as the last two lines say. $f(x + h)$ and
# $f(x - h)$ agree in nearly all of them, so their difference has few digits left (*cancellation*), and is divided by a
# tiny number. (The orange line is flat on the left: there $x + h$ and $x - h$ are the same float32 number, and the
# measured slope is 0.)
#
# Three rules follow: use central differences; use float64; use a step of about $10^{-5}$ or $10^{-6}$. In float32 even
# the best step leaves few digits, and fewer in long sums: too few to see a small mistake.
#
# ## Many inputs, many outputs
#
# An operation has many outputs $y_k$. To check all at once, give each output a random number $v_k$ and look at the one
# number $L = \sum_k v_k\, y_k$. The backward pass, started with $v$, must give the slopes of $L$, and $L$ can be
# measured, with two forward passes for each input.
#
# Why random numbers, and not simply the sum of the outputs? Here is a softmax whose backward does nothing at all:


# %%
class Lazy(museum.Softmax):
    """A softmax whose backward gives zeros."""

    def backward(self, xp, grad_output):
        return 0 * grad_output


scores = Tensor(np.array([[2.0, 1.0, -1.0]]), requires_grad=True)
# Lazy(1): softmax along axis 1
print("the sum of the outputs:")
print(gradcheck(lambda scores: Lazy(1)(scores).sum(), scores))
print("\nrandom numbers v (gradcheck's default):")
print(gradcheck(lambda s: Lazy(1)(s), scores, raise_exception=False))

# %% [markdown]
# Probabilities add up to 1 whatever the scores are. Their sum has the slope 0, so zeros are correct.
#
# This was minicnn's own check, `minicnn.gradcheck(func, inputs)`. For each number of the inputs it compares *analytic*,
# the result of backward, with *numeric*, the central difference (step $10^{-6}$; the argument is called `eps`). They
# agree if they differ by no more than $10^{-5} + 10^{-3} \cdot$ |numeric|. It reports the worst: `inputs[0][0, 2]` is
# the number in row 0 and column 2 of the first input.
#
# ## Reading a report
#
# The report names one place. The pattern of *all* places says more. Here are three bugs, with $v = 1$ everywhere, so
# that one can count. The first is in col2im (lesson 02) with windows of 3x3 and stride 1, the others in pools (lesson
# 04) of 3x3 with stride 2. The correct gradient is above, the wrong one below.


# %%
def image_gradient(make):
    image = np.random.default_rng(2).normal(size=(1, 1, 7, 7))
    x = Tensor(image, requires_grad=True)
    output = make()(x)
    output.backward(np.ones(output.shape))
    return x.grad[0, 0]


bugs = {
    "3x3 windows: overwrites": (museum.Im2col, museum.Col2imOverwrites),
    "average pool: a factor": tuple(
        partial(kind, (3, 3), (2, 2), (0, 0), False, True, None)
        for kind in (museum.AvgPool2d, museum.AvgPoolDividesOnlyForward)
    ),
    "max pool: overwrites": tuple(
        partial(kind, (3, 3), (2, 2), (0, 0), False)
        for kind in (museum.MaxPool2d, museum.MaxPoolOverwrites)
    ),
}
fig, axes = plt.subplots(2, 3, figsize=(9, 5.6), layout="constrained")
for column, (name, pair) in zip(axes.T, bugs.items(), strict=True):
    numbers = [image_gradient(make) for make in pair]
    largest = max(array.max() for array in numbers)
    for ax, array in zip(column, numbers, strict=True):
        ax.imshow(array, cmap="Blues", vmin=0, vmax=largest)
        for (h, w), value in np.ndenumerate(array):
            dark = value > 0.6 * largest
            text = f"{value:.2g}".replace("0.", ".")
            colour = "white" if dark else "black"
            ax.text(w, h, text, ha="center", va="center", color=colour)
        ax.set(xticks=[], yticks=[])
    column[0].set_title(name, fontsize=11)
    column[1].set_xlabel("column of the image")
axes[0, 0].set_ylabel("correct\nrow of the image")
axes[1, 0].set_ylabel("wrong\nrow of the image")
plt.show()

# %% [markdown]
# - **Left**: correct in the corners only, which are in one window each. Elsewhere the gradients of several windows were
#   overwritten instead of added.
# - **Middle**: the same pattern, 9 times as large. A constant factor: 9 is the number of pixels in a window.
# - **Right**: correct where one window has its maximum at a pixel, wrong where two or more share one.
#
# So ask of a failed check: where is it *right*? What do these places have in common? Is the ratio of analytic to
# numeric the same everywhere? Is it a number that you know: the batch size, the window size, 2, -1?
#
# ## How the gradient check can be wrong
#
# ### Kinks
#
# At 0 the ReLU has a kink. On its left the slope is 0, on its right 1, and at 0 itself there is none. A central
# difference across the kink measures something in between:

# %%
h = 0.5
at = np.array([-h, 0.0, h])
x = np.linspace(-1, 1, 201)
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.plot(x, np.maximum(0, x), color="#2a7ab8", label="ReLU")
ax.plot(at, np.array([0.0, h / 2, h]), "--", color="#c8500a", label="measured")
ax.plot(at[[0, 2]], [0, h], "o", color="#c8500a")
ax.set(xlabel="x", ylabel="y")
ax.set_title("A central difference across the kink: slope 1/2", fontsize=11)
ax.legend()
plt.show()
numbers = Tensor(np.array([-2.0, 0.0, 3.0]), requires_grad=True)
print(gradcheck(F.relu, numbers, raise_exception=False))

# %% [markdown]
# minicnn takes 0 as the slope there, which is not a mistake. The report says "kink or tie". (Its slopes are multiplied
# by the random number $v_k$ of this output. So "right of it" is $v_k$, and *numeric* is half of that.) Ties of a max
# pool are kinks as well: if two numbers of a window are equal, a small step decides which of them wins. The cure is to
# check away from kinks: numbers away from 0, no two of them equal.
#
# ### Inputs that hide the bug
#
# Worse than a false alarm is silence. Whether a bug shows depends on the numbers and shapes of the test. Each of these
# operations is *wrong*, and is checked twice: with inputs on which it happens to be right, and with better ones.


# %%
def normal(*shape, scale=1.0):
    numbers = np.random.default_rng(0).normal(0, scale, shape)
    return Tensor(numbers, requires_grad=True)


def pool(size):
    sizes = (size, size), (2, 2), (0, 0)
    return lambda x: museum.MaxPoolOverwrites(*sizes, False)(x)


def lrn(kind, *settings):
    return lambda x: kind(*settings)(x)


def layer(x, w, b):
    return museum.LinearKeepsLastImage()(x, w, b)


def tanh(x):
    return museum.TanhDerivativeOfInput()(x)


weights = normal(2, 4), normal(2)
images, maps = normal(2, 2, 7, 7), normal(1, 7, 2, 2)
forgets, mirrored = museum.LRNForgetsNeighbours, museum.LRNWindowNotTransposed
trials = [
    ("fully connected, batch of 1", layer, (normal(1, 4), *weights)),
    ("fully connected, batch of 3", layer, (normal(3, 4), *weights)),
    ("tanh, inputs near 0.01", tanh, normal(3, 4, scale=0.01)),
    ("tanh, inputs near 2", tanh, normal(3, 4, scale=2.0)),
    ("max pool, 2x2, stride 2", pool(2), images),
    ("max pool, 3x3, stride 2", pool(3), images),
    ("LRN, alpha 0.0001", lrn(forgets, 2, 2, 2.0, 1e-4, 0.75), maps),
    ("LRN, alpha 1", lrn(forgets, 2, 2, 2.0, 1.0, 0.75), maps),
    ("LRN, odd window", lrn(mirrored, 2, 2, 2.0, 1.0, 0.75), maps),
    ("LRN, even window", lrn(mirrored, 2, 1, 2.0, 1.0, 0.75), maps),
]
for number, (name, operation, inputs) in enumerate(trials):
    report = gradcheck(operation, inputs, raise_exception=False)
    verdict = "passed, though wrong" if report else "found"
    print(f"{name:<29} {verdict}" + "\n" * (number % 2))

# %% [markdown]
# So check with more than one image, with overlapping windows, with numbers large enough that the curvature matters,
# with settings that make every term count, and with all sizes different. The inputs that hide bugs are exactly those
# that one would choose for simplicity.
#
# ### Random numbers
#
# A gradient check calls the operation repeatedly and compares. If dropout draws a new mask each time, the results are
# not comparable. So seed the generator inside the function: `minicnn.manual_seed(0)`, then dropout. `gradcheck` first
# calls the function twice, and reports if the results differ:

# %%
x = normal(3, 4)
report = gradcheck(partial(F.dropout, p=0.5), x, raise_exception=False)
print(fill(str(report), 78))

# %% [markdown]
# ## What no gradient check can find
#
# A gradient check asks one thing: does the backward match the forward? If the forward computes the wrong thing, and the
# backward is the derivative of *that*, the check passes. Some exhibits of this kind:

# %%
for name in (
    "max-pool-zero-padded",
    "lrn-window-off-by-one",
    "lrn-divides-alpha",
    "dropout-divides-by-p",
):
    exhibit = museum.exhibits()[name]
    operation = partial(exhibit.use, exhibit.broken)
    report = gradcheck(operation, exhibit.inputs(), raise_exception=False)
    print(f"{name}: gradcheck {'passes' if report else 'fails'}")
    print(f"  {exhibit.complaint(exhibit.broken)}")

# %% [markdown]
# The second line of each comes from another kind of test, a *reference*: something that computes the same in another
# way, so simple that one can see that it is right. It may be
#
# - the definition, written as plain loops, slow and clear (the museum has that);
# - a few numbers worked out by hand, as in lesson 05;
# - another library, once you have made sure that its arguments mean the same.
#
# A reference alone is not enough either: it checks the forward. You need both.
#
# The museum gives each exhibit a name, a broken and a correct version, inputs that do *not* hide the bug, a hint, and a
# story. One of them:

# %%
exhibit = museum.exhibits()["relu-writes-into-gradient"]
print(exhibit.hint, "\n")
for paragraph in exhibit.story.split("\n\n"):
    print(fill(paragraph, 78), "\n")
print(fill(exhibit.complaint(exhibit.broken), 78))

# %% [markdown]
# (So `gradcheck` also checks that an operation does not write into arrays that others hold.) All of them, with their
# hints:

# %%
for name, exhibit in museum.exhibits().items():
    print(fill(f"{name}: {exhibit.hint}", 78, subsequent_indent="    "))

# %% [markdown]
# ### minicnn itself
#
# `minicnn gradcheck` checks every operation in hundreds of configurations, with the NumPy kernels and with the compiled
# ones. It takes a while. Some of its lines:
#
# ```
# operation      configurations  derivatives  largest error  numpy  numba
# relu                        3          104        9.8e-11     ok     ok
# linear                      5          392        4.8e-10     ok     ok
# conv2d                     30        11044        4.0e-08     ok     ok
# max_pool2d                 14         3360        4.9e-10     ok     ok
# cross_entropy              19          736        1.0e-09     ok     ok
# ```
#
# ## Exercises: the hunt
#
# ### 1. Write the gradient check
#
# `hunt_numeric_gradient(f, x, h)` returns an array of the shape of `x`: for each number of `x` the central difference
# of `f` with the step `h`. `f` takes an array and returns one number. `x` is a float array of any shape, and must not
# change. Work on copies: adding $h$ to a number and subtracting it again may change its last digit.
# (`np.ndindex(*x.shape)` visits all indices.)


# %%
def hunt_numeric_gradient(f, x, h):
    """Return the slopes of f at x, an array of the shape of x."""
    ### BEGIN SOLUTION
    slopes = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[place] = h
        slopes[place] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes
    ### END SOLUTION


# %%
check.hunt_numeric_gradient(hunt_numeric_gradient)

# %% [markdown]
# ### 2. Fix the softmax
#
# This is the museum's `softmax-elementwise`. `y`, shape (N, C), is the softmax of some scores, row by row, and `grad_y`
# is $\partial L / \partial y$, of the same shape:
#
# ```python
# def broken_softmax_backward(y, grad_y):
#     return grad_y * y * (1 - y)
# ```
#
# It treats each output as if it depended on its own score only. From the formula of lesson 07,
# $p_i = e^{s_i} / \sum_j e^{s_j}$, it follows that $p_i$ depends on its own score with the slope $p_i (1 - p_i)$, and
# on another score $s_j$ with the slope $-p_i\, p_j$. (Here $p$ is called `y`.) Write the function that returns
# $\partial L / \partial s$, shape (N, C). To see the bug first: `e = museum.exhibits()["softmax-elementwise"]`, then
# `print(e.complaint(e.broken))`.


# %%
def hunt_softmax_backward(y, grad_y):
    """Return dL/ds, shape (N, C)."""
    ### BEGIN SOLUTION
    return y * (grad_y - (grad_y * y).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %%
check.hunt_softmax_backward(hunt_softmax_backward)

# %% [markdown]
# ### 3. Fix the max pool
#
# This one has two bugs. `x`, shape (W,), is a row of pixels. Window number `o` has `size` pixels and begins at
# `o * stride`. `grad_y` holds one gradient for each window. The rule of lesson 04 is that the *first* of the largest
# pixels gets the window's gradient.
#
# ```python
# def broken_max_pool_backward(x, grad_y, size, stride):
#     grad_x = np.zeros_like(x)
#     for o in range(len(grad_y)):
#         window = x[o * stride : o * stride + size]
#         for k in range(size):
#             if window[k] == window.max():
#                 grad_x[o * stride + k] = grad_y[o]
#     return grad_x
# ```


# %%
def hunt_max_pool_backward(x, grad_y, size, stride):
    """Return dL/dx, shape (W,)."""
    ### BEGIN SOLUTION
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        window = x[o * stride : o * stride + size]
        grad_x[o * stride + window.argmax()] += grad_y[o]
    return grad_x
    ### END SOLUTION


# %%
check.hunt_max_pool_backward(hunt_max_pool_backward)

# %% [markdown]
# ### 4. Which check finds it?
#
# Five bugs, and how they are tested. For each of them say what finds it: `"gradcheck"`; or `"reference"` if the
# gradient check passes but the output differs from the definition; or `"nothing"` if with *these* inputs and settings
# neither of the two sees a difference.
#
# 1. An average pool of 3x3 whose forward divides by 9, and whose backward passes on the gradient undivided. Random
#    numbers.
# 2. A local response normalisation that divides $\alpha = 1$ by $n = 5$ where the paper does not, and is differentiated
#    correctly. Random numbers.
# 3. A max pool of 2x2 with stride 2 whose backward writes `=` instead of `+=`. Random numbers, no ties.
# 4. Dropout with p = 0.3 whose backward draws a new mask. The generator is seeded before each forward.
# 5. A convolution whose forward flips its filters upside down, and whose backward is the derivative of that. Random
#    numbers.
#
# `hunt_judges()` returns a tuple of five of these words. You may try them: four of the five are in the museum.


# %%
def hunt_judges():
    """Return five words, each "gradcheck", "reference" or "nothing"."""
    ### BEGIN SOLUTION
    return "gradcheck", "reference", "nothing", "gradcheck", "reference"
    ### END SOLUTION


# %%
check.hunt_judges(hunt_judges)

# %% [markdown]
# ## Summary
#
# - A wrong gradient mostly points roughly in the right direction, so it trains, and hides.
# - A gradient check measures slopes: central differences, float64, a step of about $10^{-6}$, a random number for each
#   output.
# - It gives false alarms at kinks and ties, and is silent on inputs that hide the bug.
# - It cannot find a forward that computes the wrong thing. That takes references.
# - When it fails, look where it is right, and at the ratios.
