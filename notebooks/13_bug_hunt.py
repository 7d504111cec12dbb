# %% [markdown]
# # 13 The bug hunt
#
# A wrong gradient raises no error. The network trains, a little worse, and nobody knows how well it could have trained.
# This lesson is about finding such bugs: how a gradient check works and how it can be wrong itself, what it can never
# find, and how to read what it says. Then you hunt some yourself, in a museum of the mistakes that everybody makes once.
#
# You need the lessons up to 07: the museum has pieces from all of them.

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
# ## A bug that nobody notices
#
# Two networks learn to tell the points inside a disc from those outside. They have the same layers and the same first
# weights, and see the same batches of 20 points. In one of them the weight gradient of the fully connected layers is
# wrong: where it should *add up* over the pictures of the batch (lesson 07), it keeps only what the last one says. The
# wrong layer comes from the *museum* that belongs to minicnn: each of its exhibits has a name and two ways to make the same
# operation, `broken` and `correct`.

# %%
random = np.random.default_rng(1)
x = random.normal(size=(200, 2))
labels = (np.hypot(x[:, 0], x[:, 1]) < 1.18).astype(int)


def train(make_layer):
    """Train two fully connected layers; return the error by step."""
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
    ("right", exhibit.correct, "#2a7ab8"),
):
    errors = train(make)
    ax.plot(100 * errors, color=colour, label=name)
    print(f"{name:<22} wrong at first {errors[0]:.0%}", end=", ")
    print(f"mean of the last 50 steps {errors[-50:].mean():.1%}")
ax.set(xlabel="step", ylabel="wrong points (%)", ylim=(0, 60))
ax.legend()
plt.show()

# %% [markdown]
# The wrong one learns, too. Without the blue line beside it, who would suspect the orange one? One would try another
# learning rate, more units, more steps. A bug like this can stay for years.
#
# How wrong is a wrong gradient? The museum has more than twenty broken operations, each beside the right one. We take
# those whose way back does not belong to their way forward, let both walk back, and compare the *directions* of their
# gradients by the cosine of the angle between them: 1 is the same direction, 0 a right angle. (Only those are shown
# whose direction is not the same. Their names are those of the museum, whose list comes further down.)


# %%
def gradient(make, exhibit):
    """Return the gradients of all inputs as one long vector."""
    inputs = exhibit.inputs()
    output = exhibit.use(make, *inputs)
    output.backward(np.random.default_rng(5).normal(size=output.shape))
    return np.concatenate([tensor.grad.ravel() for tensor in inputs])


cosines = {}
for name, exhibit in museum.exhibits().items():
    # one of them makes a gradient of a wrong shape, which the engine refuses
    if exhibit.caught_by == "reference" or name == "linear-bias-not-summed":
        continue
    right, wrong = (
        gradient(make, exhibit) for make in (exhibit.correct, exhibit.broken)
    )
    lengths = np.linalg.norm(right) * np.linalg.norm(wrong)
    if right @ wrong / lengths < 0.9999:
        cosines[name] = right @ wrong / lengths
cosines = dict(sorted(cosines.items(), key=lambda item: item[1]))
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
bars = ax.barh(list(cosines), list(cosines.values()), color="#2a7ab8")
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0, 1.1), xlabel="cosine between wrong and right gradient")
ax.set_title("Most wrong gradients point more or less the right way")
plt.show()

