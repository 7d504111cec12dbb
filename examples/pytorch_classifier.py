"""A classifier of small colour images as a PyTorch user would type it: python examples/pytorch_classifier.py [EPOCHS]

With torch's modules in place of the first four imports, everything below the data is the same program.
"""

import sys

import minicnn as torch
import minicnn.functional as F
import minicnn.nn as nn
import minicnn.optim as optim
from minicnn.data import DataLoader, load_shapes, transforms

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 6

torch.manual_seed(0)
transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
shapes = load_shapes(train=2000, test=500)  # or load_cifar10(), whose images have the same size
trainloader = DataLoader(shapes.train_set(transform), batch_size=20, shuffle=True, num_workers=2)
testloader = DataLoader(shapes.test_set(transform), batch_size=20, shuffle=False, num_workers=2)
classes = shapes.classes


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 5)
        self.conv2 = nn.Conv2d(12, 24, 3)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.fc1 = nn.Linear(24 * 6 * 6, 100)
        self.fc2 = nn.Linear(100, len(classes))

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

for epoch in range(EPOCHS):
    running_loss = 0.0
    for data in trainloader:
        inputs, labels = data
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"[{epoch + 1}] loss: {running_loss / len(trainloader):.3f}")

images, labels = next(iter(testloader))
predicted = torch.argmax(net(images), dim=1)
print("Predicted:", " ".join(classes[predicted[j].item()] for j in range(4)))
print("True:     ", " ".join(classes[labels[j].item()] for j in range(4)))

correct, total = 0, 0
net.eval()
with torch.no_grad():
    for images, labels in testloader:
        outputs = net(images.view(-1, 3, 32, 32))
        correct += (outputs.argmax(dim=1) == labels).sum().item()
        total += labels.size(0)
print(f"accuracy on new images: {100 * correct / total:.1f} % (by chance: 10 %)")
