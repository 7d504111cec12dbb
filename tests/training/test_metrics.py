from minicnn.training.metrics import crossings, epochs_to_target


def test_the_first_epoch_at_or_below_the_target_counts() -> None:
    assert epochs_to_target([0.5, 0.26, 0.25, 0.3, 0.1], 0.25) == 3
    assert epochs_to_target([0.2], 0.25) == 1
    assert epochs_to_target([0.5, 0.2500001], 0.25) is None
    assert epochs_to_target([], 0.25) is None


def test_crossings_are_written_soonest_first_and_none_is_dropped() -> None:
    early, late, never, short = [0.9, 0.2], [0.9, 0.5, 0.1], [0.9] * 4, [0.9]
    assert crossings([early], 0.25) == "2"
    assert crossings([never], 0.25) == "> 4"
    assert crossings([never, late, early], 0.25) == "2, 3, > 4"
    assert crossings([late, late, late], 0.25) == "3"
    assert crossings([never, short, late], 0.25) == "3, > 1, > 4"
    assert crossings([never, late, early, early, late], 0.25) == "2 to > 4"
