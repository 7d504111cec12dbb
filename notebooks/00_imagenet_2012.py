# %% [markdown]
# # 00 ImageNet, 2012
#
# Fifteen lessons build AlexNet, the network that won the image recognition contest of 2012, from scratch. This one
# explains what the contest was, how entries were scored, how big the win was, and which of the ideas were new. You
# compute the contest's error measure on a small table, and see why the one number that everybody quotes belongs to
# seven networks, not one.
#
# You need Python, and from lesson 01 on school calculus.

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from matplotlib.patches import Rectangle
from minicnn import models, nn
from minicnn.data import load_shapes
from minicnn.experiments import ilsvrc
from minicnn.lessons import check
from minicnn.training.metrics import count_wrong

# %% [markdown]
# ## How these lessons work
#
# Run the cells from top to bottom. Each lesson ends in exercises: an empty function to fill in, followed by a cell that
# checks it. The check shows the input that failed, the expected result and yours, and has hints for common mistakes.
# Run it as often as you like.
#
# Numbers live in NumPy arrays. If you have never used NumPy, this is all that you need for now:

# %%
table = np.array([[3.0, 1.0, 2.0], [0.5, 0.9, 0.1]])
print("shape (rows, columns):   ", table.shape)
print("row 1, counted from 0:   ", table[1])
print("row 0, column 2:         ", table[0, 2])
print("twice all numbers:       ", (2 * table).tolist())
print("mean of all numbers:     ", table.mean())
print("mean of each column:     ", table.mean(axis=0))
print("mean of each row:        ", table.mean(axis=1))
print("larger than 0.8:         ", (table > 0.8).tolist())
print("all rows of column 1:    ", table[:, 1])
print("rows 0-1, columns 1-2:   ", table[0:2, 1:3].tolist())
print("the same 6 in 3 rows:    ", table.reshape(3, 2).tolist())
print("each row plus a row:     ", (table + np.array([10, 20, 30])).tolist())
print("4 zeros to fill in:      ", np.zeros(4))

# %% [markdown]
# An array has *axes*: axis 0 runs down the rows, axis 1 across the columns. `mean(axis=0)` removes axis 0: what is left
# is one mean for each column. `sum`, `max` and `argmax` (the index of the largest number) take `axis` too, and
# `sum(axis=(0, 1))` removes two axes at once. An array can have more than two axes: a colour image has three. A colon
# alone means all indices along an axis, and `first:last` stops before `last`, as in a list.
#
# ## An image is a box of numbers
#
# Each point of an image, each *pixel*, is three numbers from 0 to 255: how much red, green and blue. minicnn can draw
# small images for practice, so that nothing needs to be downloaded. Here is one of them, with the red values of one
# corner.

# %%
shapes = load_shapes(train=60, test=1)
star = shapes.train_images[53]
print("class:", shapes.classes[shapes.train_labels[53]])
print("colours, rows, columns:", star.shape, "numbers:", star.size)
red = star[0, 8:16, 8:16]

fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
axes[0].imshow(star.transpose(1, 2, 0))  # imshow wants the colours last
axes[0].add_patch(Rectangle((7.5, 7.5), 8, 8, fill=False, color="white"))
axes[0].set_title("the image", fontsize=10)
axes[1].imshow(red, cmap="Greys_r", vmin=0, vmax=255)
for row, column in np.ndindex(8, 8):
    number = red[row, column]
    colour = "black" if number > 128 else "white"
    axes[1].text(column, row, number, ha="center", va="center", color=colour, size=8)
axes[1].set_title("red, in the white square", fontsize=10)
axes[0].set(xlabel="column", ylabel="row")
axes[1].set_xticks(range(8), labels=range(8, 16))
axes[1].set_yticks(range(8), labels=range(8, 16))
axes[1].set(xlabel="column", ylabel="row")
plt.show()

# %% [markdown]
# This is all that a program gets to see. To say "star", it must turn these 3,072 numbers into one of ten words. No one
# knows how to write that program by hand. And the contest's images were much larger:

# %%
pixels = 224 * 224
print("numbers in an image of 224 x 224:", 3 * pixels)
print("ratio to a practice image:", 3 * pixels / star.size)

