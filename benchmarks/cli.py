"""Arguments of ``tools/bench.py``, and the order in which things are measured."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pc_crvae.cli.parsing import Parser
from pc_crvae.errors import UserError

DESCRIPTION = (
    "Time the package against the textbook form of the same functions, and how it loads data."
)
SUITES = ("ops", "scaling", "data", "step")  # the last of the steps change the process for good
SUITES_OF_CARDS = ("ceilings", "step")

_BUSY = 0.5
"""Cores kept busy by others, above which timings are not to be trusted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and return the exit status: 0, or 2 for a user's mistake, told in one sentence."""
    try:
        _run(_parse(sys.argv[1:] if arguments is None else list(arguments)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="python tools/bench.py", description=DESCRIPTION)
    parser.add_argument(
        "--what", choices=(*SUITES, "ceilings", "all"), default="all", help="which timings"
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="where steps and ceilings are measured; cuda is skipped where there is no card",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where rows and the machine's description go (default: nowhere)",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="Markdown page to write of them, its plot beside it (default: none)",
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="write --page from an earlier run's JSON, measuring nothing (default: measure)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny inputs, one round: shows that all of it runs, its numbers mean nothing",
    )
    options = parser.parse_args(given)
    options.command = shlex.join(["python", "tools/bench.py", *given])
    return options


def _run(options: argparse.Namespace) -> None:
    json_path: Path | None = options.json
    page_path: Path | None = options.page
    source: Path | None = options.source
    for name, path in (("--json", json_path), ("--page", page_path)):
        if path is not None and path.is_dir():
            raise UserError(f"{name} {path} is a folder: name a file in it")
    if source is not None and (page_path is None or json_path is not None or options.quick):
        raise UserError("--from reads an earlier run for --page: give it --page alone")

    suites: tuple[str, ...] = SUITES if options.device == "cpu" else SUITES_OF_CARDS
    if options.what != "all":
        if options.device == "cuda" and options.what not in suites:
            raise UserError(
                f"--what {options.what} measures the processor: leave --device cuda out, or take "
                f"one of {', '.join(suites)}"
            )
        suites = (options.what,)

    # After the arguments, as torch takes seconds.
    from benchmarks.page import write_page
    from benchmarks.report import load_report, save_report

    if source is not None:
        report = load_report(source)
    else:
        reason = _no_card() if options.device == "cuda" else None
        if reason is not None:
            print(f"skipped: {reason}")
            return
        report = _measure(suites, options)
        if json_path is not None:
            save_report(report, json_path)
    if page_path is not None:
        write_page(report, page_path)
    if source is None:
        _print_table(report)


def _no_card() -> str | None:
    """Why nothing can be measured on a card, None where one is there."""
    import torch

    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return f"--device cuda needs a build of torch for CUDA, and {torch.__version__} is none"
    return f"--device cuda needs a CUDA card, and torch {torch.__version__} finds none here"


def _measure(suites: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    import importlib

    import torch

    from benchmarks.machine import describe_machine
    from benchmarks.report import VERSION, say

    device = torch.device(options.device)
    machine = describe_machine(device)  # with its load before ours is added
    if (machine["load"] or 0) > _BUSY:
        say(
            f"other processes keep {machine['load']:.1f} cores busy: threads that wait for each "
            "other then lose far more than their share, and the numbers mean little"
        )
    rows = []
    for suite in suites:
        where = {"device": device} if suite in SUITES_OF_CARDS else {}
        measured = importlib.import_module(f"benchmarks.{suite}").run(quick=options.quick, **where)
        rows += [row.plain() for row in measured]
    return {
        "version": VERSION,
        "command": options.command,
        "quick": options.quick,
        "machine": machine,
        "rows": rows,
    }


def _print_table(report: dict[str, Any]) -> None:
    width = max(len(_title(row)) for row in report["rows"])
    print(f"{'':{width}}  {'ours ms':>9}  {'other ms':>9}  {'ratio':>6}")
    for row in report["rows"]:
        if "rate" in row:
            print(f"{_title(row):{width}}  {row['ours_ms']:9.4g}  {row['rate']:,.0f} {row['unit']}")
            continue
        other = "" if row["reference_ms"] is None else f"{row['reference_ms']:.4g}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        print(f"{_title(row):{width}}  {row['ours_ms']:9.4g}  {other:>9}  {ratio:>6}")


def _title(row: dict[str, Any]) -> str:
    where = f" {row['cloud']} {row['points']}" if row["what"] == "scaling" else ""
    dtype = f" {row['dtype']}" if row["what"] == "step" else ""
    return f"{row['what']}: {row['name']}{where}{dtype}"
