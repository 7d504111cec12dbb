"""The summary: shapes, arithmetic, counts, warnings, without an array; as text, HTML and CSV; on the command line."""

import csv
import io
import tracemalloc
import xml.etree.ElementTree as ElementTree

import every_layer
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, cli, nn
from minicnn.model_summary import summary_of_config
from minicnn.models import alexnet, alexnet_cifar, four_layer, lenet5
from minicnn.nn import LayerInfo


def alexnet_summary(batch=1, **arguments):
    return summary_of_config({"model": "alexnet", **arguments}, batch)


# --- the numbers --------------------------------------------------------------------------------------------


def test_alexnets_arithmetic_is_the_articles():
    summary = alexnet_summary(in_size=224)
    arithmetic = {row.name: row.arithmetic for row in summary if row.arithmetic}
    assert arithmetic == {
        "pad": "224 + 3 = 227",
        "conv1": "(227 - 11)/4 + 1 = 55",
        "pool1": "(55 - 3)/2 + 1 = 27",
        "conv2": "(27 + 2*2 - 5)/1 + 1 = 27",
        "pool2": "(27 - 3)/2 + 1 = 13",
        "conv3": "(13 + 2*1 - 3)/1 + 1 = 13",
        "conv4": "(13 + 2*1 - 3)/1 + 1 = 13",
        "conv5": "(13 + 2*1 - 3)/1 + 1 = 13",
        "pool5": "(13 - 3)/2 + 1 = 6",
        "flatten": "256 * 6 * 6 = 9216",
    }
    assert not summary.warnings


def test_two_towers():
    summary = alexnet_summary()
    assert summary.towers == 2
    shapes = {row.name: row.tower_shape for row in summary}
    assert shapes["pad"] is None
    assert [shapes[f"conv{n}"] for n in range(1, 6)] == [
        (1, 48, 55, 55),
        (1, 128, 27, 27),
        (1, 192, 13, 13),
        (1, 192, 13, 13),
        (1, 128, 13, 13),
    ]
    assert shapes["norm1"] == shapes["relu1"] == (1, 48, 55, 55)
    assert (shapes["fc6"], shapes["drop7"], shapes["fc8"]) == ((1, 2048), (1, 2048), None)
    reads_both = [row.name for row in summary if row.what.endswith("reads both towers")]
    assert reads_both == ["conv3", "fc6", "fc7", "fc8"]
    merged = alexnet_summary(variant="merged")
    assert merged.towers == 1
    assert {row.tower_shape for row in merged} == {None}
    assert not [row.name for row in merged if "towers" in row.what]
    assert summary_of_config({"model": "alexnet_cifar", "groups": 4})["conv3"].what.endswith("reads all 4 towers")


def test_bytes_grow_with_the_batch_and_multiply_accumulates_do_not():
    one, many = alexnet_summary(), alexnet_summary(batch=128)
    conv1 = many["conv1"]
    assert conv1.output_shape == (128, 96, 55, 55)
    assert conv1.activation_bytes == 128 * 96 * 55 * 55 * 4
    assert conv1.im2col_bytes == 128 * 3 * 11 * 11 * 55 * 55 * 4
    assert many["conv2"].im2col_bytes == 128 * 96 * 5 * 5 * 27 * 27 * 4
    assert many["relu1"].activation_bytes == conv1.activation_bytes
    assert many["flatten"].activation_bytes == many["pad"].activation_bytes == 0  # the same memory
    assert many.activation_bytes == 128 * one.activation_bytes == sum(row.activation_bytes for row in many)
    assert (many.macs, many.parameters) == (one.macs, one.parameters) == (724_406_816, 60_965_224)