# %% [markdown]
# That is why they train. What is needed is a judge who knows nothing of how the gradient was derived.
#
# ## The judge: measure the slope
#
# A slope can be measured: move the input a little, and see how the output moves. Let $f$ be a function of one number, and
# $h$ a small step. The *forward difference* moves to one side, the *central difference* to both:
#
# $$\frac{f(x + h) - f(x)}{h} \qquad \frac{f(x + h) - f(x - h)}{2 h}$$
#
# Take $f = \tanh$ at $x = 0.8$. Somebody says that its slope is $1 - x^2$. Somebody else says $1 - \tanh(x)^2$.

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
# The second one is right. Look at how fast the two come near: with a step ten times smaller the forward difference is ten
# times nearer, and the central one a *hundred* times. A curve bends, so a step to one side measures it too flat or too
# steep; two steps to opposite sides make opposite errors, which cancel but for a small rest.
#
# ### How small should the step be?
#
# As small as possible? Try it. The same slope, with steps from 0.1 down to $10^{-14}$, in float64 and in float32:

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
    off = []
    for h in steps:
        up, down = dtype(x0 + h), dtype(x0 - h if central else x0)
        width = 2 * h if central else h
        slope = float(np.tanh(up) - np.tanh(down)) / width
        off.append(max(abs(slope - truth), 1e-13))
    ax.loglog(steps, off, ".-", color=colour, label=name)
    best = int(np.argmin(np.convolve(np.log(off), np.ones(5), "same")[2:-2]))
    print(f"{name}: least about h = {steps[best + 2]:.0e}", end=", ")
    print(f"error there {off[best + 2]:.0e}")
for dtype in (np.float64, np.float32):
    print(f"{dtype.__name__}: behind 1 comes 1 +", end=" ")
    print(f"{np.finfo(dtype).eps:.0e}")
ax.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-13, 10))
ax.set_title("Too large on the right, too small on the left")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Each line is a V. From the right the error falls: the bend matters less and less. Then it rises again, and more and more
# wildly: a computer keeps about 16 digits (float32: 7), as the last two lines say. $f(x + h)$ and $f(x - h)$ agree in
# nearly all of them, so their difference has few digits left, and what is left is divided by a tiny number. (The orange
# line is flat on the left: there $x + h$ and $x - h$ are the same float32 number, and the measured slope is 0.)
#
# From this picture you can read three rules: take central differences; take float64; take a step of about $10^{-5}$ or
# $10^{-6}$. In float32 even the best step leaves few digits here, and fewer where many numbers are added up: too few to see
# a small mistake.
#
# ## Many inputs, many outputs
#
# An operation has many outputs $y_k$. To check it in one go, give each output a random number $v_k$ and look at the one
# number $L = \sum_k v_k\, y_k$. The way back, started with $v$, must give the slopes of $L$, and $L$ can be measured: two
# forwards for each input.
#
# Why random numbers, and not simply the sum of the outputs? Here is a softmax with a scandalous way back:


# %%
class Lazy(museum.Softmax):
    """A softmax whose backward gives zeros."""

    def backward(self, xp, grad_output):
        return 0 * grad_output


scores = Tensor(np.array([[2.0, 1.0, -1.0]]), requires_grad=True)
# Lazy(1): the probabilities along dimension 1 add up to one
print("the sum of the outputs:")
print(gradcheck(lambda scores: Lazy(1)(scores).sum(), scores))
print("\nrandom numbers v (what gradcheck does by itself):")
print(gradcheck(lambda s: Lazy(1)(s), scores, raise_exception=False))

# %% [markdown]
# Probabilities add up to 1 whatever the scores are. Their sum has the slope 0, and zeros are just right.
#
# This was minicnn's own check, `minicnn.gradcheck(fn, inputs)`. For each number of the inputs it compares *analytic*, what
# the way back computes, with *numeric*, what the central difference measures (step $10^{-6}$; the argument is called
# `eps`). They agree if they differ by no more than $10^{-5} + 10^{-3} \cdot$ |numeric|. It reports the worst:
# `inputs[0][0, 2]` is the number in row 0 and column 2 of the first input.
#
# ## Reading a report
#
# The report names one place. The pattern of *all* places says more. Here are three bugs, with $v = 1$ everywhere, so that
# one can count. The first is in col2im (lesson 02) with windows of 3x3 and stride 1, the others are pools (lesson 04) of 3x3
# with stride 2. Above the right gradient, below the wrong one.


# %%
def picture_gradient(make):
    picture = np.random.default_rng(2).normal(size=(1, 1, 7, 7))
    x = Tensor(picture, requires_grad=True)
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
    numbers = [picture_gradient(make) for make in pair]
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
    column[1].set_xlabel("column of the picture")
axes[0, 0].set_ylabel("right\nrow of the picture")
axes[1, 0].set_ylabel("wrong\nrow of the picture")
plt.show()

