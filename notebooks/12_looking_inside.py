# %% [markdown]
# # 12 Looking inside
#
# A network has been trained, and it works reasonably well. What has it learned? This lesson looks at everything that
# can be looked at: the filters, the feature maps of an image, the images that a channel responds to most, the pixels
# that a decision depends on, the errors, and the effect of a single training step.
#
# You need lessons 02 to 07, and lesson 10 for the terms of training. All computations here are small.

# %% tags=["setup"]
# %matplotlib inline
import matplotlib.pyplot as plt
import minicnn
import numpy as np
from minicnn import Tensor, nn, optim, viz
from minicnn import functional as F
from minicnn.data import Loader, Preparation, load_shapes
from minicnn.lessons import check
from minicnn.lessons.browser import training_epochs
from minicnn.training import train_epoch

# %% [markdown]
# ## A network to look at
#
# We need a trained network. This one has four layers with weights, and is trained for a few seconds on drawn shapes of
# ten classes. (The optimiser is Adam, which for such short runs needs less tuning than SGD.)

# %% tags=["heavy"]
data = load_shapes(train=1500, test=500)
preparation = Preparation.fit(data.train_images, crop=28)
minicnn.manual_seed(12)
network = nn.Sequential(
    {
        "conv1": nn.Conv2d(3, 16, 5, padding=2),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(3, stride=2),
        "conv2": nn.Conv2d(16, 24, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(3, stride=2),
        "conv3": nn.Conv2d(24, 32, 3, padding=1),
        "relu3": nn.ReLU(),
        "pool3": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(32 * 3 * 3, 10),
    }
)
for parameter in network.parameters():
    if parameter.ndim > 1:
        nn.init.kaiming_normal_(parameter)
    else:
        nn.init.zeros_(parameter)
before = network.conv1.weight.numpy().copy()

optimizer = optim.Adam(network.parameters(), lr=0.003)
loader = Loader(
    data.train_images,
    data.train_labels,
    batch_size=32,
    transform=preparation.augmented(),
)
for epoch in range(1, 1 + training_epochs(9, in_browser=3)):
    progress = train_epoch(network, optimizer, loader, epoch=epoch)
    if epoch % 3 == 0:
        print(f"epoch {epoch}: training error", end=" ")
        print(f"{100 * progress.error:.1f} %")
network.eval()
test = preparation.prepare(data.test_images)  # (500, 3, 28, 28)
with minicnn.no_grad():
    scores = network(Tensor(test)).numpy()
answers = scores.argmax(axis=1)
wrong = 100 * np.mean(answers != data.test_labels)
print(f"test error: {wrong:.1f} % (guessing: 90 %)")

# %% [markdown]
# ## Filters
#
# A filter of the first layer can be drawn as an image: it has three channels, like an image. But its weights are
# positive and negative, and colours are numbers from 0 to 1. So they must be scaled, and the way matters. Take three
# weights:

# %%
weights = np.array([-1.0, 0.0, 3.0])
smallest, largest = weights.min(), weights.max()
by_ends = (weights - smallest) / (largest - smallest)
by_zero = 0.5 + 0.5 * weights / np.abs(weights).max()
print("weights:                        ", weights)
print("from smallest to largest:       ", by_ends.round(3))
print("symmetric about zero:           ", by_zero.round(3))

# %% [markdown]
# In the first way the weight 0 becomes 0.25, a dark grey, and in the next filter something else. In the second it is
# always 0.5, medium grey, so that one sees at a glance what is positive and what is negative. `viz.draw_filters` does
# the second, separately for each filter. Before and after training:

# %% tags=["heavy"]
viz.draw_filters(before, title="conv1, before training: random numbers")

# %% tags=["heavy"]
after = network.conv1.weight.numpy().copy()
viz.draw_filters(after, title="conv1, after training")

# %% [markdown]
# There is hardly a visible difference: nine passes through 1500 images are few, and most of the initial noise is still
# there. But the noise is known. We subtract it to see what training has added. Is that noise, too? In noise,
# neighbouring weights are independent. We multiply each weight by its right neighbour and by its lower neighbour, take
# the mean, and divide by the mean square: this *autocorrelation* is about 0 for noise, and near 1 where neighbours are
# alike.


# %% tags=["heavy"]
def autocorrelation(filters):
    """Return how similar neighbouring weights are, from -1 to 1."""
    beside = filters[..., :, 1:] * filters[..., :, :-1]
    below = filters[..., 1:, :] * filters[..., :-1, :]
    return (beside.mean() + below.mean()) / 2 / np.mean(filters**2)


print(f"before {autocorrelation(before):.2f}", end=", ")
print(f"after {autocorrelation(after):.2f}", end=", ")
print(f"difference {autocorrelation(after - before):.2f}")
viz.draw_filters(after - before, title="conv1, difference: after minus before")

# %% [markdown]
# The difference is smooth: light and dark halves (edges, at some angle), blobs, and pairs of opposite colours. In the
# paper's Figure 3 the filters show nothing else, after ninety passes through 1.2 million images.
#
# How far has each filter moved? We compare the norm of the change with the norm of the initial filter. (The norm of an
# array is the root of the sum of its squares.)

# %% tags=["heavy"]
axes123 = (1, 2, 3)
norm = np.sqrt(np.sum(before**2, axis=axes123))
change = np.sqrt(np.sum((after - before) ** 2, axis=axes123))
fig, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
ax.bar(range(16), change / norm, color="#2a7ab8")
ax.set(xlabel="filter of conv1", ylabel="change / norm")
ax.set_xticks(range(16))
ax.set_title("How far the filters have moved", fontsize=10)
plt.show()
print(f"least {np.min(change / norm):.2f},", end=" ")
print(f"most {np.max(change / norm):.2f}")

# %% [markdown]
# Filters of later layers cannot be drawn as colours: one of conv2 reads 16 channels. To see what they do, look at their
# output.
#
# ## Feature maps
#
# Each layer turns an image into maps. `viz.feature_maps` collects them, `viz.draw_features` draws the strongest of each
# layer.

# %% tags=["heavy"]
right = np.flatnonzero((answers == data.test_labels) & (answers == 5))
chosen = int(right[0])  # a star, correctly classified
seen = data.test_images[chosen][:, 2:30, 2:30].transpose(1, 2, 0)
layers = viz.feature_maps(network, test[chosen])
viz.draw_features(layers, seen, maps=12, outputs=data.classes)

# %% [markdown]
# Read it from top to bottom. The maps of conv1 still look like the image: some are strong along edges, some at a
# certain colour. After each ReLU (relu1) only one sign is left. Pools make the maps smaller and coarser. In relu3 there
# are a few bright places on a dark background: *something is there*. The last row is the ten scores.
#
# ## How many units are active?
#
# After a ReLU a unit is *active* if its number is above zero. We run all 500 test images, and count.

# %% tags=["heavy"]
with minicnn.no_grad():
    value = Tensor(test)
    outputs = {}
    for name, layer in network.named_children():
        value = layer(value)
        outputs[name] = value.numpy()
for name in ("relu1", "relu2", "relu3"):
    maps = outputs[name]
    active = np.mean(maps > 0, axis=(0, 2, 3))  # one number per channel
    print(f"{name}: {100 * np.mean(maps > 0):4.1f} % active;", end=" ")
    print(f"by channel {100 * active.min():.1f} to", end=" ")
    print(f"{100 * active.max():.1f} %;", end=" ")
    print(f"never active: {np.sum(active == 0)} channels")

# %% [markdown]
# Only a part of the units responds to any one image (*sparsity*). (A channel that is never active would be *dead*: no
# gradient flows through it, as lesson 03 has shown.)
#
# Are the channels of the last convolution related to the classes? For each class we average each channel's strongest
# response to its images.

# %% tags=["heavy"]
strongest = outputs["relu3"].max(axis=(2, 3))  # (500, 32)
by_class = np.array([strongest[data.test_labels == k].mean(axis=0) for k in range(10)])
by_class /= np.maximum(by_class.max(axis=0), 1e-9)
order = np.argsort(by_class.argmax(axis=0), kind="stable")
fig, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
shown = ax.imshow(by_class[:, order], cmap="viridis", aspect="auto")
ax.set_yticks(range(10), labels=data.classes)
ax.set_xticks(range(32), labels=order, fontsize=7)
ax.set_xlabel("channel of conv3, sorted by its preferred class")
ax.set_title("Mean strongest response; 1 is the channel's preferred class")
fig.colorbar(shown, label="relative to the preferred class")
plt.show()

# %% [markdown]
# No channel belongs to one class alone. Most have several, and a class is identified by a combination of channels: that
# is what the last layer does.
#
# ## What a unit sees
#
# A number in conv1 depends on 5x5 pixels: its filter's window. A number in pool1 depends on 3x3 numbers of conv1. How
# many pixels is that? Neighbouring windows of conv1 are one pixel apart, so three of them in a row span
# $5 + 2 \cdot 1 = 7$ pixels. Two neighbours in pool1, whose stride is 2, are two pixels apart. So three numbers in a
# row in pool1, which conv2 reads, span $7 + 2 \cdot 2 = 11$ pixels.
#
# This square is called the *receptive field* of a unit. minicnn computes it from a trace:

# %% tags=["heavy"]
with minicnn.trace() as trace:
    network(Tensor(test[chosen : chosen + 1]))
for record in trace.records:
    field = viz.receptive_field(record)
    if record.layer[:4] in ("conv", "pool") and field:
        print(f"{record.layer}: receptive field {field.size[0]:2}", end=" ")
        print(f"pixels wide, neighbours {field.step[0]} apart")

# %% [markdown]
# A unit of conv3 sees nearly the whole image of 28x28, one of conv1 next to nothing. That is why only deep layers can
# recognise shapes.
#
# With this we can ask what a channel responds to most. We find the place in all 500 images with a channel's strongest
# response, and crop its receptive field. For channels of conv2, 11x11 pixels:

# %% tags=["heavy"]
field = next(viz.receptive_field(r) for r in trace.records if r.layer == "conv2")
crops = data.test_images[:, :, 2:30, 2:30]
padded = np.pad(crops, ((0, 0), (0, 0), (16, 16), (16, 16)))
maps = outputs["relu2"]
strong = np.argsort(-maps.max(axis=(0, 2, 3)))[:5]  # five strong channels
fig, axes = plt.subplots(5, 9, figsize=(9, 5.2), layout="constrained")
for line, channel in zip(axes, strong, strict=True):
    best = maps[:, channel].max(axis=(1, 2))
    for ax, n in zip(line, np.argsort(-best)[:9], strict=True):
        h, w = np.unravel_index(maps[n, channel].argmax(), maps.shape[2:])
        top = 16 + field.start[0] + h * field.step[0]
        left = 16 + field.start[1] + w * field.step[1]
        size = field.size[0]
        patch = padded[n, :, top : top + size, left : left + size]
        ax.imshow(patch.transpose(1, 2, 0))
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_ylabel(f"channel {channel}", fontsize=8)
fig.suptitle("Strongest responses of five channels of conv2, nine images each")
plt.show()

# %% [markdown]
# The patches of a row have something in common: a colour, an edge at a certain angle, a corner, a stripe. (Black
# margins are outside the image.) That is what the channel has learned to detect. No one has told it to.
#
# ## Images that the network finds similar
#
# Two images are close if their arrays are: we take the norm of the difference. One can do that with the pixels, or with
# the 288 numbers after pool3, from which the last layer computes its scores (the paper does so with fc7, section 6.1).


# %% tags=["heavy"]
def nearest(vectors):
    """Return for each vector the others, the nearest first."""
    squares = np.sum(vectors**2, axis=1)
    distances = squares[:, None] + squares - 2 * vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)


