# %% [markdown]
# # 08 AlexNet, assembled
#
# You know all its parts: convolutions, ReLUs, response normalisation, pools, fully connected layers, dropout. This
# lesson puts them together and follows an image through, from 224x224 pixels to 1000 scores. It counts the parameters,
# the multiplications and the memory for activations, and compares three networks that all go by the same name.
#
# You need lessons 02 to 07. No full-size network is run here: to count, shapes are enough.

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, models, nn
from minicnn import functional as F
from minicnn.data import load_shapes
from minicnn.data.scaling import standardised
from minicnn.lessons import check

# %% [markdown]
# ## The list
#
# AlexNet has eight layers with weights: five convolutions, `conv1` to `conv5`, and three fully connected layers, `fc6`
# to `fc8`. Section 3.5 of the paper gives the filters:
#
# | layer | filters | size | stride | padding | followed by |
# |---|---|---|---|---|---|
# | conv1 | 96 | 11x11 | 4 | 0 | ReLU, normalisation, max pool |
# | conv2 | 256 | 5x5 | 1 | 2 | ReLU, normalisation, max pool |
# | conv3 | 384 | 3x3 | 1 | 1 | ReLU |
# | conv4 | 384 | 3x3 | 1 | 1 | ReLU |
# | conv5 | 256 | 3x3 | 1 | 1 | ReLU, max pool |
# | fc6 | 4096 units | | | | ReLU, dropout |
# | fc7 | 4096 units | | | | ReLU, dropout |
# | fc8 | 1000 units, one for each class | | | | softmax |
#
# All pools are 3x3 with stride 2. (The paper does not state the paddings; they follow from its sizes.)
#
# ## Follow the size
#
# The rule is that of lesson 02. A window of side $k$ moves over maps of side $n$, with $p$ zeros added on each side, in
# steps of $s$. The side of the output is
#
# $$m = \frac{n + 2p - k}{s} + 1$$
#
# rounded down. Layer by layer:

# %%
side = 227
for name, k, s, p in [
    ("conv1", 11, 4, 0),
    ("pool1", 3, 2, 0),
    ("conv2", 5, 1, 2),
    ("pool2", 3, 2, 0),
    ("conv3", 3, 1, 1),
    ("conv4", 3, 1, 1),
    ("conv5", 3, 1, 1),
    ("pool5", 3, 2, 0),
]:
    room = side + 2 * p - k
    print(f"{name}  ({side} + 2*{p} - {k}) / {s} + 1", end=" = ")
    print(f"{room / s + 1:g}")
    side = room // s + 1
print(f"fc6 reads 256 * {side} * {side} = {256 * side * side} numbers")

# %% [markdown]
# Every division comes out even. But we began with 227, and the paper says 224. With 224 the first line would be

# %%
print(f"(224 - 11) / 4 + 1 = {(224 - 11) / 4 + 1}")
print(f"(227 - 11) / 4 + 1 = {(227 - 11) / 4 + 1}")

# %% [markdown]
# 54.25 is not a number of windows. Rounded down it is 54, and all other sizes would change, too. But the paper's maps
# are 55x55. The authors' program shows how: it takes 224 and rounds *up*, so that the last windows overhang the lower
# and the right edge, and reads zeros there. That is the same as adding three rows and three columns of zeros, which
# turns 224 into 227. minicnn does this in the layer called `pad`.
#
# The tutorial that these lessons follow pads to 227 in its text, which is right. Its program forgets it, as you will
# see.
#
# ## minicnn counts them, too
#
# `minicnn.summary` sends a *shape* through a network. It needs no image, and with `skip_arrays` not even weights: each
# layer computes its output shape.

# %%
with nn.init.skip_arrays():
    network = models.alexnet("paper")
paper = minicnn.summary(network, (1, 3, 224, 224))
paper

# %% [markdown]
# *MACs* are multiply-accumulates: a product, added to a sum. *im2col* is the matrix of lesson 02. kB and MB are
# thousands and millions of bytes. The next sections go through the columns of this table. First a figure of it. Each
# box is as high and as deep as its maps, and as wide as their number; the scale is at the bottom.

