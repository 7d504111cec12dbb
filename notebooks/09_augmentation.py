# %% [markdown]
# # 09 Augmentation: many pictures out of one
#
# AlexNet has 61 million weights, and there were 1.2 million pictures to learn from. A network of that size can learn
# pictures by heart. The paper's first remedy (section 4.1; dropout was the second) is to show no picture twice in the same
# way: cut out another part each time, mirror it, shift its colours. At test time it goes on with ten crops.
#
# You need lesson 07 (softmax) and a rough idea of training, as in lesson 01. Lesson 10 has all about training.

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
from minicnn.training import train_epoch

# %% [markdown]
# ## Which changes are allowed?
#
# The network shall learn a label from a picture. So we may change the picture in any way that leaves the label right. We
# need no new pictures for this, nobody must label anything, and it costs next to nothing.
#
# The pictures of this lesson are drawn shapes of 32x32, in ten classes.

# %%
data = load_shapes(train=600, test=500)
first = [np.argmax(data.train_labels == label) for label in range(10)]


def show(ax, picture, title=""):
    levels = np.clip(picture, 0, 255).astype(np.uint8)
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
# The paper enlarges or shrinks each picture until its shorter side is 256, takes the middle 256x256, and shows the network
# a part of 224x224. Which part is drawn at random, each time anew.
#
# How many parts are there? We count on something small: a square of side 3 in a row of 5.

# %%
row = "abcde"
size = 3
parts = [row[left : left + size] for left in range(5 - size + 1)]
print(parts)
print(f"{len(parts)} = 5 - 3 + 1")
places = 256 - 224 + 1
print(f"224 in 256: {places} places in each direction,", end=" ")
print(f"{places} * {places} = {places**2} crops")
print(f"with their mirror images {2 * places**2}")
print(f"the paper says 32 * 32 * 2 = {32 * 32 * 2}")

# %% [markdown]
# The paper counts 2048 (section 4.1). That is 32 places each way, the difference of the sides without the one that one
# starts from. There are 33. Nothing hangs on it, but the same slip in a program means that the last row and column of
# places are never used.
#
# Our pictures have 32 pixels, and we cut out 28, as does minicnn's recipe for CIFAR-10. That leaves 5 places each way:

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
print(f"crops of one picture: {5 * 5}, with mirror images {2 * 5 * 5}")

# %% [markdown]
# To us they are the same picture. To the network they are not: it gets an array, and in the array nearly every number has
# changed. How much? We compare a picture with itself, moved by one pixel, and with another picture.

# %%
pictures = data.train_images.astype(float)
middle = pictures[:, :, 2:30, 2:30]
moved = pictures[:, :, 2:30, 3:31]
others = middle[1:]
by_one = np.abs(middle - moved).mean()
by_another = np.abs(middle[:-1] - others).mean()
changed = (middle != moved).mean()
print(f"pixels that change in a move by one: {100 * changed:.0f} %")
print(f"by how much, on average: {by_one:.0f} grey levels")
print(f"to another picture:      {by_another:.0f} grey levels")

# %% [markdown]
# So a crop is something new, if not *very* new: its neighbours are more like it than other pictures are. The paper says as
# much, calling the resulting examples highly interdependent. 2048 times as many pictures would be worth far more than
# 2048 crops.
#
# In a program a crop is a slice. `transforms.random_crop` draws a place for each picture of a batch, from a generator that
# one hands in: with the same seed come the same crops.

# %%
rng = np.random.default_rng(0)
crops = transforms.random_crop(data.train_images, rng, size=28)
again = transforms.random_crop(data.train_images, np.random.default_rng(0), size=28)
print("shape:", crops.shape, " the same again:", np.array_equal(crops, again))

# A picture in which each pixel says where it was.
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
ax.set_title("How often each place was drawn", fontsize=10)
fig.colorbar(shown, label="of 5000 times")
plt.show()

