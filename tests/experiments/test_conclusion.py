import pytest

from minicnn.experiments.conclusion import conclusion


def reaching(*epochs: int | None, length: int = 12) -> list[list[float]]:
    """Return a curve for each seed that falls below 25 % in that epoch, or never."""
    return [[0.2 if epoch and now >= epoch else 0.4 for now in range(1, length + 1)] for epoch in epochs]


def first_sentence(relu: list[list[float]], tanh: list[list[float]]) -> str:
    said, resume = conclusion({"raw": {"relu": relu, "tanh": tanh}}, 0.25).split(".\n")
    assert resume == "Whether that depends on the size of the inputs, --resume --inputs both shows."
    median = f" and in the median of {len(relu)} seeds" if len(relu) > 1 else ""
    return said.removeprefix(f"On raw pixels{median}, ")


TO = "to 25 % training error"


@pytest.mark.parametrize(
    ("relu", "tanh", "said"),
    [
        (reaching(3), reaching(7), f"ReLU learns sooner: {TO} it takes 3 epochs, and tanh 7"),
        (reaching(7), reaching(3), f"tanh learns sooner: {TO} it takes 3 epochs, and ReLU 7"),
        (reaching(1), reaching(3), f"ReLU learns sooner: {TO} it takes 1 epoch, and tanh 3"),
        (reaching(3), reaching(None), f"ReLU learns sooner: {TO} it takes 3 epochs, and tanh more than 12"),
        (reaching(None), reaching(3), f"tanh learns sooner: {TO} it takes 3 epochs, and ReLU more than 12"),
        (reaching(5), reaching(5), f"the two are about level: {TO} ReLU takes 5 epochs, and tanh 5"),
        (reaching(5), reaching(6), f"the two are about level: {TO} ReLU takes 5 epochs, and tanh 6"),
        (reaching(6), reaching(5), f"the two are about level: {TO} ReLU takes 6 epochs, and tanh 5"),
        (reaching(10), reaching(12), f"the two are about level: {TO} ReLU takes 10 epochs, and tanh 12"),
        (reaching(4, 5), reaching(5, 5), f"the two are about level: {TO} ReLU takes 4.5 epochs, and tanh 5"),
        (reaching(3, 4, 9), reaching(7, 8, None), f"ReLU learns sooner: {TO} it takes 4 epochs, and tanh 8"),
        (
            reaching(3, 4, 9),
            reaching(7, None, None),
            f"ReLU learns sooner: {TO} it takes 4 epochs, and tanh more than 12",
        ),
        # An unfinished study: tanh has had as many epochs as ReLU needed, or fewer.
        (
            reaching(3),
            reaching(None, length=3),
            f"these epochs do not say which learns sooner: {TO} ReLU takes 3 epochs, and tanh more than 3",
        ),
        (
            reaching(None, length=1),
            reaching(3),
            f"these epochs do not say which learns sooner: {TO} ReLU takes more than 1 epochs, and tanh 3",
        ),
        (
            reaching(None),
            reaching(None),
            "neither reaches 25 % training error: the last epoch has 40.0 % with ReLU and 40.0 % with tanh",
        ),
    ],
)
def test_it_says_what_the_numbers_say(relu: list[list[float]], tanh: list[list[float]], said: str) -> None:
    assert first_sentence(relu, tanh) == said


def test_with_both_inputs_it_names_the_cause_only_if_the_numbers_do() -> None:
    def said(raw_tanh: int, standardised_relu: int, standardised_tanh: int) -> list[str]:
        raw = {"relu": reaching(3), "tanh": reaching(raw_tanh)}
        standardised = {"relu": reaching(standardised_relu), "tanh": reaching(standardised_tanh)}
        return conclusion({"raw": raw, "standardised": standardised}, 0.25).split(".\n")

    cause = "; so what slows tanh down is the size of its inputs."
    assert said(7, 5, 5) == [
        f"On raw pixels, ReLU learns sooner: {TO} it takes 3 epochs, and tanh 7",
        f"On standardised pixels, the two are about level: {TO} ReLU takes 5 epochs, and tanh 5{cause}",
    ]
    assert said(7, 8, 5)[1].endswith(cause)
    for numbers in ((7, 3, 6), (4, 5, 5), (7, 13, 13)):
        sentences = said(*numbers)
        assert len(sentences) == 2 and cause not in sentences[1]


def test_there_is_nothing_to_say_without_both_activations() -> None:
    assert conclusion({}, 0.25) == conclusion({"raw": {"relu": reaching(3)}}, 0.25) == ""
    both = {"relu": reaching(3), "tanh": reaching(7)}
    assert conclusion({"raw": both, "standardised": {"relu": reaching(3)}}, 0.25) == conclusion({"raw": both}, 0.25)