# %%
paper.draw()

# %% [markdown]
# The maps get smaller and more numerous: from 3 maps of 227x227 to 256 maps of 6x6. *Where* something is gives way to
# *what* it is.
#
# ## Two towers
#
# In 2012 a GPU had 3 GB of memory (section 3.2). The authors took two GPUs and split the network: half of the maps on
# one, half on the other. These halves are the two *towers* (or branches) in the figure, and the table's column "per
# tower". Some layers read only the maps on their own GPU. The orange lines show those that read both.
#
# The weights show it at once. Their shape is (filters, channels that a filter reads, height, width):

# %%
for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
    layer = paper[name].layer
    maps = paper[name].input_shape[1]
    filters, reads, height, width = layer.weight.shape
    print(f"{name}: {filters} filters of {reads}x{height}x{width};", end=" ")
    print(f"there are {maps:3} maps, it reads", end=" ")
    print("all of them" if reads == maps else "half of them")

# %% [markdown]
# A split convolution is one with *groups*. With two groups, the first half of the filters reads the first half of the
# maps, and the second half the second. conv3 has one group: each of its filters reads all 256 maps, so the towers meet
# here. (conv1 reads the image, of which both GPUs have a copy.) The fully connected layers read both towers as well.
#
# Let us check, on AlexNet's small sister for images of 28x28, `alexnet_cifar`. Each layer gets random maps twice. The
# second time, those of tower 2 are changed. Does tower 1 notice?

