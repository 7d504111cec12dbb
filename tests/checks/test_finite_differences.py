"""gradcheck must accept what is right, and reject what is wrong with a message that leads there."""

import numpy as np
import pytest

import minicnn
from minicnn import functional as F
from minicnn.autograd import Function, Tensor
from minicnn.backend import generator
from minicnn.checks import GradcheckError, GradcheckReport, finite_differences, gradcheck
from minicnn.grad_mode import no_grad


def tensor(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


class WrongAt(Function):
    """y = 2 x, but the gradient at one index is off by `error`."""

    def __init__(self, index, error):
        self.index, self.error = index, error

    def forward(self, xp, x):
        return 2 * x

    def backward(self, xp, grad_output):
        grad_x = 2 * grad_output
        grad_x[self.index] += self.error
        return grad_x


class Slope(Function):
    """y = |x|, with the slope at 0 (and only there) as given."""

    def __init__(self, at_zero):
        self.at_zero = at_zero

    def forward(self, xp, x):
        self.x = x
        return xp.abs(x)

    def backward(self, xp, grad_output):
        return grad_output * xp.where(self.x == 0, self.at_zero, xp.sign(self.x))


# --- verdict and report -------------------------------------------------------------------------------------


def test_a_right_gradient_passes():
    report = gradcheck(F.tanh, tensor(3, 4))
    assert isinstance(report, GradcheckReport)
    assert report
    assert (report.compared, report.failed) == (12, 0)
    assert report.difference < 1e-8
    assert "passed: 12 derivatives" in str(report)


def test_a_wrong_gradient_raises_and_names_input_index_and_values():
    with pytest.raises(GradcheckError, match=r"1 of 9 derivatives disagree(.|\n)*inputs\[1\]\[1, 2\]") as caught:
        gradcheck(lambda a, b: a.sum() + WrongAt((1, 2), 0.25)(b), (tensor(3), tensor(2, 3)))
    report = caught.value.report
    assert not report
    assert (report.input, report.index, report.failed) == (1, (1, 2), 1)
    assert report.analytic - report.numeric == pytest.approx(0.25, abs=1e-6)
    assert report.difference == pytest.approx(0.25, abs=1e-6)
    assert not report.kink
    assert f"{report.analytic:.10g}" in str(caught.value)
    assert f"{report.numeric:.10g}" in str(caught.value)
    assert "kink" not in str(caught.value)


def test_without_raising_the_report_counts_as_false():
    report = gradcheck(lambda x: WrongAt((0,), 1.0)(x), tensor(3), raise_exception=False)
    assert isinstance(report, GradcheckReport)
    assert not report


@pytest.mark.parametrize("error, ok", [(0.9e-5, True), (1.1e-5, False)])
def test_the_absolute_tolerance_is_where_it_is_said_to_be(error, ok):
    class Zero(WrongAt):
        def forward(self, xp, x):
            return 0 * x

        def backward(self, xp, grad_output):
            return super().backward(xp, 0 * grad_output)

    assert bool(gradcheck(lambda x: Zero((1,), error)(x), tensor(3), raise_exception=False)) is ok
    assert gradcheck(lambda x: Zero((1,), error)(x), tensor(3), atol=2e-5)


def test_the_relative_tolerance_is_where_it_is_said_to_be():
    class Scaled(WrongAt):
        def backward(self, xp, grad_output):
            return 2 * grad_output * (1 + self.error)

    assert gradcheck(lambda x: Scaled(0, 0.9e-3)(x), tensor(3))
    assert not gradcheck(lambda x: Scaled(0, 1.1e-3)(x), tensor(3), raise_exception=False)
    assert gradcheck(lambda x: Scaled(0, 1.1e-3)(x), tensor(3), rtol=2e-3)
    assert not gradcheck(lambda x: Scaled(0, 1.1e-4)(x), tensor(3), rtol=1e-4, atol=0.0, raise_exception=False)


def test_a_gradient_in_the_wrong_place_is_seen_though_its_sum_is_right():
    class Turned(Function):
        def forward(self, xp, x):
            return x * 1

        def backward(self, xp, grad_output):
            return grad_output[::-1]

    assert not gradcheck(lambda x: Turned()(x), tensor(3), raise_exception=False)


def test_a_nan_in_the_gradient_fails():
    report = gradcheck(lambda x: WrongAt((1,), np.nan)(x), tensor(3), raise_exception=False)
    assert not report
    assert report.index == (1,)


# --- kinks and ties -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [F.relu, lambda x: F.max_pool2d(x.reshape(1, 1, 2, 2), 2)])
def test_a_kink_or_a_tie_fails_and_is_called_so(fn):
    x = Tensor(np.zeros(4), requires_grad=True)
    with pytest.raises(GradcheckError, match=r"kink or tie here(.|\n)*may be right") as caught:
        gradcheck(fn, x)
    assert caught.value.report.kink
    assert caught.value.report.left != pytest.approx(caught.value.report.right)


def test_a_kink_between_right_neighbours_is_the_only_failure():
    report = gradcheck(F.relu, Tensor(np.array([1.0, 0.0, -1.0]), requires_grad=True), raise_exception=False)
    assert (report.failed, report.index) == (1, (1,))


def test_an_impossible_slope_at_a_kink_is_called_wrong_all_the_same():
    report = gradcheck(lambda x: Slope(3.0)(x), Tensor(np.zeros(1), requires_grad=True), raise_exception=False)
    assert report.kink
    assert "wrong even at a kink" in str(report)


def test_a_real_mistake_is_shown_before_a_kink():
    x = Tensor(np.array([0.0, 1.0, 2.0]), requires_grad=True)
    report = gradcheck(lambda x: WrongAt((2,), 0.01)(Slope(1.0)(x)), x, raise_exception=False)
    assert report.failed == 2
    assert (report.index, report.kink) == ((2,), False)


def test_the_mean_of_the_two_slopes_passes_as_in_pytorch():
    assert gradcheck(Tensor.max, Tensor(np.array([1.0, 1.0, 0.0]), requires_grad=True))
    report = gradcheck(lambda x: Slope(0.0)(x), Tensor(np.zeros(1), requires_grad=True))
    assert report.kink
    assert "kink or tie here" in str(report)
    assert "wrong" not in str(report)


def test_strong_curvature_is_no_kink():
    report = gradcheck(Tensor.exp, Tensor(np.array([10.0]), requires_grad=True), raise_exception=False)
    assert report
    assert not report.kink


# --- large inputs -------------------------------------------------------------------------------------------


def test_a_large_input_is_checked_along_directions_that_reach_every_element():
    report = gradcheck(F.tanh, tensor(50, 60))
    assert report.compared == finite_differences.DIRECTIONS
    assert report.index is None
    assert "random direction" in str(report)


@pytest.mark.parametrize("index", [(0, 0), (17, 33), (49, 59)])
def test_one_wrong_element_among_thousands_is_found_and_named(index):
    report = gradcheck(lambda x: WrongAt(index, 1.0)(x), tensor(50, 60), raise_exception=False)
    assert (report.failed, report.index) == (1, index)
    assert report.difference == pytest.approx(1.0, abs=1e-6)


# --- what is refused ----------------------------------------------------------------------------------------


def test_single_precision_is_refused_with_the_way_out():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    with pytest.raises(TypeError, match=r"inputs must be float64, got float32.*astype\('float64'\)"):
        gradcheck(F.tanh, x)
    with pytest.raises(TypeError, match=r"inputs\[1\] must be float64, got float32"):
        gradcheck(lambda a, b: a + b, (tensor(3), x))


def test_inputs_without_gradients_are_refused():
    with pytest.raises(ValueError, match="requires_grad=True"):
        gradcheck(F.tanh, Tensor(np.ones(3)))
    with pytest.raises(ValueError, match="requires_grad=True"):
        gradcheck(F.tanh, ())


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"inputs\[1\] must be a Tensor, got ndarray"):
        gradcheck(lambda a, b: a, (tensor(3), np.ones(3)))
    with pytest.raises(TypeError, match="must return a Tensor or a tuple of Tensors, got float"):
        gradcheck(lambda x: 1.0, tensor(3))


