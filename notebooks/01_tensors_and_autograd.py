# %% [markdown]
# # 01 Tensors and the backward pass
#
# A network learns by asking, for each of its millions of numbers: if I make you a little larger, does the result get
# better or worse, and how fast? This lesson shows how one backward pass through the computation answers for all of them
# at once. You work one example out by hand, read an automatic differentiation (*autograd*) engine of some 60 lines, and
# see that it gives the same answers as the engine that the other lessons use.
#
# You need derivatives from school: that $x^2$ has the slope $2x$, and the chain rule. For NumPy, lesson 00 is enough.

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor
from minicnn.lessons import check

# %% [markdown]
# ## Learning is going downhill
#
# The smallest possible network multiplies its input by one number, the *weight* $w$. It should answer 3 for the
# input 2. We measure how wrong it is by the squared error, and call that the *loss* $L$:
#
# $$L(w) = (2 w - 3)^2$$
#
# The chain rule gives the slope: outer derivative times inner derivative.
#
# $$\frac{dL}{dw} = 2 (2 w - 3) \cdot 2$$
#
# Where the slope is negative, a larger $w$ is better; where it is positive, a smaller one. So we take small steps
# against the slope, again and again: *gradient descent*. The step size is the slope times the *learning rate*, here
# 0.1.

# %%
w, path = 0.5, []
for step in range(5):
    loss, slope = (2 * w - 3) ** 2, 2 * (2 * w - 3) * 2
    path.append((w, loss))
    print(f"step {step}: w = {w:.4f}, L = {loss:.4f}, slope = {slope:.3f}")
    w = w - 0.1 * slope

fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
line = np.linspace(0.2, 2.8, 100)
ax.plot(line, (2 * line - 3) ** 2, color="#2a7ab8")
near = np.array([0.25, 0.85])
tangent = 4 - 8 * (near - 0.5)
ax.plot(near, tangent, "--", color="#767676", label="slope at w = 0.5")
ax.plot(*zip(*path, strict=True), "o", color="#c8500a", label="the steps")
ax.set(xlabel="weight w", ylabel="loss L")
ax.set_title("Against the slope, downhill", fontsize=10)
ax.legend()
plt.show()

# %% [markdown]
# After a few steps $w$ is near 1.5, and $2 \cdot 1.5 = 3$. That is all there is to learning. What remains is the slope:
# not for one weight but for 61 million, and not for a formula that fits on a line.
#
# One could *measure* it: move one weight a little and see how the loss changes. But that takes the whole computation
# again for each weight:

# %%
weights = 60_965_224  # AlexNet's, from lesson 00
per_day = 24 * 60 * 60 * 100  # at a hundred forward passes a second
print(f"days for a single step: {weights / per_day:.1f}")
print(f"steps that AlexNet took: {90 * 1_200_000 / 128:,.0f}")

# %% [markdown]
# (That is 90 passes through 1.2 million images, 128 in each step; paper, section 5.) There must be a better way.
#
# ## By hand, number by number
#
# Take three numbers and combine them in three small operations:
#
# $$d = a \cdot b$$
#
# $$e = d + c$$
#
# $$L = e \cdot c$$
#
# Note that $c$ is used twice. With $a = 3$, $b = -2$, $c = 5$:

# %%
a, b, c = 3.0, -2.0, 5.0
d = a * b
e = d + c
L = e * c
print(f"d = {d:.0f}, e = {e:.0f}, L = {L:.0f}")

