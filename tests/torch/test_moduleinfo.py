"""PyTorch's own samples of its modules (ModuleInfo): with its weights, ours computes the same, or refuses clearly."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # PyTorch's helpers for tests import it

from torch.testing._internal.common_modules import module_db  # noqa: E402
from with_torch import (  # noqa: E402
    REFUSALS,
    assert_same,
    assert_same_gradients,
    converted,
    is_clear,
    our_tensor,
    pairs,
    their_tensor,
)

pytestmark = pytest.mark.torch


def ours(info: Any) -> type[nn.Module] | None:
    """Return minicnn's class of this name: a new one is compared as soon as it exists."""
    return getattr(nn, info.module_cls.__name__, None)


INFOS = [info for info in module_db if ours(info)]
# Samples that are refused.
REFUSED: dict[str, int] = {
    "BatchNorm1d": 1,  # a batch without images, in training
    "BatchNorm2d": 1,
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.module_cls.__name__)
def test_samples_give_the_same_or_are_refused(info: Any, training: bool) -> None:
    torch.manual_seed(0)
    refused, wrong, count = [], [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        ):
            if sample.forward_input is None:
                continue
            count += 1
            args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
            which = f"{info.module_cls.__name__}{args} {kwargs} {sample.desc}"
            theirs = info.module_cls(*args, **kwargs)
            theirs = theirs.to(torch.float64).train(training)
            try:
                _compare(info, theirs, sample, training)
            except REFUSALS as error:
                (refused if is_clear(error) else wrong).append(f"{which}: {error}")
            except Exception as error:
                wrong.append(f"{which}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
    assert len(refused) <= REFUSED.get(info.module_cls.__name__, 0), "\n".join(refused)
    print(f"\n{info.module_cls.__name__}: {count - len(refused)} of {count} match, {len(refused)} are refused")


def _compare(info: Any, theirs: Any, sample: Any, training: bool) -> None:
    kind = ours(info)
    assert kind is not None
    (args, kwargs), _ = converted((sample.constructor_input.args, sample.constructor_input.kwargs), our_tensor)
    if "dtype" in inspect.signature(kind).parameters:
        kwargs["dtype"] = np.float64
    module = kind(*args, **kwargs).train(training)
    _load(module, theirs)

    arguments = (sample.forward_input.args, sample.forward_input.kwargs)
    (their_args, their_kwargs), their_inputs = converted(arguments, their_tensor)
    expected = theirs(*their_args, **their_kwargs)
    (our_args, our_kwargs), our_inputs = converted(arguments, our_tensor)
    outputs = list(pairs(module(*our_args, **our_kwargs), expected))
    for a, b in outputs:
        assert_same(a, b, torch.float64, only_shape=False)

    our_parameters, their_parameters = dict(module.named_parameters()), dict(theirs.named_parameters())
    assert list(our_parameters) == list(their_parameters)
    mine, others = [*our_inputs, *our_parameters.values()], [*their_inputs, *their_parameters.values()]
    assert_same_gradients(outputs, mine, others, torch.float64)
    # the running statistics, and whatever else a forward pass changes
    assert list(module.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(_array(module.state_dict()[name]), value.numpy(), rtol=1e-9, err_msg=name)


def _load(module: nn.Module, theirs: Any) -> None:
    module.load_state_dict({name: value.numpy().copy() for name, value in theirs.state_dict().items()})


def _array(value: Any) -> np.ndarray:
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def test_weights_go_back_to_pytorch() -> None:
    """What the state dict of ours holds, PyTorch's module loads."""
    module, theirs = nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 3)
    theirs.load_state_dict({name: torch.from_numpy(_array(value)) for name, value in module.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 5)).astype(np.float32)
    np.testing.assert_allclose(module(Tensor(x)).data, theirs(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