vectors = {
    "pixels": test.reshape(500, -1).astype(float),
    "pool3": outputs["flatten"].astype(float),
}
neighbours = {name: nearest(array) for name, array in vectors.items()}
labels = data.test_labels
for name, found in neighbours.items():
    same = np.mean(labels[found[:, 0]] == labels)
    print(f"{name:<7} nearest image of the same class:", end=" ")
    print(f"{100 * same:.0f} %")

queries = [int(np.flatnonzero(labels == k)[1]) for k in (2, 5, 6)]
fig, axes = plt.subplots(3, 9, figsize=(9, 3.5), layout="constrained")
for line, n in zip(axes, queries, strict=True):
    row = [n, *neighbours["pixels"][n][:4], *neighbours["pool3"][n][:4]]
    for ax, m in zip(line, row, strict=True):
        ax.imshow(crops[m].transpose(1, 2, 0))
        ax.set_title(data.classes[labels[m]], fontsize=8)
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_ylabel("query", fontsize=8)
    line[1].set_ylabel("by pixels", fontsize=8)
    line[5].set_ylabel("by pool3", fontsize=8)
plt.show()

# %% [markdown]
# By pixels, images with similar *colours* are close. By pool3, more often images with similar *shapes*, whatever their
# colours. The network has learned what to ignore.
#
# ## What the decision depends on
#
# The score of a class depends on every pixel. If a pixel changes a little, how much does the score change? That is a
# derivative, and minicnn computes derivatives. In training we ask for those with respect to the weights. Here we ask
# for those with respect to the *image*:

# %% tags=["heavy"]
image = Tensor(test[chosen : chosen + 1], requires_grad=True)
one = np.zeros((1, 10), np.float32)
one[0, 5] = 1  # the score of "star" only
network(image).backward(one)
gradient = image.grad[0]  # (3, 28, 28)
print("gradient of the image:", gradient.shape)

place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
step = 0.01
changed = [test[chosen].copy(), test[chosen].copy()]
changed[0][place] += step
changed[1][place] -= step
with minicnn.no_grad():
    up, down = network(Tensor(np.stack(changed))).numpy()[:, 5]
print(f"strongest pixel, by backward:    {gradient[place]:.3f}")
print(f"central difference of the score: {(up - down) / (2 * step):.3f}")

# %% [markdown]
# The largest absolute value of a pixel's three colours makes a *saliency map*, drawn by `viz.gradient_saliency`. A
# second way needs no derivative: cover a part of the image with a grey square, and see how much less likely the class
# becomes (`viz.occlusion_saliency`).

# %% tags=["heavy"]
probability = F.softmax(Tensor(scores[chosen]), dim=0).numpy()[5]
print(f"the network gives the star {100 * probability:.0f} %")
viz.draw_saliency(
    seen,
    viz.gradient_saliency(network, test[chosen], 5),
    viz.occlusion_saliency(network, test[chosen], 5),
    "Saliency for the class star",
)