# %% [markdown]
# ## The contest
#
# *ImageNet* is a collection of more than 15 million photographs, sorted into some 22,000 classes by paid annotators
# (paper, section 2; "the paper" is always the AlexNet paper of 2012). Fei-Fei Li's group published it in 2009. From
# 2010 to 2017 there was a yearly contest on a part of it, the *ImageNet Large Scale Visual Recognition Challenge*,
# ILSVRC. Its numbers in AlexNet's time (paper, section 2):
#
# - **1,000 classes**: not "dog", but 120 breeds of dogs (Russakovsky et al. 2015);
# - *training set*: about **1.2 million** labelled images;
# - *validation set*: **50,000** labelled images to try out ideas on;
# - *test set*: **150,000** images whose labels the organisers keep secret. These decide the contest.
#
# An entry submits five classes for each test image.
#
# ## When is an answer wrong?
#
# A photograph may show a dog on a sofa, while its one label says "sofa". To answer "dog" is no great mistake. So the
# contest counts an image as wrong only if its label is not among the *five* answers. Two errors are reported:
#
# - **top-1 error**: the share of images whose label is not the first answer;
# - **top-5 error**: the share of images whose label is not among the first five.
#
# A classifier does not give five answers by itself. It gives each class a number, a *score*, and the five classes with
# the highest scores are its answers. Here are the scores of an imaginary classifier for six images and eight classes.
# Each row adds up to 100, like percentages.

# %%
animals = "cat dog wolf fox bear lynx tiger horse".split()
scores = np.array(
    [
        [60, 4, 3, 8, 1, 19, 5, 0],
        [1, 44, 36, 9, 5, 3, 2, 0],
        [30, 25, 10, 6, 4, 20, 5, 0],
        [1, 28, 18, 2, 22, 10, 15, 4],
        [6, 1, 2, 3, 4, 14, 70, 0],
        [2, 26, 9, 6, 21, 0, 3, 33],
    ]
)
labels = np.array([0, 2, 3, 7, 6, 4])  # what each image shows

fig, ax = plt.subplots(figsize=(7.5, 3.7), layout="constrained")
ax.imshow(scores, cmap="Blues", vmax=90, aspect="auto")
for image, kind in np.ndindex(scores.shape):
    fifth = sorted(scores[image])[-5]
    among_five = scores[image, kind] >= fifth
    weight = "bold" if among_five else "normal"
    shade = "black" if among_five else "#8a8a8a"
    ax.text(
        kind,
        image,
        scores[image, kind],
        ha="center",
        va="center",
        weight=weight,
        color="white" if scores[image, kind] > 50 else shade,
    )
for image, label in enumerate(labels):
    place = (label - 0.48, image - 0.47)
    ax.add_patch(Rectangle(place, 0.96, 0.94, fill=False, ec="#c8500a", lw=3))
ax.set_xticks(range(8), labels=animals)
ax.set_yticks(range(6), labels=[f"image {n}" for n in range(6)])
ax.set_xlabel("class")
ax.set_title("Scores. Bold: the five highest. Framed: the right class.", size=10)
plt.show()

# %% [markdown]
# Image by image, with the answers sorted by score:

# %%
for image, label in enumerate(labels):
    ranked = sorted(zip(scores[image], animals, strict=True), reverse=True)
    answers = [animal for _, animal in ranked[:5]]
    right = animals[label]
    top1 = "right" if answers[0] == right else "wrong"
    top5 = "right" if right in answers else "wrong"
    print(f"{image} shows a {right:<6} top-1 {top1}, top-5 {top5}:", end=" ")
    print(", ".join(answers))

# %% [markdown]
# Only two of the six first answers are right, so the top-1 error is 4/6. Only image 3 has its right class outside the
# first five: the horse comes sixth. So the top-5 error is 1/6. minicnn counts the same:

# %%
wrong_first, wrong_in_five = count_wrong(scores, labels)
print(f"top-1 error: {wrong_first} of {len(labels)}", end=" ")
print(f"= {wrong_first / len(labels):.1%}")
print(f"top-5 error: {wrong_in_five} of {len(labels)}", end=" ")
print(f"= {wrong_in_five / len(labels):.1%}")