# %% [markdown]
# How fast does $L$ change as $a$ changes, while $b$ and $c$ are held fixed? This is the *partial derivative*
# $\partial L / \partial a$; read it as "slope of L along a". All partial derivatives together are the **gradient**.
#
# Each operation alone is easy. A product changes with one factor as fast as the other factor says; a sum changes as
# fast as each of its terms:
#
# $$\frac{\partial d}{\partial a} = b = -2 \quad \frac{\partial d}{\partial b} = a = 3$$
#
# $$\frac{\partial e}{\partial d} = 1 \quad \frac{\partial e}{\partial c} = 1$$
#
# $$\frac{\partial L}{\partial e} = c = 5$$
#
# And along $c$ itself, with $e$ held fixed, $L = e \cdot c$ has the slope $e = -1$. These six numbers label the arrows
# of the figure below. The **chain rule** says: along a path, multiply. From $a$ there is one path to $L$:
#
# $$\frac{\partial L}{\partial a} = \frac{\partial L}{\partial e} \cdot \frac{\partial e}{\partial d} \cdot \frac{\partial d}{\partial a} = 5 \cdot 1 \cdot (-2) = -10$$
#
# And where several paths lead to $L$, add. From $c$ there are two, one through $e$ and a direct one:
#
# $$\frac{\partial L}{\partial c} = \frac{\partial L}{\partial e} \cdot \frac{\partial e}{\partial c} + e = 5 \cdot 1 + (-1) = 4$$
#
# We need not follow each path on its own. Start at the end, where $\partial L / \partial L = 1$, and go back one
# operation at a time. Each operation takes the slope at its result, multiplies it by the number on each arrow, and
# passes that back to its inputs. Where two slopes meet, they are added.

# %%
dL_de = 1 * c
dL_dc = 1 * e  # the direct path
dL_dd = dL_de * 1
dL_dc += dL_de * 1  # and the path through e
dL_da = dL_dd * b
dL_db = dL_dd * a
found = {"a": dL_da, "b": dL_db, "c": dL_dc, "d": dL_dd, "e": dL_de, "L": 1}
print({name: float(slope) for name, slope in found.items()})

places = {"a": (0, 2), "b": (0, 1), "c": (0, 0), "d": (2, 1.5)}
places |= {"e": (4, 0.9), "L": (6, 0.45)}
values = {"a": a, "b": b, "c": c, "d": d, "e": e, "L": L}
labels = {"d": "d = a b", "e": "e = d + c", "L": "L = e c"}
arrows = [("a", "d", b), ("b", "d", a), ("d", "e", 1), ("c", "e", 1)]
arrows += [("e", "L", c), ("c", "L", e)]

fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
for start, end, slope in arrows:
    (x0, y0), (x1, y1) = places[start], places[end]
    gap = 0.56 if start in labels else 0.3
    style = {"arrowstyle": "-|>", "color": "#767676"}
    ax.annotate("", (x1 - 0.56, y1), (x0 + gap, y0), arrowprops=style, zorder=0)
    where = 0.62 if start == "c" else 0.5  # along the arrow
    x, y = x0 + where * (x1 - x0), y0 + where * (y1 - y0)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    ax.text(x, y, f"{slope:g}", ha="center", va="center", bbox=paper, size=10)
for name, (x, y) in places.items():
    box = {"boxstyle": "round,pad=0.35", "fc": "#e8f1f8", "ec": "#2a7ab8"}
    title = f"{labels.get(name, name)} = {values[name]:g}"
    ax.text(x, y, title, ha="center", va="center", bbox=box)
    text = f"slope {found[name]:g}"
    ax.text(x, y - 0.33, text, ha="center", color="#c8500a", weight="bold")
ax.set(xlim=(-0.7, 6.9), ylim=(-0.55, 2.35))
ax.set_title(
    "Boxes: values, computed from left to right. "
    "Orange: slopes of L, computed from right to left.",
    fontsize=10,
)
ax.axis("off")
plt.show()

# %% [markdown]
# ## Is it true?
#
# Measure it. Move $a$ a little up and a little down, and divide the change of $L$ by the distance between the two. This
# is the *central difference*:
#
# $$\frac{\partial L}{\partial a} \approx \frac{L(a + h) - L(a - h)}{2 h}$$


# %%
def expression(a, b, c):
    return (a * b + c) * c


h = 1e-4
up, down = expression(a + h, b, c), expression(a - h, b, c)
print(f"a: {(up - down) / (2 * h):.6f}")
up, down = expression(a, b + h, c), expression(a, b - h, c)
print(f"b: {(up - down) / (2 * h):.6f}")
up, down = expression(a, b, c + h), expression(a, b, c - h)
print(f"c: {(up - down) / (2 * h):.6f}")

# %% [markdown]
# They are -10, 15 and 4, as by hand.
#
# How small should $h$ be? Try it on a function whose slope is known. The *hyperbolic tangent* is an S-shaped curve from
# -1 to 1 (more in lesson 03):
#
# $$\tanh(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}}$$
#
# Its slope is $1 - \tanh(x)^2$. Here is the error of the measured slope at 0.7. The *one-sided* difference moves only
# up, and divides by $h$.

