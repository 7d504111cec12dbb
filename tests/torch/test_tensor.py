"""What a PyTorch user types, evaluated with both libraries: values, gradients, dtypes, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

SEED = np.random.default_rng(14)
X = SEED.standard_normal((3, 4))
ARRAYS = {
    "x": X,
    "y": SEED.standard_normal((3, 4)),
    "p": np.abs(X) + 0.5,
    "w": SEED.standard_normal((4, 2)),
    "v": SEED.standard_normal(4),
    "c": SEED.standard_normal((3, 1)),
    "images": SEED.standard_normal((2, 3, 4, 5)),
    "flat": np.ones((2, 3)),
    "scalar": np.array(1.5),
}
CONSTANTS = {
    "labels": np.array([1, 0, 3]),
    "mask": X > 0,
    "counts": np.array([[3, 7, 5], [1, 2, 2]]),
    "bytes": np.array([[200, 100], [7, 255]], np.uint8),
    "single": SEED.standard_normal(4).astype(np.float32),
    "double0": np.array(2.5),
    "small": np.array([1, 2, 3], np.int32),
}

# `t` is the library, and each name above a tensor.
EXPRESSIONS = """
    x.view(2, 6)
    x.view(-1)
    x.view((4, -1))
    x.view_as(y)
    images.view(images.size(0), -1)
    images.view(-1, 3 * 4 * 5)
    images.mean(dim=(2, 3))
    images.sum((0, 2), keepdim=True)
    images.flatten(1)
    t.flatten(images, 1)
    images.permute(0, 2, 3, 1)
    images.permute(0, 2, 3, 1).contiguous()
    images.transpose(1, -1)
    images.squeeze()
    c.squeeze()
    c.squeeze(1)
    c.squeeze(0)
    c.squeeze(-1)
    c.unsqueeze(0).squeeze((0, 2))
    x.unsqueeze(0)
    x.unsqueeze(-1)
    t.unsqueeze(x, 1)
    scalar.unsqueeze(0)
    c.expand(3, 4)
    c.expand(2, -1, 5)
    c.expand((3, 4)) * x
    scalar.expand(2, 3)
    x.repeat(2, 3)
    x.repeat(2, 1, 3)
    c.repeat((1, 2))
    x.clone()
    t.clone(x) * 2
    x.t()
    v.t()
    x.T
    x.t() @ y
    x @ w
    x.mm(w)
    x.matmul(v)
    t.matmul(x, w)
    x + v
    x - c
    x * scalar
    scalar - x
    x / p
    2 - x
    1 / p
    x ** 2
    x.pow(2)
    p ** 0.5
    t.pow(p, -1)
    -x
    abs(x)
    x.abs()
    t.abs(x)
    p.sqrt()
    t.sqrt(p)
    x.exp()
    t.exp(x)
    p.log()
    t.log(p)
    x.clamp(-0.5, 0.5)
    x.clamp(min=0)
    x.clamp(max=0.25)
    t.clamp(x, min=-1, max=0)
    x.relu()
    t.relu(x)
    x.sigmoid()
    t.sigmoid(x)
    x.tanh()
    t.tanh(x)
    x.softmax(1)
    t.softmax(x, dim=-1)
    x.softmax(dim=0)
    x.log_softmax(1)
    t.log_softmax(x, 0)
    t.softmax(single, 0, dtype=t.float64)
    x.sum()
    x.sum(-1)
    t.sum(x, 0)
    x.mean()
    x.mean(1, keepdim=True)
    t.mean(x, dim=0)
    x.std()
    x.std(1)
    x.std(0, unbiased=False)
    x.std(dim=1, keepdim=True)
    x.std(1, correction=2)
    x.std(unbiased=False)
    t.std(x, dim=0)
    flat.std(1)
    flat[:, :1].var(1)
    x.var()
    x.var((0, 1))
    x.var(0, False)
    x.var(False)
    images.var(dim=(0, 2, 3), unbiased=False)
    images.var([0, 2, 3], correction=0, keepdim=True)
    t.var(x, 1)
    x.max()
    x.max(1).values
    x.max(1)[1]
    x.max(dim=0, keepdim=True)[0]
    t.max(x, 1).indices
    x.min()
    x.min(1).values
    x.min(0)[1]
    t.min(x, dim=-1, keepdim=True).values
    flat.min()
    flat.min(1).indices
    scalar.min(0).values
    x.argmax()
    x.argmax(1)
    x.argmax(dim=0, keepdim=True)
    x.argmax(keepdim=True)
    t.argmax(x, -1)
    x.argmin(1)
    t.argmin(x)
    scalar.argmax(0)
    (x.argmax(1) == labels).float().mean()
    (x.argmax(1) == labels).sum()
    x.argmax(1).eq(labels).sum().float() / labels.size(0)
    x.argmax(dim=1, keepdim=True).eq(labels.view(-1, 1)).sum()
    (x > 0).float().mean(0)
    t.where(mask, x, y)
    t.where(x > 0, x, 0.0)
    t.where(mask, c, v)
    t.where(mask, 1, 0)
    t.where(mask, 1.0, 0)
    x.where(mask, y)
    x[labels[:2]]
    x[labels == 0]
    x[mask]
    x[t.arange(3), labels]
    x[:, 1:].contiguous().view(-1)
    t.cat([x, y], dim=1)
    t.cat((x, c), 1)
    t.cat([labels, labels])
    t.stack([x, y])
    t.stack((x, y), dim=-1)
    t.stack([labels, labels], 1)
    t.reshape(x, (2, 6))
    t.squeeze(c)
    t.transpose(x, 0, 1)
    t.permute(x, (1, 0))
    x.double()
    x.float()
    x.long()
    x.int()
    x.bool()
    x.to(t.float32)
    x.to("cpu")
    x.to("cpu", t.float32)
    x.to(dtype=t.float32)
    x.to(device="cpu")
    x.to(single)
    x.cpu()
    single.double() * v
    single * 2
    single * 2.5
    single * v
    single * double0
    double0 * single
    single[1:] * small
    small * single[1:]
    counts + double0
    counts * 2
    counts * 0.5
    counts / 2
    counts / counts
    counts - single[:3]
    1 / counts
    counts.float() / 2
    bytes / 255
    bytes.float().mean()
    bytes.sum()
    bytes + small[:2]
    small + counts
    counts.sum()
    counts.sum(0)
    small.sum()
    mask.sum()
    mask.sum(1)
    mask * x
    mask + 1
    mask.float().sum(dim=1)
    mask.all()
    mask.any()
    mask.all(1)
    mask.any(dim=0, keepdim=True)
    t.all(counts > 2, dim=-1)
    t.any(x)
    t.arange(0.5, 4.7, dtype=t.int64)
    t.linspace(0.9, 9.9, 7, dtype=t.int64)
    t.linspace(0, 10, 50)
    counts.max()
    counts.min(1).values
    counts.argmax(1)
    counts.abs()
    counts.clamp(2, 5)
    counts.clamp(min=2.5)
    counts.sqrt()
    counts.exp()
    counts.log()
    counts ** 2
    counts ** 0.5
    counts.sum(dtype=t.float32)
    counts.mean(dtype=t.float32)
    counts.view(3, 2)
    counts.repeat(2, 1)
    counts == small
    counts > 2
    t.tensor(3)
    t.tensor(3.5)
    t.tensor([1, 2])
    t.tensor([[1.0, 2], [3, 4]])
    t.tensor([True, False])
    t.tensor([1, 2], dtype=t.float32)
    t.tensor([1.7, 2.2], dtype=t.long)
    t.tensor([0.1], dtype=t.float64)
    t.tensor([])
    t.zeros(2, 3)
    t.zeros((2, 3))
    t.zeros([2], dtype=t.int64)
    t.zeros(())
    t.zeros(2, dtype=t.bool)
    t.ones(3)
    t.ones(2, 1, dtype=t.double)
    t.full((2, 3), 7)
    t.full((2,), 0.5)
    t.full((2,), True)
    t.full([2], 3, dtype=t.float32)
    t.arange(5)
    t.arange(2, 9, 3)
    t.arange(5.0)
    t.arange(0, 1, 0.1)
    t.arange(5, 0, -2)
    t.arange(3, dtype=t.float32)
    t.arange(0)
    t.linspace(0, 1, 5)
    t.linspace(-1, 2, 4, dtype=t.float64)
    t.linspace(3, 4, 1)
    t.eye(3)
    t.eye(2, 4)
    t.zeros_like(x)
    t.ones_like(counts)
    t.ones_like(counts, dtype=t.float32)
    t.full_like(x, 2)
    t.full_like(counts, 3)
    x.detach()
    x.requires_grad_(True) * 2
    x.sum().item() * x
    x.max(1)[0].mean()
    (x - x.mean(0)) / x.std(0)
    (x - x.mean(dim=1, keepdim=True)) / t.sqrt(x.var(1, unbiased=False, keepdim=True) + 1e-5)
    ((x - y) ** 2).mean()
    t.einsum("ij,jk->ik", x, w)
    t.einsum("ij,jk", x, w)
    t.einsum("ij,ij->i", x, y)
    t.einsum("ji", x)
    t.einsum("ij,j->", [x, v])
    -(t.log_softmax(x, 1)[t.arange(3), labels]).mean()
    x.exp() / x.exp().sum(1, keepdim=True)
    t.sqrt((x ** 2).sum(-1))
