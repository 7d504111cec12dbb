# %% [markdown]
# # 11 Speed
#
# One convolution, written seven times: the slowest and the fastest give the same numbers, but take very different times.
# This lesson measures them, and then asks what limits a program: its calculations or its memory. At the end it computes
# the same convolution with fewer multiplications.
#
# You need lesson 02 (convolution and im2col) and lesson 08 (AlexNet's layers). All times were measured on the machine
# that ran this notebook. Yours will differ, and may differ from one run to the next.

# %% tags=["setup"]
# %matplotlib inline
import time

import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, backend, kernels
from minicnn import functional as F
from minicnn.kernels import winograd
from minicnn.lessons import check

try:
    from numba import njit
except ImportError:  # in a browser, for example
    njit = None

# %% [markdown]
# ## How to measure
#
# Other programs run on your computer too, and sometimes they interfere. They can only make a call slower, never faster.
# So we call several times and keep the *shortest* time. The first call also does what is needed only once, such as
# compiling, so it is rarely the shortest. To begin with, everything runs on one core.


# %%
def best(call, times=5):
    """Return the shortest time of several calls, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


cores = minicnn.get_num_threads()
minicnn.set_num_threads(1)
print(f"cores that minicnn would use: {cores}; used from here on: 1")

# %% [markdown]
# ## One convolution, seven times
#
# C = 8 channels of 32 by 32 pixels, F = 8 filters of 3 by 3, no padding. The output is 8 maps of 30 by 30 numbers. The
# first version is the formula of lesson 02 with a loop for each of its letters: filter f, row r and column s of the map,
# channel c, row i and column j of the filter.


# %%
def six_loops(x, w, y):
    """Convolve: x (C, H, W), w (F, C, K, K), y (F, OH, OW) is filled."""
    F, C, K, _ = w.shape
    _, OH, OW = y.shape
    for f in range(F):
        for r in range(OH):
            for s in range(OW):
                total = 0.0
                for c in range(C):
                    for i in range(K):
                        for j in range(K):
                            total += w[f, c, i, j] * x[c, r + i, s + j]
                y[f, r, s] = total


random = np.random.default_rng(0)
x = random.normal(size=(8, 32, 32)).astype(np.float32)
w = random.normal(size=(8, 8, 3, 3)).astype(np.float32)
y = np.empty((8, 30, 30), np.float32)
multiply_adds = y.size * 8 * 3 * 3
print(f"multiply-adds: {multiply_adds:,}")

seconds = {"Python, six loops": best(lambda: six_loops(x, w, y), times=2)}
right = y.copy()
each = seconds["Python, six loops"] / multiply_adds
print(f"{1000 * seconds['Python, six loops']:.1f} ms", end=", ")
print(f"{1e9 * each:.0f} ns for each multiply-add")

# %% [markdown]
# A nanosecond (ns) is a billionth of a second, in which a modern processor executes several instructions. Python needs
# hundreds of instructions or more for each multiply-add, because every time it looks up again what `w`, `x`, `*` and `+`
# mean.
#
# NumPy looks this up once for a whole array. Here are two versions: one does nine products with shifted images, the other
# is im2col with a single product. (`tensordot(a, b, 1)` is a matrix product whose columns are images: it sums over the
# last axis of `a` and the first of `b`, here the channels.) `xp` is the library that computes, NumPy or, further down,
# CuPy.


# %%
def nine_products(xp, x, w):
    """For each weight's place in the filter, one product for all pixels."""
    OH, OW = x.shape[1] - 2, x.shape[2] - 2
    y = xp.zeros((len(w), OH, OW), x.dtype)
    for i in range(3):
        for j in range(3):
            shifted = x[:, i : i + OH, j : j + OW]
            y += xp.tensordot(w[:, :, i, j], shifted, 1)
    return y


