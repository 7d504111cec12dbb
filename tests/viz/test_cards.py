"""Steps as cards, the walk page, and who asks for them."""

import base64
import html
import io
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import Tensor, models, nn
from minicnn import functional as F
from minicnn.data import load_image
from minicnn.ops.conv import Conv2d
from minicnn.tracing import Trace, TraceStep
from minicnn.training import load_model
from minicnn.training.evaluation import probabilities
from minicnn.viz import card, page, receptive_field, walk_html
from minicnn.viz.cards import png, shown_channels
from minicnn.viz.stepping import WalkPage, step_through
from minicnn.viz.unit_view import window_and_filter
from minicnn.viz.walk_page import Field

Call = Callable[..., int]
RNG = np.random.default_rng(3)


def walked(network: nn.Module, side: int = 28, batch: int = 1, channels: int = 3) -> tuple[Trace, Tensor]:
    pictures = np.random.default_rng(0).standard_normal((batch, channels, side, side)).astype(np.float32)
    with minicnn.trace() as trace:
        loss = F.cross_entropy(network(Tensor(pictures)), np.arange(batch))
    loss.backward()
    return trace, loss


@pytest.fixture(scope="module")
def alexnet_cifar() -> tuple[Trace, Tensor]:
    minicnn.manual_seed(0)
    return walked(models.build({"model": "alexnet_cifar", "groups": 2}), batch=2)


def step(trace: Trace, layer: str, backward: bool = False) -> TraceStep:
    steps = trace.backward_steps() if backward else trace.forward_steps()
    return next(step for step in steps if step.layer == layer)