def test_a_function_that_leaves_double_precision_is_refused():
    class Half(Function):
        def forward(self, xp, x):
            return x.astype(np.float32)

        def backward(self, xp, grad_output):
            return grad_output

    with pytest.raises(TypeError, match="returned float32"):
        gradcheck(lambda x: Half()(x), tensor(3))


@pytest.mark.parametrize(
    "setting", [{"eps": 0.0}, {"eps": -1e-6}, {"eps": np.inf}, {"atol": -1.0}, {"rtol": np.nan}, {"rtol": np.inf}]
)
def test_numbers_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match=f"gradcheck: {next(iter(setting))} must be"):
        gradcheck(F.tanh, tensor(3), **setting)


# --- functions that misbehave -------------------------------------------------------------------------------


def test_unseeded_randomness_is_noticed_and_seeded_one_is_not():
    with pytest.raises(GradcheckError, match=r"two different results.*manual_seed\(0\)"):
        gradcheck(F.dropout, tensor(4, 5))

    def seeded(x):
        minicnn.manual_seed(3)
        return F.dropout(x)

    assert gradcheck(seeded, tensor(4, 5))


def test_the_global_generator_is_left_as_it_was():
    minicnn.manual_seed(1)
    expected = generator().random(3)
    minicnn.manual_seed(1)
    gradcheck(F.dropout, tensor(4, 5), raise_exception=False)
    assert (generator().random(3) == expected).all()


def test_a_changed_input_is_noticed():
    class Doubling(Function):
        def forward(self, xp, x):
            x *= 2
            return x * 1

        def backward(self, xp, grad_output):
            return 2 * grad_output

    with pytest.raises(GradcheckError, match=r"func changed inputs\[1\] in place"):
        gradcheck(lambda a, b: a + Doubling()(b), (tensor(3), tensor(3)))


