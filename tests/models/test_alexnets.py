"""AlexNet's variants: shapes, counts, initial weights, switches."""

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, nn
from minicnn.models import alexnet

PARAMETERS = {"paper": 60_965_224, "merged": 62_378_344, "article": 62_378_344, "torchvision": 61_100_840}
MACS = {"paper": 724_406_816, "merged": 1_135_256_096, "article": 1_021_480_064, "torchvision": 714_188_480}


def shapes_of(make, **arguments):
    """The network without its numbers, and the summary through it."""
    with nn.init.skip_arrays():
        network = make(**arguments)
    size = network.config["in_size"]
    return network, minicnn.summary(network, (1, 3, size, size))


@pytest.fixture(scope="module")
def paper():
    """The real thing, once: 244 MB."""
    minicnn.manual_seed(0)
    return alexnet()


# --- counts and shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameters_and_multiply_accumulates(variant):
    network, summary = shapes_of(alexnet, variant=variant)
    assert sum(parameter.numel() for parameter in network.parameters()) == summary.parameters == PARAMETERS[variant]
    assert summary.macs == MACS[variant]


def test_parameters_and_multiply_accumulates_layer_by_layer():
    _, summary = shapes_of(alexnet)
    assert {row.name: row.parameters for row in summary if row.parameters} == {
        "conv1": 34_944,
        "conv2": 307_456,
        "conv3": 885_120,
        "conv4": 663_936,
        "conv5": 442_624,
        "fc6": 37_752_832,
        "fc7": 16_781_312,
        "fc8": 4_097_000,
    }
    merged = shapes_of(alexnet, variant="merged")[1]
    assert [merged[f"conv{n}"].parameters for n in (2, 4, 5)] == [614_656, 1_327_488, 884_992]
    assert [round(merged[f"conv{n}"].macs / 1e6, 2) for n in range(1, 6)] == [105.42, 447.9, 149.52, 224.28, 149.52]


