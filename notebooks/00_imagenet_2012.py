# %% [markdown]
# # 00 ImageNet, 2012
#
# Fourteen lessons build AlexNet, the network that won a contest of picture recognition in 2012, from nothing. This one
# tells what the contest was, how it was judged, by how much it was won, and what of that was new. You will compute the
# error by which it was judged on a small table, and see why the one number that everybody quotes belongs to seven
# networks and not to one.
#
# You need Python, and school calculus from lesson 01 on.

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
# Run the cells from top to bottom. Each lesson ends in exercises: an empty function to fill in, and below it a cell that
# judges what you wrote. The answer says which input went wrong, what was expected and what you got; for the usual mistakes
# it has a hint. You may ask as often as you like.
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
print("where larger than 0.8:   ", (table > 0.8).tolist())
print("all rows, of column 1:   ", table[:, 1])
print("rows 0, 1, columns 1, 2: ", table[0:2, 1:3].tolist())
print("the same 6, in 3 rows:   ", table.reshape(3, 2).tolist())
print("each row plus a row:     ", (table + np.array([10, 20, 30])).tolist())
print("4 zeros to be filled:    ", np.zeros(4))

# %% [markdown]
# An array has *axes*: axis 0 counts the rows, axis 1 the columns. `mean(axis=0)` makes axis 0 disappear: one mean for
# each column is left. `sum`, `max` and `argmax` (the place of the largest number) know `axis` as well, and with `sum`,
# `axis=(0, 1)` makes two disappear at once. An array can have more axes than two. A colour picture has three. A colon
# alone means all places along an axis, and `first:last` ends before `last`, as it does in a list.
#
# ## A picture is a box of numbers
#
# Each point of a picture, each *pixel*, is three numbers from 0 to 255: how much red, how much green, how much blue.
# The engine of these lessons draws pictures for practice, so that nothing must be downloaded. Here is one of them, and
# the numbers for red in a corner of it.

# %%
shapes = load_shapes(train=60, test=1)
star = shapes.train_images[53]
print("class:", shapes.classes[shapes.train_labels[53]])
print("colours, rows, columns:", star.shape, "numbers:", star.size)
red = star[0, 8:16, 8:16]

fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
axes[0].imshow(star.transpose(1, 2, 0))  # imshow wants the colours last
axes[0].add_patch(Rectangle((7.5, 7.5), 8, 8, fill=False, color="white"))
axes[0].set_title("the picture", fontsize=10)
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
# This is all that a program gets to see. To say "star" it must turn these 3,072 numbers into one of ten words. Nobody knows
# how to write that program down by hand. The pictures of the contest were a good deal larger:

# %%
pixels = 224 * 224
print("numbers in a picture of 224 x 224:", 3 * pixels)
print("times a practice picture:", 3 * pixels / star.size)

# %% [markdown]
# ## The contest
#
# *ImageNet* is a collection of more than 15 million photographs, sorted into some 22,000 classes by people paid for it
# (paper, section 2; "the paper" is always the one of 2012 on AlexNet). Fei-Fei Li's group published it in 2009. From 2010
# to 2017 there was a yearly contest on a part of it, the *ImageNet Large Scale Visual Recognition Challenge*, ILSVRC. Its
# numbers in AlexNet's time (paper, section 2):
#
# - **1,000 classes**: not "dog", but 120 breeds of dogs (Russakovsky et al. 2015);
# - about **1.2 million** pictures to learn from, whose classes are known (*training set*);
# - **50,000** pictures with known classes to try out ideas on (*validation set*);
# - **150,000** pictures whose classes the organisers keep to themselves (*test set*). These decide.
#
# Each program hands in five classes for each test picture.
#
# ## When is an answer wrong?
#
# A photograph may show a dog on a sofa, and its one label says "sofa". To answer "dog" is no great mistake. So the contest
# counts a picture as wrong only if its label is not among the *five* answers. Two errors are reported:
#
# - **top-1 error**: the share of pictures whose label is not the first answer;
# - **top-5 error**: the share of pictures whose label is not among the first five.
#
# A program does not give five answers by itself. It gives a number for each class, a *score*, and the five classes with
# the highest scores are its answers. Here are the scores of an imagined program for six pictures and eight classes. Each
# row adds up to 100, as if it distributed its belief.

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
labels = np.array([0, 2, 3, 7, 6, 4])  # what each picture shows

