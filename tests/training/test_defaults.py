from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.training import load_training
from minicnn.training.defaults import ENOUGH, choose, defaults
from minicnn.training.recipe import Recipe
from minicnn.training.stopping import Stopped
from tests.training.small_runs import assert_same, log, newest, stop_after, train

pytestmark = pytest.mark.usefixtures("ctrl_c", "numpy_kernels")

ONE_CYCLE: dict[str, Any] = {"recipe": "small", "epochs": 3}


@pytest.mark.parametrize(
    ("model", "images", "recipe"),
    [
        ("alexnet", None, "small"),
        ("alexnet", ENOUGH - 1, "small"),
        ("alexnet", ENOUGH, "paper"),
        ("alexnet-cifar", ENOUGH, "small"),
        ("lenet5", 60_000, "small"),
    ],
)
def test_the_images_choose_the_recipe(model: str, images: int | None, recipe: str) -> None:
    assert choose(model, images) == recipe
    assert Recipe.new(model, "folder", {}, {}, images).recipe == recipe


def test_small_is_for_few_images() -> None:
    recipe = Recipe.new("alexnet", "folder", {}, {}, images=3000)
    assert (recipe.config["init"], recipe.inputs, recipe.schedule) == ("he", "standardised", "one-cycle")
    assert (recipe.batch_size, recipe.steps(3000), recipe.lr) == (32, 94, 0.005)
    recipe = Recipe.new("alexnet", "folder", {}, {}, images=30_000)
    assert (recipe.batch_size, recipe.lr) == (128, 0.02)
    recipe = Recipe.new("alexnet-cifar", "cifar10", {}, {}, images=45_000)
    assert (recipe.config["dropout"], recipe.crop, recipe.padding, recipe.lr) == (0.25, 32, 4, 0.05)
    assert Recipe.new("four-layer", "cifar10", {}, {}).config["init"] == "xavier"


def test_what_is_given_is_kept() -> None:
    switches, settings = defaults("small", "alexnet-cifar", 100, {"dropout": 0.5}, {"lr": 0.3, "batch_size": 7})
    assert (switches["dropout"], settings["lr"], settings["batch_size"]) == (0.5, 0.3, 7)
    recipe = Recipe.new("alexnet", "folder", {}, {"recipe": "paper"}, images=3000)
    assert (recipe.config["init"], recipe.inputs, recipe.schedule, recipe.lr) == (None, "raw", "plateau", 0.01)
    assert Recipe.new("alexnet", "folder", {"init": "he"}, {}, images=ENOUGH).inputs == "standardised"


@pytest.mark.parametrize("settings", [{"schedule": "plateau"}, {"schedule": "epochs"}, {"lr_drops": (2,)}], ids=str)
def test_the_highest_rate_of_one_cycle_is_not_for_other_schedules(settings: dict[str, Any]) -> None:
    assert defaults("small", "alexnet-cifar", 100, {}, settings)[1]["lr"] == 0.01


def test_the_rate_rises_and_falls_to_0(tmp_path: Path) -> None:
    train(tmp_path, settings=ONE_CYCLE | {"lr": 0.1, "epochs": 4})
    rates = [float(row["lr"]) for row in log(tmp_path)]
    assert 0.05 < rates[0] < 0.1 and rates == sorted(rates, reverse=True) and rates[-1] < 0.01


@pytest.mark.parametrize("steps", [1, 3, 4])  # in the middle of an epoch, at its end, at the next one's beginning
def test_one_cycle_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    train(tmp_path / "whole", settings=ONE_CYCLE)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, steps)
        train(tmp_path / "parts", settings=ONE_CYCLE)
    train(tmp_path / "parts", None, None, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_more_epochs_make_the_rate_that_of_a_run_with_as_many(tmp_path: Path) -> None:
    train(tmp_path / "long", settings=ONE_CYCLE | {"epochs": 4})
    train(tmp_path / "short", settings=ONE_CYCLE | {"epochs": 1})
    train(tmp_path / "short", None, None, resume=True, settings={"epochs": 4})
    rates = [[float(row["lr"]) for row in log(tmp_path / name)] for name in ("long", "short")]
    np.testing.assert_array_equal(rates[0][1:], rates[1][1:])
    assert rates[0][0] > rates[1][0]
    state = load_training(newest(tmp_path / "short")).progress["schedule"]
    assert state["last_epoch"] == state["total_steps"] == 12


def test_the_first_lines_say_which_recipe_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, settings={"recipe": None, "epochs": 1})
    assert (
        "Recipe: small (36 training images, 3 steps an epoch): initial weights its own, standardised pixels, batches "
        "of 16, 1 epoch with a learning rate that rises to 0.00625 in the first tenth and falls to 0"
    ) in capsys.readouterr().err.splitlines()