# %% [markdown]
# All 25 places come up about equally often, 5000 / 25 = 200 times each, the edges included.
#
# ## Mirror images
#
# A picture (C, H, W) is mirrored from left to right when its last axis is turned round. Two traps: an axis too many turns
# it upside down, and the first axis is not one of space at all.

# %%
turned = {
    "as it is": star,
    "[:, :, ::-1]": star[:, :, ::-1],
    "[:, ::-1, :]": star[:, ::-1, :],
    "[::-1, :, :]": star[::-1, :, :],
}
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained")
for ax, (name, picture) in zip(axes, turned.items(), strict=True):
    show(ax, picture, name)
plt.show()

# %% [markdown]
# The second is the mirror image. The third stands on its head. The fourth has red and blue exchanged.
#
# `transforms.random_flip` mirrors each picture of a batch with a probability of one half.
#
# Does the label stay right? For our shapes it does, whatever one does to them: they are drawn at all angles. For
# ImageNet's photographs left and right do not matter either; a leopard that walks to the left is a leopard. But up and
# down do: photographs of leopards that walk on the ceiling are rare, so the network need not know them, and the paper does
# not make any. For letters, not even left and right may be exchanged:

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
    "as it is: b": letter,
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
# So what is allowed depends on the task. Ask of each change: would somebody who labels the changed picture write the same
# label? A crop can fail, too, if it is so small that the thing is no longer in it.
#
# ## Colours
#
# In the evening light a lemon is redder than at noon, and remains a lemon. So the paper shifts the colours of a whole
# picture a little, at random. But not just anyhow: more in those directions in which the colours of pictures really vary.
# To find them we look at all pixels of all pictures, each as a point: so much red, so much green, so much blue.

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
# The cloud is long along the diagonal: if a pixel has much red, it mostly has much green and blue as well. It is light or
# dark. The direction of the line is called the first *principal component* of the colours. It is written as a vector of
# length 1, $p_1$. At right angles to it lie two more, $p_2$ and $p_3$, in which the cloud is narrower.
#
# How wide the cloud is in a direction is told by the *variance*: go along the direction, and take the mean of the squared
# distances from the middle. Its square root is the *standard deviation*. `pixel_statistics` gets the variances in another
# way, as *eigenvalues* of a matrix of three rows, whose *eigenvectors* are the $p_i$. We need no more of it than that both
# ways agree:

# %%
for i in range(3):
    p = statistics.eigenvectors[:, i]  # column i
    along = centred @ p  # how far each pixel lies in that direction
    print(f"p{i + 1} = {p.round(2)}", end="  ")
    print(f"variance {np.mean(along**2):8.1f}", end="  ")
    print(f"eigenvalue {statistics.eigenvalues[i]:8.1f}", end="  ")
    print(f"root {np.sqrt(statistics.eigenvalues[i]):5.1f}")

# %% [markdown]
# $p_1$ has nearly the same number in red, green and blue: it is brightness. The roots are in grey levels, as the pixels
# are. The variances are in grey levels *squared*.
#
# Now the shift. For each picture three numbers $a_1$, $a_2$, $a_3$ are drawn from a normal distribution with mean 0 and
# standard deviation 0.1. To every pixel of the picture is added
#
# $$a_1 \sigma_1 p_1 + a_2 \sigma_2 p_2 + a_3 \sigma_3 p_3$$
#
# where $\sigma_i$ is the standard deviation along $p_i$, the root of the eigenvalue $\lambda_i$.
#
# **A trap.** The paper writes $\lambda_i$ in place of $\sigma_i$. How far would that shift a picture?

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
    for ax, picture in zip(axes[line, 1:], colour, strict=True):
        show(ax, picture)
    axes[line, 1].set_title(f"with the {name}", fontsize=9, loc="left")
plt.show()