fig, ax = plt.subplots(figsize=(7.5, 3.7), layout="constrained")
ax.imshow(scores, cmap="Blues", vmax=90, aspect="auto")
for picture, kind in np.ndindex(scores.shape):
    fifth = sorted(scores[picture])[-5]
    among_five = scores[picture, kind] >= fifth
    weight = "bold" if among_five else "normal"
    shade = "black" if among_five else "#8a8a8a"
    ax.text(
        kind,
        picture,
        scores[picture, kind],
        ha="center",
        va="center",
        weight=weight,
        color="white" if scores[picture, kind] > 50 else shade,
    )
for picture, label in enumerate(labels):
    place = (label - 0.48, picture - 0.47)
    ax.add_patch(Rectangle(place, 0.96, 0.94, fill=False, ec="#c8500a", lw=3))
ax.set_xticks(range(8), labels=animals)
ax.set_yticks(range(6), labels=[f"picture {n}" for n in range(6)])
ax.set_xlabel("class")
ax.set_title("Scores. Bold: the five highest. Framed: the right class.", size=10)
plt.show()

# %% [markdown]
# Picture by picture, with the answers sorted from the highest score down:

# %%
for picture, label in enumerate(labels):
    ranked = sorted(zip(scores[picture], animals, strict=True), reverse=True)
    answers = [animal for _, animal in ranked[:5]]
    right = animals[label]
    top1 = "right" if answers[0] == right else "wrong"
    top5 = "right" if right in answers else "wrong"
    print(f"{picture} shows a {right:<6} top-1 {top1}, top-5 {top5}:", end=" ")
    print(", ".join(answers))

# %% [markdown]
# Only two of the six first answers are right, so the top-1 error is 4/6. Only picture 3 has its right class not even
# among five: there the horse comes sixth. So the top-5 error is 1/6. The engine counts the same:

# %%
wrong_first, wrong_in_five = count_wrong(scores, labels)
print(f"top-1 error: {wrong_first} of {len(labels)}", end=" ")
print(f"= {wrong_first / len(labels):.1%}")
print(f"top-5 error: {wrong_in_five} of {len(labels)}", end=" ")
print(f"= {wrong_in_five / len(labels):.1%}")

# %% [markdown]
# Nothing is special about five. In general the **top-k error** is the share of pictures whose label is not among the $k$
# classes with the highest scores. As $k$ grows it can only fall, and when $k$ is the number of all classes, it is zero.
# In our table the right classes come in the places 1, 2, 5, 6, 1 and 3:

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
# So a top-5 error must never be compared with a top-1 error, and an error among eight classes not with one among a
# thousand. What somebody gets who merely guesses is for you to find out, in the exercises.
#
# ## Eight years
#
# Here is the best top-5 error of each year, on the test set. (Sources: the contest's result pages, and for the human being
# Russakovsky et al. 2015: one person, who had practised, on 1,500 pictures.)

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
print(f"2012, the second: {ilsvrc.RUNNER_UP_2012} %")

# %% [markdown]
# From 2010 to 2011 the error fell by less than three points. The second of 2012 stands where the winner of 2011 stood.
# Those programs worked in two steps: features of a picture that people had thought up, edges and corners above all; and a
# classifier that learns to tell them apart. AlexNet is the first bar that breaks with this. It learns everything from
# pixels, in one go. From the next year on every winner was a network of its kind; by 2015 the error was below that of the
# human being.
#
# ## Points and percent
#
# "AlexNet won by 10.9 percentage points", says the article whose order these lessons follow, a tutorial on the web. The
# arithmetic is right:

# %%
second, first = ilsvrc.RUNNER_UP_2012, 15.3
print(f"{second} - {first} = {second - first:.1f} points")
print(f"of 1000 pictures, {second * 10:.0f} were wrong and", end=" ")
print(f"{first * 10:.0f} are: {(second - first) * 10:.0f} fewer")

