# %% [markdown]
# # 14 Many machines
#
# A large network on a million images takes weeks on one processor. This lesson shares the work among several: first the
# images of a batch, then the network itself, as the authors of AlexNet did. What limits both is not arithmetic, but what
# has to be sent.
#
# You need lesson 08 (AlexNet's layers) and lesson 10 (training). Everything here runs in one process, in a browser, too:
# a few lines play several machines, and what real ones need is printed from a recording.

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, models, nn
from minicnn import functional as F
from minicnn.lessons import check

# %% [markdown]
# ## Sharing a batch
#
# Several processes, called *ranks*, have the same network. Each computes the gradient of its own images. The loss of a
# batch is the mean over its N images, so its gradient is the mean over all images, too. A rank with n of them has the mean
# over n, which weighs n / N. Ten images, shared by three ranks:

# %%
minicnn.manual_seed(0)
network = models.lenet5()
random = np.random.default_rng(0)
images = random.normal(size=(10, 3, 32, 32)).astype(np.float32)
labels = random.integers(0, 10, 10)


def gradient(rows, weight):
    """Return the gradient of the first layer's weights for some of the images, multiplied by a weight."""
    loss = F.cross_entropy(network(Tensor(images[rows])), labels[rows])
    for parameter in network.parameters():
        parameter.grad = None
    loss.backward(np.float32(weight))
    return next(network.parameters()).grad


whole = gradient(slice(0, 10), 1)
parts = [slice(0, 3), slice(3, 6), slice(6, 10)]
total = sum(gradient(rows, (rows.stop - rows.start) / 10) for rows in parts)
difference = abs(total - whole).max() / abs(whole).max()
print(f"largest relative difference: {difference:.1e}")

# %% [markdown]
# The sum is the gradient of the whole batch, up to rounding. If every rank then makes the same step of the optimiser, all
# networks stay the same, and the same as with one process: this is *data parallelism*. Nothing is approximated, and the
# learning rate needs no other value.
#
# Three things must not depend on how the images are shared: their order, crops, and the units that dropout drops. In
# minicnn each rank draws the random numbers of the whole batch, and takes its rows.
#
# ## Adding up
#
# Each rank has an array of gradients, and all of them need the sum. If all sent theirs to one rank, that one would receive
# N - 1 arrays, and the more ranks, the longer it would take. In a *ring* everybody is busy all the time. The array is cut
# into N parts. In the first round, each part goes once around, and each rank adds its own numbers to it before it passes it
# on. In the second round the finished sums go around.


# %%
def ring_sum(arrays):
    """Add up equally long arrays, one for each rank; return each rank's sum, and how many numbers it has sent."""
    N = len(arrays)
    parts = [np.array_split(array.copy(), N) for array in arrays]  # parts[rank][part]
    sent = 0
    for step in range(2 * (N - 1)):
        moving = [(rank - step) % N for rank in range(N)]  # the part that a rank sends
        messages = [parts[rank][moving[rank]].copy() for rank in range(N)]
        for rank in range(N):
            to, part = (rank + 1) % N, moving[rank]
            if step < N - 1:
                parts[to][part] += messages[rank]
            else:
                parts[to][part] = messages[rank]
        sent += len(messages[0])
    return [np.concatenate(each) for each in parts], sent


for ranks in (2, 4, 8):
    arrays = [random.normal(size=840) for _ in range(ranks)]
    sums, sent = ring_sum(arrays)
    right = all(np.allclose(each, sum(arrays)) for each in sums)
    print(
        f"{ranks} ranks: right: {right}, each sends {sent} numbers, {sent / 840:.2f} times its array"
    )

# %% [markdown]
# However many ranks there are, each sends less than two arrays. MPI, the message passing interface, does this in one call,
# `Allreduce`.
#
# ## What AlexNet has to send
#
# The gradients of a layer are as many as its weights, however few images a rank has. The arithmetic is proportional to the
# images. So what counts is how much arithmetic there is for each weight:

# %%
with nn.init.skip_arrays():
    alexnet = models.alexnet()