""".strip().splitlines()
PLAIN = """
    x.size()
    x.size(0)
    x.size(-1)
    images.size(dim=1)
    x.shape
    x.numel()
    x.dim()
    x.ndim
    len(x)
    scalar.dim()
    labels.tolist()
    counts.tolist()
    scalar.tolist()
    scalar.item()
    x.sum().item()
    (x.argmax(1) == labels).float().mean().item()
    t.equal(x, x)
    t.equal(x, y)
    x.equal(c)
    t.allclose(x, x + 1e-9)
    t.allclose(x, y)
    x.allclose(x)
    (x > 0).all().item()
    bool((x == x).all())
    x.requires_grad
    t.zeros(2, requires_grad=True).requires_grad
    t.rand(2, 3).shape
    t.randn(2, 3).size()
    t.randn((4,)).shape
    t.randint(10, (2, 3)).shape
    t.randint(3, 4, (2,)).tolist()
    sorted(t.randperm(5).tolist())
    t.empty(2, 3).shape
    t.rand_like(x).shape
    t.randn_like(x).shape
    t.float32 == x.float().dtype
    x.dtype == t.float64
    t.long == labels.dtype
    (x > 0).dtype == t.bool
    t.randn(2).dtype == t.float
    t.randn(2, dtype=t.double).dtype == t.float64
    t.randint(5, (1,)).dtype == t.int64
    t.randperm(3).dtype == t.long
    t.rand(100).min().item() >= 0
    t.from_numpy(t.ones(3).numpy()).dtype == t.float32