# %%
steps = 10.0 ** np.arange(-13, 0)
true = 1 - np.tanh(0.7) ** 2
ups, downs = np.tanh(0.7 + steps), np.tanh(0.7 - steps)
central = np.abs((ups - downs) / (2 * steps) - true)
one_sided = np.abs((ups - np.tanh(0.7)) / steps - true)
for power in (-1, -2, -3):
    print(f"h = 10^{power}: one-sided {one_sided[power]:.0e}", end=", ")
    print(f"central {central[power]:.0e}")

fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.loglog(steps, one_sided, "s--", color="#767676", label="one-sided")
ax.loglog(steps, central, "o-", color="#2a7ab8", label="central")
ax.set(xlabel="step h", ylabel="error of the slope")
ax.set_title(
    "Large steps see the curve bend, small steps see rounding noise", fontsize=10
)
ax.legend(loc="upper center")
plt.show()

# %% [markdown]
# With a step a tenth as long, the one-sided difference is about ten times as accurate, and the central one a hundred
# times. But below some length both get worse again: they subtract two nearly equal numbers, and what is left of their
# 16 digits is mostly rounding error. For central differences a step around $10^{-5}$ is a good choice.
#
# From now on, every gradient that we derive by hand is checked by differences: a *gradient check*.
#
# ## An engine in 60 lines
#
# Can a program do what we did by hand? It must know two things: which operation made each number from which others (the
# *computation graph*), and how each operation passes a slope back. So let an object hold its value and remember both.
# Instead of single numbers we take whole arrays; slopes are then arrays of the same shape. Such an array with a memory
# is called a *tensor*. Ours is called `Node`, to keep it apart from minicnn's.
#
# - `sources` is the memory: for each input of the operation, the input itself and a function that turns the slope at
#   the result into the slope at that input.
# - `number` counts the nodes as they are made. A result always has a higher number than its inputs.
# - `backward` is the backward pass. `waiting` holds the nodes that a slope has reached. The one with the *highest*
#   number goes next (`max` of a dict is its highest key): everything that uses it has a higher number, and so is
#   already done.
#
# `__matmul__` is what Python calls for `@`, the matrix product, and `b.T` is the transpose of `b`: rows and columns
# swapped. You need neither before the small network further down.


# %%
class Node:
    """An array that remembers how it was computed."""

    made = 0

    def __init__(self, data, sources=()):
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = np.zeros_like(self.data)
        self.sources = sources
        Node.made += 1
        self.number = Node.made

    def __add__(self, other):
        sources = [(self, lambda g: g), (other, lambda g: g)]
        return Node(self.data + other.data, sources)

    def __sub__(self, other):
        sources = [(self, lambda g: g), (other, lambda g: -g)]
        return Node(self.data - other.data, sources)

    def __mul__(self, other):
        a, b = self.data, other.data
        sources = [(self, lambda g: g * b), (other, lambda g: g * a)]
        return Node(a * b, sources)

    def __matmul__(self, other):
        a, b = self.data, other.data
        sources = [(self, lambda g: g @ b.T), (other, lambda g: a.T @ g)]
        return Node(a @ b, sources)

    def tanh(self):
        y = np.tanh(self.data)
        return Node(y, [(self, lambda g: g * (1 - y**2))])

    def sum(self):
        one_each = np.ones_like(self.data)
        return Node(self.data.sum(), [(self, lambda g: g * one_each)])

    def backward(self, choose=max):
        self.grad = np.ones_like(self.data)
        waiting = {self.number: self}
        while waiting:
            node = waiting.pop(choose(waiting))
            for source, pass_back in node.sources:
                slope = sum_to(pass_back(node.grad), source.data.shape)
                source.grad = source.grad + slope  # adds up all uses
                waiting[source.number] = source


def sum_to(slope, shape):
    """Undo broadcasting: a number that was used several times gets the sum."""
    while slope.ndim > len(shape):
        slope = slope.sum(axis=0)
    for axis, length in enumerate(shape):
        if length == 1:
            slope = slope.sum(axis=axis, keepdims=True)
    return slope