# %% [markdown]
# Five is nothing special. In general the **top-k error** is the share of images whose label is not among the $k$
# classes with the highest scores. As $k$ grows it can only fall, and when $k$ is the number of classes, it is zero. In
# our table the right classes rank 1, 2, 5, 6, 1 and 3:

# %%
places = [1, 2, 5, 6, 1, 3]
number_of_answers = np.arange(1, 9)
errors = [sum(place > k for place in places) / 6 for k in number_of_answers]
print("\n".join(f"k = {k}: {e:.1%}" for k, e in enumerate(errors, start=1)))

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.bar(number_of_answers, 100 * np.array(errors), color="#2a7ab8")
ax.set(xlabel="number of answers k", ylabel="top-k error in %", ylim=(0, 75))
ax.set_title("More answers, fewer errors", fontsize=10)
plt.show()

# %% [markdown]
# So never compare a top-5 error with a top-1 error, or an error among eight classes with one among a thousand. You work
# out the error of pure guessing in the exercises.
#
# ## Eight years
#
# Here is the best top-5 error of each year on the test set. (Sources: the contest's result pages. For human
# performance, Russakovsky et al. 2015: one trained person on 1,500 images.)

# %%
ilsvrc.draw_winners()

# %%
before = None
for winner in ilsvrc.WINNERS:
    text = f"{winner.year}  {winner.name:<15}{winner.error:6.2f} %"
    if before is not None:
        text += f"   {winner.error - before:+6.2f} points"
    print(text)
    before = winner.error
print(f"2012, runner-up: {ilsvrc.RUNNER_UP_2012} %")

# %% [markdown]
# From 2010 to 2011 the error fell by less than three points, and the runner-up of 2012 is where the winner of 2011 was.
# Those systems worked in two stages: hand-crafted features, edges and corners above all, and a classifier trained on
# these features. AlexNet is the first bar that breaks with this. It learns everything from pixels, end to end. From the
# next year on every winner was a network of its kind; by 2015 the error was below the human one.
#
# ## Points and percent
#
# "AlexNet won by 10.9 percentage points", says the web tutorial whose order these lessons follow. The arithmetic is
# right:

# %%
second, first = ilsvrc.RUNNER_UP_2012, 15.3
print(f"{second} - {first} = {second - first:.1f} points")
print(f"wrong of 1000 images: {second * 10:.0f} and", end=" ")
print(f"{first * 10:.0f}, which is {(second - first) * 10:.0f} fewer")

# %% [markdown]
# A *point* is one hundredth of all images. Another way to say it: what share of the *mistakes* is gone? 109 of 262 are.
# That is the *relative* improvement. One point means little at 26 % and a great deal at 3 %; the relative improvement
# shows the difference. It is the first exercise.
#
# ## Whose number is 15.3?
#
# 15.3 % is not the error of AlexNet, the network. The paper gives these errors for 2012 (section 6):
#
# | what | top-1, validation | top-5, validation | top-5, test |
# |---|---|---|---|
# | one network | 40.7 | 18.2 | not given |
# | five networks, their predictions averaged | 38.1 | 16.4 | 16.4 |
# | seven, two of them trained on all of ImageNet before | 36.7 | 15.4 | 15.3 |
# | the runner-up | not given | not given | 26.2 |
#
# So the winning entry averages seven networks, two of them first trained on 15 million images instead of 1.2 million.
# One network alone has 18.2 %. How much of the lead is due to each:

# %%
steps = {
    "runner-up": 26.2,
    "one network": 18.2,
    "five networks": 16.4,
    "seven, more data": 15.3,
}
names, values = list(steps), list(steps.values())
for name, value in list(steps.items())[1:]:
    lead = second - value
    print(f"{name:<17} {value} %: {lead:4.1f} points below the runner-up")

fig, ax = plt.subplots(figsize=(7.5, 2.6), layout="constrained")
colours = ["#b3b3b3", "#c8500a", "#d98a5b", "#e6b596"]
bars = ax.barh(names, values, color=colours)
ax.bar_label(bars, fmt="%.1f %%", padding=4)
ax.invert_yaxis()
ax.set(xlabel="top-5 error in %", xlim=(0, 30))
ax.set_title("2012. One network: validation set. The others: test set.", size=10)
plt.show()

