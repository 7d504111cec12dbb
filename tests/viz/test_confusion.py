import numpy as np
import pytest

from minicnn.viz import confusion_matrix, draw_confusion

NAMES = ["cat", "dog", "emu"]
MATRIX = np.array([[199, 1, 0], [30, 70, 0], [0, 0, 0]])


def test_rows_are_what_is_shown_columns_what_is_answered(rng: np.random.Generator) -> None:
    labels, answers = rng.integers(0, 4, (2, 500))
    found = confusion_matrix(labels, answers, 4)
    expected = np.zeros((4, 4), int)
    for label, answer in zip(labels, answers, strict=True):
        expected[label, answer] += 1
    np.testing.assert_array_equal(found, expected)
    assert confusion_matrix(np.array([2, 2]), np.array([0, 0]), 5)[2, 0] == 2
    # counts of labels as small as uint8 do not run over
    assert confusion_matrix(np.uint8([99, 99]), np.uint8([98, 98]), 100)[99, 98] == 2


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predictions must have shape \(2,\), got \(3,\)"):
        confusion_matrix(np.zeros(2, int), np.zeros(3, int), 2)
    with pytest.raises(ValueError, match="predictions must lie from 0 to 1, got 0 to 2"):
        confusion_matrix(np.array([0, 1]), np.array([0, 2]), 2)
    with pytest.raises(ValueError, match="labels must lie from 0 to 1, got -1 to 1"):
        confusion_matrix(np.array([-1, 1]), np.array([0, 1]), 2)


def test_each_row_is_a_hundred_percent() -> None:
    figure = draw_confusion(MATRIX, NAMES, "the title")
    (axes,) = figure.axes
    shares = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shares, [[0.995, 0.005, 0], [0.3, 0.7, 0], [0, 0, 0]])
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        **{(0, 0): "100", (1, 0): "<1"},
        **{(0, 1): "30", (1, 1): "70"},
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert [label.get_text() for label in axes.get_xticklabels()] == NAMES
    assert axes.get_title("left") == "269 of 300 images right; each row is 100 %"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("the network's answer", "what the picture shows")
    assert figure.get_suptitle() == "the title"


def test_many_classes_have_no_numbers_and_very_many_no_names() -> None:
    for count, numbers, names in ((20, 20, 20), (21, 0, 21), (61, 0, 0)):
        (axes,) = draw_confusion(np.eye(count, dtype=int), [f"class {n}" for n in range(count)]).axes
        assert len(axes.texts) == numbers
        assert sum(label.get_text().startswith("class") for label in axes.get_xticklabels()) == names


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"matrix must have shape \(2, 2\) for 2 classes, got \(3, 3\)"):
        draw_confusion(MATRIX, NAMES[:2])
    (axes,) = draw_confusion(np.zeros((2, 2), int), NAMES[:2]).axes
    assert axes.get_title("left") == "no images"