# %% [markdown]
# (`lambda g: g * b` is a function without a name: it takes `g` and returns `g * b`. It remembers the `b` from where it
# was written.) The example that we did by hand, and another one:

# %%
a, b, c = Node(3.0), Node(-2.0), Node(5.0)
L = (a * b + c) * c
L.backward()
print("L =", L.data)
print("slopes along a, b, c:", a.grad, b.grad, c.grad)

table, row = Node(np.zeros((4, 3))), Node([1.0, 2.0, 3.0])
total = (table + row).sum()
total.backward()
print("slope of the total along the row:", row.grad)

# %% [markdown]
# The same three numbers. Two things in the class deserve a closer look.
#
# **`sum_to`.** The second example adds a row of 3 numbers to a table of 4 rows; NumPy repeats the row (*broadcasting*).
# Each of the 3 numbers is then used four times, and as with $c$ above, the slopes of all its uses are added up: here
# four ones.
#
# **The order.** Why not take any waiting node? With $u = x^2$ and $z = u + u^2$, the slope at $x = 3$ is
# $(1 + 2u) \cdot 2x$. We run the pass once as above, and once by the rule "first come, first served":


# %%
def slope_in_order(choose):
    x = Node(3.0)
    u = x * x
    z = u + u * u
    z.backward(choose)
    return x.grad


def first_come(waiting):
    return next(iter(waiting))


print("by formula:     ", (1 + 2 * 9) * 2 * 3)
print("highest number: ", slope_in_order(max))
print("first come:     ", slope_in_order(first_come))
print(f"paths after 50 doublings: {2**50:,}")

# %% [markdown]
# First come, first served is wrong by 6. It left $u$ when only one of two slopes had arrived there, the 1 of the sum,
# and passed $1 \cdot 2x = 6$ to $x$. Then the other slope arrived, $u$ was waiting again, and passed back both
# together, so the first counted twice. A node may pass its slope back only after *every* node that uses it has done so.
# Such an order is called a *topological order*.
#
# One could also follow each path on its own and never wait; the result would be right. But when $x$ is doubled as
# $x + x$, and the result again, and so on, each doubling doubles the number of paths: 50 doublings make 51 nodes, and
# the number of paths printed above.
#
# ## A small network, two engines
#
# Now a network of two layers. It computes 5 numbers from 3 inputs, and 2 outputs from these 5. The 5 are called *hidden
# units*, because they are neither input nor output. $X$ holds 4 examples, one per row, and $T$ the targets for the
# outputs $Y$. The parameters $W_1$, $b_1$, $W_2$ and $b_2$ are to be learned.
#
# $$H = \tanh(X W_1 + b_1)$$
#
# $$Y = H W_2 + b_2$$
#
# $$L = \sum (Y - T)^2$$
#
# $X W_1$ is a matrix product: each row of $X$ is multiplied element by element with each column of $W_1$, and summed.
# `__matmul__` above has its backward pass; lesson 07 derives it.
#
# We write the network once, and run it with our nodes and with minicnn's tensors. (`minicnn.trace()` records every
# step, so that we can look at them afterwards.)

# %%
rng = np.random.default_rng(1)
X, T = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
parameters = {
    "W1": rng.normal(size=(3, 5)),
    "b1": rng.normal(size=5),
    "W2": rng.normal(size=(5, 2)),
    "b2": rng.normal(size=2),
}


def network_loss(X, T, W1, b1, W2, b2, tanh):
    error = tanh(X @ W1 + b1) @ W2 + b2 - T
    return (error * error).sum()


ours = {name: Node(array) for name, array in parameters.items()}
our_loss = network_loss(Node(X), Node(T), *ours.values(), Node.tanh)
our_loss.backward()

theirs = {name: Tensor(array, requires_grad=True) for name, array in parameters.items()}
with minicnn.trace() as trace:
    loss = network_loss(Tensor(X), Tensor(T), *theirs.values(), minicnn.functional.tanh)
loss.backward()

print(f"loss: {our_loss.data:.12f} and {loss.item():.12f}")
for name in parameters:
    apart = np.abs(ours[name].grad - theirs[name].grad).max()
    print(f"{name}: shape {ours[name].grad.shape}", end=", ")
    print(f"largest difference of the gradients {apart:.1e}")