# %% [markdown]
# The gradient is strong where a small change would matter most: at the star, and as much at the bright disc beside it.
# A saliency map does not say whether that counts for the star or against it. It is spotty, since it describes tiny
# changes of single pixels. Occlusion is coarser, and closer to what one means by "it needs this part". Red are parts
# whose covering lowers the probability, here points of the star. Blue are parts whose covering raises it: around the
# disc. The network has reason to be uncertain.
#
# ## Where it goes wrong
#
# A *confusion matrix* has a row for each class and a column for each prediction.

# %% tags=["heavy"]
matrix = viz.confusion_matrix(labels, answers, 10)
errors = matrix - np.diag(np.diag(matrix))
worst = np.argsort(-errors, axis=None, kind="stable")[:3]
for i, j in zip(*np.unravel_index(worst, errors.shape), strict=True):
    print(f"{errors[i, j]} times {data.classes[i]}", end=" ")
    print(f"is classified as {data.classes[j]}")
viz.draw_confusion(matrix, data.classes, "Confusion matrix, in percent")

# %% [markdown]
# The diagonal is what is right. The other entries say more than the error rate: which classes look alike to the
# network. Figures are mostly confused with other figures, and textures with textures.
#
# ## One training step
#
# Now we watch one step: 64 new images, one forward pass, one backward pass, one step of SGD with a learning rate of
# 0.001 and nothing else. What changes, and by how much?

# %% tags=["heavy"]
images, targets = test[:64], labels[:64]


def loss_now():
    with minicnn.no_grad():
        return F.cross_entropy(network(Tensor(images)), targets).item()


network.zero_grad()
loss = F.cross_entropy(network(Tensor(images)), targets)
loss.backward()
start = {name: p.numpy().copy() for name, p in network.named_parameters()}
grads = {name: p.grad.copy() for name, p in network.named_parameters()}
optim.SGD(network.parameters(), lr=0.001).step()

print("                  norm   gradient   change, per million")
for name, p in network.named_parameters():
    if name.endswith("weight"):
        size = np.linalg.norm(start[name])
        slope = np.linalg.norm(grads[name])
        moved = np.linalg.norm(p.numpy() - start[name])
        print(f"{name:<14} {size:7.3f} {slope:10.3f}", end=" ")
        print(f"{1e6 * moved / size:12.0f}")
print(f"loss before {loss.item():.4f}, after {loss_now():.4f}")

# %% [markdown]
# Each weight array has moved by less than a hundredth of its norm, and the loss has fallen a little. How much should it
# have fallen? A weight with the gradient $g$ moves by $-\epsilon g$, where $\epsilon$ is the learning rate. For a small
# step the loss changes by the gradient times the move, summed over all weights:
#
# $$\Delta L \approx \sum_w g_w \cdot (-\epsilon\, g_w) = -\epsilon \sum_w g_w^2$$
#
# That is a prediction. We test it with steps of several sizes, each from the same start.

