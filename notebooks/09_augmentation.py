# %% [markdown]
# # 09 Augmentation: many images from one
#
# AlexNet has 61 million weights and 1.2 million training images. A network of that size can memorise its training set.
# The paper's first remedy (section 4.1; dropout is the second) is never to show an image twice in the same way: crop it
# differently each time, mirror it, shift its colours. At test time it averages over ten crops.
#
# You need lesson 07 (softmax) and a rough idea of training, as in lesson 01. Lesson 10 covers training in full.

# %% tags=["setup"]
# %matplotlib inline
from functools import partial

import matplotlib.pyplot as plt
import minicnn
import numpy as np
from matplotlib.patches import Rectangle
from minicnn import Tensor, nn, optim
from minicnn import functional as F
from minicnn.data import (
    Loader,
    Preparation,
    load_shapes,
    pixel_statistics,
    transforms,
)
from minicnn.lessons import check
from minicnn.lessons.browser import training_epochs
from minicnn.training import train_epoch

# %% [markdown]
# ## Which changes are allowed?
#
# The network is to learn a label from an image. So we may change the image in any way that keeps the label right. This
# needs no new images and no labelling, and costs next to nothing.
#
# The images of this lesson are drawn shapes of 32x32, in ten classes.

# %%
data = load_shapes(train=600, test=500)
first = [np.argmax(data.train_labels == label) for label in range(10)]


def show(ax, image, title=""):
    levels = np.clip(image, 0, 255).astype(np.uint8)
    ax.imshow(levels.transpose(1, 2, 0))  # matplotlib wants channels last
    ax.set_title(title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])


fig, axes = plt.subplots(1, 10, figsize=(10, 1.4), layout="constrained")
for ax, label, where in zip(axes, range(10), first, strict=True):
    show(ax, data.train_images[where], data.classes[label])
plt.show()

# %% [markdown]
# ## Crops
#
# The paper resizes each image so that its shorter side is 256, takes the central 256x256, and shows the network a crop
# of 224x224, at a new random position each time.
#
# How many positions are there? Count a small case: a crop of size 3 in a row of 5.

# %%
row = "abcde"
size = 3
crops = [row[left : left + size] for left in range(5 - size + 1)]
print(crops)
print(f"{len(crops)} = 5 - 3 + 1")
places = 256 - 224 + 1
print(f"224 in 256: {places} positions in each direction,", end=" ")
print(f"{places} * {places} = {places**2} crops")
print(f"with their mirror images {2 * places**2}")
print(f"the paper says 32 * 32 * 2 = {32 * 32 * 2}")

# %% [markdown]
# The paper counts 2048 (section 4.1). That takes 32 positions each way, the difference of the sides, and forgets the
# first. There are 33. Here it does not matter, but the same slip in a program means that the last row and column of
# positions are never used.
#
# Our images have 32 pixels a side, and we crop 28, which is to 32 what the paper's 224 is to 256. That leaves 5 positions
# each way:

# %%
star = data.train_images[first[5]]
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained")
show(axes[0], star, "32x32, with three crops of 28x28")
corners = [(0, 0, "#ffffff"), (2, 2, "#ffd34d"), (4, 1, "#4dd2ff")]
for ax, (top, left, colour) in zip(axes[1:], corners, strict=True):
    frame = Rectangle((left - 0.5, top - 0.5), 28, 28, fill=False)
    frame.set(edgecolor=colour, linewidth=2, clip_on=False)
    axes[0].add_patch(frame)
    crop = star[:, top : top + 28, left : left + 28]
    show(ax, crop, f"top {top}, left {left}")
plt.show()
print(f"crops of one image: {5 * 5}, with mirror images {2 * 5 * 5}")

# %% [markdown]
# To us they are the same image. To the network they are not: it gets an array in which nearly every number has changed.
# By how much? We compare an image with itself, moved by one pixel, and with another image.

# %%
images = data.train_images.astype(float)
centre = images[:, :, 2:30, 2:30]
moved = images[:, :, 2:30, 3:31]
others = centre[1:]
by_one = np.abs(centre - moved).mean()
by_another = np.abs(centre[:-1] - others).mean()
changed = (centre != moved).mean()
print(f"numbers that change when moved by one: {100 * changed:.0f} %")
print(f"mean change:                {by_one:.0f} grey levels")
print(f"mean change, other image:   {by_another:.0f} grey levels")