# %% [markdown]
# Sixty lines, and the gradients are those of the engine. `requires_grad=True` tells the engine that this array's
# gradient is wanted; $X$ and $T$ do not need theirs.
#
# ## Step by step
#
# You can watch the engine. The page below shows what has just run: forward through eight operations, then backward. In
# the backward pass each card shows the gradient that arrived (dL/dy, the *upstream gradient*) and what the operation
# passed on. Blue is negative, red is positive. (The page is made for images, which come in lesson 12. Here the input is
# our table of four examples.)

# %%
minicnn.step_through(loss, widgets=False, title="A network of two layers")

# %% [markdown]
# ## minicnn's tensor, and ours
#
# minicnn's `Tensor` holds an array, `data`. `creator` is its memory: the operation that made it, which knows where its
# inputs came from. A tensor remembers who made it. Operations are numbered as they are applied, and the backward pass
# takes the highest number first, as ours does.

# %%
x = Tensor(np.array([1.0, -2.0]), requires_grad=True)
y = (x * x + x).sum()
operation = y.creator
while operation is not None:
    print(f"operation number {operation.number}:", type(operation).__name__)
    operation = operation.inputs[0].creator  # follow the first input
for step in y.backward_steps():  # backward(), one operation at a time
    print("backward through", type(step.function).__name__)
print("gradient:", x.grad)

# %% [markdown]
# (The numbers continue from earlier computations; only their order matters.) Check: $x^2 + x$ has the slope $2x + 1$,
# which is 3 at 1 and -3 at -2. Five things that you will meet:

# %%
print("1. a second backward pass adds to the gradients of the first:")
x.grad = None
for _ in range(2):
    (x * x).sum().backward()
    print("  ", x.grad)

print("2. the backward pass frees the graph:")
y = (x * x).sum()
y.backward()
try:
    y.backward()
except RuntimeError as error:
    print("  ", str(error).split(";")[0])

print("3. without gradients, nothing is recorded:")
with minicnn.no_grad():
    print("  ", (x * x).creator)

print("4. Python's numbers become 32-bit floats, with some 7 digits:")
print("  ", Tensor([0.1]).dtype, Tensor(np.array([0.1])).dtype)

print("5. a gradient check is built in:")
print(minicnn.gradcheck(lambda x: x.exp() * x, x))

# %% [markdown]
# The first is why a training loop sets all gradients to zero before each step. The second saves memory: a real
# network's graph holds gigabytes. The fourth saves memory and time, and 7 digits are enough for training, but not for
# measuring slopes: `gradcheck` compares the backward pass with central differences, as above, and wants 16 digits
# (float64). (It reduces all outputs to one number: their sum, each weighted by a random number. So the slope that it
# shows is that random number times the slope of $x\, e^x$, which is $(1 + x)\, e^x$.)
#
# ## It learns
#
# Last, the sixty lines learn something: forty points on a curve; a network of 1 input, 16 hidden units and 1 output;
# and a thousand steps of gradient descent, each with fresh nodes around the same arrays.

# %%
rng = np.random.default_rng(2)
inputs = np.linspace(-3, 3, 40)[:, np.newaxis]  # a new axis: (40, 1)
targets = np.sin(2 * inputs) + 0.3 * inputs
arrays = [
    2 * rng.normal(size=(1, 16)),
    2 * rng.normal(size=16),
    0.3 * rng.normal(size=(16, 1)),
    np.zeros(1),
]


def answer_of_network(arrays, x):
    W1, b1, W2, b2 = arrays
    return np.tanh(x @ W1 + b1) @ W2 + b2


before, losses = answer_of_network(arrays, inputs), []
for _ in range(1000):
    nodes = [Node(array) for array in arrays]
    loss = network_loss(Node(inputs), Node(targets), *nodes, Node.tanh)
    loss.backward()
    losses.append(loss.data / len(inputs))
    for array, node in zip(arrays, nodes, strict=True):
        array -= 0.002 * node.grad