def one_product(x, w):
    """Every window becomes a column."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    X = windows.transpose(0, 3, 4, 1, 2).reshape(8 * 9, 30 * 30)
    return (w.reshape(8, 8 * 9) @ X).reshape(8, 30, 30)


for name, call in {
    "NumPy, nine products": lambda: nine_products(np, x, w),
    "NumPy, im2col": lambda: one_product(x, w),
}.items():
    seconds[name] = best(call)
    print(f"{name:<22}", end=" ")
    print(f"the same numbers: {np.allclose(call(), right, atol=1e-4)}", end=" ")
    print(f" {1000 * seconds[name]:.3f} ms")

# %% [markdown]
# Numba does the opposite: it keeps the loops and *compiles* them. At the first call it looks at the types of the arguments,
# translates the function to machine code, and runs that. Compiling takes much longer than the work itself. It happens only
# once, so we measure it separately. (If Numba is missing, as in a browser, the cell says so. Then the loops of this lesson
# run in Python, on smaller arrays, and you cannot see what the text says about compiled loops.)

# %%
compiler, side, rounds = "Numba", 4096, 100_000
if njit is None:
    compiler, side, rounds = "not compiled", 256, 100
    print("Numba is missing: the loops are not compiled")

    def njit(function=None, fastmath=False):
        return function or njit


compiled = njit(six_loops)
start = time.perf_counter()
compiled(x, w, y)
first_call = time.perf_counter() - start
six = f"{compiler}, six loops"
seconds[six] = best(lambda: compiled(x, w, y))
print("the same numbers:", np.allclose(y, right, atol=1e-4))
print(f"first call {1000 * first_call:.0f} ms", end=", ")
print(f"later calls {1000 * seconds[six]:.3f} ms")

# %% [markdown]
# (minicnn caches its compiled functions on disk, so you wait for them only once on each computer. `minicnn warmup` compiles
# all of them in advance.)
#
# Can we help the compiler? A processor can process 4, 8 or 16 neighbouring numbers with one *vector instruction*. For that
# the innermost loop must run along a row, and its iterations must be independent. Above they are not: each adds to the
# same `total`. Here are the same six loops in another order. Now the innermost one adds one weight times a whole row of
# pixels to a row of outputs.


# %%
@njit
def along_rows(x, w, y):
    F, C, K, _ = w.shape
    _, OH, OW = y.shape
    y[:] = 0
    for f in range(F):
        for r in range(OH):
            for c in range(C):
                for i in range(K):
                    for j in range(K):
                        for s in range(OW):
                            y[f, r, s] += w[f, c, i, j] * x[c, r + i, s + j]


seconds[f"{compiler}, along the rows"] = best(lambda: along_rows(x, w, y))
print("the same numbers:", np.allclose(y, right, atol=1e-4))

bias = np.zeros(8, np.float32)
of_engine = np.empty((1, 8, 30, 30), np.float32)


def engine():
    # stride 1, 1 and padding 0, 0
    kernels.conv2d(x[np.newaxis], w, bias, 1, 1, 0, 0, of_engine)


seconds["minicnn's kernel"] = best(engine)
print("the same numbers:", np.allclose(of_engine[0], right, atol=1e-4))

try:
    backend.checked_device("cuda")
    import cupy

    x_gpu, w_gpu = cupy.asarray(x), cupy.asarray(w)

    def on_gpu():
        nine_products(cupy, x_gpu, w_gpu)
        cupy.cuda.Device().synchronize()  # or the clock stops too early

    seconds["CuPy, nine products"] = best(on_gpu)
except backend.DeviceError as error:
    print("without CuPy:", str(error).partition(";")[0])

# %% [markdown]
# minicnn's own kernel (with Numba) uses vector instructions too, and keeps the sums for several pixels and several filters
# in the processor's *registers*, the few places where it can calculate without loading anything from memory.
#
# CuPy is NumPy for graphics cards (GPUs), and is the seventh version if you have one. An image as small as this gives a GPU
# too little work: starting the computation takes longer than the computation.

# %%
fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
names = list(seconds)[::-1]
for at, name in enumerate(names):
    shown = 1000 * seconds[name]
    ax.plot(shown, at, "o", ms=9, color="#2a7ab8")
    ax.text(shown * 1.3, at, f"{shown:.3g} ms", va="center")
ax.set_yticks(range(len(names)), names)
compiling = 1000 * first_call
at = names.index(six)
ax.plot(compiling, at, "D", color="#c8500a", label="first call: compiling")
ax.set(xscale="log", xlabel="time in ms (each grid line: ten times as long)")
ax.set_xlim(right=1e4)
ax.set_title("One small convolution. Less is better.", fontsize=10)
ax.legend()
ax.grid(axis="x", alpha=0.3)
plt.show()

slowest, fastest = max(seconds.values()), min(seconds.values())
print(f"slowest / fastest: {slowest / fastest:,.0f}")

# %% [markdown]
# ## Memory comes in lines
#
# Why does it matter whether a loop runs along a row? An array of rows and columns is stored in memory row after row. And
# memory is not read number by number: the processor loads a *cache line*, which on most machines has 64 bytes. That is
# 16 numbers of 4 bytes (float32), even if it needs only one of them. A loaded line stays for a while in the *cache*, which
# is small and fast.
#
# Along a row, 15 of 16 numbers are already in the cache. Down a column, each number is in another line, and by the time
# its neighbour is needed, the line may have been evicted from the cache. Let us sum a large array in both orders:


# %%
@njit
def along_each_row(a):
    total = 0.0
    for r in range(a.shape[0]):
        for s in range(a.shape[1]):
            total += a[r, s]
    return total


@njit
def down_each_column(a):
    total = 0.0
    for s in range(a.shape[1]):
        for r in range(a.shape[0]):
            total += a[r, s]
    return total


large = np.ones((side, side), np.float32)
print(f"{large.nbytes / 1e6:.0f} MB, a row has {large[0].nbytes:,} bytes")
by_row = best(lambda: along_each_row(large), 3)
by_column = best(lambda: down_each_column(large), 3)
print(f"along each row    {1000 * by_row:8.1f} ms")
print(f"down each column  {1000 * by_column:8.1f} ms")
print(f"the same sum, {by_column / by_row:.1f} times as long")

# %% [markdown]
# Both do the same additions. The difference is time spent waiting for memory.
#
# ## Calculating or waiting? The roofline
#
# A computer has two limits: the number of operations per second, and the number of bytes per second that it can move
# between memory and processor. Which of them limits a program? That depends on how many operations it does per byte:
#
# $$I = \frac{\mathrm{operations}}{\mathrm{bytes}}$$
#
# $I$ is called the *arithmetic intensity*. A multiplication is one operation and an addition is another, so a multiply-add
# is two. For the bytes we count every input once, every weight once and every output once: that is the minimum. Let $p$ be
# the largest possible number of operations per second (the *peak*), and $m$ the largest number of bytes per second (the
# *memory bandwidth*). Then a program cannot do more operations per second than
#
# $$\min(p,\ I \cdot m)$$
#
# To measure $p$ we try two things: the product of two large matrices, and a loop that multiplies and adds with the same 256
# numbers again and again, so that it never waits for memory. We take the better result. (`fastmath` allows the compiler to
# combine a multiplication and an addition into one instruction.) To measure $m$ we take an array that is too large for most
# caches, copy it, and search it for its largest number. Again we take the better result.


# %%
@njit(fastmath=True)
def multiply_and_add(rounds, factor):
    numbers = np.zeros(256, np.float32)
    for _ in range(rounds):
        for i in range(256):
            numbers[i] = numbers[i] * factor + factor
    return numbers


n, half = 1024, np.float32(0.5)
a = np.ones((n, n), np.float32)
by_product = 2 * n**3 / best(lambda: backend.matmul(np, a, a))
by_loop = 2 * 256 * rounds / best(lambda: multiply_and_add(rounds, half))
peak = max(by_product, by_loop)

source = np.ones(1 << 24, np.float32)
target = np.empty_like(source)
target[:] = 0
by_copy = 2 * source.nbytes / best(lambda: np.copyto(target, source))
by_reading = source.nbytes / best(lambda: source.max())
memory = max(by_copy, by_reading)
print(f"product of matrices: {by_product / 1e9:.1f}", end=", ")
print(f"loop: {by_loop / 1e9:.1f}", end=", ")
print(f"copy: {by_copy / 1e9:.1f}, reading: {by_reading / 1e9:.1f}")
print(f"p: {peak / 1e9:.1f} billion operations per second")
print(f"m: {memory / 1e9:.1f} billion bytes per second")
print(f"both limits meet at I = p / m = {peak / memory:.1f} operations per byte")

# %% [markdown]
# Now some layers of AlexNet. First we count to get their intensities, for one image unless a batch size is given. They are
# the same on every machine.

# %%
layers = {
    # name: (operations, numbers read and written)
    "first ReLU": (96 * 55 * 55, 2 * 96 * 55 * 55),
    "conv1": (
        2 * 96 * 55 * 55 * 363,  # 363 = 3 * 11 * 11 weights a filter
        3 * 227 * 227 + 96 * 363 + 96 * 55 * 55,
    ),
    "conv3": (
        2 * 384 * 13 * 13 * 256 * 9,
        256 * 13 * 13 + 384 * 256 * 9 + 384 * 13 * 13,
    ),
}
for N in (1, 16, 128):
    operations = 2 * N * 4096 * 4096
    numbers = N * 4096 + 4096 * 4096 + N * 4096
    layers[f"fc7, batch {N}"] = operations, numbers
intensity = {
    name: operations / (4 * numbers) for name, (operations, numbers) in layers.items()
}
for name, (operations, numbers) in layers.items():
    print(f"{name:<15} {operations / 1e6:8.1f} million operations", end=" ")
    print(f"{4 * numbers / 1e6:7.2f} MB", end=" ")
    print(f"{intensity[name]:8.3f} operations per byte")

# %% [markdown]
# A ReLU does one operation (a comparison) for each number it reads and each number it writes, 8 bytes together. It can
# never be faster than memory. A convolution uses every weight at every position, so it does many operations per byte.
#
# The fully connected layer fc7 is the interesting one. For a single image, each of its 4096 times 4096 weights is loaded,
# used once and not needed again. In a batch of 128, each weight is loaded once and used 128 times. That is one reason why
# networks are trained and run in *batches*; the other is the better estimate of the gradient.
#
# How many operations per second do these layers reach? (The ReLU and the convolutions get a few images at once, so that
# there is enough to measure. minicnn has three algorithms for a convolution; `minicnn.use_conv` chooses one, here the
# direct convolution for conv3. More about the three below.)

# %%
maps = Tensor(random.normal(size=(8, 96, 55, 55)).astype(np.float32))
photo = Tensor(random.normal(size=(2, 3, 227, 227)).astype(np.float32))
filters1 = Tensor(random.normal(size=(96, 3, 11, 11)).astype(np.float32))
small = Tensor(random.normal(size=(8, 256, 13, 13)).astype(np.float32))
filters3 = Tensor(random.normal(size=(384, 256, 3, 3)).astype(np.float32))
weights = Tensor(np.full((4096, 4096), 0.01, np.float32))
vectors = Tensor(random.normal(size=(128, 4096)).astype(np.float32))


def conv3(algorithm):
    """Compute the third convolution with one of minicnn's algorithms."""
    with minicnn.use_conv(algorithm):
        return F.conv2d(small, filters3, padding=1).numpy()