# %% [markdown]
# With the roots, the light changes a little. With the eigenvalues, a typical picture is moved by more than a thousand grey
# levels, where there are only 256, and little is left of it. (The figure cuts off below 0 and above 255. The network would
# get the numbers themselves.) The authors' own program takes the roots, and so does minicnn.
#
# All pixels of a picture are shifted alike, so their differences stay. Edges, which the filters of the first layer look
# for, remain what they were:

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
# 1. subtract the mean of the training pictures (a mean *image* has 32x32 pixels, so this comes before any crop);
# 2. crop at random;
# 3. mirror half of them;
# 4. shift the colours.
#
# All this happens when a batch is put together, so each epoch (a pass through all pictures) shows other versions. The
# original files stay as they are.

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
# We train a small network on 600 pictures, twice: once it always sees the middle of each picture, once crops and mirror
# images. Everything else is the same, the first weights too. 600 pictures are few, and 40 epochs are enough to know them.
# (This takes some seconds.)

# %% tags=["heavy"]
preparation = Preparation.fit(data.train_images, crop=28)
seen = preparation.prepare(data.train_images)  # the middle, standardised
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


def error(network, pictures, labels):
    with minicnn.no_grad():
        answers = network(Tensor(pictures)).numpy().argmax(axis=1)
    return 100 * np.mean(answers != labels)


def train(transform):
    network = small_network()
    optimizer = optim.SGD(network.parameters(), lr=0.015, momentum=0.9)
    loader = Loader(data.train_images, data.train_labels, 32, transform=transform)
    errors = []
    for epoch in range(1, 41):
        train_epoch(network, optimizer, loader, epoch=epoch)
        if epoch % 4 == 0:
            on_seen = error(network, seen, data.train_labels)
            on_unseen = error(network, unseen, data.test_labels)
            errors.append((epoch, on_seen, on_unseen))
    return network, np.array(errors)


plain, plain_errors = train(lambda pictures, rng: preparation.prepare(pictures))
varied, varied_errors = train(preparation.augmented(flip=True))

# %% tags=["heavy"]
runs = {
    "the middle, always": plain_errors,
    "crops and mirror images": varied_errors,
}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, (name, errors) in zip(axes, runs.items(), strict=True):
    epochs, known, new = errors.T
    ax.plot(epochs, known, color="#2a7ab8", label="on what it learnt from")
    ax.plot(epochs, new, color="#c8500a", ls="--", label="on new pictures")
    ax.set(xlabel="epoch", ylim=(0, 100))
    ax.set_title(name, fontsize=10)
    ax.legend(fontsize=9)
    print(f"{name:<24} training {known[-1]:5.1f} %", end="   ")
    print(f"test {new[-1]:5.1f} %")
axes[0].set_ylabel("error, %")
plt.show()

# %% [markdown]
# On the left the network comes to know nearly all of its 600 pictures, and on new ones it is wrong many times as often: it
# has learnt by heart. On the right it knows its own pictures *less* well, since they never look the same, and new ones far
# better. The gap between the two lines is what augmentation is for.
#
# A network that is too small for its task, or one that has only just begun, does not gain by it: it has no gap yet.
#
# ## Ten crops at the end
#
# What shall a network see that is asked for its answer? The middle, one might say. The paper asks ten times: the four
# corners, the middle, and their mirror images. The ten softmax outputs are averaged.

# %%
ten = transforms.ten_crop(star[None], size=28)[0]
names = ["top left", "top right", "bottom left", "bottom right", "middle"]
fig, axes = plt.subplots(2, 5, figsize=(7, 3.1), layout="constrained")
for position, ax in enumerate(axes.flat):
    mirrored = position >= 5
    name = "mirrored" if mirrored else names[position]
    show(ax, ten[position], name)
plt.show()
print("of one picture:", ten.shape)

# %% [markdown]
# Why should that be better? Each answer has an error of its own, by chance, depending on what lies at the edge. In a mean,
# errors that point in different directions cancel in part. Here is a case with three crops and two classes. One crop is
# for the wrong class; the mean is not.