# %% [markdown]
# - **Left**: right in the corners only, which lie in one window each. Elsewhere the answers of several windows have been
#   overwritten instead of added.
# - **Middle**: the same pattern, 9 times as large. A constant factor: 9 is the number of pixels in a window.
# - **Right**: right where one window has its maximum at a pixel, wrong where two or more share one.
#
# So ask of a failed check: where is it *right*? What do these places have in common? Is the ratio of analytic to numeric the
# same everywhere? Is it a number that you know: the batch size, the window's size, 2, -1?
#
# ## How the judge can be wrong
#
# ### Kinks
#
# At 0 the ReLU has a kink. To its left the slope is 0, to its right 1, and at 0 itself there is none. A central difference
# that steps over the kink measures something between:

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
# The engine takes 0 as the slope there, and that is no mistake. The report says "kink or tie". (Its slopes are multiplied
# by the random number $v_k$ of this output. So "right of it" stands $v_k$, and *numeric* is half of that.) Ties of a max pool
# are kinks as well: if two numbers of a window are equally large, a small step decides which of them wins. The cure is to
# check where there is no kink: numbers away from 0, no two of them alike.
#
# ### Kind inputs
#
# Worse than a false alarm is silence. Whether a bug shows depends on the numbers and shapes that you try it on. Each
# of these is *wrong*, and is checked twice: with inputs on which it happens to be right, and with better ones.


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
forgets, turned = museum.LRNForgetsNeighbours, museum.LRNWindowNotTransposed
trials = [
    ("fully connected, batch of 1", layer, (normal(1, 4), *weights)),
    ("fully connected, batch of 3", layer, (normal(3, 4), *weights)),
    ("tanh, inputs near 0.01", tanh, normal(3, 4, scale=0.01)),
    ("tanh, inputs near 2", tanh, normal(3, 4, scale=2.0)),
    ("max pool, 2x2, stride 2", pool(2), images),
    ("max pool, 3x3, stride 2", pool(3), images),
    ("LRN, alpha 0.0001", lrn(forgets, 2, 2, 2.0, 1e-4, 0.75), maps),
    ("LRN, alpha 1", lrn(forgets, 2, 2, 2.0, 1.0, 0.75), maps),
    ("LRN, odd window", lrn(turned, 2, 2, 2.0, 1.0, 0.75), maps),
    ("LRN, even window", lrn(turned, 2, 1, 2.0, 1.0, 0.75), maps),
]
for number, (name, operation, inputs) in enumerate(trials):
    report = gradcheck(operation, inputs, raise_exception=False)
    verdict = "passed, though wrong" if report else "found"
    print(f"{name:<29} {verdict}" + "\n" * (number % 2))

# %% [markdown]
# The lesson of these five: check with more than one picture, with windows that overlap, with numbers large enough that the
# curve bends, with settings that make every term count, with shapes of which no two are alike. The kind inputs are just
# those that one would choose to make things simple.
#
# ### Random numbers
#
# A gradient check calls the operation over and over and compares. If dropout draws a new mask each time, it compares
# apples and pears. So the generator must be set to the same state inside: `minicnn.manual_seed(0)`, then dropout.
# `gradcheck` calls the function twice first, and says so if the results differ:

# %%
x = normal(3, 4)
report = gradcheck(partial(F.dropout, p=0.5), x, raise_exception=False)
print(fill(str(report), 78))

# %% [markdown]
# ## What no gradient check can find
#
# A gradient check asks one thing: does the way back belong to the way forward? If the forward computes something else than
# it should, and the way back is the derivative of *that*, the check is content. Some exhibits of this kind:

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
# The second line of each is the word of another judge: a *reference*. Something that computes the same in another way, so
# simple that one can see that it is right. It may be
#
# - the definition, written down in plain loops, slow and clear (the museum has that);
# - a few numbers worked out by hand, as in lesson 05;
# - another library, if you have made sure that its arguments mean the same.
#
# A reference alone is not enough either: it checks the forward. You need both.
#
# The museum gives each exhibit a name, a broken and a correct version, inputs that are *not* kind, a hint, and a story.
# One of them:

