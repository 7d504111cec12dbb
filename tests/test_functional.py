"""The public face: names, argument order and defaults are PyTorch's, so that what is learnt here holds there."""

import importlib.util
import inspect

import numpy as np
import pytest

import minicnn
import minicnn.functional as F

SIGNATURES = {
    "cat": "(tensors, dim=0)",
    "conv2d": "(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
    "conv_transpose2d": "(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
    "max_pool2d": "(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
    "avg_pool2d": "(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
    "divisor_override=None)",
    "local_response_norm": "(input, size, alpha=0.0001, beta=0.75, k=1.0)",
    "relu": "(input, inplace=False)",
    "leaky_relu": "(input, negative_slope=0.01, inplace=False)",
    "tanh": "(input)",
    "sigmoid": "(input)",
    "dropout": "(input, p=0.5, training=True, inplace=False)",
    "linear": "(input, weight, bias=None)",
    "softmax": "(input, dim, dtype=None)",
    "log_softmax": "(input, dim, dtype=None)",
    "cross_entropy": "(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0)",
    "adaptive_avg_pool2d": "(input, output_size)",
    "batch_norm": "(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05)",
    "nll_loss": "(input, target, weight=None, ignore_index=-100, reduction='mean')",
    "mse_loss": "(input, target, reduction='mean')",
    "flatten": "(input, start_dim=0, end_dim=-1)",
    "pad": "(input, pad, mode='constant', value=None)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name: str) -> None:
    signature = inspect.signature(getattr(F, name))
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


@pytest.mark.parametrize("name", F.__all__)
def test_arguments_may_be_named_and_have_types(name: str) -> None:
    parameters = inspect.signature(getattr(F, name)).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters)


def test_each_is_a_function_of_a_page_of_operations() -> None:
    assert minicnn.functional is F
    assert set(SIGNATURES) <= set(F.__all__)
    assert len(set(F.__all__)) == len(F.__all__)
    public = {name for name, thing in vars(F).items() if inspect.isfunction(thing)}
    assert public == set(F.__all__)
    for name in F.__all__:
        page = inspect.getmodule(getattr(F, name))
        assert page is not None and page.__name__.startswith("minicnn.ops.") and name in page.__all__


@pytest.mark.parametrize("name", F.__all__)
def test_every_function_is_documented(name: str) -> None:
    function = getattr(F, name)
    assert function.__name__ == name
    assert function.__doc__
    assert "." in function.__doc__.splitlines()[0]


@pytest.mark.parametrize("name", [*F.__all__, *minicnn.__all__])
def test_no_module_has_the_name_of_a_public_function(name: str) -> None:
    thing = getattr(minicnn, name, None) or getattr(F, name)
    if not inspect.ismodule(thing):
        assert importlib.util.find_spec(f"minicnn.{name}") is None


def test_everything_public_is_there() -> None:
    names = {
        "MinicnnError",
        "Tensor",
        "no_grad",
        "manual_seed",
        "set_num_threads",
        "use_kernels",
        "warmup",
        "gradcheck",
        "functional",
    }
    assert names <= set(minicnn.__all__)
    for name in minicnn.__all__:
        assert getattr(minicnn, name) is not None


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "dropout", "softmax", "log_softmax", "flatten"])
def test_what_is_no_tensor_and_no_array_of_numbers_is_refused(name: str) -> None:
    extra = (0,) if "softmax" in name else ()
    for wrong in ("text", None, np.array(["a"]), [[1.0], [1.0, 2.0]]):
        with pytest.raises((TypeError, ValueError)):
            getattr(F, name)(wrong, *extra)


UNARY = (
    "abs all any argmax argmin clone exp log max mean min relu sigmoid sqrt std sum tanh var flatten squeeze".split()
)
CALLS = {
    **{name: () for name in UNARY},
    "clamp": (0.5,),
    "pow": (2,),
    "softmax": (0,),
    "log_softmax": (0,),
    "permute": ((1, 0),),
    "reshape": ((4,),),
    "transpose": (0, 1),
    "unsqueeze": (0,),
    "matmul": (np.ones((2, 2)),),
    "equal": (np.ones((2, 2)),),
    "allclose": (np.ones((2, 2)),),
    "zeros_like": (),
    "ones_like": (),
    "full_like": (3,),
}


@pytest.mark.parametrize("name", CALLS)
def test_arrays_are_taken_as_well_as_tensors(name: str) -> None:
    """``torch.max(outputs.data, 1)`` is often seen, and ``data`` is an array here."""
    array = np.array([[1.0, 2.0], [0.5, 4.0]])
    function = getattr(minicnn, name)
    np.testing.assert_array_equal(function(array, *CALLS[name]), function(minicnn.Tensor(array), *CALLS[name]))
