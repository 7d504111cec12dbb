"""AlexNet as in the paper, layer by layer, with a plain training loop: python examples/alexnet.py [STEPS [SIZE]]

It learns to name drawn shapes, at a SIZE of 64 pixels instead of the paper's 224. Krizhevsky et al. 2012, section 3.5.
"""

import sys

import numpy as np

import minicnn
from minicnn import functional as F
from minicnn import nn, optim
from minicnn.data import DataLoader, load_shapes, transforms

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SIZE = int(sys.argv[2]) if len(sys.argv) > 2 else 64
SIDE = ((SIZE // 4 - 1) // 2 - 1) // 4  # of the last feature maps: 6 for 224, 1 for 64
minicnn.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 96, 11, stride=4, padding=2),
    nn.ReLU(),
    nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),  # alpha is 1e-4 for each of 5 channels
    nn.MaxPool2d(3, 2),
    nn.Conv2d(96, 256, 5, padding=2, groups=2),  # two towers, one on each of the paper's GPUs
    nn.ReLU(),
    nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
    nn.MaxPool2d(3, 2),
    nn.Conv2d(256, 384, 3, padding=1),  # reads both towers
    nn.ReLU(),
    nn.Conv2d(384, 384, 3, padding=1, groups=2),
    nn.ReLU(),
    nn.Conv2d(384, 256, 3, padding=1, groups=2),
    nn.ReLU(),
    nn.MaxPool2d(3, 2),
    nn.Flatten(),
    nn.Dropout(0.5),
    nn.Linear(256 * SIDE * SIDE, 4096),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(4096, 4096),
    nn.ReLU(),
    nn.Linear(4096, 10),
)
for name, parameter in model.named_parameters():  # with the paper's N(0, 0.01), a few steps would change nothing
    (nn.init.kaiming_normal_ if "weight" in name else nn.init.zeros_)(parameter)

prepare = transforms.Compose([transforms.Resize(SIZE), transforms.ToTensor(), transforms.Normalize([0.5], [0.25])])
shapes = load_shapes(train=STEPS * 32, test=500)
optimizer = optim.SGD(model.parameters(), lr=0.003, momentum=0.9, weight_decay=0.0005)
for step, (images, labels) in enumerate(DataLoader(shapes.train_set(prepare), 32, shuffle=True), start=1):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss:.3f}")

model.eval()
right = [model(images).argmax(1) == labels for images, labels in DataLoader(shapes.test_set(prepare), 100)]
print(f"accuracy on new images: {100 * np.mean(right):.1f} % (by chance: 10 %)")