def test_an_input_changed_by_backward_is_noticed():
    class Late(Function):
        def forward(self, xp, x):
            self.x = x
            return x * x

        def backward(self, xp, grad_output):
            self.x *= 2
            return grad_output * self.x

    with pytest.raises(GradcheckError, match=r"backward changed inputs\[0\] in place"):
        gradcheck(lambda x: Late()(x), tensor(3))


def test_a_gradient_written_into_is_noticed_anywhere_in_the_graph():
    class Masking(Function):
        def forward(self, xp, x):
            self.x = x
            return xp.maximum(x, 0)

        def backward(self, xp, grad_output):
            grad_output[self.x <= 0] = 0
            return grad_output

    assert gradcheck(lambda x: F.relu(x * 2) * 3, tensor(5))
    with pytest.raises(GradcheckError, match="Masking.backward writes into the gradient"):
        gradcheck(lambda x: Masking()(x * 2) * 3, tensor(5))


def test_an_error_in_backward_is_the_cause_of_the_failure():
    class Narrow(Function):
        def forward(self, xp, x):
            return x * 2

        def backward(self, xp, grad_output):
            return grad_output[:1]

    with pytest.raises(GradcheckError, match="backward raised RuntimeError.*shape") as caught:
        gradcheck(lambda x: Narrow()(x), tensor(3))
    assert isinstance(caught.value.__cause__, RuntimeError)
    report = gradcheck(lambda x: Narrow()(x), tensor(3), raise_exception=False)
    assert not report
    assert "Narrow" in report.problem


def test_an_error_in_forward_is_not_swallowed():
    with pytest.raises(ValueError, match="do not fit together"):
        gradcheck(lambda x: x + Tensor(np.ones(4)), tensor(3), raise_exception=False)


def test_a_broken_path_is_noticed():
    with pytest.raises(GradcheckError, match="detach"):
        gradcheck(lambda x: x.detach() * 2, tensor(3))
    with no_grad(), pytest.raises(GradcheckError, match="no_grad"):
        gradcheck(F.tanh, tensor(3))
    with pytest.raises(GradcheckError, match="derivatives disagree"):  # one of two paths
        gradcheck(lambda x: x * x.detach(), tensor(3))


def test_what_is_not_finite_is_refused():
    with np.errstate(invalid="ignore"), pytest.raises(GradcheckError, match="NaN or infinity"):
        gradcheck(Tensor.log, Tensor(np.array([-1.0, 1.0]), requires_grad=True))


# --- several inputs and outputs -----------------------------------------------------------------------------


def test_inputs_without_gradient_and_whole_numbers_take_part_unchecked():
    labels = Tensor(np.array([0, 2, 1]))
    report = gradcheck(F.cross_entropy, (tensor(3, 4), labels))
    assert report.compared == 12
    assert gradcheck(lambda a, b: a * b, (tensor(3), Tensor(np.ones(3)))).compared == 3


def test_several_outputs_that_share_a_graph_are_all_checked():
    def two(x):
        y = x * x
        return y, WrongAt((1,), error)(y)

    error = 0.0
    assert gradcheck(two, tensor(3))
    error = 0.5
    assert gradcheck(two, tensor(3), raise_exception=False).index == (1,)
    assert gradcheck(lambda x: x.max(0), tensor(4, 3))  # values and indices


def test_an_input_that_is_itself_the_output_passes():
    assert gradcheck(lambda x: x, tensor(3))


def test_an_input_used_twice_or_through_a_closure_passes():
    x, w = tensor(3), tensor(3, seed=1)
    assert gradcheck(lambda a, b: a * b, (x, x))
    assert gradcheck(lambda _: w * x, w)
    assert gradcheck(lambda y: y.sum() * y, x.reshape(1, 3) * 2)  # not a leaf


@pytest.mark.parametrize("shape", [(0, 3), ()])
def test_empty_and_zero_dimensional_inputs_pass(shape):
    assert gradcheck(F.tanh, tensor(*shape))


@pytest.mark.parametrize("fn", [F.tanh, lambda x: WrongAt((0,), 1.0)(x), lambda x: x + Tensor(np.ones(7))])
def test_the_inputs_are_given_back_as_they_were(fn):
    x = tensor(3)
    data, values, grad = x.data, x.data.copy(), np.ones(3)
    x.grad = grad
    try:
        gradcheck(fn, x)
    except (GradcheckError, ValueError):
        pass
    assert x.data is data
    assert (x.data == values).all()
    assert x.grad is grad


def test_it_is_public():
    assert minicnn.gradcheck is gradcheck
    assert minicnn.GradcheckError is GradcheckError
    assert minicnn.GradcheckReport is GradcheckReport
    assert minicnn.gradcheck(func=F.tanh, inputs=tensor(2), eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True)
