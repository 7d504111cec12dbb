"""A small residual network with batch normalisation learns drawn shapes: python examples/small_resnet.py [EPOCHS]

A block computes a correction to its input, x + f(x), so that the gradient has a way around f. He et al. 2016, "Deep
residual learning for image recognition"; Ioffe and Szegedy 2015, "Batch normalization".
"""

import sys

import numpy as np

import minicnn
from minicnn import functional as F
from minicnn import nn, optim
from minicnn.data import DataLoader, load_shapes, transforms

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 8


class Block(nn.Module):
    """Two convolutions and the way around them; with a stride of 2, both halve the image."""

    def __init__(self, channels_in, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.around = nn.Sequential()  # nothing: x itself
        if stride != 1 or channels_in != channels:
            self.around = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)

    def forward(self, x):
        correction = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.around(x) + correction)


minicnn.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    Block(16, 16),
    Block(16, 32, stride=2),
    Block(32, 64, stride=2),
    nn.AvgPool2d(4),
    nn.Flatten(),
    nn.Linear(64, 10),
)

shapes = load_shapes(train=2000, test=500)
normalise = [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))]
augment = [transforms.RandomCrop(32, padding=2), transforms.RandomHorizontalFlip()]
train = DataLoader(shapes.train_set(transforms.Compose(augment + normalise)), batch_size=50, shuffle=True)
test = DataLoader(shapes.test_set(transforms.Compose(normalise)), batch_size=100)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.0005)

for epoch in range(1, EPOCHS + 1):
    model.train()
    for images, labels in train:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with minicnn.no_grad():
        right = [model(images).argmax(1) == labels for images, labels in test]
    print(f"epoch {epoch}: loss {loss:.3f}, accuracy on new images: {100 * np.mean(right):.1f} % (by chance: 10 %)")
