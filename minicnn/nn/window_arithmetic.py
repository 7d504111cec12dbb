"""How many windows a layer slides over an image, with the arithmetic, and its settings in words."""

from minicnn.ops.pool import output_length

__all__ = ["both", "setting", "short", "sides"]

Pair = tuple[int, int]


def sides(
    size: Pair, window: Pair, stride: Pair, padding: Pair, behind: Pair, ceil_mode: bool = False
) -> tuple[Pair, str, tuple[str, ...]]:
    """Return how many windows fit in height and in width, the arithmetic, and warnings."""
    found = [_side(*numbers, ceil_mode) for numbers in zip(size, window, stride, padding, behind, strict=True)]
    (OH, how_high, warning_h), (OW, how_wide, warning_w) = found
    warning = both(warning_h, warning_w).strip("; ")
    return (OH, OW), both(how_high, how_wide), (warning,) if warning else ()


def _side(length: int, window: int, stride: int, padding: int, behind: int, ceil_mode: bool) -> tuple[int, str, str]:
    padded = f"{length} + 2*{padding}" if padding else str(length)
    if behind != padding:
        padded = f"{length} + {padding} + {behind}"
    room = length + padding + behind - window
    count = output_length(length + behind - padding, window, stride, padding, ceil_mode)
    if count < 1:
        raise ValueError(f"the window of {window} is larger than the input of {padded}")
    formula = f"({padded} - {window})/{stride} + 1"
    if room % stride == 0:
        return count, f"{formula} = {count}", ""
    exact = f"{room / stride + 1:.2f}".rstrip("0")
    direction = "down" if count == room // stride + 1 else "up"
    lost = (
        f"the last {room % stride} of {window + room} rows and columns are never read"
        if direction == "down"
        else "the last windows hang over the edge"
    )
    warning = f"stride {stride} does not divide {padded} - {window} = {room}: {lost}"
    return count, f"{formula} = {exact}, {direction} to {count}", warning


def both(height: str, width: str) -> str:
    """Join what holds for height and for width; once, if it is the same."""
    return height if height == width else f"{height}; {width}"


def setting(name: str, values: Pair | str, default: int) -> list[str]:
    """Return a stride, a padding or a dilation as text; nothing if it is the default."""
    if isinstance(values, str):
        return [f"{name} {values}"]
    height, width = values
    sides = str(height) if height == width else f"{height}x{width}"
    return [] if values == (default, default) else [f"{name} {sides}"]


def short(values: Pair) -> str:
    """Write a pair of equal numbers as one."""
    return str(values[0] if values[0] == values[1] else values)