calls = {
    # name: (images, what to call)
    "first ReLU": (8, lambda: F.relu(maps)),
    "conv1": (2, lambda: F.conv2d(photo, filters1, stride=4)),
    "conv3": (8, lambda: conv3("direct")),
}
for N in (1, 16, 128):
    some = Tensor(vectors.numpy()[:N])
    calls[f"fc7, batch {N}"] = 1, lambda some=some: F.linear(some, weights)
reached = {}
for name, (images, call) in calls.items():
    reached[name] = images * layers[name][0] / best(call, 3)
    roof = min(peak, intensity[name] * memory)
    print(f"{name:<15} {reached[name] / 1e9:6.1f} billion per second", end=", ")
    print(f"roof {roof / 1e9:6.1f}")

# %%
fig, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
line = np.array([0.06, peak / memory, 1000])
ax.plot(line, np.minimum(peak, line * memory) / 1e9, color="#767676", lw=2)
shapes = ["o", "s", "D", "v", "^", "P"]
for (name, speed), shape in zip(reached.items(), shapes, strict=True):
    ax.plot(intensity[name], speed / 1e9, shape, ms=9, label=name)
ax.set(xscale="log", yscale="log")
ax.set_xlabel("arithmetic intensity: operations per byte")
ax.set_ylabel("billion operations per second")
ax.set_title("Layers of AlexNet under this machine's roof", fontsize=10)
ax.legend(loc="lower right")
ax.grid(alpha=0.3)
plt.show()