""".strip().splitlines()
REFUSED = """
    counts.mean()
    mask.mean()
    counts.std()
    x.view(5)
    x.view(-1, -1)
    x.squeeze(2)
    x.unsqueeze(3)
    x.expand(3, 5)
    x.expand(4)
    x.repeat(2)
    images.t()
    x.clamp()
    t.cat([])
    t.stack([x, c])
    t.stack([])
    t.zeros(-1)
    t.arange(0, 5, -1)
    t.arange(0, 5, 0)
    t.linspace(0, 1, -1)
    t.randint(0, (2,))
    t.zeros(2, dtype=t.int64, requires_grad=True)
    t.rand(2, dtype=t.int64)
    t.from_numpy([1, 2])
    t.zeros(0).max()
    t.zeros(0).argmax()
    x.max(2)
    x.argmin(5)
    x.requires_grad_().add_(1)
    labels.requires_grad_()
    labels.retain_grad()
    x.size(2)
    x.item()
    t.zeros(2).backward()
""".strip().splitlines()


def theirs_of(array: np.ndarray, grad: bool) -> Any:
    return torch.tensor(array, requires_grad=grad)


def ours_of(array: np.ndarray, grad: bool) -> Any:
    return Tensor(array.copy(), requires_grad=grad)


def names(make: Callable[[np.ndarray, bool], Any], library: Any) -> dict[str, Any]:
    values = {name: make(array, True) for name, array in ARRAYS.items()}
    return values | {name: make(array, False) for name, array in CONSTANTS.items()} | {"t": library}


@pytest.mark.filterwarnings("ignore:std\\(\\):UserWarning", "ignore:var\\(\\):UserWarning", "ignore:The use of `x.T`")
@pytest.mark.parametrize("expression", [line.strip() for line in EXPRESSIONS])
def test_the_same_numbers_dtypes_and_gradients(expression: str) -> None:
    ours, theirs = names(ours_of, minicnn), names(theirs_of, torch)
    got, expected = eval(expression, ours), eval(expression, theirs)
    assert got.shape == tuple(expected.shape)
    assert str(got.dtype) == str(expected.dtype).removeprefix("torch.")
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if got.dtype == np.float64 else {"rtol": 2e-6, "atol": 1e-6}
    np.testing.assert_allclose(got.numpy(), expected.detach().numpy(), **tolerance)
    assert got.requires_grad == expected.requires_grad
    if not got.requires_grad:
        return
    gradient = np.random.default_rng(1).standard_normal(got.shape).astype(got.dtype)
    got.backward(gradient)
    expected.backward(torch.tensor(gradient))
    for name in ARRAYS:
        mine, other = ours[name].grad, theirs[name].grad
        assert (mine is None) == (other is None), name
        if other is not None:
            np.testing.assert_allclose(mine, other.numpy(), **tolerance, err_msg=name)


@pytest.mark.parametrize("expression", [line.strip() for line in PLAIN])
def test_the_same_answers(expression: str) -> None:
    ours, theirs = eval(expression, names(ours_of, minicnn)), eval(expression, names(theirs_of, torch))
    assert ours == theirs
    assert isinstance(ours, tuple) or type(ours) is type(theirs)


@pytest.mark.parametrize("expression", [line.strip() for line in REFUSED])
def test_both_refuse(expression: str) -> None:
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)):
        eval(expression, names(theirs_of, torch))
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        eval(expression, names(ours_of, minicnn))


CHANGES = """
    a.add_(b)
    a.add_(b, alpha=-0.5)
    a.sub_(2)
    a.sub_(b, alpha=3)
    a.mul_(b)
    a.mul_(0.5)
    a.div_(b)
    a.zero_()
    a.fill_(3)
    a.copy_(b)
    a[0].fill_(7)
    a.view(-1)[1:3].zero_()
    a.clone().zero_()
    a.detach().zero_()