print(f"mean squared error: {losses[0]:.3f} before", end=", ")
print(f"{losses[-1]:.3f} after")

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
axes[0].semilogy(losses, color="#2a7ab8")
axes[0].set(xlabel="step", ylabel="mean squared error")
axes[0].set_title("the loss", fontsize=10)
axes[1].plot(inputs, targets, "o", color="#767676", ms=4, label="points")
axes[1].plot(inputs, before, "--", color="#2a7ab8", label="network, before")
after = answer_of_network(arrays, inputs)
axes[1].plot(inputs, after, color="#c8500a", label="network, after")
axes[1].set(xlabel="input", ylabel="output")
axes[1].set_title("what it has learned", fontsize=10)
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Everything from here on is more operations, each with a forward and a backward of its own, and a faster engine to run
# them. The backward pass stays what it is.
#
# ## Exercises
#
# ### 1. A division
#
# The operation is $y = a / b$, element by element. `divide_backward(a, b, grad_y)` gets three arrays of the same shape:
# the inputs, and the upstream gradient $\partial L / \partial y$. It returns a tuple of two arrays,
# $\partial L / \partial a$ and $\partial L / \partial b$. Do not change the three arguments.


# %%
def divide_backward(a, b, grad_y):
    """Return (dL/da, dL/db) of y = a / b."""
    ### BEGIN SOLUTION
    return grad_y / b, -grad_y * a / b**2
    ### END SOLUTION


# %%
check.divide_backward(divide_backward)

# %% [markdown]
# ### 2. Measure a gradient
#
# `central_difference(f, x, h)` returns the measured gradient of `f` at `x`. `f` takes an array and returns one number.
# `x` is an array of floats of any shape, and the result has the same shape: at each index the central difference with
# the step `h`, with all other numbers of `x` held fixed.
#
# `for place in np.ndindex(x.shape)` visits all indices, for any number of axes; `x[place]` is the number there. Work on
# a copy, `x.copy()`: at the end `x` must be as it was.


# %%
def central_difference(f, x, h):
    """Return the slopes of f along each number of x, by differences."""
    ### BEGIN SOLUTION
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        slopes[place] = (f(up) - f(down)) / (2 * h)
    return slopes
    ### END SOLUTION


# %%
check.central_difference(central_difference)

# %% [markdown]
# ### 3. Used twice
#
# An operation picks numbers from a list: $y_n = x_{p_n}$, where $p_n$ is the index to read. In NumPy that is
# `y = x[places]`. With `places = [2, 0, 2]` it picks $x_2$ twice and $x_1$ not at all.
#
# `gather_backward(places, grad_y, size)` returns $\partial L / \partial x$, an array of `size` floats, where `size` is
# the length of $x$. `places` is an array of integers, `grad_y` an array of floats of the same length. A loop over
# `places` is fine.


# %%
def gather_backward(places, grad_y, size):
    """Return dL/dx, shape (size,), of y = x[places]."""
    ### BEGIN SOLUTION
    grad_x = np.zeros(size)
    for place, slope in zip(places, grad_y, strict=True):
        grad_x[place] += slope
    return grad_x
    ### END SOLUTION


# %%
check.gather_backward(gather_backward)

# %% [markdown]
# ### 4. The order of the backward pass
#
# Suppose that the nodes have no numbers, only names. `inputs` is a dict that gives for each name the list of names it
# was made from, empty for the inputs at the beginning. Our first example is
#
# `{"a": [], "b": [], "c": [], "d": ["a", "b"], "e": ["d", "c"], "L": ["e", "c"]}`.
#
# `backward_order(inputs, start)` returns a list of names, in an order in which the backward pass from `start` may visit
# them: each name comes after *everything* that uses it. The list begins with `start`, and holds each name that `start`
# depends on exactly once, and no others. The names in `inputs` come in any order. Any valid order will do: here
# `["L", "e", "d", "a", "b", "c"]`, or with the last three in another order.
#
# A hint: it is easier to list a name once everything that it was *made from* is already listed. Which list do you get
# then?


# %%
def backward_order(inputs, start):
    """Return the names that start depends on, each after all that use it."""
    ### BEGIN SOLUTION
    listed = []

    def visit(name):
        if name not in listed:
            for source in inputs[name]:
                visit(source)
            listed.append(name)

    visit(start)
    return listed[::-1]
    ### END SOLUTION


# %%
check.backward_order(backward_order)
