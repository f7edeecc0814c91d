"""The page of a report: tables in Markdown, and a plot of cost against the number of points."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.clouds import COLLAPSED, SPREAD
from benchmarks.numbers import number_text
from benchmarks.scaling_figure import SLOPE_FROM, Rows, scaling_figure, series_of, slope_of
from pc_crvae.evaluation.tables import Table
from pc_crvae.utils.files import atomic_path

GIB = 2**30 / 1e6
"""MB (10^6 bytes)."""
_BUDGET_GIB = 24
_BUSY = 0.5
"""Cores kept busy by others, above which workers are short of some."""


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write the page, and ``<stem>-scaling.png`` beside it if the report holds that suite.

    Raises:
        UserError: if a file cannot be written.
    """
    rows: Rows = report["rows"]
    scaling = _of(rows, "scaling")
    plot = path.with_name(f"{path.stem}-scaling.png")
    if scaling:
        figure = scaling_figure(scaling)
        with atomic_path(plot) as temporary:
            figure.savefig(temporary, dpi=110)
    parts = [
        _opening(report, path),
        _ceilings(_of(rows, "ceiling")),
        _steps([row for row in _of(rows, "step") if "cr_over_vae" not in row]),
        _consistency([row for row in _of(rows, "step") if "cr_over_vae" in row]),
        _operators(_of(rows, "ops")),
        _scaling(scaling, plot.name),
        _what_fits(rows),
        _data(_of(rows, "data"), report["machine"]["load"] or 0.0),
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")


def _of(rows: Rows, what: str) -> Rows:
    return [row for row in rows if row["what"] == what]


def _opening(report: dict[str, Any], path: Path) -> str:
    machine = report["machine"]
    versions = ", ".join(
        f"{name} {number}" for name, number in machine["versions"].items() if number
    )
    memory = f", {machine['memory_gb']:.0f} GB of memory" if machine["memory_gb"] else ""
    card = f"{machine['card']}; " if machine.get("card") else ""
    load = machine["load"]
    busy = "" if load is None else f" Load before the run: {load:.2f}."
    warning = (
        "\n**From `--quick`: tiny inputs, one round. The numbers mean nothing.**\n"
        if report["quick"]
        else ""
    )
    return f"""# Performance

Written by `tools/bench.py`, never by hand:

    {report["command"]}
{warning}
**Machine.** {card}{machine["cpu"]}, {machine["cores"]} cores{memory}, {machine["system"]}. \
Torch has {machine["torch_threads"]} threads and {machine["cpu_capability"]} instructions. \
Python {machine["python"]}, {versions}. Kernels: {machine["kernels"]}.{busy}

{_how_to_read(report["rows"])}"""


def _how_to_read(rows: Rows) -> str:
    if all(row["what"] == "data" for row in rows):
        return "Times are in milliseconds, memory in MB of 10^6 bytes."
    return f"""**How to read it.** Contenders take turns in one process, after a warm-up that \
compiles kernels. Each time is the median over the rounds, in milliseconds. Each ratio is the \
reference's time over ours: 2.00 means that ours takes half the time. The reference is in float32 \
throughout. The textbook form (`benchmarks/textbook/models.py`) is what public code does: \
distances as N x N matrices, each edge's input formed before it is multiplied, the codeword copied \
to each point. `tests/models/test_textbook_equality.py` shows that values, gradients and running \
statistics are the same. Memory is the peak that one call adds, in MB of 10^6 bytes. It is \
measured in a process of its own, without inputs, parameters and buffers that libraries keep. \
Spread clouds: {SPREAD}. Collapsed clouds: {COLLAPSED}."""


def _ceilings(rows: Rows) -> str:
    if not rows:
        return ""
    made = Table(
        ["what", "of", "rate", "in"],
        [[row["name"], row["inputs"], number_text(row["rate"]), row["unit"]] for row in rows],
    )
    return f"""## What the chip can do

Square products, and copies of one array; a copy within a memory counts both reading and writing.

{made.markdown()}"""


def _steps(rows: Rows) -> str:
    if not rows:
        return ""
    made = Table(
        ["step", "ours in", "ours", "textbook", "ratio", "floor", "reached", "MB", "textbook MB"],
        [
            [
                row["name"],
                row["dtype"],
                number_text(row["ours_ms"]),
                number_text(row["reference_ms"]),
                f"**{row['ratio']:.2f}**",
                number_text(row["floor_ms"]),
                f"{row['floor_share']:.0%}",
                number_text(row.get("ours_added_mb")),
                number_text(row.get("reference_added_mb")),
            ]
            for row in rows
        ],
    )
    settings = "\n".join(
        f"- {row['name']}: {row['batch']} clouds, {row['inputs']}; "
        + ", ".join(f"{part} {number_text(gflop)}" for part, gflop in row["gflop"].items())
        + " GFLOP."
        for row in rows
        if row["dtype"] == "float32" and "," not in row["name"]
    )
    allocation = ""
    if any(row["name"].endswith(", freed memory kept") for row in rows):
        allocation = """ Contenders \
allocate as programs do by default, which costs the textbook form most: its large matrices are \
mapped and cleared anew at every step. In rows with *freed memory kept* both run after \
`pc_crvae.utils.memory.keep_freed_memory`, which the training loop calls."""
    return f"""## Training steps

A step is: encode, decode, squared Chamfer distance (sum of both directions), backward, AdamW. \
Weights are fresh, so the decoded clouds are still collapsed. `bfloat16` is ours under autocast. \
The floor is arithmetic: the matrix products that no exact form avoids, and everything else free. \
Each product is taken at the speed of bare products of the shape of the decoder's hidden layer, \
measured in the same rounds and precision. Reached is the floor's share of our time. \
[performance-waiting.md](performance-waiting.md#the-rest-of-a-step) has what the rest goes \
to.{allocation}

{made.markdown()}

{settings}"""


def _consistency(rows: Rows) -> str:
    if not rows:
        return ""
    made = Table(
        ["step", "CR", "plain VAE", "CR / VAE", "floor", "reached"],
        [
            [
                row["name"],
                number_text(row["ours_ms"]),
                number_text(row["reference_ms"]),
                f"**{row['cr_over_vae']:.2f}**",
                number_text(row["floor_ms"]),
                f"{row['floor_share']:.0%}",
            ]
            for row in rows
        ],
    )
    return f"""## The consistency step

Both passes, x and t(x), with the consistency KL stand against one pass of the same model. Both \
are ours, in float32. t turns about z, keeps a random half to all of the points and jitters them. \
With all points kept, both passes encode equally large clouds. \
Here, as in the training loop, freed memory is kept for the next step. The floor is of both \
passes, at the mean number of points kept.

{made.markdown()}"""


def _operators(rows: Rows) -> str:
    if not rows:
        return ""
    made = Table(
        ["operator", "on", "against", "ours", "theirs", "ratio", "MB", "theirs, MB"],
        [
            [
                row["name"],
                f"{row['batch']} x {row['points']:,}: {row['inputs']}",
                row["reference"],
                number_text(row["ours_ms"]),
                number_text(row["reference_ms"]),
                f"**{row['ratio']:.2f}**",
                number_text(row.get("ours_added_mb")),
                number_text(row.get("reference_added_mb")),
            ]
            for row in rows
        ],
    )
    return f"## Operators\n\n{made.markdown()}"


def _scaling(rows: Rows, plot: str) -> str:
    if not rows:
        return ""
    made = Table(
        ["points", *(f"{name}: {kind}" for name in series_of(rows) for kind in ("ms", "MB"))],
        [
            [f"{points:,}", *_cells(rows, points)]
            for points in sorted({row["points"] for row in rows})
        ],
    )
    described = "\n".join(
        f"- {name}: {series_of(rows)[name][0]['inputs']}, one cloud"
        + (f"; time grows as N^{slope:.2f}" if (slope := slope_of(series_of(rows)[name])) else "")
        + "."
        for name in series_of(rows)
    )
    return f"""## Cost against the number of points

![Time and added memory against the number of points, in double logarithm]({plot})

{described}

Exponents are fitted to the sizes from {SLOPE_FROM:,} points on, and to the three largest of \
the textbook form (dotted). That form is left out where its matrices grow too large.

{made.markdown()}"""


def _data(rows: Rows, load: float) -> str:
    if not rows:
        return ""
    busy = ""
    if load > _BUSY:
        busy = (
            f" **Other processes kept {load:.1f} cores busy: no worker had a core of its own. So "
            "these times are too long, and the ratio of two workers to one says little.**"
        )
    made = Table(
        ["what", "of", "ms", "against", "theirs, ms", "ratio", "MB"],
        [
            [
                row["name"],
                row["inputs"],
                number_text(row["ours_ms"]),
                row["reference"],
                number_text(row["reference_ms"]),
                "" if row["ratio"] is None else f"**{row['ratio']:.2f}**",
                number_text(row.get("ours_added_mb")),
            ]
            for row in rows
        ],
    )
    return f"""## Data

Each time is the median of a few, measured in processes of their own, with the files in the \
system's memory. Imports are not in the times. MB is the private memory held after the first \
batch, that batch included, over what the imports take. The mapped file is not in it, as the \
system takes it back when it needs to.{busy}

{made.markdown()}"""


def _what_fits(rows: Rows) -> str:
    scaling = [row for row in _of(rows, "scaling") if row.get("ours_added_mb")]
    steps = [row for row in _of(rows, "step") if row.get("ours_added_mb")]
    lines = []
    for row in steps:
        per_cloud = row["ours_added_mb"] / row["batch"]
        theirs = row["reference_added_mb"] / row["batch"]
        by_points = row.get("added_mb_by_points", {})
        lines.append(
            [
                row["name"],
                row["dtype"],
                f"{row['points']:,}",
                number_text(per_cloud),
                number_text(theirs),
                _floored(_BUDGET_GIB * GIB / per_cloud),
                _floored(_BUDGET_GIB * GIB / theirs),
                _floored(_largest_cloud(by_points)) if by_points else "",
            ]
        )
    if not lines:
        return ""
    operators = ""
    if scaling:
        most = max(1e6 * row["ours_added_mb"] / row["points"] for row in scaling)
        operators = (
            f"\n\nThe Chamfer distance and kNN add at most {number_text(most)} bytes a point "
            "(measured above): their time limits the size of a cloud, not their memory."
        )
    made = Table(
        [
            "step",
            "in",
            "points",
            "MB a cloud",
            "textbook MB a cloud",
            "batch",
            "textbook batch",
            f"points at batch {steps[0]['batch']}",
        ],
        lines,
    )
    return f"""## What fits in {_BUDGET_GIB} GiB

These are estimates, not trials. The memory that a step adds on this CPU, divided by its \
{steps[0]["batch"]} clouds, gives the batch. The growth from these clouds to clouds of twice the \
points, taken as linear, gives the largest cloud. A GPU holds the same activations, but its \
libraries' own buffers and the fragmentation of its memory are not in these numbers.

{made.markdown()}{operators}"""


def _largest_cloud(added_mb_by_points: dict[str, float]) -> float:
    """Points of a cloud at which a step fills the budget, by the line through two sizes."""
    (few, at_few), (many, at_many) = sorted(
        (int(points), added) for points, added in added_mb_by_points.items()
    )
    growth = (at_many - at_few) / (many - few)
    return few + (_BUDGET_GIB * GIB - at_few) / growth if growth > 0 else math.inf


def _cells(rows: Rows, points: int) -> Iterable[str]:
    for of_series in series_of(rows).values():
        (row,) = [row for row in of_series if row["points"] == points] or [{}]
        yield number_text(row.get("ours_ms"))
        yield number_text(row.get("ours_added_mb"))


def _floored(value: float) -> str:
    """Two significant digits, downwards."""
    if not math.isfinite(value):
        return ""
    unit = 10 ** max(0, math.floor(math.log10(max(value, 1))) - 1)
    return f"{math.floor(value / unit) * unit:,}"