class Pictures(HTMLParser):
    """Every picture of a card: what it says of itself, its pixels, and where its maps lie."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Image.Image, Any]] = []
        self.maps: Any = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if given.get("class") == "sheet":
            self.maps = json.loads(given.get("data-maps") or "null")
        if tag == "img":
            self.found.append((given["alt"] or "", opened(given["src"] or ""), self.maps))

    def of(self, name: str) -> list[tuple[Image.Image, Any]]:
        return [(image, maps) for alt, image, maps in self.found if alt.startswith(f"{name} of ")]


def opened(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")


def tile(image: Image.Image, maps: dict[str, Any], channel: int) -> np.ndarray:
    row, column = divmod(maps["channels"].index(channel), maps["columns"])
    top, left = row * (maps["height"] + 1), column * (maps["width"] + 1)
    return np.asarray(image)[top : top + maps["height"], left : left + maps["width"]].astype(int)


# --- pictures -----------------------------------------------------------------------------------------------


def test_numbers_become_colours_with_zero_in_the_middle() -> None:
    pixels = np.asarray(opened(png(np.array([[-2.0, 0.0, 2.0, np.nan, 99.0]]), 2.0, signed=True)))[0].astype(int)
    blue, white, red, nothing, beyond = pixels
    assert blue[2] > 90 > blue[0] and red[0] > 90 > red[2]
    assert (white[:3] > 240).all()
    assert nothing[3] == 0 and (pixels[[0, 1, 2, 4], 3] == 255).all()
    assert (beyond == red).all()


def test_numbers_without_a_sign_go_from_black_to_white() -> None:
    pixels = np.asarray(opened(png(np.array([[0.0, 1.0, 2.0]]), 2.0)))[0]
    np.testing.assert_array_equal(pixels[:, 0], [0, 128, 255])
    assert opened(png(np.zeros((2, 2)), 0.0)).size == (2, 2)  # no division by zero
    np.testing.assert_array_equal(np.asarray(opened(png(np.ones((1, 1, 3)) * [1, 0, 0.5])))[0, 0], [255, 0, 128, 255])


def test_the_shown_maps_are_the_strongest_and_stay_until_the_next_convolution(
    alexnet_cifar: tuple[Trace, Tensor],
) -> None:
    trace, _ = alexnet_cifar
    conv = step(trace, "conv2").record
    strength = conv.output[0].max(axis=(1, 2))
    for towers, share in ((1, 32), (2, 16)):
        chosen = shown_channels(conv, towers)
        for tower in range(towers):
            of_tower = np.arange(96).reshape(towers, -1)[tower]
            best = of_tower[np.argsort(-strength[of_tower])[:share]]
            assert set(best) <= set(chosen)
        assert len(chosen) == 32 and (np.diff(chosen) > 0).all()
        for layer in ("relu2", "norm2", "pool2"):
            np.testing.assert_array_equal(shown_channels(step(trace, layer).record, towers), chosen)
    assert set(shown_channels(step(trace, "conv3").record, 2)) != set(shown_channels(conv, 2))
    assert len(shown_channels(step(trace, "fc6").record)) == 0


# --- cards --------------------------------------------------------------------------------------------------


def test_the_card_of_conv2_shows_both_towers(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    conv = step(trace, "conv2")
    pictures = Pictures(card(conv))
    for name, width in (("y", 96), ("x", 48)):
        (_, first), (_, second) = pictures.of(name)
        assert max(first["channels"]) < width // 2 <= min(second["channels"])
    assert len(pictures.of("w")) == 2
    assert "tower 1: 16 of 48 maps" in card(conv) and "tower 2: 16 of 48 maps" in card(conv)
    assert len(Pictures(card(step(trace, "conv3"))).of("y")) == 1
    assert len(Pictures(card(step(trace, "conv3"), towers=2)).of("y")) == 2
    assert len(Pictures(card(step(trace, "conv2", backward=True))).of("dL/dw")) == 2


def test_the_maps_on_a_card_are_the_numbers(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    relu = step(trace, "relu1")
    for example in (0, 1):
        ((image, maps),) = Pictures(card(relu, example)).of("y")
        largest = relu.output[example, maps["channels"]].max()
        for channel in maps["channels"][::7]:
            expected = 255 * relu.output[example, channel] / largest
            np.testing.assert_allclose(tile(image, maps, channel)[..., 0], expected, atol=1.1)


def test_a_small_matrix_is_shown_in_full() -> None:
    a, b = Tensor(np.ones((4, 3))), Tensor(-np.ones((3, 5)))
    with minicnn.trace() as trace:
        _ = a @ b
    pictures = Pictures(card(next(iter(trace.forward_steps()))))
    assert [image.size for name in "aby" for image, _ in pictures.of(name)] == [(3, 4), (5, 3), (5, 4)]


def test_a_few_filters_of_one_channel_fill_their_sheet() -> None:
    with minicnn.trace() as trace:
        F.conv2d(Tensor(np.ones((1, 1, 5, 5))), Tensor(np.ones((2, 1, 3, 3))))
    text = card(next(iter(trace.forward_steps())))
    ((image, _),) = Pictures(text).of("w")
    assert image.size == (3 + 1 + 3, 3)
    assert "the 1 channels" not in text


def test_gradients_are_white_at_zero_and_coloured_by_sign(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    relu = step(trace, "relu2", backward=True)
    ((image, maps),) = Pictures(card(relu)).of("dL/dx")
    gradient = relu.gradients_out["dL/dx"][0]
    seen = 0
    for channel in maps["channels"]:
        pixels, values = tile(image, maps, channel), gradient[channel]
        assert (pixels[values == 0][:, :3] > 240).all()
        strong = np.abs(values) > np.quantile(np.abs(gradient), 0.98)
        np.testing.assert_array_equal((pixels[..., 0] > pixels[..., 2])[strong], (values > 0)[strong])
        seen += strong.sum()
    assert seen > 20


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_what_a_card_says(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    forward, backward = card(step(trace, "pool1")), card(step(trace, "pool1", backward=True))
    text = words(forward)
    assert "pool1: MaxPool2d" in text and "y[n, c, oh, ow] = the largest x in the window" in text
    assert "Krizhevsky et al. 2012, section 3.4" in text and "kernel_size 3 x 3" in text
    assert "def forward(self, xp" in text and "Saved for the backward pass" in text and "uint8 2x48x14x14" in text
    text = words(backward)
    assert "dL/dx: each dL/dy goes to the first largest element, and adds up" in text
    assert "def backward(self, xp" in text and "norm" in text and "Saved for" not in text
    assert f"norm {step(trace, 'pool1', True).norms['dL/dx']:.3g}" in text
    assert card(step(trace, "pool1"), style=False) in forward and "<style>" in forward


def test_a_notebook_shows_the_card(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, loss = alexnet_cifar
    assert step(trace, "conv2")._repr_html_() == card(step(trace, "conv2"))
    first = next(loss.backward_steps())
    assert isinstance(first, TraceStep) and 'class="minicnn-card backward"' in (first._repr_html_() or "")


class EveryKind(nn.Module):
    def forward(self, x: Any) -> Any:
        y = F.avg_pool2d(x, 2) / 2.0 - 1
        z = F.pad(y, (1, 0, 0, 1)).permute(0, 2, 3, 1).transpose(1, 3)[:, 1:] ** 2
        return F.log_softmax(F.sigmoid(z).max(3).values.flatten(1)[:, :4].exp(), 1) * 1 + F.tanh(x.mean())


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (models.build({"model": "lenet5"}), 3),
        (models.build({"model": "lenet5", "in_channels": 1}), 1),
        (EveryKind(), 2),
        (nn.Sequential(nn.Conv2d(5, 4, 3, groups=1), nn.Flatten(), nn.Linear(4 * 900, 7)), 5),
    ],
    ids=["colour", "grey", "every kind", "five channels"],
)
def test_every_operation_has_a_card(network: nn.Module, channels: int) -> None:
    pictures = Tensor(RNG.standard_normal((2, channels, 32, 32)).astype(np.float32), requires_grad=True)
    with minicnn.trace() as trace:
        loss = F.cross_entropy(network(pictures), [1, 0])
    loss.backward()
    steps = [*trace.forward_steps(), *trace.backward_steps()]
    assert len(steps) == 2 * len(trace)
    for one in steps:
        assert all(image.size > (0, 0) for _, image, _ in Pictures(card(one, 1)).found)
        assert card(one).count("<figure>") == card(one).count("</figure>") > 0


def test_numbers_that_are_none_and_no_numbers_at_all() -> None:
    with minicnn.trace() as trace, np.errstate(all="ignore"):
        F.relu(Tensor(np.full((1, 2, 3, 3), np.nan)))
        F.relu(Tensor(np.array([[np.inf, 1.0]])))
        Tensor(np.zeros((0, 3))) * 2
    assert all("<article" in card(one) for one in trace.forward_steps())
    assert "is zero" not in card(next(trace.forward_steps()))


def test_zeros_are_called_zeros() -> None:
    with minicnn.trace() as trace:
        F.linear(Tensor(np.ones((1, 3))), Tensor(np.ones((2, 3))), Tensor(np.zeros(2)))
    shown = card(next(trace.forward_steps()))
    assert shown.count("all that is shown is zero") == 1 and shown.count("black 0, white") == 3  # x, w and y


def test_names_cannot_become_tags() -> None:
    with minicnn.trace() as trace:
        nn.Sequential({"<b></script>": nn.ReLU()})(Tensor([1.0]))
    text = card(next(trace.forward_steps()))
    assert "<h3>&lt;b&gt;&lt;/script&gt;: ReLU</h3>" in text
    text = page(trace)
    assert text.count("</script>") == 3 and data_of(text)["steps"][0]["title"] == "<b></script>: ReLU"


# --- what a unit sees ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 2, 3)],
        [nn.Conv2d(1, 2, (5, 3), stride=(2, 1), padding=(2, 0)), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)],
        [nn.PadTo(20), nn.Conv2d(1, 4, 4, stride=4), nn.LocalResponseNorm(3), nn.Conv2d(4, 2, 3, padding=1)],
        [nn.AvgPool2d(3, 2, padding=1), nn.Tanh(), nn.Conv2d(1, 1, 2), nn.MaxPool2d(2, 1)],
    ],
    ids=["conv", "oblong", "padded", "average"],
)
def test_a_receptive_field_is_what_changes_the_unit(layers: list[nn.Module]) -> None:
    """A pixel that is NaN makes NaN of exactly the units that see it."""
    side = 18
    for row, column in ((0, 0), (5, 7), (17, 17), (3, 16), (12, 0)):
        pictures = np.zeros((1, 1, side, side), np.float32)
        pictures[0, 0, row, column] = np.nan
        with minicnn.trace() as trace:
            nn.Sequential(*layers)(Tensor(pictures))
        record = trace.records[-1]
        field = receptive_field(record)
        assert field is not None
        for (i, j), seen in np.ndenumerate(np.isnan(record.output[0, 0])):
            inside = [
                start + at * step <= place < start + at * step + size
                for at, place, start, step, size in zip((i, j), (row, column), *field, strict=True)
            ]
            assert seen == all(inside), (i, j)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 2, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 3))],
        [nn.Conv2d(1, 1, (2, 4), padding="same", dilation=(3, 1)), nn.MaxPool2d(2, 2, 1, dilation=2)],
        [nn.MaxPool2d(3, dilation=2), nn.Conv2d(1, 1, 2, padding="same")],
    ],
    ids=["conv", "same", "max"],
)
def test_a_receptive_field_reaches_over_the_gaps_of_dilation(layers: list[nn.Module]) -> None:
    """No pixel outside of it counts, and those in its corners do."""
    side = 18
    seen: dict[tuple[int, ...], set[tuple[int, int]]] = {}
    for place in np.ndindex(side, side):
        pictures = np.zeros((1, 1, side, side), np.float32)
        pictures[(0, 0, *place)] = np.nan
        with minicnn.trace() as trace:
            nn.Sequential(*layers)(Tensor(pictures))
        for unit in np.argwhere(np.isnan(trace.records[-1].output[0, 0])):
            seen.setdefault(tuple(unit), set()).add((place[0], place[1]))
    field = receptive_field(trace.records[-1])
    assert field is not None
    complete = 0
    for unit, pixels in seen.items():
        first = [start + at * step for at, start, step in zip(unit, field.start, field.step, strict=True)]
        last = [at + size - 1 for at, size in zip(first, field.size, strict=True)]
        assert all(f <= at <= t for pixel in pixels for at, f, t in zip(pixel, first, last, strict=True))
        if min(first) >= 0 and max(last) < side:
            complete += 1
            assert {tuple(first), tuple(last)} <= pixels
    assert complete > 0


def test_the_window_of_a_dilated_unit_has_no_gaps() -> None:
    x = RNG.standard_normal((1, 4, 9, 9)).astype(np.float32)
    with minicnn.trace() as trace:
        y = nn.Conv2d(4, 6, (3, 2), (2, 1), 1, (2, 3), groups=2)(Tensor(x))
    window, weights, bias = window_and_filter(trace.records[0], 4, 3, 2)
    assert window.shape == weights.shape == (2, 3, 2)
    assert float((window * weights).sum()) + bias == pytest.approx(float(y.data[0, 4, 3, 2]), rel=1e-5)


def test_alexnets_receptive_fields() -> None:
    network = models.build({"model": "alexnet", "in_size": 67, "num_classes": 10})
    trace, _ = walked(network, side=67)
    found = {one.layer: receptive_field(one.record) for one in trace.forward_steps()}
    sizes = {"conv1": 11, "norm1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99, "conv4": 131, "conv5": 163}
    for layer, size in {**sizes, "pool5": 195}.items():
        field = found[layer]
        assert field is not None and field.size == (size, size), layer
    assert found["conv2"] == Field((-16, -16), (8, 8), (51, 51))  # two of padding, eight pixels each
    assert found["fc6"] is None and found["flatten"] is None and found[""] is None


def test_a_field_that_is_not_known_is_none() -> None:
    with minicnn.trace() as trace:
        F.relu(F.softmax(Tensor(np.ones((1, 2, 3, 3))), 1) * 2)
    assert [receptive_field(record) for record in trace.records] == [None] * 3


# --- the page -----------------------------------------------------------------------------------------------


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found.group(1))


def numbers(data: dict[str, Any], place: int) -> np.ndarray:
    array = data["arrays"][place]
    kind = "<f4" if array["bytes"] == 4 else "<i2"
    return np.frombuffer(base64.b64decode(array["data"]), kind).reshape(array["shape"]) * array["scale"]


def test_the_page_needs_nothing_else(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    text = page(alexnet_cifar[0])
    outside = re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*|url\([^)]*\)|@import|https?://[^\s"'<]*""", text)
    assert outside == []
    assert text.startswith("<!doctype html>") and text.count("<script") == 3
    assert "$" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_the_page_has_every_step_forwards_and_then_backwards(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    text = page(trace, title="A <title>")
    steps = data_of(text)["steps"]
    assert [one["record"] for one in steps] == [*range(24), *reversed(range(24))]
    assert [one["backward"] for one in steps] == [False] * 24 + [True] * 24
    assert text.count('<div class="step"') == 48 and text.count('class="box"') == 24
    assert "step 48 of 48" in text and "<title>A &lt;title&gt;</title>" in text
    with minicnn.trace() as forward:
        F.relu(Tensor(np.ones((1, 2, 3, 3))))
    assert [one["backward"] for one in data_of(page(forward))["steps"]] == [False]


def test_boxes_are_to_scale(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    sizes = {}
    for name, drawing in re.findall(
        r'aria-label="(\w+): [^"]+?, output [^"]+"[^>]*><svg[^>]*>(.*?)</svg>', page(trace)
    ):
        front = re.search(r'class="face0" d="M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)', drawing)
        assert front
        left, top, right, low = map(float, front.groups())
        sizes[name] = (right - left, low - top)
        assert ('class="towers"' in drawing) == (
            name[:2] in ("co", "re", "no", "po") and name not in ("relu6", "relu7")
        )
    maps = {"conv1": (48, 28), "pool1": (48, 14), "conv2": (96, 14), "conv3": (144, 7), "pool5": (96, 3)}
    for name, (channels, side) in maps.items():
        assert sizes[name][0] / sizes["conv1"][0] == pytest.approx(channels / 48, rel=0.02)
        assert sizes[name][1] / sizes["conv1"][1] == pytest.approx(side / 28, rel=0.02)
    assert sizes["fc6"][1] / sizes["flatten"][1] == pytest.approx(512 / 864, rel=0.02)


def test_the_pages_numbers_give_each_convolutions_output(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    for example in (0, 1):
        data = data_of(page(trace, example=example))
        for layer in ("conv1", "conv2", "conv4"):
            record = step(trace, layer).record
            found = data["records"][str(record.position)]
            conv, channels = found["conv"], found["channels"]
            x, w, b = numbers(data, conv["x"]), numbers(data, conv["w"]), np.array(conv["b"])
            (PH, PW), CG, F_each = conv["padding"], w.shape[1], found["shape"][0] // conv["groups"]
            padded = np.pad(x, ((0, 0), (PH, PH), (PW, PW)))
            for _ in range(20):
                n, i, j = RNG.integers(len(channels)), *RNG.integers(found["shape"][1:])
                group = channels[n] // F_each
                window = padded[group * CG : (group + 1) * CG, i : i + w.shape[2], j : j + w.shape[3]]
                y = record.output[example, channels[n], i, j]
                assert (window * w[n]).sum() + b[n] == pytest.approx(y, rel=1e-4, abs=1e-5)
            rounded = numbers(data, found["values"])
            largest = np.abs(record.output[example, channels]).max()
            np.testing.assert_allclose(rounded, record.output[example, channels], atol=largest / 30_000)
            gradients = numbers(data, found["gradients"])
            expected = record.grad_output[example, channels]
            np.testing.assert_allclose(gradients, expected, atol=np.abs(expected).max() / 30_000)


def test_the_answer(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, loss = alexnet_cifar
    likely = step(trace, "").saved["p"][1]
    names = [f"name<{number}>" for number in range(10)]
    text = page(trace, classes=names, example=1)
    best = int(likely.argmax())
    answer = text[text.index('class="answer"') : text.index("</section>", text.index('class="answer"'))]
    assert re.findall(r"name&lt;(\d)&gt;", answer)[0] == str(best)
    assert answer.count("<li>") == 5 and f"<b>{100 * likely[best]:.1f} %</b>" in answer
    assert f"The loss is {loss.item():.4g}" in answer and "name&lt;1&gt;”" in answer


def test_the_picture_is_what_was_given_or_what_one_says(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    pixels = RNG.integers(0, 256, (28, 28, 3), dtype=np.uint8)

    def shown(text: str) -> np.ndarray:
        found = re.search(r'<img alt="What the network was given" src="([^"]+)"', text)
        assert found
        return np.asarray(opened(found.group(1)))[..., :3]

    np.testing.assert_array_equal(shown(page(trace, pixels)), pixels)
    given = trace.records[0].inputs[0][0].transpose(1, 2, 0)
    expected = 255 * (given - given.min()) / (given.max() - given.min())
    np.testing.assert_allclose(shown(page(trace)), expected, atol=0.51)


def test_what_a_page_cannot_be_made_of(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    trace, _ = alexnet_cifar
    with pytest.raises(ValueError, match="page: nothing was recorded; call the network inside"):
        page(Trace())
    with pytest.raises(ValueError, match=r"picture must be \(H, W, 3\) with H and W \(28, 28\), got \(32, 32, 3\)"):
        page(trace, np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="classes must name all 10 scores, got 3 names"):
        page(trace, classes=["a", "b", "c"])


@pytest.mark.slow
def test_the_page_of_alexnet_is_saved_in_ten_megabytes(tmp_path: Path) -> None:
    with nn.init.skip_arrays():
        network = models.build({"model": "alexnet"})
    for parameter in network.parameters():  # quicker than the paper's, and as hard to compress
        fan_in = max(1, parameter.numel() // parameter.shape[0])
        parameter.data = RNG.standard_normal(parameter.shape, np.float32) * np.float32(math.sqrt(2 / fan_in))
    network.eval()
    trace, _ = walked(network, side=224)
    trace.save_html(tmp_path / "walk.html")
    size = (tmp_path / "walk.html").stat().st_size
    assert 1e6 < size < 10e6
    steps = data_of((tmp_path / "walk.html").read_text(encoding="utf-8"))["steps"]
    assert [one["title"].partition(":")[0] for one in steps if one["backward"]][::7] == [
        "CrossEntropy",
        "pool5",
        "pool2",
        "conv1",
    ]


# --- notebooks and the command line -------------------------------------------------------------------------


def test_step_through_shows_the_page_where_no_kernel_answers() -> None:
    network = models.build({"model": "four_layer"})
    pictures = np.zeros((1, 3, 32, 32), np.float32)
    with minicnn.trace():
        loss = F.cross_entropy(network(Tensor(pictures)), [4])
    shown = minicnn.step_through(loss, title="By hand")
    assert isinstance(shown, WalkPage)
    assert len(data_of(shown.text)["steps"]) == 24
    frame = shown._repr_html_()
    assert frame.startswith("<iframe") and html.unescape(frame.partition('srcdoc="')[2][:-11]) == shown.text
    gradient = network[0].weight.grad.copy()
    minicnn.step_through(loss)  # walked already: not once more
    np.testing.assert_array_equal(network[0].weight.grad, gradient)
    with pytest.raises(ValueError, match="trace_of: output must be computed inside"):
        minicnn.step_through(Tensor([1.0], requires_grad=True) * 2)


def test_step_through_with_a_notebooks_buttons() -> None:
    pytest.importorskip("ipywidgets", reason="ipywidgets is absent (extra notebooks)")
    x = Tensor(np.array([1.0, -2.0]), requires_grad=True)
    with minicnn.trace():
        loss = F.relu(x * 3).sum()
    row, controls, below = step_through(loss, widgets=True).children
    shown, closer = below.children
    previous, following, _, slider = controls.children
    assert "Mul" in shown.value and slider.max == 5
    assert closer.layout.display == "none"  # here are no maps
    following.click()
    assert slider.value == 1 and "ReLU" in shown.value
    assert row.value.count("<svg") == 3 and re.findall(r'class="now">.*?<span>(\w+)<', row.value) == ["ReLU"]
    for _ in range(9):
        following.click()
    assert slider.value == 5 and "backward" in shown.value and "Mul" in shown.value
    assert row.value.startswith('<div class="minicnn-row backward">')
    previous.click()
    assert "ReLU" in shown.value


def test_a_notebooks_buttons_look_at_a_unit_as_the_page_does(alexnet_cifar: tuple[Trace, Tensor]) -> None:
    pytest.importorskip("ipywidgets", reason="ipywidgets is absent (extra notebooks)")
    trace, loss = alexnet_cifar
    row, controls, below = step_through(loss, widgets=True).children
    slider = controls.children[3]
    _, channel, at_row, at_column, unit = below.children[1].children
    slider.value = 4
    record = trace.records[4]
    assert issubclass(record.operation, Conv2d) and 'class="now"' in row.value
    strongest = np.abs(record.output[0, list(channel.options)]).max()
    assert abs(record.output[0, channel.value, at_row.value, at_column.value]) == strongest
    channel.value, at_row.value, at_column.value = channel.options[-1], 13, 0
    y = record.output[0, channel.value, 13, 0]
    assert f"y = {y:.4g}" in unit.value and "rows 22 to 27 and columns 0 to 6 of the image" in unit.value
    window, weights, bias = window_and_filter(record, channel.value, 13, 0)
    assert float((window * weights).sum()) + bias == pytest.approx(y, rel=1e-4, abs=1e-5)
    at_row.value = 999
    assert at_row.value == 13
    slider.value = slider.max - 4
    assert "dL/dy = " in unit.value and "products" in unit.value
    slider.value = 18
    assert below.children[1].layout.display == "none"


def test_the_command_writes_a_page(
    folder: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "walk.html"
    assert call("walk", folder / "a.safetensors", folder / "photo.png", "--out", out, "--threads", 1) == 0
    assert capsys.readouterr().out.strip() == str(out)
    text = out.read_text(encoding="utf-8")
    assert "An image walks through AlexNet for small images" in text
    steps = data_of(text)["steps"]
    assert len(steps) == 44 and not [one for one in steps if "Dropout" in one["title"]]  # as it judges pictures
    assert call("walk", folder / "a.safetensors", folder / "photo.png", "--class", "star", "--out", out) == 0
    assert "“star”" in out.read_text(encoding="utf-8")


def test_mistakes_of_the_command_are_one_line(
    folder: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, photo, out = folder / "a.safetensors", folder / "photo.png", tmp_path / "a.html"
    for arguments, message in (
        ((checkpoint, photo), "--out"),
        ((tmp_path / "none", photo, "--out", out), "none"),
        ((checkpoint, tmp_path / "none.jpg", "--out", out), "none.jpg cannot be read"),
        ((checkpoint, photo, "--class", "cat", "--out", out), "--class must be one of disc, ring, square"),
        ((checkpoint, photo, "--out", tmp_path / "nowhere" / "a.html"), "nowhere"),
    ):
        assert call("walk", *arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and error.startswith("minicnn: error: "), error
    assert not list(tmp_path.iterdir())


def test_a_walk_for_a_page_leaves_the_network_as_it_was(folder: Path) -> None:
    saved = load_model(folder / "a.safetensors")
    image = load_image(folder / "photo.png", 32)
    saved.network.train()
    first = next(iter(saved.network.parameters()))
    first.grad = np.ones_like(first.data)
    before = saved.network.state_dict()
    text = walk_html(saved, image)
    assert saved.network.training and (first.grad == 1).all()
    assert [parameter.grad is None for parameter in saved.network.parameters()] == [False, *[True] * 15]
    for name, array in saved.network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    likely = probabilities(saved.network, saved.preparation, image[None])[0]
    assert f"“{saved.classes[likely.argmax()]}”" in text