# %% [markdown]
# So a crop is new, but not *very* new: neighbouring crops are more alike than two images are. The paper says so too:
# the resulting examples are highly interdependent. 2048 times as many images would be worth far more than 2048 crops.
#
# In code a crop is a slice. `transforms.random_crop` draws a position for each image of a batch, from a generator that
# you pass: the same seed gives the same crops.

# %%
rng = np.random.default_rng(0)
crops = transforms.random_crop(data.train_images, rng, size=28)
again = transforms.random_crop(data.train_images, np.random.default_rng(0), size=28)
print("shape:", crops.shape, " same seed, same crops:", np.array_equal(crops, again))

# An image in which each pixel holds its own index.
where = np.arange(32 * 32).reshape(1, 1, 32, 32)
many = np.repeat(where, 5000, axis=0)
tops, lefts = divmod(transforms.random_crop(many, rng, size=28)[:, 0, 0, 0], 32)
counts = np.zeros((5, 5), int)
np.add.at(counts, (tops, lefts), 1)

fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
shown = ax.imshow(counts, cmap="Blues", vmin=0)
for top in range(5):
    for left in range(5):
        number = counts[top, left]
        ax.text(left, top, number, ha="center", va="center", color="white")
ax.set(xlabel="left edge", ylabel="top edge")
ax.set_title("How often each position was drawn", fontsize=10)
fig.colorbar(shown, label="times out of 5000")
plt.show()

# %% [markdown]
# All 25 positions come up about equally often, 5000 / 25 = 200 times each, including those at the edges.
#
# ## Mirror images
#
# To mirror an image (C, H, W) from left to right, reverse its last axis. Two traps: the middle axis would turn it
# upside down, and the first axis is not spatial at all.

# %%
reversed_axes = {
    "original": star,
    "[:, :, ::-1]": star[:, :, ::-1],
    "[:, ::-1, :]": star[:, ::-1, :],
    "[::-1, :, :]": star[::-1, :, :],
}
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained")
for ax, (name, image) in zip(axes, reversed_axes.items(), strict=True):
    show(ax, image, name)
plt.show()

# %% [markdown]
# The second is the mirror image. The third is upside down. The fourth has red and blue swapped.
#
# `transforms.random_flip` mirrors each image of a batch with a probability of one half.
#
# Does the label stay right? For our shapes it always does: they are drawn at all angles. For ImageNet's photographs
# left and right do not matter either; a leopard that walks to the left is a leopard. But up and down do: photographs of
# leopards on the ceiling are rare, so the network need not recognise them, and the paper does not flip vertically. For
# letters, not even left and right may be swapped:

# %%
letter_b = """
#....
#....
#.##.
##..#
#...#
#...#
####.
"""
letter = np.array([list(line) for line in letter_b.split()]) == "#"
ways = {
    "original: b": letter,
    "left and right: d": letter[:, ::-1],
    "up and down: p": letter[::-1],
    "both: q": letter[::-1, ::-1],
}
fig, axes = plt.subplots(1, 4, figsize=(7, 2.3), layout="constrained")
for ax, (name, drawn) in zip(axes, ways.items(), strict=True):
    ax.imshow(drawn, cmap="Greys")
    ax.set_title(name, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
plt.show()

# %% [markdown]
# So what is allowed depends on the task. For each change ask: would an annotator give the changed image the same label?
# A crop can fail, too, if it is so small that the object is no longer in it.
#
# ## Colours
#
# In the evening light a lemon is redder than at noon, and is still a lemon. So the paper shifts the colours of a whole
# image a little, at random. But it shifts more in the directions in which colours really vary. To find these, we look
# at all pixels of all images, each as a point with the coordinates red, green and blue.

# %%
statistics = pixel_statistics(data.train_images)
pixels = data.train_images.transpose(0, 2, 3, 1).reshape(-1, 3).astype(float)
centred = pixels - pixels.mean(axis=0)
some = np.random.default_rng(1).choice(len(pixels), 3000, replace=False)
direction = statistics.eigenvectors[:, 0]

fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for ax, (i, j) in zip(axes, [(0, 1), (0, 2)], strict=True):
    names = ("red", "green", "blue")
    ax.plot(pixels[some, i], pixels[some, j], ".", ms=1.5, color="#8fb4d3")
    start = pixels.mean(axis=0)
    for sign in (-1, 1):
        end = start + sign * 110 * direction
        ax.plot([start[i], end[i]], [start[j], end[j]], color="#c8500a", lw=2.5)
    ax.set(xlabel=names[i], ylabel=names[j], aspect="equal")
fig.suptitle(
    "Colours of 3000 pixels, and the direction in which they vary most",
    fontsize=11,
)
plt.show()

# %% [markdown]
# The cloud is long along the diagonal: a pixel with much red mostly has much green and blue as well. It is light or
# dark. The direction of the line is called the first *principal component* of the colours, written as a vector of
# length 1, $p_1$. At right angles to it are two more, $p_2$ and $p_3$, along which the cloud is narrower.
#
# The *variance* measures how wide the cloud is in a direction: the mean of the squared distances from the centre, along
# that direction. Its square root is the *standard deviation*. `pixel_statistics` gets the variances in another way, as
# *eigenvalues* of a 3x3 matrix, whose *eigenvectors* are the $p_i$. All that we need is that both ways agree:

# %%
for i in range(3):
    p = statistics.eigenvectors[:, i]  # column i
    along = centred @ p  # each pixel's coordinate in that direction
    print(f"p{i + 1} = {p.round(2)}", end="  ")
    print(f"variance {np.mean(along**2):8.1f}", end="  ")
    print(f"eigenvalue {statistics.eigenvalues[i]:8.1f}", end="  ")
    print(f"root {np.sqrt(statistics.eigenvalues[i]):5.1f}")

# %% [markdown]
# $p_1$ has nearly the same number in red, green and blue: it is brightness. The roots are in grey levels, like the
# pixels. The variances are in grey levels *squared*.
#
# Now the shift. For each image draw three numbers $a_1$, $a_2$, $a_3$ from a normal distribution with mean 0 and
# standard deviation 0.1, and add to every pixel of the image
#
# $$a_1 \sigma_1 p_1 + a_2 \sigma_2 p_2 + a_3 \sigma_3 p_3$$
#
# where $\sigma_i$ is the standard deviation along $p_i$, the root of the eigenvalue $\lambda_i$.
#
# **A trap.** The paper writes $\lambda_i$ instead of $\sigma_i$. How far would that shift an image?

# %%
roots = np.sqrt(statistics.eigenvalues)
print("typical shift along p1, p2, p3, in grey levels")
print("  with the roots:      ", (0.1 * roots).round(1))
print("  with the eigenvalues:", (0.1 * statistics.eigenvalues).round(1))

by_root = statistics.eigenvectors * roots
by_value = statistics.eigenvectors * statistics.eigenvalues
six = np.repeat(star[None], 6, axis=0)
fig, axes = plt.subplots(2, 7, figsize=(9, 2.9), layout="constrained")
for line, (name, columns) in enumerate([("roots", by_root), ("eigenvalues", by_value)]):
    colour = transforms.pca_colour(six, np.random.default_rng(4), components=columns)
    show(axes[line, 0], star, "original")
    for ax, image in zip(axes[line, 1:], colour, strict=True):
        show(ax, image)
    axes[line, 1].set_title(f"with the {name}", fontsize=9, loc="left")
plt.show()

# %% [markdown]
# With the roots, the light changes a little. With the eigenvalues, a typical shift is more than a thousand grey levels,
# where there are only 256, and little is left of the image. (The figure clips below 0 and above 255. The network would
# get the numbers themselves.) The authors' own program takes the roots, and so does minicnn.
#
# All pixels of an image are shifted alike, so their differences stay. The edges, which the filters of the first layer
# look for, do not change:

# %%
shifted = transforms.pca_colour(
    star[None], np.random.default_rng(4), components=by_root
)[0]
shift = (shifted - star).mean(axis=(1, 2))
print("shift of red, green, blue:", shift.round(2))
edges, edges_after = np.diff(star.astype(float)), np.diff(shifted)
print("edges change by at most", np.abs(edges - edges_after).max().round(4))

# %% [markdown]
# The paper reports that this brought more than one point of top-1 error (section 4.1).
#
# ## All together, in the right order
#
# 1. subtract the mean of the training set (a mean *image* has 32x32 pixels, so this comes before any crop);
# 2. crop at random;
# 3. mirror half of the images;
# 4. shift the colours.
#
# All this happens when a batch is put together, so each epoch (one pass through the training set) shows other versions.
# The original files do not change.

# %%
augment = transforms.compose(
    partial(transforms.random_crop, size=28),
    transforms.random_flip,
    partial(transforms.pca_colour, components=statistics.components),
)
loader = Loader(star[None], np.array([5]), batch_size=1, seed=2, transform=augment)
fig, axes = plt.subplots(1, 9, figsize=(10, 1.5), layout="constrained")
show(axes[0], star, "original")
for epoch, ax in enumerate(axes[1:], start=1):
    for batch, _ in loader:
        show(ax, batch[0], f"epoch {epoch}")
plt.show()

# %% [markdown]
# (Here the mean was not subtracted, so that there is something to see.)
#
# ## Does it help?
#
# We train a small network on 600 images twice: once it always sees the centre crop, once random crops and mirror
# images. Everything else is the same, including the initial weights. 600 images are few, and 40 epochs are enough to
# memorise them. (This takes some seconds.)

# %% tags=["heavy"]
preparation = Preparation.fit(data.train_images, crop=28)
seen = preparation.prepare(data.train_images)  # centre crop, standardised
unseen = preparation.prepare(data.test_images)


def small_network():
    minicnn.manual_seed(9)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 3 * 3, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    return network


def error(network, images, labels):
    with minicnn.no_grad():
        answers = network(Tensor(images)).numpy().argmax(axis=1)
    return 100 * np.mean(answers != labels)


last = training_epochs(40, in_browser=16)


def train(transform):
    network = small_network()
    optimizer = optim.SGD(network.parameters(), lr=0.015, momentum=0.9)
    loader = Loader(data.train_images, data.train_labels, 32, transform=transform)
    errors = []
    for epoch in range(1, last + 1):
        train_epoch(network, optimizer, loader, epoch=epoch)
        if epoch % 4 == 0:
            on_seen = error(network, seen, data.train_labels)
            on_unseen = error(network, unseen, data.test_labels)
            errors.append((epoch, on_seen, on_unseen))
    return network, np.array(errors)


plain, plain_errors = train(lambda images, rng: preparation.prepare(images))
varied, varied_errors = train(preparation.augmented(flip=True))

# %% tags=["heavy"]
runs = {
    "centre crop only": plain_errors,
    "random crops and flips": varied_errors,
}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, (name, errors) in zip(axes, runs.items(), strict=True):
    epochs, known, new = errors.T
    ax.plot(epochs, known, color="#2a7ab8", label="training set")
    ax.plot(epochs, new, color="#c8500a", ls="--", label="test set")
    ax.set(xlabel="epoch", ylim=(0, 100))
    ax.set_title(name, fontsize=10)
    ax.legend(fontsize=9)
    print(f"{name:<24} training {known[-1]:5.1f} %", end="   ")
    print(f"test {new[-1]:5.1f} %")
axes[0].set_ylabel("error, %")
plt.show()

# %% [markdown]
# On the left the network memorises nearly all of its 600 images, and is wrong many times as often on new ones: it
# overfits. On the right it knows its own images *less* well, since they never look the same, and new ones far better.
# Augmentation is there to close the gap between the two lines.
#
# A network that is too small for its task, or has only just begun to train, does not gain from it: it has no gap yet.
#
# ## Ten crops at test time
#
# What should the network see at test time? The centre crop would be natural. The paper uses ten crops: the four
# corners, the centre, and their mirror images. The ten softmax outputs are averaged.

# %%
ten = transforms.ten_crop(star[None], size=28)[0]
names = ["top left", "top right", "bottom left", "bottom right", "centre"]
fig, axes = plt.subplots(2, 5, figsize=(7, 3.1), layout="constrained")
for position, ax in enumerate(axes.flat):
    mirrored = position >= 5
    name = "mirrored" if mirrored else names[position]
    show(ax, ten[position], name)
plt.show()
print("ten crops of one image:", ten.shape)

# %% [markdown]
# Why should that be better? Each answer has a random error that depends on what is at the edge. In a mean, errors in
# different directions partly cancel. Here is a case with three crops and two classes. One crop votes for the wrong
# class; the mean does not.

# %%
likely = np.array([[0.55, 0.45], [0.30, 0.70], [0.80, 0.20]])
print("each crop says class:", likely.argmax(axis=1))
print("mean:", likely.mean(axis=0), "-> class", likely.mean(axis=0).argmax())

# %% [markdown]
# Our two networks:

# %% tags=["heavy"]
crops = preparation.ten_crops(data.test_images)  # (500, 10, 3, 28, 28)
for name, network in [("centre crop", plain), ("random crops, flips", varied)]:
    with minicnn.no_grad():
        scores = network(Tensor(crops.reshape(-1, 3, 28, 28)))
    likely = F.softmax(scores, 1).numpy().reshape(500, 10, 10)
    wrong = likely.argmax(axis=2) != data.test_labels[:, None]
    together = likely.mean(axis=1).argmax(axis=1) != data.test_labels
    print(f"trained on {name:<20} error: centre crop", end=" ")
    print(f"{100 * wrong[:, 4].mean():.1f} %,", end=" ")
    print(f"ten crops {100 * together.mean():.1f} %")

# %% [markdown]
# The price: ten forward passes instead of one. In the paper ten crops reduce the error from 39.0 to 37.5 % (top-1,
# ILSVRC-2010). minicnn's longer run on CIFAR-10 has 13.4 % with the centre crop and 12.3 % with ten (its
# `docs/results`).
#
# ## Exercises
#
# ### 1. Positions of a crop
#
# `augment_crop_rows(side, size)` is about one direction: an image has `side` rows, and the crop `size` of them. Return
# three integers: how many positions there are, the first row of the centre crop, and the first row of the last crop.
# Rows are counted from 0. If the centre does not come out even, take the smaller row.
#
# For instance `augment_crop_rows(32, 28)` is `(5, 2, 4)`.


# %%
def augment_crop_rows(side, size):
    """Return (number of positions, first row of the centre, of the last)."""
    ### BEGIN SOLUTION
    return side - size + 1, (side - size) // 2, side - size
    ### END SOLUTION


# %%
check.augment_crop_rows(augment_crop_rows)

# %% [markdown]
# ### 2. Random flips
#
# `augment_flip(images, turned)` gets a batch of shape (N, C, H, W) and an array of N booleans. Return a new batch in
# which the images whose `turned` is true are mirrored from left to right. Do not change `images`.


# %%
def augment_flip(images, turned):
    """Return a new batch, with image n mirrored where turned[n] is true."""
    ### BEGIN SOLUTION
    flipped = images.copy()
    flipped[turned] = images[turned][:, :, :, ::-1]
    return flipped
    ### END SOLUTION


# %%
check.augment_flip(augment_flip)

# %% [markdown]
# ### 3. Colour shift
#
# `augment_colour(image, a, eigenvalues, eigenvectors)` returns a new image, (3, H, W), with its colours shifted as in
# the authors' *program*. `image` is (3, H, W) of floats, `a` holds the three random numbers, `eigenvalues` the three
# variances, and column `i` of `eigenvectors`, shape (3, 3), is the direction $p_i$: `eigenvectors[:, 0]` is $p_1$. Do
# not clip at 0 or 255. (`image + shift[:, np.newaxis, np.newaxis]` adds to each channel its number of `shift`, shape
# (3,).)


# %%
def augment_colour(image, a, eigenvalues, eigenvectors):
    """Return the image, (3, H, W), with its colours shifted."""
    ### BEGIN SOLUTION
    shift = eigenvectors @ (a * np.sqrt(eigenvalues))
    return image + shift[:, np.newaxis, np.newaxis]
    ### END SOLUTION


# %%
check.augment_colour(augment_colour)

# %% [markdown]
# ### 4. The average of ten crops
#
# `augment_average(scores)` gets the network's scores for the crops of each image, shape (N, crops, classes): numbers
# *before* the softmax. Return the probabilities, shape (N, classes), as the paper computes them. Scores may be as large
# as 1000 (lesson 07 shows how to handle that).


# %%
def augment_average(scores):
    """Return probabilities, (N, classes), from (N, crops, classes)."""
    ### BEGIN SOLUTION
    powers = np.exp(scores - scores.max(axis=2, keepdims=True))
    likely = powers / powers.sum(axis=2, keepdims=True)
    return likely.mean(axis=1)
    ### END SOLUTION


# %%
check.augment_average(augment_average)