# %% [markdown]
# By far the largest part, 8.0 of the 10.9 points, is due to the one network, and that is the network we build. (Its
# error is known for the validation set only. The row of five networks shows that the two sets are about equally hard.)
#
# ## Why seven are better than one
#
# Seven networks of the same design, which differ only in their random initial weights, make partly different mistakes.
# Averaging keeps what they agree on, and cancels what each gets wrong by chance.
#
# A toy model shows it. Each "network" scores a hundred classes. The right class gets a lead of 4. One random number
# stands for what is misleading in the image itself and is the same for all networks; a second, larger one stands for
# each network's own errors.

# %%
rng = np.random.default_rng(0)
images, classes = 2000, 100
truth = rng.integers(classes, size=images)
lead = 4 * np.eye(classes)[truth]  # 4 in the right column of each row
misleading = 1.0 * rng.normal(size=(images, classes))
own = 1.5 * rng.normal(size=(7, images, classes))
networks = lead + misleading + own  # (7, images, classes)

for number in range(3):
    _, wrong = count_wrong(networks[number], truth)
    print(f"network {number} alone: top-5 error {wrong / images:.1%}")
toy = []
for count in range(1, 8):
    _, wrong = count_wrong(networks[:count].mean(axis=0), truth)
    toy.append(100 * wrong / images)
_, least = count_wrong(lead + misleading, truth)
print(f"mean of five:    {toy[4]:.1f} %")
print(f"mean of seven:   {toy[6]:.1f} %")
print(f"without errors of their own: {least / images:.1%}")

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.plot(range(1, 8), toy, "o-", color="#2a7ab8")
ax.axhline(100 * least / images, color="#767676", linestyle="--")
ax.text(1, 100 * least / images + 0.7, "shared errors only", size=9)
ax.set(xlabel="networks averaged", ylabel="top-5 error in %", ylim=(0, None))
ax.set_title("Toy model: averaging removes the errors that are not shared", fontsize=10)
plt.show()

# %% [markdown]
# The first few networks help most. And there is a floor: averaging cannot fix what all of them get wrong. In the toy
# model most errors are independent, so it gains more than AlexNet did. Real networks trained on the same images share
# most of their mistakes: five of them brought the error from 18.2 to 16.4 %.
#
# ## What was new
#
# The network itself, as minicnn counts it (lesson 08 goes through it layer by layer):

# %%
with nn.init.skip_arrays():  # to count, not to compute
    network = models.alexnet()
# 227 pixels, not 224: lesson 02 says why
found = minicnn.summary(network, (1, 3, 227, 227))
layers = [row.name for row in found.rows if row.parameters]
print("layers with parameters:", ", ".join(layers))
print(f"parameters: {found.parameters:,}")
print(f"multiplications for one image: {found.macs:,}")
per_image = found.parameters / 1.2e6
print(f"parameters per training image: {per_image:.0f}")