def test_the_papers_layers_in_their_order():
    network, summary = shapes_of(alexnet)
    assert [name for name, _ in network.named_children()] == (
        "pad conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 flatten "
        "fc6 relu6 drop6 fc7 relu7 drop7 fc8"
    ).split()
    outputs = {row.name: row.output_shape[1:] for row in summary}
    assert [outputs[f"conv{n}"] for n in range(1, 6)] == [
        (96, 55, 55),
        (256, 27, 27),
        (384, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
    ]
    assert [outputs[f"pool{n}"] for n in (1, 2, 5)] == [(96, 27, 27), (256, 13, 13), (256, 6, 6)]
    assert [network[n].groups for n, layer in enumerate(network) if isinstance(layer, nn.Conv2d)] == [1, 2, 1, 2, 2]


def test_the_articles_layers():
    network, summary = shapes_of(alexnet, variant="article")
    sizes = [row.output_shape[2] for row in summary if isinstance(row.layer, nn.Conv2d | nn.MaxPool2d)]
    assert sizes == [54, 26, 26, 12, 12, 12, 12, 6]
    assert summary["flatten"].output_shape == (1, 9216)
    assert not any(isinstance(layer, nn.LocalResponseNorm) for layer in network)
    assert [layer.kernel_size for layer in network if isinstance(layer, nn.MaxPool2d)] == [(3, 3), (3, 3), (2, 2)]


def test_torchvisions_keys_and_shapes():
    network, _ = shapes_of(alexnet, variant="torchvision")
    assert {name: parameter.shape for name, parameter in network.named_parameters()} == {
        "features.0.weight": (64, 3, 11, 11),
        "features.0.bias": (64,),
        "features.3.weight": (192, 64, 5, 5),
        "features.3.bias": (192,),
        "features.6.weight": (384, 192, 3, 3),
        "features.6.bias": (384,),
        "features.8.weight": (256, 384, 3, 3),
        "features.8.bias": (256,),
        "features.10.weight": (256, 256, 3, 3),
        "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216),
        "classifier.1.bias": (4096,),
        "classifier.4.weight": (4096, 4096),
        "classifier.4.bias": (4096,),
        "classifier.6.weight": (1000, 4096),
        "classifier.6.bias": (1000,),
    }
    with_lrn, _ = shapes_of(alexnet, variant="torchvision", norm="lrn", dropout=0.0)
    assert [name for name, _ in with_lrn.named_parameters()] == [name for name, _ in network.named_parameters()]
    assert sum(isinstance(layer, nn.LocalResponseNorm) for layer in with_lrn.modules()) == 2


@pytest.mark.parametrize(
    ("arguments", "smallest"),
    [
        ({}, 64),
        ({"variant": "merged", "overlapping": False}, 36),
        ({"variant": "article"}, 51),
        ({"variant": "torchvision"}, 63),
    ],
)
def test_other_sizes_down_to_the_smallest(arguments, smallest):
    for size in (smallest, smallest + 1, 128, 300):
        network, summary = shapes_of(alexnet, in_size=size, **arguments)
        assert summary.rows[-1].output_shape == (1, 1000)
        assert network.config["in_size"] == size
    with pytest.raises(ValueError, match=f"alexnet: in_size must be at least {smallest} .*got {smallest - 1}"):
        alexnet(in_size=smallest - 1, **arguments)


# --- numbers ------------------------------------------------------------------------------------------------


def test_the_papers_first_values(paper):
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, parameter in paper.named_parameters():
        layer, _, kind = name.partition(".")
        if kind == "bias":
            assert (parameter.data == (layer in ones)).all(), name
        else:
            assert parameter.data.std() == pytest.approx(0.01, rel=0.02), name
            assert parameter.data.mean() == pytest.approx(0, abs=2e-4), name
            assert (abs(parameter.data) < 0.01).mean() == pytest.approx(0.6827, abs=0.01), name


def test_the_papers_normalisation_is_the_papers(paper):
    for name in ("norm1", "norm2"):
        norm = getattr(paper, name)
        assert (norm.size, norm.k, norm.beta) == (5, 2.0, 0.75)
        assert norm.alpha == pytest.approx(5e-4)


def test_224_is_padded_to_227_below_and_to_the_right(paper, rng):
    small = rng.standard_normal((1, 3, 224, 224)).astype(np.float32)
    padded = np.zeros((1, 3, 227, 227), np.float32)
    padded[:, :, :224, :224] = small
    paper.eval()
    with minicnn.no_grad():
        scores = paper(small)
        np.testing.assert_array_equal(scores.data, paper(padded).data)
        assert scores.shape == (1, 1000)
        with pytest.raises(ValueError, match=r"pad \(PadTo\): PadTo: input .* from 224 to 227, got 223x224"):
            paper(small[:, :, 1:])


@pytest.mark.parametrize("arguments", [{"activation": "tanh"}, {"variant": "article", "in_size": 67}])
def test_first_values_of_the_others(arguments):
    network = alexnet(num_classes=3, **{"in_size": 64, **arguments})
    assert all((parameter.data == 0).all() for name, parameter in network.named_parameters() if name.endswith("bias"))
    if arguments.get("variant") == "article":
        for name, parameter in network.named_parameters():
            if name.startswith("conv") and name.endswith("weight"):
                assert 0.0499 < abs(parameter.data).max() <= 0.05
                assert parameter.data.std() == pytest.approx(0.05 / 3**0.5, rel=0.02)
        bound = (6 / (256 + 4096)) ** 0.5
        assert 0.999 * bound < abs(network.fc6.weight.data).max() <= bound


# --- switches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["paper", "torchvision"])
def test_he_has_its_own_first_values_with_which_a_picture_makes_a_difference_at_fc7(variant, rng):
    network = alexnet(variant, num_classes=7, in_size=95, norm="lrn", init="he", dropout=0.0)
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    for number, layer in enumerate(layers, start=1):
        expected = np.sqrt(2 / layer.weight.data[0].size) * (2**0.75 if number in (2, 3) else 1)  # 2 and 3 follow LRN
        assert layer.weight.data.std() == pytest.approx(0.01 if number == 8 else expected, rel=0.05)
        assert (layer.bias.data == 0).all()
    assert network.config["init"] == "he"
    with minicnn.no_grad():
        scores = network(Tensor(rng.standard_normal((8, 3, 95, 95)).astype(np.float32))).data
    assert scores.std(axis=0).mean() > 0.05  # with the paper's it is 1e-4 for pixels as these


@pytest.mark.parametrize("variant", PARAMETERS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_switches_do_what_they_say(variant, activation):
    network, summary = shapes_of(
        alexnet, variant=variant, activation=activation, norm="none", dropout=0.25, overlapping=False, groups=1
    )
    layers = list(network.modules())
    kind = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation]
    assert sum(isinstance(layer, kind) for layer in layers) == 7
    assert not any(isinstance(layer, nn.LocalResponseNorm) for layer in layers)
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.25, 0.25]
    assert {layer.kernel_size for layer in layers if isinstance(layer, nn.MaxPool2d)} == {(2, 2)}
    assert {layer.groups for layer in layers if isinstance(layer, nn.Conv2d)} == {1}
    # the maps keep their sizes, so pooling is all that changes
    overlapping = shapes_of(alexnet, variant=variant)[1]
    assert summary["flatten"].output_shape == overlapping["flatten"].output_shape
    everything, _ = shapes_of(alexnet, variant=variant, norm="lrn", groups=2)
    assert sum(isinstance(layer, nn.LocalResponseNorm) for layer in everything.modules()) == 2
    assert [layer.groups for layer in everything.modules() if isinstance(layer, nn.Conv2d)] == [1, 2, 1, 2, 2]