# %%
likely = np.array([[0.55, 0.45], [0.30, 0.70], [0.80, 0.20]])
print("each crop says class:", likely.argmax(axis=1))
print("mean:", likely.mean(axis=0), "-> class", likely.mean(axis=0).argmax())

# %% [markdown]
# With our two networks:

# %% tags=["heavy"]
crops = preparation.ten_crops(data.test_images)  # (500, 10, 3, 28, 28)
for name, network in [("the middle", plain), ("crops and mirror", varied)]:
    with minicnn.no_grad():
        scores = network(Tensor(crops.reshape(-1, 3, 28, 28)))
    likely = F.softmax(scores, 1).numpy().reshape(500, 10, 10)
    wrong = likely.argmax(axis=2) != data.test_labels[:, None]
    together = likely.mean(axis=1).argmax(axis=1) != data.test_labels
    print(f"trained on {name}: the middle alone", end=" ")
    print(f"{100 * wrong[:, 4].mean():.1f} %,", end=" ")
    print(f"mean of ten {100 * together.mean():.1f} % wrong")

# %% [markdown]
# The price: ten passes through the network instead of one. In the paper ten crops take the error from 39.0 to 37.5 %
# (top-1, ILSVRC-2010). minicnn's longer run on CIFAR-10 has 16.1 % with the middle crop and 13.8 % with ten (its
# `docs/results`).
#
# ## Exercises
#
# ### 1. Where a crop may begin
#
# `augment_crop_rows(side, size)` is about one direction: a picture has `side` rows, and the crop `size` of them. Return
# three whole numbers: how many places there are, the first row of the crop in the middle, and the first row of the last
# crop. Rows are counted from 0. If the middle does not come out even, take the smaller row.
#
# For instance `augment_crop_rows(32, 28)` is `(5, 2, 4)`.


# %%
def augment_crop_rows(side, size):
    """Return (number of places, first row of the middle, of the last)."""
    ### BEGIN SOLUTION
    return side - size + 1, (side - size) // 2, side - size
    ### END SOLUTION


# %%
check.augment_crop_rows(augment_crop_rows)

# %% [markdown]
# ### 2. Mirror some of them
#
# `augment_flip(images, turned)` gets a batch of shape (N, C, H, W) and an array of N truth values. Return a new batch in
# which those pictures are mirrored from left to right for which `turned` is true. Leave `images` as it is.


# %%
def augment_flip(images, turned):
    """Return a new batch; pictures n with turned[n] are mirrored."""
    ### BEGIN SOLUTION
    flipped = images.copy()
    flipped[turned] = images[turned][:, :, :, ::-1]
    return flipped
    ### END SOLUTION


# %%
check.augment_flip(augment_flip)

# %% [markdown]
# ### 3. Another light
#
# `augment_colour(image, a, eigenvalues, eigenvectors)` returns a new picture, (3, H, W), with its colours shifted as the
# authors' *program* does it. `image` is (3, H, W) of floats, `a` holds the three random numbers, `eigenvalues` the three
# variances, and column `i` of `eigenvectors`, shape (3, 3), is the direction $p_i$: `eigenvectors[:, 0]` is $p_1$.
# Nothing is cut off at 0 or 255. (`image + shift[:, np.newaxis, np.newaxis]` adds to each channel its number of
# `shift`, shape (3,).)


# %%
def augment_colour(image, a, eigenvalues, eigenvectors):
    """Return the picture, (3, H, W), with its colours shifted."""
    ### BEGIN SOLUTION
    shift = eigenvectors @ (a * np.sqrt(eigenvalues))
    return image + shift[:, np.newaxis, np.newaxis]
    ### END SOLUTION


# %%
check.augment_colour(augment_colour)

# %% [markdown]
# ### 4. The mean of ten
#
# `augment_average(scores)` gets the network's scores for the crops of each picture, shape (N, crops, classes): numbers
# *before* the softmax. Return the probabilities, shape (N, classes), as the paper computes them. Scores may be as large as
# 1000 (lesson 07 says what to do about that).


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
