from typing import Any

import pytest

from minicnn.viz.training_log import draw_log


def rows(count: int, drop: int = 100) -> list[dict[str, Any]]:
    names = [f"{part}_{what}" for part in ("train", "validation") for what in ("loss", "error", "top5_error")]
    return [
        {"epoch": epoch, "lr": 0.01 if epoch < drop else 0.001}
        | {name: (place + 1) / 10 / epoch for place, name in enumerate(names)}
        for epoch in range(1, count + 1)
    ]


def test_each_number_of_the_log_is_on_its_curve() -> None:
    log = rows(4)
    left, right = draw_log(log).axes
    for axes, names in (
        (left, ("train_loss", "validation_loss")),
        (right, ("train_error", "validation_error", "train_top5_error", "validation_top5_error")),
    ):
        curves = [list(map(float, line.get_ydata())) for line in axes.lines if len(line.get_ydata()) == 4]
        for name in names:
            assert [row[name] for row in log] in curves
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["training", "validation", "top-5 error"]


def test_the_lowest_validation_error_is_marked() -> None:
    log = rows(5)
    log[2]["validation_error"] = 0.01
    right = draw_log(log).axes[1]
    assert [text.get_text() for text in right.texts if "%" in text.get_text()] == ["1.0 %"]
    (mark,) = [line for line in right.lines if line.get_marker() == "o"]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([3], [0.01])


@pytest.mark.parametrize(
    ("lowest", "trained", "below"),
    [(0.3, 0.05, True), (0.3, 0.5, True), (0.3, 0.28, False), (0.02, 0.3, False)],
)
def test_the_lowest_validation_error_is_written_where_neither_curve_is(
    lowest: float, trained: float, below: bool
) -> None:
    log = rows(5)
    log[2] |= {"validation_error": lowest, "train_error": trained}
    for row in log[:2] + log[3:]:
        row |= {"validation_error": 0.6, "train_error": 0.5}
    figure = draw_log(log)
    figure.draw_without_rendering()
    axes = figure.axes[1]
    (text,) = [text for text in axes.texts if "%" in text.get_text()]
    height = axes.transData.transform((3, lowest))[1]
    box = text.get_window_extent()
    assert box.y1 < height if below else box.y0 > height
    assert box.y0 > axes.bbox.y0


def test_each_learning_rate_is_written_where_it_begins() -> None:
    for axes in draw_log(rows(6, drop=4)).axes:
        found = [(text.get_position()[0], text.get_text()) for text in axes.texts if "lr" in text.get_text()]
        assert found == [(0.5, "lr 0.01"), (3.5, "lr 0.001")]


def test_a_learning_rate_that_changes_all_the_time_is_a_curve() -> None:
    log = [row | {"lr": 0.1 * height} for row, height in zip(rows(6), (1, 2, 4, 3, 2, 0), strict=True)]
    left, right = draw_log(log).axes
    (curve,) = [line for line in left.lines if str(line.get_label()).startswith("learning rate")]
    heights = list(map(float, curve.get_ydata()))
    assert curve.get_label() == "learning rate, up to 0.4"
    assert [round(height / heights[0], 6) for height in heights] == [1, 2, 4, 3, 2, 0]
    assert max(heights) < 1 < left.get_ylim()[1] / max(row["train_loss"] for row in log)
    assert not [text for axes in (left, right) for text in axes.texts if "lr" in text.get_text()]


def test_without_validation_the_training_alone_is_drawn() -> None:
    log = [{name: None if "validation" in name else value for name, value in row.items()} for row in rows(4)]
    left, right = draw_log(log).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["training", "top-5 error"]
    curves = [list(map(float, line.get_ydata())) for line in right.lines if len(line.get_ydata()) == 4]
    assert curves == [[row[name] for row in log] for name in ("train_error", "train_top5_error")]
    assert not [text for text in right.texts if "%" in text.get_text()]


def test_one_epoch_is_drawn_and_none_is_an_error() -> None:
    assert all(line.get_marker() in (".", "o", "None") for line in draw_log(rows(1), "a run").axes[1].lines)
    with pytest.raises(ValueError, match="rows must hold at least one row"):
        draw_log([])