# %% [markdown]
# The grey line is the roof. Under its slope a layer is limited by memory (*memory-bound*), under its flat part by the
# processor (*compute-bound*). Left of the corner, only moving fewer bytes helps: larger batches, or doing several
# operations on a number while it is in the cache. Right of the corner, only better use of the processor helps, or fewer
# operations.
#
# (A point may lie above the slope if its data was still in a cache, and above any part of the roof if other programs
# interfered while the roof was measured. And a convolution computed with im2col moves more bytes than we have counted: it
# writes the matrix and reads it again.)
#
# ## Fewer multiplications
#
# Fewer operations for the same result: is that possible? Take the product of two polynomials,
# $(3 + 2t)(5 + 4t)$. Multiplying each term by each takes four multiplications. But the result has only three
# coefficients, so it is determined by its values at three points. Each value takes one multiplication:
#
# - at $t = 0$ it is $3 \cdot 5 = 15$, which is the first coefficient;
# - at $t = 1$ it is $(3 + 2)(5 + 4) = 45$, which is the sum of all three;
# - *at infinity*, where only the highest power counts, it is $2 \cdot 4 = 8$, the last one.
#
# The middle coefficient is $45 - 15 - 8 = 22$. This takes three multiplications, at the cost of a few additions.
#
# Winograd's convolution does this for a filter that slides along a line. It takes 6 pixels and a filter of 3 weights, and
# computes 4 outputs. By the formula that takes 4 times 3 multiplications. Behind it is the product of two polynomials, one
# with 4 coefficients and one with 3. The product has 6, so 6 points and 6 multiplications are enough. With $x$ for the
# pixels and $w$ for the weights, the outputs are
#
# $$y = A^T \left( (G\, w) * (B^T x) \right)$$
#
# where $*$ multiplies element by element. The matrices depend only on the points: $G$ evaluates the filter at the points,
# $B^T$ transforms the pixels, and $A^T$ combines the products to outputs. Here they are, for the points 0, 1, -1, 2, -1/2
# and infinity:

# %%
B_T, G, A_T = winograd.matrices(3)
with np.printoptions(suppress=True, precision=3):
    print("B^T:")
    print(B_T)
    print("G:")
    print(G)
    print("A^T:")
    print(A_T)

# %% [markdown]
# Here is an example with six pixels and three weights.

# %%
pixels = np.array([1.0, 0.0, 2.0, 1.0, -1.0, 3.0])
weights3 = np.array([1.0, 2.0, -1.0])
as_usual = np.array([np.sum(weights3 * pixels[r : r + 3]) for r in range(4)])
values = G @ weights3
transformed = B_T @ pixels
products = values * transformed
with np.printoptions(suppress=True, precision=3):
    print("by the formula:", as_usual, " multiplications:", 4 * 3)
    print("G w:           ", values)
    print("B^T x:         ", transformed)
    print("multiplied:    ", products, " multiplications:", products.size)
    print("A^T times that:", A_T @ products)

# %% [markdown]
# Check one number by hand: row 1 of $G$ (counted from 0) evaluates the filter at $t = 1$, which gives $w_0 + w_1 + w_2 = 2$,
# and divides by the product of the differences between this point and the others,
# $(1 - 0)(1 + 1)(1 - 2)(1 + 1/2) = -3$. That gives -0.667, the second number of $G\, w$.
#
# But are the products with the matrices not multiplications too? They are, but $G\, w$ is computed once for each filter and
# used at all positions. $B^T x$ is computed once for each channel and used for all filters, and $A^T$ is applied once for
# each filter. Only the six multiplications are done for each filter *and* each channel at each position, and with hundreds
# of filters and channels these are by far the most.
#
# In an image, rows and columns are treated the same way: 6 by 6 pixels give 4 by 4 outputs.
#
# $$Y = A^T \left( (G\, W\, G^T) * (B^T X\, B) \right) A$$

