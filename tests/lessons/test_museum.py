"""The checks can fail: each classic mistake is rejected, and its correction passes the same check."""

import inspect
import pkgutil
from functools import partial
from importlib import import_module

import numpy as np
import pytest

import minicnn
from minicnn.autograd import Function
from minicnn.backend import generator
from minicnn.checks import GradcheckError, gradcheck
from minicnn.lessons import museum
from minicnn.lessons.museum import MUSEUM, exhibits

every_exhibit = pytest.mark.parametrize("exhibit", MUSEUM, ids=lambda exhibit: exhibit.name)


@every_exhibit
def test_the_mistake_is_rejected(exhibit, kernel_file):
    assert exhibit.complaint(exhibit.broken)


@every_exhibit
def test_the_correction_passes_the_same_check(exhibit, kernel_file):
    assert exhibit.complaint(exhibit.correct) == ""


@every_exhibit
def test_the_mistake_runs_without_complaint_of_its_own(exhibit):
    with np.errstate(over="ignore", invalid="ignore"):
        output = exhibit.use(exhibit.broken, *exhibit.inputs())
        correct = exhibit.use(exhibit.correct, *exhibit.inputs())
    assert output.shape == correct.shape


@every_exhibit
def test_an_exhibit_says_what_it_shows(exhibit):
    story = exhibit.story
    assert "Tempting because" in story
    assert "Symptom:" in story
    assert exhibit.hint
    assert isinstance(exhibit.broken(), Function)
    assert type(exhibit.broken()) is not type(exhibit.correct())
    assert (exhibit.caught_by == "reference") == (exhibit.reference is not None)


def test_the_museum_holds_every_classic():
    assert len(MUSEUM) == len(exhibits()) >= 14
    shown = {type(exhibit.broken()) for exhibit in MUSEUM} | {type(exhibit.correct()) for exhibit in MUSEUM}
    rooms = [import_module(f"{museum.__name__}.{room.name}") for room in pkgutil.iter_modules(museum.__path__)]
    defined = {
        thing
        for room in rooms
        for _, thing in inspect.getmembers(room, inspect.isclass)
        if issubclass(thing, Function) and thing.__module__ == room.__name__
    }
    assert defined <= shown
    assert all(getattr(museum, each.__name__) is each for each in defined)
    assert len(MUSEUM) == sum(len(getattr(room, "EXHIBITS", ())) for room in rooms)


@pytest.mark.parametrize(
    "name",
    [
        "max-pool-zero-padded",
        "max-pool-feeds-all-ties",
        "lrn-window-off-by-one",
        "lrn-divides-alpha",
        "dropout-divides-by-p",
    ],
)
def test_a_gradient_check_alone_would_not_do(name):
    """Why there are references: these are differentiated rightly, or wrongly only where no derivative exists."""
    exhibit = exhibits()[name]
    shift = np.random.default_rng(1).standard_normal(exhibit.inputs()[0].shape)  # away from ties
    inputs = exhibit.inputs()
    inputs[0].data = inputs[0].data + shift
    assert gradcheck(partial(exhibit.use, exhibit.broken), inputs)


@every_exhibit
def test_gradcheck_raises_for_what_it_catches(exhibit):
    if exhibit.caught_by == "gradcheck":
        with pytest.raises(GradcheckError):
            gradcheck(partial(exhibit.use, exhibit.broken), exhibit.inputs())


@pytest.mark.parametrize("name", ["dropout-unmasked", "dropout-draws-again", "dropout-divides-by-p"])
def test_a_visit_leaves_the_global_generator_alone(name):
    exhibit = exhibits()[name]
    minicnn.manual_seed(5)
    expected = generator().random(3)
    minicnn.manual_seed(5)
    exhibit.complaint(exhibit.broken)
    exhibit.complaint(exhibit.correct)
    assert (generator().random(3) == expected).all()


def test_an_output_of_another_shape_is_a_complaint():
    exhibit = exhibits()["max-pool-zero-padded"]
    smaller = partial(museum.MaxPool2d, (3, 3), (2, 2), (0, 0), False)
    assert "shape" in exhibit.complaint(smaller)