# %% [markdown]
# A *point* is a hundredth of all pictures. Another way to say it: what share of the *mistakes* has gone? Of 262 mistakes,
# 109 have gone. That is called the *relative* improvement. One point less means little at 26 % and a great deal at 3 %;
# the relative improvement tells the two apart. It is the first exercise.
#
# ## Whose number is 15.3?
#
# The 15.3 % are not the error of AlexNet, the network. The paper gives these numbers for the pictures of 2012
# (section 6):
#
# | what | top-1, validation | top-5, validation | top-5, test |
# |---|---|---|---|
# | one network | 40.7 | 18.2 | not given |
# | five networks, their predictions averaged | 38.1 | 16.4 | 16.4 |
# | seven, two of them trained on all of ImageNet before | 36.7 | 15.4 | 15.3 |
# | the runner-up | not given | not given | 26.2 |
#
# So the winning entry is the average of seven networks, and two of them had first learned from
# 15 million pictures instead of 1.2 million. One network alone stands at 18.2 %. Let us see what is whose part:

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
# By far the largest part, 8.0 of the 10.9 points, is due to the one network, and it is this network that we build. (Its
# error is known for the validation set only. The row of five networks shows that the two sets are about equally hard.)
#
# ## Why seven are better than one
#
# Seven networks of the same make, which differ only in the random numbers with which they began, make partly different
# mistakes. Where they are averaged, what they agree on stays, and what each gets wrong by chance cancels out.
#
# A toy shows it. Each "network" scores a hundred classes. The right class gets a lead of 4. A first random number stands
# for what is misleading in the picture itself, the same for all networks; a second one, larger, for each network's own
# errors.

# %%
rng = np.random.default_rng(0)
pictures, classes = 2000, 100
truth = rng.integers(classes, size=pictures)
lead = 4 * np.eye(classes)[truth]  # 4 in the right column of each row
misleading = 1.0 * rng.normal(size=(pictures, classes))
own = 1.5 * rng.normal(size=(7, pictures, classes))
networks = lead + misleading + own  # (7, pictures, classes)

for number in range(3):
    _, wrong = count_wrong(networks[number], truth)
    print(f"network {number} alone: top-5 error {wrong / pictures:.1%}")
toy = []
for count in range(1, 8):
    _, wrong = count_wrong(networks[:count].mean(axis=0), truth)
    toy.append(100 * wrong / pictures)
_, least = count_wrong(lead + misleading, truth)
print(f"mean of five:    {toy[4]:.1f} %")
print(f"mean of seven:   {toy[6]:.1f} %")
print(f"without any errors of their own: {least / pictures:.1%}")

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.plot(range(1, 8), toy, "o-", color="#2a7ab8")
ax.axhline(100 * least / pictures, color="#767676", linestyle="--")
ax.text(1, 100 * least / pictures + 0.7, "what they share", size=9)
ax.set(xlabel="networks averaged", ylabel="top-5 error in %", ylim=(0, None))
ax.set_title("A toy: averaging removes what is not shared", fontsize=10)
plt.show()

# %% [markdown]
# The first few help most. And there is a floor: what all of them get wrong, no average mends. In the toy the networks err
# mostly each for itself, so it gains more than AlexNet did. Real networks that learned from the same pictures share most
# of their mistakes: five of them brought the error from 18.2 to 16.4 %.
#
# ## What was new
#
# The network itself, as the engine counts it (lesson 08 goes through it layer by layer):

# %%
with nn.init.skip_arrays():  # we want to count, not to compute
    network = models.alexnet()
# 227 pixels, and not 224: lesson 02 says why
found = minicnn.summary(network, (1, 3, 227, 227))
layers = [row.name for row in found.rows if row.parameters]
print("layers that learn:", ", ".join(layers))
print(f"numbers to be learned: {found.parameters:,}")
print(f"multiplications for one picture: {found.macs:,}")
per_picture = found.parameters / 1.2e6
print(f"numbers to be learned per training picture: {per_picture:.0f}")

