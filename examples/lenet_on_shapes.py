"""LeNet-5, a network of 1998, learns to name drawn shapes: python examples/lenet_on_shapes.py [EPOCHS]

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section 2.B.
"""

import sys

import numpy as np

import minicnn
from minicnn import functional as F
from minicnn import nn, optim
from minicnn.data import DataLoader, load_shapes, random_split, transforms

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 10


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 6, 5)  # 32x32 to 28x28; the paper's images were grey
        self.c3 = nn.Conv2d(6, 16, 5)  # 14x14 to 10x10
        self.c5 = nn.Linear(16 * 5 * 5, 120)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, 10)

    def forward(self, x):
        x = F.avg_pool2d(F.tanh(self.c1(x)), 2)
        x = F.avg_pool2d(F.tanh(self.c3(x)), 2)
        x = F.tanh(self.c5(x.flatten(1)))
        return self.output(F.tanh(self.f6(x)))


def accuracy(model, dataset):
    model.eval()
    with minicnn.no_grad():
        right = [model(images).argmax(1) == labels for images, labels in DataLoader(dataset, batch_size=100)]
    model.train()
    return 100 * np.mean(right)


minicnn.manual_seed(0)
shapes = load_shapes(train=3000, test=500)
prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))])
train, validation = random_split(shapes.train_set(prepare), [0.9, 0.1])
model = LeNet()
optimizer = optim.Adam(model.parameters(), lr=0.002)

for epoch in range(1, EPOCHS + 1):
    for images, labels in DataLoader(train, batch_size=32, shuffle=True):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: accuracy on validation images: {accuracy(model, validation):.1f} %")

print(f"accuracy on new images: {accuracy(model, shapes.test_set(prepare)):.1f} % (by chance: 10 %)")