def test_what_does_not_divide_is_told():
    summary = alexnet_summary(variant="article")
    assert summary["conv1"].arithmetic == "(224 - 11)/4 + 1 = 54.25, down to 54"
    assert summary.warnings == (
        "conv1: stride 4 does not divide 224 - 11 = 213: the last 1 of 224 rows and columns are never read",
        "pool1: stride 2 does not divide 54 - 3 = 51: the last 1 of 54 rows and columns are never read",
        "pool2: stride 2 does not divide 26 - 3 = 23: the last 1 of 26 rows and columns are never read",
    )
    small = summary_of_config({"model": "alexnet_cifar"})
    assert small["pool1"].arithmetic == "(28 - 3)/2 + 1 = 13.5, up to 14"
    assert small.warnings[0] == "pool1: stride 2 does not divide 28 - 3 = 25: the last windows hang over the edge"
    assert len(small.warnings) == 2


def test_height_and_width_that_differ():
    summary = minicnn.summary(nn.Sequential(nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0)), nn.MaxPool2d(2)), (3, 2, 8, 9))
    conv, pool = summary
    assert conv.output_shape == (3, 4, 4, 8)
    assert conv.arithmetic == "(8 + 2*1 - 3)/2 + 1 = 4.5, down to 4; (9 - 2)/1 + 1 = 8"
    assert conv.what == "conv 3x2x2, stride 2x1, padding 1x0"
    assert conv.warnings == (
        "stride 2 does not divide 8 + 2*1 - 3 = 7: the last 1 of 10 rows and columns are never read",
    )
    assert conv.macs == 4 * 4 * 8 * 2 * 3 * 2
    assert (pool.output_shape, pool.arithmetic) == ((3, 4, 2, 4), "(4 - 2)/2 + 1 = 2; (8 - 2)/2 + 1 = 4")


@pytest.mark.parametrize(("layer", "shape"), every_layer.examples(), ids=str)
def test_each_layer_declares_the_shape_that_it_computes(layer, shape):
    assert layer.output_info(shape).output_shape == layer(np.zeros(shape, np.float32)).shape
    (row,) = minicnn.summary(layer, shape) if len(shape) != 3 else minicnn.summary(layer, (1, *shape))
    assert row.info == layer.output_info(row.input_shape)
    assert row.parameters == sum(parameter.numel() for parameter in layer.parameters())


def test_there_is_an_example_of_every_layer():
    assert {type(layer) for layer, _ in every_layer.examples()} == set(every_layer.KINDS)


@pytest.mark.parametrize("model", [lenet5(), four_layer(), alexnet_cifar(), alexnet_cifar(groups=2, in_size=32)])
def test_the_walk_goes_where_the_numbers_go(model):
    size = model.config.get("in_size", 32)
    summary = minicnn.summary(model, (2, 3, size, size))
    x = Tensor(np.zeros((2, 3, size, size), np.float32))
    for row, layer in zip(summary, model, strict=True):
        assert row.layer is layer
        assert row.input_shape == x.shape
        x = layer(x)
        assert row.output_shape == x.shape


def test_float64_takes_twice_the_bytes():
    single, double = (
        minicnn.summary(nn.Conv2d(2, 3, 3, dtype=kind), (1, 2, 5, 5))[0] for kind in ("float32", "float64")
    )
    assert double.activation_bytes == 2 * single.activation_bytes == 2 * 4 * 3 * 3 * 3
    assert double.im2col_bytes == 2 * single.im2col_bytes


# --- any module ---------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.LocalResponseNorm(3)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)) + x)


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(np.ones(4, np.float32))

    def forward(self, x):
        return x * self.factor.reshape(4, 1, 1)


def test_a_module_with_a_forward_of_its_own():
    model = nn.Sequential({"first": Residual(), "scale": Scale(), "second": Residual(), "end": nn.Flatten()})
    summary = minicnn.summary(model, (2, 4, 5, 5))
    assert [row.name for row in summary] == ["first.conv", "first.norm", "scale", "second.conv", "second.norm", "end"]
    assert summary[-1].output_shape == (2, 100)
    assert summary["scale"].parameters == 4
    assert summary.warnings == ("scale: its class does not define output_info; its MACs are not counted",)
    assert summary.parameters == 2 * (4 * 4 * 9 + 4) + 4
    x = np.ones((1, 4, 5, 5), np.float32)
    assert model(x).shape == (1, 100)  # the layers are what they were
    assert "forward" not in vars(model.first.conv)


