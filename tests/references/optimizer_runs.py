"""Parameters and gradients for the tests of the optimisers, and SGD's rule written out."""

import numpy as np

from minicnn import nn

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]
STEPS = 5


def parameters(dtype=np.float64, seed=0):
    random = np.random.default_rng(seed)
    return [nn.Parameter(random.standard_normal(shape).astype(dtype)) for shape in SHAPES]


def gradients(step, dtype=np.float64):
    random = np.random.default_rng(100 + step)
    return [np.asarray(random.standard_normal(shape), dtype) for shape in SHAPES]


def run(optimizer, params, steps=STEPS, first=0):
    for step in range(first, first + steps):
        for parameter, gradient in zip(params, gradients(step, params[0].dtype), strict=True):
            parameter.grad = gradient
        optimizer.step()


def sgd_by_hand(weights, lr, momentum=0.0, weight_decay=0.0, nesterov=False, style="pytorch"):
    """Return the weights after STEPS steps; `lr` may be a list with a rate for each step."""
    rates = [lr] * STEPS if isinstance(lr, float) else lr
    weights = [np.array(w) for w in weights]
    for i, w in enumerate(weights):
        v = np.zeros_like(w)
        for step in range(STEPS):
            g = gradients(step)[i]
            if style == "paper":
                v = momentum * v - weight_decay * rates[step] * w - rates[step] * g
                w = w + v
            else:
                v = momentum * v + g + weight_decay * w
                w = w - rates[step] * (g + weight_decay * w + momentum * v if nesterov else v)
        weights[i] = w
    return weights


def torchs(torch, params):
    return [torch.nn.Parameter(torch.from_numpy(np.array(p.data))) for p in params]


def run_torch(torch, optimizer, params, steps=STEPS):
    for step in range(steps):
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
