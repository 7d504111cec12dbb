"""Tables of the results."""

from typing import Any

Result = dict[str, Any]


def race_table(result: Result) -> str:
    """Return the contenders, their ratios, and where minicnn's time goes."""
    what = "forward only" if result["forward_only"] else "training step"
    size = "x".join(map(str, result["input_shape"]))
    contenders = result["contenders"]
    batches = sorted({facts["batch"] for facts in contenders.values()})
    lines = [
        f"{result['benchmark']}, {what}, images of {size}, {_batch(batches)}, "
        f"{result['flops_per_image'] / 1e9:.3g} GFLOP per image; median (min to max) of {result['rounds']} rounds"
    ]
    rows = [["", "images/s", "ms/image", "GFLOP/s", "peak memory"]]
    for name, facts in contenders.items():
        speeds = [_spread(facts[unit]) for unit in ("images_per_s", "ms_per_image", "gflops")]
        rows.append([name, *speeds, _bytes(facts["peak_bytes"])])
    lines += _columns(rows)
    if result["ratios"]:
        lines += ["", "times as fast:", *_columns([[name, _spread(each)] for name, each in result["ratios"].items()])]
    for name, facts in contenders.items():
        if "profile" in facts:
            whole = sum(facts["profile"].values())
            parts = sorted(facts["profile"].items(), key=lambda part: -part[1])
            cells = [[part, f"{seconds / whole:.1%}", f"{1e3 * seconds:.3g} ms"] for part, seconds in parts]
            lines += ["", f"{name}, share of a step of {whole:.3g} s:", *_columns(cells)]
    return "\n".join([*lines, "", *_facts(result)])


def memory_table(result: Result) -> str:
    """Return every contender's peak memory."""
    what = "forward only" if result["forward_only"] else "training step"
    lines = [f"{result['network']}, {what}, {_batch([result['batch']])}: peak memory without the libraries"]
    lines += _columns([[name, _bytes(each["peak_bytes"])] for name, each in result["contenders"].items()])
    if result["ratios"]:
        lines += ["", *_columns([[name, f"{ratio:.2f}"] for name, ratio in result["ratios"].items()])]
    return "\n".join([*lines, "", *_facts(result)])


def operations_table(result: Result) -> str:
    """Return every operation's time, and in brackets its ratio to the floor."""
    names = list(result["contenders"])
    roofs = result["roofs"]
    lines = [
        f"{result['network']}, {_batch([result['batch']])}, {_threads(result['threads'])}: ms, and (times the floor); "
        f"median of {result['rounds']} rounds",
        f"floor: {roofs['flops_per_s'] / 1e9:.0f} GFLOP/s (one large matrix product), "
        f"{roofs['bytes_per_s'] / 1e9:.1f} GB/s (a copy, read and written)",
    ]
    head = ["", "", "floor", *names]
    if len(names) > 1:
        head.append("minicnn's time / best other's")
    rows = [head]
    for each in result["operations"]:
        medians = {name: each["seconds"][name]["median"] for name in names}
        cells = [f"{1e3 * medians[name]:.3g} ({each['over_floor'][name]:.2f})" for name in names]
        if len(names) > 1:
            cells.append(f"{medians['minicnn'] / min(medians[name] for name in names[1:]):.2f}")
        rows.append([each["name"], each["which"], f"{1e3 * each['floor_s']:.3g} {each['bound_by']}", *cells])
    return "\n".join([*lines, *_columns(rows), "", *_facts(result)])


def scaling_table(result: Result) -> str:
    """Return the slopes of each sweep: the power with which time, memory and multiply-adds grow."""
    lines = [
        f"{result['network']}, training step, {_threads(result['threads'])}: the power with which it grows, over the "
        f"larger half of each sweep; median of {result['rounds']} rounds"
    ]
    rows = [["", "", "time", "peak memory", "multiply-adds"]]
    for each in result["slopes"]:
        powers = ["" if each[of] is None else f"{each[of]:.2f}" for of in ("seconds", "peak_bytes", "multiply_adds")]
        rows.append([each["sweep"], each["contender"], *powers])
    return "\n".join([*lines, *_columns(rows), *result["skipped"], "", *_facts(result)])


