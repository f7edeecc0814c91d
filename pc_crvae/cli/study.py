"""``study``: arms times seeds, each an ordinary run, and what they add up to."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.options import add_count, add_out, add_shared
from pc_crvae.cli.saved import check_table, deliver_table
from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from pc_crvae.study.plan import PlannedRun
    from pc_crvae.study.runner import Outcomes
    from pc_crvae.study.schema import Study

DESCRIPTION = "Run the arms of a study with every seed, resumably, and compare them."
_MOST_WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("study", type=Path, metavar="STUDY")
    add_out(parser, "folder of the runs and the summary", "runs/<name of the study>")
    workers = (
        "runs side by side, of one thread each (default: as many as there are cores, at most "
        f"{_MOST_WORKERS})"
    )
    add_count(parser, "--workers", workers)
    parser.add_argument("--report", type=Path, metavar="FILE")
    add_shared(parser, "--table", "--figures")


def run(options: argparse.Namespace) -> None:
    """Run a study, or report on it."""
    from pc_crvae.study.plan import plan_runs
    from pc_crvae.study.schema import find_study, load_study

    workers: int = options.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    report: Path | None = options.report
    if report is not None and report.suffix != ".md":
        raise UserError(f"--report {report} must end in .md")
    check_table(options)
    path = find_study(options.study)
    study = load_study(path)
    out: Path = options.out or Path("runs") / options.study.stem
    runs = plan_runs(study, path, out)
    if report is not None:
        from pc_crvae.study.writing import write_report

        write_report(study, runs, options.study, out, report, figures=options.figures)
        print(f"report: {report}")
    else:
        _run(study, runs, options.study, out, workers)
    if options.table is not None:
        from pc_crvae.study.paper import table_of_study
        from pc_crvae.study.runner import Outcomes
        from pc_crvae.study.summary import summarize

        found = summarize(study, runs, options.study, out, Outcomes())
        deliver_table(options, lambda: table_of_study(found))


def _run(study: "Study", runs: "list[PlannedRun]", where: Path, out: Path, workers: int) -> None:
    from pc_crvae.study.feasibility import check_feasible
    from pc_crvae.study.runner import StudyRunner
    from pc_crvae.study.summary import summarize
    from pc_crvae.study.writing import write_summary
    from pc_crvae.utils.interruption import Interrupted

    check_feasible(study, runs)

    def summarized(outcomes: "Outcomes") -> None:
        write_summary(summarize(study, runs, where, out, outcomes), out)

    print(f"{len(runs)} runs, {workers} side by side: {out}", flush=True)
    try:
        outcomes = StudyRunner(
            study,
            runs,
            out,
            workers,
            say=lambda text: print(text, flush=True),
            changed=summarized,
        ).run()
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        sys.exit(128 + interrupted.signal_number)
    summarized(outcomes)
    print((out / "summary.md").read_text(encoding="utf-8"), end="")
    print(f"summary: {out / 'summary.md'}")
    if outcomes.failed:
        raise UserError(
            f"{len(outcomes.failed)} of {len(runs)} runs failed, {', '.join(outcomes.failed)}: "
            "mend what their sentences above say, and the same command goes on"
        )