# %% tags=["heavy"]
squares = sum(float(np.sum(g.astype(float) ** 2)) for g in grads.values())
rates = [0.0001, 0.001, 0.01, 0.03, 0.1, 0.3]
predicted, measured = [], []
for rate in rates:
    for name, p in network.named_parameters():
        p.data[...] = start[name] - rate * grads[name]
    predicted.append(-rate * squares)
    measured.append(loss_now() - loss.item())
    print(f"rate {rate:<6}  predicted {predicted[-1]:9.5f}", end="  ")
    print(f"measured {measured[-1]:9.5f}")
for name, p in network.named_parameters():
    p.data[...] = start[name]  # restore the weights

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.set_xscale("log")
ax.set_yscale("symlog", linthresh=0.001)  # logarithmic both ways from 0
ax.plot(rates, predicted, "--", color="#767676", label="predicted")
ax.plot(rates, measured, "o-", color="#c8500a", label="measured")
ax.axhline(0, color="#767676", linewidth=0.8)
ax.set(xlabel="learning rate", ylabel="change of the loss", ylim=(-30, 100))
ax.set_title("One step of SGD: predicted and measured change of the loss")
ax.legend()
plt.show()

# %% [markdown]
# (Both axes are logarithmic; upwards the loss grows, downwards it falls.) For small steps the two agree: the gradient
# describes the loss nearby. For large ones the measured loss departs from the prediction and finally rises: the step
# has gone far across the valley to the other side. This is what "the learning rate is too large" means.
#
# ## Step by step
#
# Finally, everything at once: one image forward through all layers and back again, with the input, the output and the
# gradient of each step. Click through it. (`minicnn walk` writes such a page from the command line.)

# %% tags=["heavy"]
with minicnn.trace() as trace:
    loss = F.cross_entropy(network(Tensor(test[chosen : chosen + 1])), [5])
minicnn.step_through(loss, np.ascontiguousarray(seen), data.classes, widgets=False)

# %% [markdown]
# ## Exercises
#
# ### 1. A saliency map
#
# `look_saliency(gradients)` gets the gradients of a score with respect to the pixels of several images, shape (N, 3, H,
# W). Return the saliency maps, shape (N, H, W): for each pixel the largest *absolute value* of its three colours.


# %%
def look_saliency(gradients):
    """Return maps (N, H, W) from gradients (N, 3, H, W)."""
    ### BEGIN SOLUTION
    return np.abs(gradients).max(axis=1)
    ### END SOLUTION


# %%
check.look_saliency(look_saliency)

# %% [markdown]
# ### 2. Filters as images
#
# `look_scale(filters)` gets filters of shape (F, 3, KH, KW). Return an array of the same shape with numbers from 0 to
# 1, as `draw_filters` needs it: a weight of zero becomes 0.5, and each filter is scaled separately so that its largest
# weight, of either sign, becomes 0 or 1. A filter of zeros becomes grey, 0.5 everywhere.


# %%
def look_scale(filters):
    """Return the filters, (F, 3, KH, KW), scaled to 0 to 1."""
    ### BEGIN SOLUTION
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    largest[largest == 0] = 1
    return 0.5 + 0.5 * filters / largest
    ### END SOLUTION


# %%
check.look_scale(look_scale)

# %% [markdown]
# ### 3. The receptive field
#
# `look_receptive_field(layers)` gets a list of `(kernel, stride)`, one for each convolution or pool from the first to
# the last. Return how many pixels a unit of the last layer sees in one direction, an integer. For instance
# `look_receptive_field([(5, 1), (3, 2), (3, 1)])` is 11, as in the text above. (Padding does not matter for it.)


# %%
def look_receptive_field(layers):
    """Return the side of the receptive field after the last layer."""
    ### BEGIN SOLUTION
    side, apart = 1, 1
    for kernel, stride in layers:
        side += (kernel - 1) * apart
        apart *= stride
    return side
    ### END SOLUTION


# %%
check.look_receptive_field(look_receptive_field)

# %% [markdown]
# ### 4. Dead channels
#
# `look_dead(maps)` gets the output of a ReLU for many images, shape (N, C, H, W). Return a tuple: an array of shape
# (C,) with the share (0 to 1) of each channel's numbers that are active, that is, above zero; and the number of dead
# channels, which are never active, as an integer.


# %%
def look_dead(maps):
    """Return (share of active numbers by channel, dead channels)."""
    ### BEGIN SOLUTION
    shares = np.mean(maps > 0, axis=(0, 2, 3))
    return shares, int(np.sum(shares == 0))
    ### END SOLUTION


# %%
check.look_dead(look_dead)