@pytest.mark.parametrize("variant", PARAMETERS)
def test_batch_normalisation_stands_between_each_convolution_and_its_activation(variant):
    network, _ = shapes_of(alexnet, variant=variant, norm="batch")
    kinds = [type(layer).__name__ for layer in network.modules()]
    found = [kinds[i : i + 3] for i, kind in enumerate(kinds) if kind == "Conv2d"]
    assert found == [["Conv2d", "BatchNorm2d", "ReLU"]] * 5
    assert "LocalResponseNorm" not in kinds
    assert all(layer.bias is None for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert network.config["norm"] == "batch"


def test_torchvisions_takes_images_of_other_sizes_with_the_same_weights():
    with nn.init.skip_arrays():
        small, large = (alexnet("torchvision", in_size=size) for size in (95, 300))
        usual = alexnet("torchvision")
    for network, size in ((small, 95), (usual, 224), (large, 300)):
        assert minicnn.summary(network, (1, 3, size, size)).rows[-1].output_shape == (1, 1000)
        assert {name: p.shape for name, p in network.named_parameters()} == {
            name: p.shape for name, p in usual.named_parameters()
        }


def test_dropout_stands_behind_fc6_in_the_paper_and_before_it_in_torchvision():
    order = [type(layer).__name__ for layer in shapes_of(alexnet)[0]][-7:]
    assert order == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    order = [type(layer).__name__ for layer in shapes_of(alexnet, variant="torchvision")[0].classifier]
    assert order == ["Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"variant": "vgg"}, ValueError, "alexnet: variant must be one of paper, merged, article, torchvision; got"),
        ({"variant": ["paper"]}, ValueError, "alexnet: variant must be one of"),
        ({"activation": "gelu"}, ValueError, "alexnet: activation must be one of relu, tanh, sigmoid; got 'gelu'"),
        ({"num_classes": 0}, ValueError, "alexnet: num_classes must be at least 1, got 0"),
        ({"in_size": 224.0}, TypeError, "alexnet: in_size must be an integer, got 224.0"),
        ({"in_size": -5}, ValueError, "alexnet: in_size must be at least 64"),
        ({"norm": "yes"}, ValueError, "alexnet: norm must be one of lrn, batch, none; got 'yes'"),
        ({"dropout": 1.5}, ValueError, "alexnet: dropout must lie between 0 and 1, got 1.5"),
        ({"overlapping": 3}, TypeError, "alexnet: overlapping must be True or False, got 3"),
        ({"groups": 3}, ValueError, "alexnet: groups must divide .*, got 3"),
        ({"groups": 0}, ValueError, "alexnet: groups must be at least 1, got 0"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        alexnet(**arguments)


@pytest.mark.torch
def test_torchvisions_network_computes_what_pytorchs_does():
    torch = pytest.importorskip("torch")
    from torch import nn as tnn

    def double(network):
        """Ours has no dtype argument: 64-bit numbers are put in, as 32-bit ones would hide a small mistake."""
        for parameter in network.parameters():
            parameter.data = parameter.data.astype(np.float64)
        return network

    theirs = tnn.Sequential()
    features = [tnn.Conv2d(3, 64, 11, 4, 2), tnn.ReLU(), tnn.MaxPool2d(3, 2), tnn.Conv2d(64, 192, 5, padding=2)]
    features += [tnn.ReLU(), tnn.MaxPool2d(3, 2), tnn.Conv2d(192, 384, 3, padding=1), tnn.ReLU()]
    features += [tnn.Conv2d(384, 256, 3, padding=1), tnn.ReLU(), tnn.Conv2d(256, 256, 3, padding=1), tnn.ReLU()]
    features += [tnn.MaxPool2d(3, 2)]
    classifier = [tnn.Dropout(), tnn.Linear(9216, 4096), tnn.ReLU(), tnn.Dropout(), tnn.Linear(4096, 4096)]
    classifier += [tnn.ReLU(), tnn.Linear(4096, 5)]
    theirs.add_module("features", tnn.Sequential(*features))
    theirs.add_module("avgpool", tnn.AdaptiveAvgPool2d(6))
    theirs.add_module("flatten", tnn.Flatten())
    theirs.add_module("classifier", tnn.Sequential(*classifier))
    theirs.double().eval()
    ours = double(alexnet("torchvision", num_classes=5, in_size=63)).eval()
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})

    images = np.random.default_rng(0).standard_normal((2, 3, 63, 63))
    labels = np.array([1, 4])
    scores, expected = ours(images), theirs(torch.from_numpy(images))
    np.testing.assert_allclose(scores.data, expected.detach().numpy(), rtol=0, atol=1e-10)
    F.cross_entropy(scores, labels).backward()
    torch.nn.functional.cross_entropy(expected, torch.from_numpy(labels)).backward()
    for (name, mine), torchs in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad, torchs.grad.numpy(), rtol=0, atol=1e-10, err_msg=name)