# %%
exhibit = museum.exhibits()["relu-writes-into-gradient"]
print(exhibit.hint, "\n")
for paragraph in exhibit.story.split("\n\n"):
    print(fill(paragraph, 78), "\n")
print(fill(exhibit.complaint(exhibit.broken), 78))

# %% [markdown]
# (So `gradcheck` also looks at whether an operation writes into what belongs to others.) All of them, with their
# hints:

# %%
for name, exhibit in museum.exhibits().items():
    print(fill(f"{name}: {exhibit.hint}", 78, subsequent_indent="    "))

# %% [markdown]
# ### The engine itself
#
# `minicnn gradcheck` checks every operation of the engine in hundreds of configurations, with the NumPy kernels and
# with the compiled ones. It takes a while. Some of its lines:
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
# ### 1. Build the judge
#
# `hunt_numeric_gradient(f, x, h)` returns an array of the shape of `x`: for each number of `x` the central difference of
# `f` with the step `h`. `f` takes an array and returns one number. `x` is a float array of any shape, and must be left as
# it is: work on copies, for a number to which $h$ is added and from which it is taken away again may have lost its last
# digit. (`np.ndindex(*x.shape)` goes through all places.)


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
# ### 2. Mend the softmax
#
# The museum's `softmax-elementwise`. `y`, shape (N, C), is the softmax of some scores, row by row, and `grad_y` is
# $\partial L / \partial y$, of the same shape. This is what stands in the museum:
#
# ```python
# def broken_softmax_backward(y, grad_y):
#     return grad_y * y * (1 - y)
# ```
#
# It treats each output as if only its own score counted. From the formula of lesson 07, $p_i = e^{s_i} / \sum_j e^{s_j}$,
# one finds that $p_i$ depends on its own score with the slope $p_i (1 - p_i)$, and on another score $s_j$ with the slope
# $-p_i\, p_j$. (Here $p$ is called `y`.) Write the function that returns $\partial L / \partial s$, shape (N, C). If you
# want to see the bug first: `e = museum.exhibits()["softmax-elementwise"]`, then `print(e.complaint(e.broken))`.


# %%
def hunt_softmax_backward(y, grad_y):
    """Return dL/ds, shape (N, C)."""
    ### BEGIN SOLUTION
    return y * (grad_y - (grad_y * y).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %%
check.hunt_softmax_backward(hunt_softmax_backward)

# %% [markdown]
# ### 3. Mend the max pool
#
# There are two bugs in this one. `x`, shape (W,), is a row of pixels. Window number `o` has `size` pixels and begins at
# `o * stride`. `grad_y` holds one gradient for each window. The rule of lesson 04 is that the *first* of the largest pixels
# gets the window's gradient.
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
# ### 4. Which judge finds it?
#
# Five suspects, and how they are tried. For each of them say who finds the bug: `"gradcheck"`; or `"reference"` if
# the gradient check is content but the output differs from the definition's; or `"nothing"` if with *these* inputs and
# settings neither of the two sees any difference.
#
# 1. An average pool of 3x3 whose forward divides by 9, and whose backward hands on the gradient undivided. Random numbers.
# 2. A local response normalisation that divides $\alpha = 1$ by $n = 5$ where the paper does not, and is differentiated
#    correctly. Random numbers.
# 3. A max pool of 2x2 with stride 2 whose backward writes `=` where it should write `+=`. Random numbers, no ties.
# 4. Dropout with p = 0.3 whose backward draws a new mask. The generator is seeded before each forward.
# 5. A convolution whose forward turns its filters upside down, and whose backward is the derivative of that. Random
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
# ## What you now know
#
# - A wrong gradient mostly points more or less the right way, so it trains, and hides.
# - A gradient check measures slopes: central differences, float64, a step of about $10^{-6}$, a random number for each
#   output.
# - It gives false alarms at kinks and ties, and is silent on kind inputs.
# - It cannot find a forward that computes the wrong thing. For that there are references.
# - When it fails, look where it is right, and at the ratios.