def startup_table(result: Result) -> str:
    """Return the seconds of the import and of the first step."""
    lines = [
        f"start-up: seconds of the import, and from then to the end of {result['network']}'s first training step, "
        f"{_batch([result['batch']])}, {_threads(result['threads'])}; median (min to max) of {result['rounds']} rounds"
    ]
    rows = [["", "import", "first step"]]
    for name, each in result["contenders"].items():
        rows.append([name, _spread(each["import_s"]), _spread(each["first_step_s"])])
    return "\n".join([*lines, *_columns(rows), *_unset(result)])


def gpu_table(result: Result) -> str:
    """Return each network's contenders and ratios, and where minicnn's time goes."""
    lines = [f"training steps on {result['device']}; median (min to max) of {result['rounds']} rounds"]
    for cell in result["cells"]:
        rows = [["", "images/s", "memory of the GPU"]]
        for name, facts in cell["contenders"].items():
            rows.append([name, _spread(facts["images_per_s"]), _bytes(facts["peak_bytes"])])
        lines += ["", f"{cell['network']}, {_batch([cell['batch']])}", *_columns(rows)]
        if cell["ratios"]:
            lines += ["times as fast:", *_columns([[name, _spread(each)] for name, each in cell["ratios"].items()])]
        for name, facts in cell["contenders"].items():
            if "kernels" in facts:
                lines += _kernels(name, facts["kernels"])
    for name, facts in result["cells"][0]["contenders"].items():
        parts = [f"{key} {facts[key]}" for key in ("version", "gpu", "cuda", "cupy", "cudnn") if key in facts]
        lines += ["", f"{name}: {', '.join(parts)}"]
    return "\n".join(lines)


def _kernels(name: str, found: dict[str, Any]) -> list[str]:
    whole, copied = found["step_s"], found["copy_bytes_per_s"]
    parts = sorted(found["each"].items(), key=lambda part: -part[1]["seconds"])
    rows = [["", "share", "ms", "launches", "GB/s", "of a copy"]]
    for kernel, each in parts:
        speed = each["bytes"] / each["seconds"]
        share, times = f"{each['seconds'] / whole:.1%}", f"{1e3 * each['seconds']:.3g}"
        rows.append([kernel, share, times, f"{each['launches']:.0f}", f"{speed / 1e9:.0f}", f"{speed / copied:.0%}"])
    rest = whole - sum(each["seconds"] for _, each in parts)
    rows.append(["products and the rest", f"{rest / whole:.1%}", f"{1e3 * rest:.3g}", "", "", ""])
    return [f"{name}: kernels in a step of {1e3 * whole:.3g} ms; a copy has {copied / 1e9:.0f} GB/s", *_columns(rows)]


def _facts(result: Result) -> list[str]:
    lines = []
    for name, facts in result["contenders"].items():
        parts = [facts["version"]]
        parts += [f"{library} {facts[library]}" for library in ("numpy", "numba") if library in facts]
        parts += [f"{facts['kernels']} kernels"] if "kernels" in facts else []
        lines.append(f"{name}: {', '.join([*parts, _threads(facts['used_threads'])])}; {'; '.join(facts['blas'])}")
    return [*lines, *_unset(result)]


def _unset(result: Result) -> list[str]:
    return [f"removed from the environment: {', '.join(result['unset'])}"] if result["unset"] else []


def _batch(batches: list[int]) -> str:
    return f"batch {', '.join(map(str, batches))}"


def _threads(count: int) -> str:
    return f"{count} thread" + "s" * (count > 1)


def _spread(values: dict[str, float]) -> str:
    return f"{_number(values['median'])} ({_number(values['min'])} to {_number(values['max'])})"


def _number(value: float) -> str:
    """Write three significant digits, and at least those before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