""".strip().splitlines()


@pytest.mark.parametrize("statement", [line.strip() for line in CHANGES])
def test_changes_in_place(statement: str) -> None:
    ours = {"a": Tensor(ARRAYS["x"].copy()), "b": Tensor(ARRAYS["y"].copy())}
    theirs = {name: torch.tensor(tensor.data) for name, tensor in ours.items()}
    mine, other = eval(statement, None, ours), eval(statement, None, theirs)
    np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-12)
    for name, tensor in ours.items():
        np.testing.assert_allclose(tensor.numpy(), theirs[name].numpy(), rtol=1e-12)


def trained(library: Any, parameter: Any, x: Any, change: Callable[[Any, Any], None]) -> Any:
    for _ in range(3):
        ((x @ parameter) ** 2).mean().backward()
        with library.no_grad():
            change(parameter, 0.1)
        parameter.grad = None
    return parameter.detach().numpy()


def by_operator(p: Any, lr: float) -> None:
    p -= lr * p.grad


def by_method(p: Any, lr: float) -> None:
    p.sub_(p.grad, alpha=lr)


def by_data(p: Any, lr: float) -> None:
    p.data -= lr * p.grad


@pytest.mark.parametrize("change", [by_operator, by_method, by_data])
def test_gradient_descent_by_hand(change: Callable[[Any, Any], None]) -> None:
    mine = trained(minicnn, nn.Parameter(ARRAYS["w"].copy()), Tensor(ARRAYS["x"]), change)
    other = trained(torch, torch.nn.Parameter(torch.tensor(ARRAYS["w"])), torch.tensor(ARRAYS["x"]), change)
    np.testing.assert_allclose(mine, other, rtol=1e-12)
    for parameter in (nn.Parameter([1.0]), torch.nn.Parameter(torch.tensor([1.0]))):
        (parameter * 2).sum().backward()
        with pytest.raises(RuntimeError, match="in.?place"):
            by_operator(parameter, 0.1)


@pytest.mark.parametrize("late", [False, True])
def test_retained_gradients(late: bool) -> None:
    grads = []
    for x in (ours_of(X, True), theirs_of(X, True)):
        y = x * 2
        if not late:
            y.retain_grad()
        z = (y * y).sum()
        z.retain_grad()
        x.retain_grad()
        if late:
            y.retain_grad()
        z.backward()
        grads.append([np.asarray(tensor.grad) for tensor in (x, y, z)])
    for mine, other in zip(*grads, strict=True):
        np.testing.assert_allclose(mine, other)


@pytest.mark.parametrize("other", [None, "a", b"a", [1.0, 2.0], (1.0, 2.0), [3.0], {1: 2}, {1.0}, range(2), object()])
def test_comparing_with_what_is_no_number(other: Any) -> None:
    for tensor in (torch.tensor([1.0, 2.0]), minicnn.tensor([1.0, 2.0])):
        assert [tensor == other, other == tensor, tensor != other, other != tensor] == [False, False, True, True]
        for refused in (lambda t: t < other, lambda t: t >= other, lambda t: t.eq(other)):
            with pytest.raises(TypeError):
                refused(tensor)