# %%
X = random.normal(size=(6, 6))
W = random.normal(size=(3, 3))
Y = A_T @ ((G @ W @ G.T) * (B_T @ X @ B_T.T)) @ A_T.T
usual = F.conv2d(Tensor(X.reshape(1, 1, 6, 6)), Tensor(W.reshape(1, 1, 3, 3)))
print("the same 16 outputs:", np.allclose(Y, usual.numpy()[0, 0]))
print(f"multiplications: {4 * 4} x {3 * 3} = {4 * 4 * 3 * 3} as usual", end=", ")
print(f"6 x 6 = {6 * 6} here: {4 * 4 * 3 * 3 // (6 * 6)} times fewer")

# %% [markdown]
# Four times fewer! minicnn has three algorithms for a convolution: `"im2col"`, which you know; `"direct"`, which reads every
# window in place from the image, without the matrix of im2col; and `"winograd"`. `with minicnn.use_conv("direct"):` chooses
# one for a block of code. Otherwise `F.conv2d` chooses the one that is likely to be the fastest. Here are all three on a
# layer like AlexNet's third. We compare their outputs with those of the same layer in double precision:

# %%
with minicnn.use_conv("im2col"):
    exact = F.conv2d(
        Tensor(small.numpy().astype(np.float64)),
        Tensor(filters3.numpy().astype(np.float64)),
        padding=1,
    ).numpy()
for algorithm in ("im2col", "direct", "winograd"):
    error = np.abs(conv3(algorithm) - exact).max()
    elapsed = best(lambda algorithm=algorithm: conv3(algorithm), 4)
    print(f"{algorithm:<9} {1000 * elapsed:7.1f} ms", end=", ")
    print(f"largest error {error / np.abs(exact).max():.1e}")

# %% [markdown]
# (The error is relative to the largest output.) Note two things. Winograd's error is larger than the others', because
# large numbers cancel in its sums; for training it is still far too small to matter. And its time is not a quarter of the
# direct one: the transforms take time too, and it moves more bytes. It is no longer under the flat part of the roof, but
# closer to the slope.
#
# Which algorithm is the fastest depends on the layer. Here are all five convolutions of AlexNet on two images. Winograd's
# algorithm works for 3 by 3 and 5 by 5 filters at stride 1. Where an algorithm does not work, minicnn uses the one that it
# would choose anyway, and a trace shows which algorithm ran:


# %%
def measured(algorithm, x, w, settings):
    """Return the shortest time, and the algorithm that ran."""
    times = 3 if compiler == "Numba" else 1
    with minicnn.use_conv(algorithm), minicnn.trace() as trace:
        shortest = best(lambda: F.conv2d(x, w, **settings), times)
    return shortest, next(trace.forward_steps()).algorithm


convolutions = {
    # name: (shape of the images, shape of the filters, settings)
    "conv1": ((2, 3, 227, 227), (96, 3, 11, 11), {"stride": 4}),
    "conv2": ((2, 96, 27, 27), (256, 48, 5, 5), {"padding": 2, "groups": 2}),
    "conv3": ((2, 256, 13, 13), (384, 256, 3, 3), {"padding": 1}),
    "conv4": ((2, 384, 13, 13), (384, 192, 3, 3), {"padding": 1, "groups": 2}),
    "conv5": ((2, 384, 13, 13), (256, 192, 3, 3), {"padding": 1, "groups": 2}),
}
for name, (x_shape, w_shape, settings) in convolutions.items():
    layer_x = Tensor(random.normal(size=x_shape).astype(np.float32))
    layer_w = Tensor(random.normal(size=w_shape).astype(np.float32))
    print(name, end=":")
    for algorithm in ("im2col", "direct", "winograd", "auto"):
        shortest, ran = measured(algorithm, layer_x, layer_w, settings)
        instead = "" if ran == algorithm else f" ({ran})"
        print(f"  {algorithm}{instead} {1000 * shortest:.1f} ms", end="")
    print()

# %% [markdown]
# ## More cores
#
# A batch can be shared: each core computes some of the images. minicnn does this by default, but so far we have allowed it
# only one core.

# %%
alone = best(lambda: F.conv2d(small, filters3, padding=1), 4)
minicnn.set_num_threads(cores)
together = best(lambda: F.conv2d(small, filters3, padding=1), 4)
print(f"1 core:  {1000 * alone:.1f} ms")
print(f"{cores} cores: {1000 * together:.1f} ms", end=", ")
print(f"{alone / together:.2f} times as fast")

