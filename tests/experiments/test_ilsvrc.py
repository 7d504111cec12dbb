import io

import numpy as np
from matplotlib.colors import to_hex

from minicnn.experiments.ilsvrc import ALEXNET, HUMAN, WINNERS, draw_winners


def test_the_numbers_of_the_challenge() -> None:
    assert [winner.year for winner in WINNERS] == list(range(2010, 2018))
    assert [winner.error for winner in WINNERS] == [28.2, 25.77, 15.3, 11.2, 6.66, 3.57, 2.99, 2.251]
    assert [winner.year for winner in WINNERS if winner.is_network] == list(range(2012, 2018))


def test_a_bar_for_each_year_alexnet_marked_and_the_human_level() -> None:
    figure = draw_winners()
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [winner.error for winner in WINNERS]
    marked = [to_hex(bar.get_facecolor()) == ALEXNET for bar in axes.patches]
    assert marked == [winner.year == 2012 for winner in WINNERS]
    assert [HUMAN, HUMAN] in [list(np.asarray(line.get_ydata())) for line in axes.lines]
    texts = [text.get_text() for text in axes.texts]
    assert "a human\nbeing: 5.1" in texts and "15.3" in texts and "runner-up, no network: 26.2" in texts
    assert [label.get_text() for label in axes.get_xticklabels()][2] == "2012\nAlexNet"


def test_no_text_lies_on_another() -> None:
    figure = draw_winners()
    figure.savefig(io.BytesIO(), dpi=100)  # lays it out
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    labels = [text.get_window_extent() for text in axes.get_xticklabels()]
    boxes = [*labels, *(text.get_window_extent() for text in axes.texts), legend.get_window_extent()]
    for position, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[position + 1 :])
