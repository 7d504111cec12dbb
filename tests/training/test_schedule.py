from typing import Any

import numpy as np
import pytest

from minicnn import nn, optim
from minicnn.training.schedule import Plateau


def plateau(**more: Any) -> Plateau:
    return Plateau(optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0), **more)


def rates(schedule: Plateau, errors: list[float]) -> list[float]:
    found = []
    for error in errors:
        schedule.step(error)
        found.append(schedule.optimizer.param_groups[0]["lr"])
    return found


def test_the_rate_falls_after_patience_epochs_without_a_new_lowest_error() -> None:
    schedule = plateau(patience=2, drops=3)
    errors = [0.5, 0.4, 0.45, 0.39, 0.39, 0.39, 0.38, 0.4, 0.39, 0.37]
    expected = [1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]
    np.testing.assert_allclose(rates(schedule, errors), expected)
    assert not schedule.finished


def test_it_is_over_when_the_rate_would_fall_once_too_often() -> None:
    schedule = plateau(patience=1, drops=2)
    np.testing.assert_allclose(rates(schedule, [0.5, 0.5, 0.5]), [1, 0.1, 0.01])
    assert not schedule.finished
    np.testing.assert_allclose(rates(schedule, [0.5]), [0.01])
    assert schedule.finished


def test_it_goes_on_where_another_stood() -> None:
    errors = [0.5, 0.6, 0.4, 0.5, 0.5, 0.5, 0.3, 0.4, 0.4, 0.4, 0.4]
    whole = rates(plateau(patience=2), errors)
    for count in range(len(errors)):
        before, after = plateau(patience=2), plateau(patience=2)
        start = rates(before, errors[:count])
        after.load_state_dict(before.state_dict())
        after.optimizer.load_state_dict(before.optimizer.state_dict())
        assert start + rates(after, errors[count:]) == whole
    with pytest.raises(ValueError, match="patience"):
        after.load_state_dict({"patience": 3})


@pytest.mark.parametrize(("more", "error"), [({"patience": 0}, ValueError), ({"drops": 1.5}, TypeError)])
def test_bad_arguments_are_refused(more: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(more))):
        plateau(**more)