# %% [markdown]
# Five convolutional layers (lesson 02) and three fully connected ones (lesson 07), with 61 million numbers that are found
# by trying to be less wrong, a little at a time, on 1.2 million pictures. That is 51 numbers for each picture. So the
# network could learn the pictures by heart, and much of what the paper brings is there to prevent that:
#
# | what | what the paper says of it | lesson |
# |---|---|---|
# | more layers | without any one of the middle layers, about 2 points more top-1 error (section 7) | 08 |
# | ReLU instead of tanh | a small network learns six times faster (section 3.1) | 03 |
# | two graphics cards, half of the filters on each | 1.7 points less top-1 error than half the network (section 3.2) | 08 |
# | local response normalisation | 1.4 points less top-1 error (section 3.3) | 05 |
# | pooling windows that overlap | 0.4 points less top-1 error (section 3.4) | 04 |
# | augmentation: cut, mirrored, recoloured pictures | prevents learning by heart; colours alone, over 1 point of top-1 error (section 4.1) | 09 |
# | dropout | prevents learning by heart; takes twice as many steps (section 4.2) | 06 |
#
# (The tutorial lists five: depth, ReLU, dropout, normalisation, augmentation. You will see which of them stand the test of
# an experiment, in lesson 10.)
#
# Much of it was not new. Networks of convolutions that learn by the backward walk of lesson 01 read digits in Yann LeCun's
# group from 1989 on; his LeNet-5 is of 1998. What had changed by 2012 was threefold. There were enough labelled pictures.
# There were graphics cards, made for games, on which the multiplications could be done in time: two cards of 3 GB each
# took five to six days (section 1). And there were the remedies of the table.
#
# ## Who
#
# - **Alex Krizhevsky** wrote the program, with its fast convolutions for graphics cards, as a doctoral student in Toronto.
#   The network bears his name, though not in the paper: there it has none.
# - **Ilya Sutskever**, a student in the same group.
# - **Geoffrey Hinton**, who led the group, and had worked on networks since the years when few others did.
#
# Their entry of 2012 was called SuperVision. A few months later Google bought the company that the three had founded.
#
# ## Where we are going
#
# Lessons 01 to 07 build the parts: gradients, convolution, activation, pooling, normalisation, dropout, the loss. Lesson
# 08 puts them together; 09 and 10 train the network; 11 makes it fast; 12 looks inside; and in 13 you find the bugs that
# we have put in.
#
# ## Exercises
#
# ### 1. Relative improvement
#
# `relative_improvement(before, after)` gets two errors, numbers of any unit, and returns the share of the mistakes that
# have gone: 0 if nothing has changed, 1 if none is left. If there are more mistakes than before, it is negative. From an
# error of 40 to one of 30 it is 0.25.


# %%
def relative_improvement(before, after):
    """Return the share of the mistakes that have gone."""
    ### BEGIN SOLUTION
    return (before - after) / before
    ### END SOLUTION


# %%
check.relative_improvement(relative_improvement)

# %% [markdown]
# If you have it: try it on 2012 (26.2 and 15.3), and on the step from 2015 to 2016 (3.57 and 2.99). In points that is 10.9
# and 0.58, nineteen times less. And as a share of the mistakes?
#
# ### 2. Guessing
#
# Somebody does not look at the pictures at all, and names `k` *different* classes of `C` at random. `chance_error(k, C)`
# returns the top-k error to be expected, as a number from 0 to 1. Who may name as many classes as there are, or more, names
# them all. For instance `chance_error(5, 1000)` is 0.995.


# %%
def chance_error(k, C):
    """Return the top-k error of guessing k different classes of C."""
    ### BEGIN SOLUTION
    return max(0.0, 1 - k / C)
    ### END SOLUTION


# %%
check.chance_error(chance_error)

# %% [markdown]
# ### 3. Top-k error
#
# `top_k_error(scores, labels, k)` returns the top-k error as a number from 0 to 1. `scores` is an array of shape (N, C), a
# row for each of N pictures, as in the table above; no two scores in a row are equal. `labels`, shape (N,), holds the
# number of each picture's right class.
#
# `np.argsort(row)` may help. It returns the places of a row's numbers, from the smallest number to the largest:
# `np.argsort([0.2, 0.7, 0.1])` is `[2, 0, 1]`.


# %%
def top_k_error(scores, labels, k):
    """Return the share of pictures whose label is not among the k best."""
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
# `ensemble_choice(probabilities)` gets the predictions of several networks, shape (M, N, C): M networks, N pictures, C
# classes. It returns the class that they choose together for each picture, an array of N whole numbers: the class whose
# probability, averaged over the networks, is the highest.
#
# `np.argmax` returns the place of the largest number; with `axis=...` along an axis.


# %%
def ensemble_choice(probabilities):
    """Return the first choice of M networks together, shape (N,)."""
    ### BEGIN SOLUTION
    return probabilities.mean(axis=0).argmax(axis=1)
    ### END SOLUTION


# %%
check.ensemble_choice(ensemble_choice)