class Shuffle(nn.Module):
    """A layer of one's own, with a layer inside, that declares its output."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(4, 8)

    def forward(self, x):
        raise AssertionError("computed")

    def output_info(self, input_shape):
        return LayerInfo((input_shape[0], 8), "shuffle", "4 * 2 = 8", macs=7)


def test_a_layer_of_ones_own_declares_its_output():
    (row,) = minicnn.summary(Shuffle(), (1, 4))
    assert (row.output_shape, row.macs, row.what, row.parameters) == ((1, 8), 7, "shuffle", 40)


def test_a_layer_that_declares_nothing_says_so():
    with pytest.raises(NotImplementedError, match="Scale does not define output_info"):
        Scale().output_info((1, 4))


def test_a_layer_of_ones_own_may_have_towers_and_a_box():
    class Own(Shuffle):
        def output_info(self, input_shape):
            return LayerInfo((input_shape[0], 8, 5, 5), "own", groups=2, box="maps", kernel_size=(3, 3), notes=("3x3",))

    model = nn.Sequential({"own": Own(), "relu": nn.ReLU(), "flatten": nn.Flatten(), "fc": nn.Linear(200, 3)})
    summary = minicnn.summary(model, (1, 4, 7, 7))
    assert summary.towers == 2
    assert [row.tower_shape for row in summary] == [(1, 4, 5, 5), (1, 4, 5, 5), (1, 100), None]
    assert summary["fc"].what.endswith("reads both towers")
    written = [text.get_text() for text in summary.draw().axes[0].texts]
    assert {"own", "2 of 4x5x5", "3x3\nReLU"} <= set(written)


def test_a_layer_used_twice_counts_once():
    fc = nn.Linear(4, 4)
    model = nn.Sequential(fc, nn.ReLU())
    model.add_module("again", fc)
    summary = minicnn.summary(model, (1, 4))
    assert [row.parameters for row in summary] == [20, 0, 0]
    assert (summary.parameters, summary.macs) == (20, 32)


def test_the_layers_are_given_back_after_an_error():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3))
    with pytest.raises(ValueError, match=r"1 \(Conv2d\): conv2d: input has 4 channels, the layer takes 5"):
        minicnn.summary(model, (1, 3, 9, 9))
    assert not any("forward" in vars(layer) for layer in model)


def test_no_array_is_made():
    tracemalloc.start()
    try:
        summary = alexnet_summary(batch=128)
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert summary.activation_bytes > 9e8
    assert largest < 1e6


def test_nothing_is_drawn_at_random():
    minicnn.manual_seed(3)
    alexnet_summary()
    after = nn.Linear(3, 3).weight.data
    minicnn.manual_seed(3)
    np.testing.assert_array_equal(nn.Linear(3, 3).weight.data, after)


@pytest.mark.parametrize(
    ("model", "shape", "error", "message"),
    [
        (F.relu, (1, 3), TypeError, "summary: model must be a Module, got a function"),
        (nn.ReLU(), (1, 3.0), TypeError, "summary: input_shape must hold integers, got"),
        (nn.ReLU(), (3,), ValueError, "summary: input_shape must be such as"),
        (nn.ReLU(), (1, 0, 3), ValueError, "summary: input_shape must be such as"),
        (nn.MaxPool2d(3), (1, 3, 2, 9), ValueError, "MaxPool2d: the window of 3 is larger than the input of 2"),
        (nn.Conv2d(3, 3, 3), (1, 3), ValueError, r"Conv2d: conv2d: input must have shape \(N, C, H, W\), got \(1, 3\)"),
        (nn.Linear(3, 3), (1, 4), ValueError, "Linear: linear: input has 4 features, the layer takes 3"),
        (nn.PadTo(9, 7), (1, 4, 6, 9), ValueError, "PadTo: PadTo: input must have a height and width from 7 to 9, got"),
    ],
)
def test_refusals(model, shape, error, message):
    with pytest.raises(error, match=message):
        minicnn.summary(model, shape)


# --- as text ------------------------------------------------------------------------------------------------


def test_the_table():
    lines = str(alexnet_summary()).splitlines()
    assert lines[0].startswith("alexnet (paper): input 3x227x227, one image, 2 towers")
    (conv1,) = (line.split() for line in lines if line.startswith("conv1"))
    expected = "conv1 conv 11x11x3, stride 4 96x55x55 48x55x55 (227 - 11)/4 + 1 = 55 34,944 105,415,200 1.2 MB 4.4 MB"
    assert conv1 == expected.split()
    assert lines[-1].split()[:3] == ["total", "60,965,224", "724,406,816"]
    assert max(map(len, lines)) < 160
    text = str(alexnet_summary(batch=128, variant="article"))
    assert "a batch of 128" in text
    assert "per tower" not in text
    assert text.splitlines()[-3].startswith("warning: conv1: stride 4 does not divide 224 - 11")


def test_html_holds_what_the_text_holds():
    summary = alexnet_summary(variant="article")
    page = ElementTree.fromstring(f"<div>{summary._repr_html_()}</div>")
    assert len(page.findall(".//tbody/tr")) == len(summary)
    cells = [cell.text for cell in page.findall(".//tbody/tr[1]/td")]
    assert cells[:4] == ["conv1", "conv 11x11x3, stride 4", "96x54x54", "(224 - 11)/4 + 1 = 54.25, down to 54"]
    assert len(page.findall("p")) == 3
    tricky = nn.Sequential({"<b>": nn.ReLU()})
    assert "&lt;b&gt;" in minicnn.summary(tricky, (1, 3))._repr_html_()


def test_csv_holds_plain_numbers():
    summary = alexnet_summary(batch=2)
    rows = list(csv.DictReader(io.StringIO(summary.to_csv())))
    assert [row["layer"] for row in rows] == [row.name for row in summary]
    assert sum(int(row["macs"]) for row in rows) == summary.macs
    conv2 = rows[5]
    assert (conv2["output"], conv2["per_tower"], conv2["parameters"]) == ("256x27x27", "128x27x27", "307456")
    assert int(conv2["im2col_bytes"]) == 2 * 96 * 25 * 27 * 27 * 4


def test_rows_are_found_by_name_and_position():
    summary = alexnet_summary()
    assert summary["conv2"] is summary[5]
    with pytest.raises(KeyError, match="no layer 'conv9'; it has pad, conv1"):
        summary["conv9"]


# --- on the command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["alexnet", "alexnet-cifar", "lenet5", "four-layer"])
def test_the_command_walks_through_each_network(network, capsys):
    assert cli.main(["summary", network]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(("total", "warning"))


def test_the_commands_options(capsys):
    assert cli.main("summary alexnet --variant merged --in-size 224 --batch 16 --csv".split()) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (rows[0]["input"], rows[0]["output"]) == ("3x224x224", "3x227x227")
    assert int(rows[1]["activation_bytes"]) == 16 * 96 * 55 * 55 * 4
    assert rows[-1]["parameters"] == "4097000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("alexnet --in-size 20", "alexnet: in_size must be at least 64 for variant 'paper', got 20"),
        ("lenet5 --variant paper", "build: lenet5 has no argument 'variant'; it has num_classes, in_size"),
        ("vgg", "'vgg' is not one of 'alexnet'"),
        ("alexnet --batch 0", "must be a whole number of at least 1, got '0'"),
    ],
)
def test_the_commands_errors_take_one_line(arguments, message, capsys):
    assert cli.main(["summary", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_the_walk_of_a_network_with_its_numbers_is_the_same():
    assert minicnn.summary(alexnet_cifar(), (3, 28, 28)) == summary_of_config({"model": "alexnet_cifar"})
    with nn.init.skip_arrays():
        network = alexnet()
    assert minicnn.summary(network, (3, 227, 227)) == alexnet_summary()