rows = [row for row in minicnn.summary(alexnet, (1, 3, 224, 224)).rows if row.macs]
weights = {row.name: sum(p.numel() for p in row.layer.parameters()) for row in rows}
print(f"{'':6} {'weights':>11} {'multiply-adds':>14} {'for each weight':>16}")
for row in rows:
    print(
        f"{row.name:6} {weights[row.name]:11,} {row.macs:14,} {row.macs / weights[row.name]:16,.0f}"
    )
convolutions = [row for row in rows if row.name.startswith("conv")]
share_of_weights = sum(weights[row.name] for row in convolutions) / sum(
    weights.values()
)
share_of_work = sum(row.macs for row in convolutions) / sum(row.macs for row in rows)
print(
    f"convolutions: {share_of_weights:.1%} of the weights, {share_of_work:.1%} of the arithmetic"
)

# %% [markdown]
# A convolution uses each weight at every position of its maps. A fully connected layer uses each weight once. So data
# parallelism loves convolutions: much work, little to send. And it hates fully connected layers: they have nearly all of
# the 244 MB, and hardly any work.
#
# Alex Krizhevsky's "one weird trick" (2014, [arXiv:1404.5997](https://arxiv.org/abs/1404.5997)) draws the conclusion: share
# the *images* in the convolutions, and the *units* in the fully connected layers, whose outputs are few.
#
# ## Hiding what is sent
#
# There is a second remedy, and the backward pass gives it away. It begins at the end of the network: the gradients of fc8,
# fc7 and fc6 are complete first. While they travel, the convolutions still have most of their arithmetic to do. Below is a
# recording of a step of AlexNet with 32 images on one core (`python -m benchmarks distributed --model model.png`): when
# backward had finished each *bucket* of gradients, and its bytes.

# %%
forward, backward, update = 0.265, 0.539, 0.035  # seconds
buckets = {
    "fc8": (0.005, 16_388_000),
    "fc7": (0.034, 67_125_248),
    "fc6": (0.106, 151_011_328),
    "convolutions": (0.539, 9_336_320),
}


def schedule(rate, ranks=2):
    """Return when each bucket's message begins and ends, in seconds since the backward pass began."""
    free, messages = 0.0, []
    for ready, size in buckets.values():
        start = max(free, ready)
        free = start + 2 * (ranks - 1) / ranks * size / rate
        messages.append((start, free))
    return messages


fig, axes = plt.subplots(3, 1, figsize=(7, 4.2), sharex=True)
for axis, gigabits in zip(axes, (1, 5, 10), strict=True):
    axis.broken_barh([(0, backward)], (1, 0.8), color="tab:blue")
    messages = zip(buckets, schedule(gigabits * 1e9 / 8), strict=True)
    for number, (name, (start, end)) in enumerate(messages, 1):
        axis.broken_barh([(start, end - start)], (0, 0.8), color=f"C{number}")
        if end - start > 0.1:
            axis.text((start + end) / 2, 0.4, name, ha="center", va="center")
    axis.set_yticks([0.4, 1.4], ["messages", "backward"])
    axis.set_title(f"{gigabits} Gbit/s", fontsize=9, loc="left")
axes[-1].set_xlabel("seconds since the backward pass began")
fig.tight_layout()

for gigabits in (0.2, 1, 10, 100):
    end = schedule(gigabits * 1e9 / 8)[-1][1]
    step = forward + max(backward, end) + update
    alone = forward + backward + update
    print(
        f"{gigabits:5} Gbit/s: a step of {step:5.2f} s, 2 ranks are {2 * alone / step:.2f} times as fast as one"
    )

# %% [markdown]
# At 10 Gbit/s nearly everything is hidden. At 1 Gbit/s, which is what an office has, two machines are slower than one.
#
# ## Two towers
#
# In 2012 the authors had two GPUs with 3 GB each. They did not share the images, but the network (section 3.2, figure 2):
# each GPU has half of the filters and units, and both see all images. Within conv2, conv4 and conv5 nothing crosses. Before
# conv3, fc6 and fc7 each GPU sends its output to the other, and in the backward pass the gradient of what it received. What
# crosses grows with the images, and is small:

# %%
crossing = {
    "conv3": 128 * 13 * 13,
    "fc6": 128 * 6 * 6,
    "fc7": 2048,
}  # numbers for an image, from each tower
for images_in_step in (16, 64, 256, 1024, 4096):
    sent = 2 * 4 * images_in_step * sum(crossing.values()) / 1e6
    print(
        f"{images_in_step:5} images: towers send {sent:6.1f} MB each, data parallelism 243.9 MB"
    )

# %% [markdown]
# With 64 images, towers send 17 times fewer bytes. With a thousand, it is the same: then data parallelism is better, as it
# can hide its messages, and the towers wait for theirs.
#
# minicnn has both. Measured with two processes, each on one core, and a link that was slowed down
# (`python -m benchmarks distributed --rounds 4 --steps 5 --link 1gbit`, and with two rounds of three steps over `200mbit`;
# medians):

# %%
recorded = {  # seconds of a step; images in it
    "one process": (0.586, 32),
    "two share the batch, 1 Gbit/s": (2.427, 64),
    "two share the batch, 0.2 Gbit/s": (11.020, 64),
    "two towers, 1 Gbit/s": (0.707, 64),
    "two towers, 0.2 Gbit/s": (1.149, 64),
}
one = 32 / recorded["one process"][0]
for name, (seconds, count) in recorded.items():
    speed = count / seconds
    print(
        f"{name:32} {speed:5.1f} images/s, {speed / one:.2f} times as fast as one process"
    )

# %% [markdown]
# On machines of your own (the guide's page *Many machines* says what to install):
#
# ```bash
# mpiexec -n 2 minicnn train four-layer --data shapes --distributed
# mpiexec -n 2 minicnn train alexnet --data FOLDER --towers split
# minicnn train alexnet --dry-run --ranks 8 --link 10Gbit
# ```
#
# The whole mechanism takes two files, `minicnn/distributed.py` and `minicnn/gradient_sum.py`.
#
# ## Exercises
#
# ### 1. Bytes of a sum
#
# `bytes_sent(size, ranks)` returns how many bytes each rank sends to add up arrays of `size` bytes in a ring, as `ring_sum`
# above does it. Assume that `size` can be divided by `ranks`. `bytes_sent(100, 4)` is 150.


# %%
def bytes_sent(size, ranks):
    """Return the bytes that each rank sends."""
    ### BEGIN SOLUTION
    steps = 2 * (ranks - 1)
    return steps * size / ranks
    ### END SOLUTION


# %%
check.bytes_sent(bytes_sent)

# %% [markdown]
# ### 2. A backward pass that hides its messages
#
# `backward_seconds(ready, seconds, backward)` returns when the backward pass and all messages are over, counted from the
# beginning of the pass. It computes for `backward` seconds. Gradient number i is complete after `ready[i]` seconds, and its
# message takes `seconds[i]`. The link carries one message after another, in this order, and computing goes on meanwhile.
# `backward_seconds([0.1, 0.2, 1.0], [0.5, 0.5, 0.1], 1.0)` is 1.2: the link is free again after 1.1 seconds.


# %%
def backward_seconds(ready, seconds, backward):
    """Return when the backward pass and all of its messages are over."""
    ### BEGIN SOLUTION
    free = 0.0
    for complete, message in zip(ready, seconds, strict=True):
        free = max(free, complete) + message
    return max(free, backward)
    ### END SOLUTION


# %%
check.backward_seconds(backward_seconds)

# %% [markdown]
# ## What you now know
#
# - Ranks that share a batch and add up their gradients compute what one process computes.
# - In a ring each rank sends less than two arrays, however many ranks there are.
# - Gradients are as many as weights: data parallelism loves convolutions and hates fully connected layers.
# - What is sent can be hidden behind what is computed, if it is complete early.
# - A network can be shared, too. Then activations cross instead of gradients: fewer for few images, more for many.
