"""Lesson 14, many machines."""

from collections.abc import Sequence

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]


# --- bytes of a sum -------------------------------------------------------------------------------------------


def bytes_sent(size: int, ranks: int) -> float:
    """Return the bytes that each rank sends to add up `size` bytes over all ranks in a ring."""
    return 2 * (ranks - 1) * size / ranks


sent = Exercise(
    lesson=14,
    task="Return the bytes that each rank sends to add up `size` bytes over `ranks` ranks in a ring.",
    solution=bytes_sent,
    cases=[(100, 2), (100, 4), (244_000_000, 8), (120, 3), (100, 1)],
    mistakes=[
        Mistake(
            "only the first round is counted",
            "After N - 1 steps each rank has the sum of one part. How do the others get it?",
            lambda size, ranks: (ranks - 1) * size / ranks,
        ),
        Mistake(
            "whole arrays are sent instead of parts",
            "How long is a part, if an array is cut into as many parts as there are ranks?",
            lambda size, ranks: 2 * (ranks - 1) * size,
        ),
        Mistake(
            "one step too many in each round",
            "A part that has visited N ranks has made N - 1 steps.",
            lambda size, ranks: 2 * size,
        ),
        Mistake(
            "as many steps as ranks",
            "Both rounds have N - 1 steps. How many are that together?",
            lambda size, ranks: ranks * size / ranks,
        ),
        Mistake(
            "messages are counted, not their bytes",
            "That is how many messages a rank sends. How many bytes has each of them?",
            lambda size, ranks: 2 * (ranks - 1),
        ),
    ],
)


# --- a step that hides its messages ---------------------------------------------------------------------------


def backward_seconds(ready: Sequence[float], seconds: Sequence[float], backward: float) -> float:
    """Return when the backward pass and all of its messages are over."""
    free = 0.0
    for complete, message in zip(ready, seconds, strict=True):
        free = max(free, complete) + message
    return max(free, backward)


overlap = Exercise(
    lesson=14,
    task="Return when a backward pass is over whose gradients leave while it goes on, one message after another.",
    solution=backward_seconds,
    cases=[
        ([0.1, 0.2, 1.0], [0.5, 0.5, 0.1], 1.0),
        ([0.1, 0.2, 1.0], [0.5, 2.0, 0.1], 1.0),
        ([0.0, 0.9], [0.1, 0.3], 1.0),
        ([0.1, 0.2], [0.1, 0.1], 1.0),
        ([0.5], [0.25], 0.5),
    ],
    mistakes=[
        Mistake(
            "nothing is hidden",
            "Then the first message would wait for the end of the backward pass. When is its gradient complete?",
            lambda ready, seconds, backward: backward + sum(seconds),
        ),
        Mistake(
            "messages leave before their gradients are complete",
            "The last gradient is complete only at the end. Can its message leave before?",
            lambda ready, seconds, backward: max(sum(seconds), backward),
        ),
        Mistake(
            "messages travel at the same time",
            "The link carries one message after another: each waits for its gradient and for a free link.",
            lambda ready, seconds, backward: max(
                backward, *(complete + message for complete, message in zip(ready, seconds, strict=True))
            ),
        ),
        Mistake(
            "only the last message is counted",
            "The last gradient may be complete while earlier messages still occupy the link. When is it free?",
            lambda ready, seconds, backward: max(backward, ready[-1] + seconds[-1]),
        ),
        Mistake(
            "the step may end before the backward pass does",
            "If all messages have arrived early, what is the step still waiting for?",
            lambda ready, seconds, backward: backward_seconds(ready, seconds, 0.0),
        ),
    ],
)

EXERCISES = [sent, overlap]