# %% [markdown]
# Five convolutional layers (lesson 02) and three fully connected ones (lesson 07), with 61 million *parameters*:
# numbers that are learned by reducing the error in small steps on 1.2 million images. That is 51 parameters per image.
# So the network could memorise the images (*overfit*), and much of what the paper adds is there to prevent that:
#
# | what | what the paper says | lesson |
# |---|---|---|
# | more layers | without any one of the middle layers, about 2 points more top-1 error (section 7) | 08 |
# | ReLU instead of tanh | a small network learns six times faster (section 3.1) | 03 |
# | two GPUs, half of the filters on each | 1.7 points less top-1 error than a network half as wide (section 3.2) | 08 |
# | local response normalisation | 1.4 points less top-1 error (section 3.3) | 05 |
# | overlapping pooling windows | 0.4 points less top-1 error (section 3.4) | 04 |
# | augmentation: cropped, mirrored, recoloured images | reduces overfitting; the colours alone, over 1 point of top-1 error (section 4.1) | 09 |
# | dropout | reduces overfitting; takes twice as many steps (section 4.2) | 06 |
#
# (The tutorial lists five: depth, ReLU, dropout, normalisation, augmentation. Lesson 10 puts them to the test.)
#
# Much of it was not new. From 1989 on, convolutional networks trained by the backward pass of lesson 01 read digits in
# Yann LeCun's group; his LeNet-5 is from 1998. By 2012 three things had changed. There were enough labelled images.
# There were GPUs, made for games, that could do the multiplications in time: two of 3 GB each took five to six days
# (section 1). And there were the remedies in the table.
#
# ## Who
#
# - **Alex Krizhevsky** wrote the program, with its fast convolutions for GPUs, as a doctoral student in Toronto. The
#   network is named after him, though not in the paper, where it has no name.
# - **Ilya Sutskever**, a student in the same group.
# - **Geoffrey Hinton**, who led the group, and had worked on neural networks since the years when few others did.
#
# Their entry was called SuperVision. A few months later Google bought the company that the three had founded.
#
# ## Where we are going
#
# Lessons 01 to 07 build the parts: gradients, convolution, activation, pooling, normalisation, dropout, the loss.
# Lesson 08 puts them together; 09 and 10 train the network; 11 makes it fast; 12 looks inside; and in 13 you find bugs
# that we have planted.
#
# ## Exercises
#
# ### 1. Relative improvement
#
# `relative_improvement(before, after)` gets two errors in the same unit and returns the share of the mistakes that is
# gone: 0 if nothing has changed, 1 if none is left, negative if there are more than before. From an error of 40 to one
# of 30 it is 0.25.


# %%
def relative_improvement(before, after):
    """Return the share of the mistakes that is gone."""
    ### BEGIN SOLUTION
    return (before - after) / before
    ### END SOLUTION


# %%
check.relative_improvement(relative_improvement)

# %% [markdown]
# Once it works, try it on 2012 (26.2 and 15.3), and on the step from 2015 to 2016 (3.57 and 2.99). In points that is
# 10.9 and 0.58, nineteen times less. And as a share of the mistakes?
#
# ### 2. Guessing
#
# A classifier ignores the images and names `k` *different* classes out of `C` at random. `chance_error(k, C)` returns
# its expected top-k error, from 0 to 1. If `k` is `C` or more, it names all classes. For instance
# `chance_error(5, 1000)` is 0.995.


# %%
def chance_error(k, C):
    """Return the top-k error of guessing k different classes out of C."""
    ### BEGIN SOLUTION
    return max(0.0, 1 - k / C)
    ### END SOLUTION


# %%
check.chance_error(chance_error)

# %% [markdown]
# ### 3. Top-k error
#
# `top_k_error(scores, labels, k)` returns the top-k error, from 0 to 1. `scores` is an array of shape (N, C) with a row
# for each of N images, as in the table above; no two scores in a row are equal. `labels`, shape (N,), holds the index
# of each image's right class.
#
# `np.argsort(row)` may help. It returns the indices of a row's numbers, from the smallest number to the largest:
# `np.argsort([0.2, 0.7, 0.1])` is `[2, 0, 1]`.


# %%
def top_k_error(scores, labels, k):
    """Return the share of images whose label is not among the k highest scores."""
    ### BEGIN SOLUTION
    wrong = 0
    for row, label in zip(scores, labels, strict=True):
        answers = np.argsort(row)[-k:]
        wrong += label not in answers
    return wrong / len(labels)
    ### END SOLUTION


# %%
check.top_k_error(top_k_error)

# %% [markdown]
# ### 4. Several networks
#
# `ensemble_choice(probabilities)` gets the predictions of several networks, shape (M, N, C): M networks, N images, C
# classes. It returns the class that they choose together for each image, an array of N integers: the class whose
# probability, averaged over the networks, is highest.
#
# `np.argmax` returns the index of the largest number, with `axis=...` along an axis.


# %%
def ensemble_choice(probabilities):
    """Return the joint first choice of M networks, shape (N,)."""
    ### BEGIN SOLUTION
    return probabilities.mean(axis=0).argmax(axis=1)
    ### END SOLUTION


# %%
check.ensemble_choice(ensemble_choice)