# %% [markdown]
# At best, the speed is multiplied by the number of cores. Usually it is less: all cores share one memory, other programs run
# too, and the cores that finish first must wait for the last one. A memory-bound layer may gain nothing at all from more
# cores.
#
# ## Exercises
#
# Write the functions, and run the cell after each. Nothing is timed here: everything can be counted.
#
# ### 1. Multiply-adds
#
# `conv_multiply_adds(in_channels, out_channels, kernel, out_height, out_width, groups)` returns the number of multiply-adds
# of a convolution for one image, an integer. The filters are `kernel` by `kernel`, the maps `out_height` by `out_width`.
# With `groups`, a filter sees only one group of the channels. Biases are not counted. For AlexNet's conv1,
# `conv_multiply_adds(3, 96, 11, 55, 55, 1)` is 105,415,200.


# %%
def conv_multiply_adds(
    in_channels, out_channels, kernel, out_height, out_width, groups
):
    """Return the number of multiply-adds for one image."""
    ### BEGIN SOLUTION
    weights_a_filter = in_channels // groups * kernel * kernel
    return out_channels * out_height * out_width * weights_a_filter
    ### END SOLUTION


# %%
check.conv_multiply_adds(conv_multiply_adds)

# %% [markdown]
# ### 2. Arithmetic intensity
#
# `linear_intensity(batch, inputs, outputs)` returns the operations per byte of a fully connected layer without bias, from
# `inputs` to `outputs` numbers, for `batch` images. A multiply-add is two operations. Every number has 4 bytes. All inputs
# and weights are read once, and all outputs are written once. `linear_intensity(1, 4096, 4096)` should be the number
# printed above for "fc7, batch 1" (rounded there to three decimals).


# %%
def linear_intensity(batch, inputs, outputs):
    """Return the operations per byte of a fully connected layer."""
    ### BEGIN SOLUTION
    operations = 2 * batch * inputs * outputs
    numbers = batch * inputs + inputs * outputs + batch * outputs
    return operations / (4 * numbers)
    ### END SOLUTION


# %%
check.linear_intensity(linear_intensity)

# %% [markdown]
# ### 3. Winograd's multiplications
#
# Consider a square of outputs, `tile` by `tile`, and a filter of `kernel` by `kernel`. `winograd_multiplications(tile,
# kernel)` returns two integers: the number of multiplications by the formula, and with Winograd's method. For example,
# `winograd_multiplications(4, 3)` is `(144, 36)`.


# %%
def winograd_multiplications(tile, kernel):
    """Return the multiplications by the formula and with Winograd's method."""
    ### BEGIN SOLUTION
    return tile**2 * kernel**2, (tile + kernel - 1) ** 2
    ### END SOLUTION


# %%
check.winograd_multiplications(winograd_multiplications)

# %% [markdown]
# ### 4. Cache lines
#
# A loop reads `count` numbers at a distance of `step` numbers: `step` is 1 along a row, and the length of a row down a
# column. A cache line has `line` numbers, and the first number read is the first of its line. `lines_fetched(count, step,
# line)` returns the number of different lines that are needed, an integer. For example, of the numbers 0, 6, 12, 18 and 24,
# with lines of 16, the first three are in line 0 and the others in line 1: `lines_fetched(5, 6, 16)` is 2. You can count
# with a loop or find a formula.


# %%
def lines_fetched(count, step, line):
    """Return how many cache lines contain the numbers that are read."""
    ### BEGIN SOLUTION
    return len({number * step // line for number in range(count)})
    ### END SOLUTION


# %%
check.lines_fetched(lines_fetched)

# %% [markdown]
# ## What you now know
#
# - Measure first, keep the shortest time, and measure separately what happens only once, such as compiling.
# - Then ask where the time goes: to Python, to memory or to calculations. The arithmetic intensity and the roofline
#   distinguish the last two.
# - If it is Python, compile the loop, or make one call for a whole array.
# - If it is memory, change the order of the loops, use larger batches and fewer intermediate arrays.
# - If it is calculations, use vector instructions, more cores, and a better algorithm.
