from pathlib import Path
from typing import Any

import pytest

from minicnn.training import TrainingError, load_training
from minicnn.training.recipe import Recipe
from tests.training.small_runs import newest, train

pytestmark = pytest.mark.usefixtures("ctrl_c", "numpy_kernels")


def test_the_paper(tmp_path: Path) -> None:
    train(tmp_path, settings={"epochs": 1})
    group = load_training(newest(tmp_path)).optimizer["param_groups"][0]
    expected = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.0005, "style": "paper", "nesterov": False}
    assert {name: group[name] for name in expected} == expected
    recipe = Recipe.new("alexnet", "a folder", {}, {}, images=1_281_167)
    assert (recipe.batch_size, recipe.epochs, recipe.inputs, recipe.size, recipe.crop) == (128, 90, "raw", 256, 224)
    assert recipe.colour and recipe.augment and recipe.padding == 0 and recipe.schedule == "plateau"
    assert Recipe.new("alexnet", "a folder", {"init": "he"}, {}).inputs == "standardised"
    assert recipe.recipe == "paper" and recipe.config["init"] is None
    recipe = Recipe.new("alexnet-cifar", "cifar10", {}, {"recipe": "paper"})
    assert (recipe.inputs, recipe.size, recipe.crop, recipe.colour, recipe.padding) == (
        "standardised",
        32,
        28,
        False,
        0,
    )
    assert Recipe.new("four-layer", "cifar10", {}, {}).padding == 4
    assert Recipe.new("alexnet", "a folder", {"variant": "torchvision"}, {}).crop == 224


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": "vgg"}, "model must be one of alexnet, alexnet-cifar, four-layer, lenet5; got 'vgg'"),
        ({"model": None}, "model and data must be given"),
        ({"model": "alexnet"}, "alexnet takes images of 224x224, those of shapes have 32x32"),
        ({"switches": {"variant": "paper"}}, "lenet5 has no argument 'variant'"),
        ({"switches": {"activation": "gelu"}}, "activation must be one of relu, tanh, sigmoid"),
        ({"settings": {"lr": 0}}, "lr must be above 0 and finite, got 0"),
        ({"settings": {"lr": float("nan")}}, "lr must be above 0 and finite, got nan"),
        ({"settings": {"momentum": -1}}, "momentum must be 0 or more"),
        ({"settings": {"batch_size": 0}}, "batch_size must be at least 1, got 0"),
        ({"settings": {"epochs": 0}}, "epochs must be at least 1, got 0"),
        ({"settings": {"seed": -1}}, "seed must be at least 0, got -1"),
        ({"settings": {"limit": 1}}, "limit must be at least 2, got 1"),
        ({"settings": {"validation": 1.5}}, "validation must"),
        ({"settings": {"validation": 1}}, "validation must be 0 or more and below 1, got 1"),
        ({"settings": {"inputs": "grey"}}, "inputs must be one of raw, standardised; got 'grey'"),
        ({"settings": {"sgd": "fast"}}, "sgd must be one of paper, pytorch; got 'fast'"),
        ({"settings": {"lr_drops": [0]}}, "lr_drops must be at least 1, got 0"),
        ({"settings": {"lr_drops": [3], "schedule": "plateau"}}, r"must be epochs with lr_drops \(3,\), got 'plateau'"),
        ({"settings": {"padding": -1}}, "padding must be at least 0, got -1"),
        ({"settings": {"padding": 10**30}}, "padding must be at most 4,096, got 1,000,000"),
        ({"settings": {"batch_size": 10**30}}, "batch_size must be at most 2,147,483,648, got 1,000,000"),
        ({"keep": 0}, "keep must be at least 1, got 0"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes must be 0 or more, got -1"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        train(tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()