# %%
minicnn.manual_seed(8)
small = models.alexnet_cifar(groups=2).eval()
rng = np.random.default_rng(8)
small_summary = minicnn.summary(small, (1, 3, 28, 28))
for name in ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7"):
    row = small_summary[name]
    maps = rng.normal(size=row.input_shape).astype(np.float32)
    changed = maps.copy()
    changed[:, maps.shape[1] // 2 :] += 1  # tower 2 is the second half
    one = row.layer(Tensor(maps)).numpy()
    other = row.layer(Tensor(changed)).numpy()
    tower1 = slice(0, one.shape[1] // 2)
    notices = not np.array_equal(one[:, tower1], other[:, tower1])
    print(f"{name}: tower 1 {'notices' if notices else 'does not notice'}")

# %% [markdown]
# So conv2, conv4 and conv5 read only their own tower. fc8 has one output for each class, which belongs to no tower, and
# reads everything.
#
# **A slip in the tutorial.** It follows one branch, gives each of the last three layers 2048 units, and says to double
# the numbers of channels for the whole network. For the numbers of filters that is right. But conv3 and the fully
# connected layers are not two separate halves, since they read both branches. And only fc6 and fc7 have 2048 units in
# each: fc8 has 1000 in all.
#
# It also writes shapes in two layouts: [48, 27, 27] after the first pool, and [13, 13, 128] after the second. The first
# has the channels in front, as here and in PyTorch, the second at the end, as in TensorFlow. Both are in use, but not
# in one list.
#
# ## How many weights?
#
# A convolution has one weight for each filter, each channel that the filter reads, and each place in the window; and
# one bias for each filter. conv2 by hand, with two towers and without:

# %%
split = 256 * 48 * 5 * 5 + 256
whole = 256 * 96 * 5 * 5 + 256
print(f"two towers: 256 * 48 * 5 * 5 + 256 = {split:,}")
print(f"one:        256 * 96 * 5 * 5 + 256 = {whole:,}")
print(f"the table above says {paper['conv2'].parameters:,}")

# %% [markdown]
# Now for all eight layers, and for three networks. *paper* is the one of 2012. *merged* is the same without towers.
# *torchvision* is a later, narrower one (64, 192, 384, 256, 256 filters), which PyTorch's torchvision calls AlexNet.

# %%
with nn.init.skip_arrays():
    merged = minicnn.summary(models.alexnet("merged"), (1, 3, 224, 224))
    zoo = minicnn.summary(models.alexnet("torchvision"), (1, 3, 224, 224))
names = [f"conv{i}" for i in range(1, 6)] + [f"fc{i}" for i in range(6, 9)]
summaries = {"paper": paper, "merged": merged, "torchvision": zoo}
weighty = {
    name: [row for row in summary if row.parameters]
    for name, summary in summaries.items()
}
print("layer" + "".join(f"{name:>14}" for name in summaries))
for number, name in enumerate(names):
    counts = [weighty[which][number].parameters for which in summaries]
    print(f"{name:5}" + "".join(f"{count:>14,}" for count in counts))
totals = [summary.parameters for summary in summaries.values()]
print("total" + "".join(f"{total:>14,}" for total in totals))

# %% [markdown]
# The towers save weights, since in conv2, conv4 and conv5 each filter is only half as deep. In the total that is
# little: nearly everything is in fc6 and fc7.
#
# ## How many multiplications?
#
# In a convolution each weight is used at every place of the output map. So multiply the number of weights, without the
# biases, by the number of places. conv2 has 27x27 places, by the summary. In a fully connected layer each weight is
# used once.

# %%
print(f"conv2: (256 * 48 * 5 * 5) * (27 * 27) = {256 * 48 * 25 * 27**2:,}")
print(f"fc6:   9216 * 4096 = {9216 * 4096:,}")
print()
print("layer" + "".join(f"{name:>16}" for name in summaries))
for number, name in enumerate(names):
    counts = [weighty[which][number].macs for which in summaries]
    print(f"{name:5}" + "".join(f"{count:>16,}" for count in counts))
totals = [summary.macs for summary in summaries.values()]
print("total" + "".join(f"{total:>16,}" for total in totals))

# %% [markdown]
# Weights and work are in different places:

# %%
parameters = np.array([paper[name].parameters for name in names])
macs = np.array([paper[name].macs for name in names])
shares = 100 * parameters / parameters.sum(), 100 * macs / macs.sum()
print(f"convolutions: {shares[0][:5].sum():.1f} % of the weights", end=", ")
print(f"{shares[1][:5].sum():.1f} % of the multiplications")
print(f"fc6 alone:    {shares[0][5]:.1f} % of the weights", end=", ")
print(f"{shares[1][5]:.1f} % of the multiplications")

fig, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
places = np.arange(8)
ax.bar(places - 0.2, shares[0], 0.4, color="#2a7ab8", label="parameters")
ax.bar(places + 0.2, shares[1], 0.4, color="#c8500a", label="multiply-adds")
ax.set_xticks(places, labels=names)
ax.set(xlabel="layer", ylabel="share of the network, %")
ax.set_title("AlexNet: where the weights are, and where the work", fontsize=11)
ax.legend()
plt.show()

# %% [markdown]
# This explains two things. Dropout follows fc6 and fc7, because the layers with most of the weights can memorise most.
# And to make AlexNet fast one must make *convolutions* fast, which lesson 11 does.
#
# Later networks drew the conclusion and left out the large fully connected layers.
#
# ## A slip in the paper
#
# Section 3.5 lists the number of *neurons* (outputs) of each layer, from 253,440 in conv1 on. We check.

# %%
printed = [253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
neurons = [int(np.prod(paper[name].output_shape)) for name in names]
for name, said, count in zip(names, printed, neurons, strict=True):
    remark = "" if said == count else "   <- not the same"
    print(f"{name:5}  paper {said:>8,}  summary {count:>8,}{remark}")
print(f"\nsum, paper: {sum(printed):,};  sum, summary: {sum(neurons):,}")
print(f"55 * 55 * 96 = {55 * 55 * 96:,}")
print(f"55 * 48 * 96 = {55 * 48 * 96:,}")

# %% [markdown]
# Seven of eight agree. The first should be 290,400. The printed number would fit maps of 55x48, which appear nowhere
# else in the paper; perhaps the 48 maps of one tower were taken for a side. The abstract's round 650,000 neurons are
# closer to our sum than to that of the printed numbers.
#
# ## The tutorial's network beside it
#
# The tutorial ends with a Keras program that it calls AlexNet. minicnn has it as `alexnet("article")`.

# %%
with nn.init.skip_arrays():
    article = minicnn.summary(models.alexnet("article"), (1, 3, 224, 224))
print("layer   paper        article")
for name in ("conv1", "pool1", "conv2", "pool2", "conv5", "pool5"):
    shapes = [summary[name].output_shape[1:] for summary in (paper, article)]
    texts = ["x".join(map(str, shape)) for shape in shapes]
    print(f"{name}   {texts[0]:<11}  {texts[1]}")
print(f"\nparameters    {paper.parameters:>13,}  {article.parameters:>13,}")
print(f"multiply-adds {paper.macs:>13,}  {article.macs:>13,}")
for warning in article.warnings:
    print("warning:", warning)

# %% [markdown]
# It takes 224 without padding, and rounds down. So its maps are 54, 26, 12 and 6 wide where the paper's are 55, 27, 13
# and 6. The last size agrees only thanks to another difference: its last pool is 2x2. A pool of 3x3 would leave 5x5,
# and fc6 would have fewer weights:

# %%
print("side after a 3x3 pool:", (12 - 3) // 2 + 1)
print(f"fc6 would have {256 * 5 * 5 * 4096 + 4096:,} parameters", end=" ")
print(f"instead of {article['fc6'].parameters:,}")
same = article.parameters == merged.parameters
print("as many parameters as the merged network:", same)

# %% [markdown]
# So the tutorial's network has exactly as many parameters as the merged one: 62,378,344. But it has no towers, no
# response normalisation, other sizes and another last pool. "AlexNet has 62 million parameters" is a sentence about
# networks like these. The paper's has 60,965,224.
#
# ## Memory
#
# In the backward pass, most layers need their inputs from the forward pass (lesson 01). So in training all activations
# stay in memory, for all images of a batch. The paper's batch has 128 images, and a float takes 4 bytes. For each
# weight there are two more numbers: its gradient, and one that the optimiser keeps from step to step (lesson 10 says
# why).

# %%
one = paper.activation_bytes
batch = 128 * one
weights = 4 * paper.parameters
print(f"activations of one image: {one / 1e6:6.1f} MB")
print(f"activations of a batch:     {batch / 1e6:6.1f} MB")
print(f"weights:                    {weights / 1e6:6.1f} MB")
print(f"two more for each weight: {2 * weights / 1e6:6.1f} MB")
print(f"total: {(batch + 3 * weights) / 1e9:.2f} GB")
columns = 128 * paper["conv2"].im2col_bytes
print(f"the im2col matrix of conv2: {columns / 1e9:.2f} GB")

kept = [row for row in paper if row.activation_bytes]
fig, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
colours = ["#c8500a" if "conv" in r.name else "#2a7ab8" for r in kept]
sizes = [128 * row.activation_bytes / 1e6 for row in kept]
ax.bar([row.name for row in kept], sizes, color=colours)
ax.set(xlabel="layer (orange: convolutions)", ylabel="MB for 128 images")
ax.set_title("Memory for the activations of a batch", fontsize=11)
ax.tick_params(axis="x", rotation=60)
plt.show()

# %% [markdown]
# On top of that come the gradients of the activations (freed as the backward pass proceeds), the next batch of images,
# and the workspace of the convolutions. The im2col matrix of conv2 for a whole batch would take nearly another
# gigabyte. A GPU of 3 GB is soon full: that is the authors' reason for taking two (section 3.2).
#
# Note the first bars: most memory goes where the maps are large, at the front. There, each layer without weights (ReLU,
# normalisation) costs as much memory as the convolution before it.
#
# ## An image goes through
#
# The small sister has all of AlexNet's layers in the same order, with smaller filters. Its weights are still random. We
# give it one image of a drawn shape; `minicnn.trace` records every step.

# %%
data = load_shapes(train=200, test=10)
images, _ = standardised(data.train_images, data.test_images)
image = images[:1, :, 2:30, 2:30]  # the centre, 28x28
with minicnn.trace() as trace:
    scores = small(Tensor(image))
trace

# %% [markdown]
# Two of these steps as cards. The first is conv2, with two groups: its weight has the shape (96, 24, 3, 3), although
# there are 48 maps. The second is the normalisation after conv1, from lesson 05. Note that the *normalisation* ignores
# the towers: at the border between them its window of five channels reads a little of both, in minicnn as in Caffe.

# %%
conv2 = next(s for s in trace.forward_steps() if s.layer == "conv2")
conv2

# %%
print(f"1e-4 * 60^2 = {1e-4 * 60**2:.2f}")
print(f"these pixels' standard deviation: {data.train_images.std():.0f}")
next(s for s in trace.forward_steps() if s.layer == "norm1")

# %% [markdown]
# The card says a = 0.36, and $a$ is what lesson 05 called $\alpha$. The paper's $10^{-4}$ is for pixels of 0 to 255.
# This network reads standardised pixels. These are divided by their standard deviation (lesson 03), which is some 60
# grey levels for photographs, and a little more for our shapes. So their squares are $60^2$ times smaller, and $\alpha$
# is $60^2$ times larger.
#
# At the end there are ten scores, which the softmax of lesson 07 turns into probabilities:

# %%
likely = F.softmax(scores, 1).numpy()[0]
print("the image shows:", data.classes[data.train_labels[0]])
for name, share in zip(data.classes, likely, strict=True):
    print(f"{name:<9} {100 * share:5.1f} %")
print(f"guessing: {100 / 10:.1f} % each")

# %% [markdown]
# An untrained network has no opinion. Lessons 09 and 10 give it one.
#
# ## Exercises
#
# ### 1. Parameters
#
# `alexnet_conv_parameters(in_channels, out_channels, kernel, groups)` returns how many parameters (weights and biases)
# a convolution has. All four are integers; `kernel` is the side of the square window, and `groups` divides both numbers
# of channels. The answer is an integer.


# %%
def alexnet_conv_parameters(in_channels, out_channels, kernel, groups):
    """Return the number of weights and biases of a convolution."""
    ### BEGIN SOLUTION
    reads = in_channels // groups
    return out_channels * reads * kernel * kernel + out_channels
    ### END SOLUTION


# %%
check.alexnet_conv_parameters(alexnet_conv_parameters)

# %% [markdown]
# ### 2. The sizes
#
# `alexnet_walk(side, layers)` follows the side of square maps through a network. `side` is that of the image, and
# `layers` is a list of `(kernel, stride, padding)`, one for each convolution or pool. Return a list of integers: the
# side after each layer. Sizes that do not come out even are rounded down.
#
# For instance `alexnet_walk(10, [(3, 1, 0), (2, 2, 0)])` is `[8, 4]`.


# %%
def alexnet_walk(side, layers):
    """Return the side of the maps after each layer, a list."""
    ### BEGIN SOLUTION
    sides = []
    for kernel, stride, padding in layers:
        side = (side + 2 * padding - kernel) // stride + 1
        sides.append(side)
    return sides
    ### END SOLUTION


# %%
check.alexnet_walk(alexnet_walk)

# %% [markdown]
# ### 3. Multiply-adds
#
# `alexnet_conv_macs(side, in_channels, out_channels, kernel, stride, padding, groups)` returns the number of
# multiply-adds of a convolution for one square image, without the biases. `side` is that of its *input*.


# %%
def alexnet_conv_macs(side, in_channels, out_channels, kernel, stride, padding, groups):
    """Return the number of multiply-adds for one image."""
    ### BEGIN SOLUTION
    places = ((side + 2 * padding - kernel) // stride + 1) ** 2
    return out_channels * (in_channels // groups) * kernel**2 * places
    ### END SOLUTION


# %%
check.alexnet_conv_macs(alexnet_conv_macs)

# %% [markdown]
# ### 4. Which layers see both towers?
#
# `alexnet_meeting_layers()` takes no arguments and returns a tuple of names: the layers of the paper's network in which
# one unit reads maps or units of *both* towers. Choose from conv2, conv3, conv4, conv5, fc6, fc7 and fc8, in this
# order.


# %%
def alexnet_meeting_layers():
    """Return the names of the layers that read both towers, a tuple."""
    ### BEGIN SOLUTION
    return ("conv3", "fc6", "fc7", "fc8")
    ### END SOLUTION


# %%
check.alexnet_meeting_layers(alexnet_meeting_layers)
