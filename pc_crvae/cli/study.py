"""``study``: arms times seeds, each an ordinary run, and what they add up to."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from pc_crvae.study import PlannedRun, Study
    from pc_crvae.study.runner import Outcomes

DESCRIPTION = "Run the arms of a study with every seed, resumably, and compare them."
_MOST_WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="a YAML file, such as configs/studies/tiny.yaml"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder of the runs and the summary (default: runs/<name of the study>)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=argparse.SUPPRESS,
        help="runs side by side, of one thread each (default: as many as there are cores, at "
        f"most {_MOST_WORKERS})",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="run nothing: write tables and plots of what is stored to a Markdown file; if it has "
        "the lines '<!-- study NAME -->' and '<!-- end of NAME -->' (NAME: the study file's), "
        "what is between them is replaced (default: run what is left)",
    )


def run(options: argparse.Namespace) -> None:
    """Run a study, or report on it."""
    from pc_crvae.study import find_study, load_study, plan_runs

    workers = getattr(options, "workers", min(os.cpu_count() or 1, _MOST_WORKERS))
    if workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}")
    report: Path | None = getattr(options, "report", None)
    if report is not None and report.suffix != ".md":
        raise UserError(f"--report {report} must end in .md")
    path = find_study(options.study)
    study = load_study(path)
    out: Path = getattr(options, "out", None) or Path("runs") / options.study.stem
    runs = plan_runs(study, path, out)
    if report is not None:
        _report(study, runs, options.study, out, report)
    else:
        _run(study, runs, options.study, out, workers)


def _run(study: "Study", runs: "list[PlannedRun]", where: Path, out: Path, workers: int) -> None:
    from pc_crvae.study.runner import run_study
    from pc_crvae.utils.interruption import Interrupted

    _check_protocol_and_data(study, runs)

    def summarized(outcomes: "Outcomes") -> None:
        _write_summary(study, runs, where, out, outcomes)

    print(f"{len(runs)} runs, {workers} side by side: {out}", flush=True)
    try:
        outcomes = run_study(
            study,
            runs,
            out,
            workers=workers,
            say=lambda text: print(text, flush=True),
            changed=summarized,
        )
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


def _check_protocol_and_data(study: "Study", runs: "list[PlannedRun]") -> None:
    """Refuse before anything starts what would fail every run."""
    from pc_crvae.config import PointModelConfig
    from pc_crvae.evaluation.probe.protocol import load_protocol
    from pc_crvae.runs.saved import load_splits

    if study.probe is not None:
        load_protocol(study.probe.protocol)
    checked = []
    for run in runs:
        if study.evaluation is not None and isinstance(run.config.model, PointModelConfig):
            raise UserError(
                f"the arm {run.arm} is a model of points, and evaluation is of images: ask for a "
                "probe, or for measures.generation"
            )
        if run.config.data not in checked:
            load_splits(run.config)
            checked.append(run.config.data)
        if run.seed == study.seeds[0]:
            _check_measures(study, run)


def _check_measures(study: "Study", run: "PlannedRun") -> None:
    from pc_crvae.config import PointModelConfig
    from pc_crvae.data import load
    from pc_crvae.evaluation.robustness.corruptions import LOCAL_POINTS

    asked = study.measures.asked_of(run.arm)
    if not asked:
        return
    if not isinstance(run.config.model, PointModelConfig):
        raise UserError(
            f"the arm {run.arm} is a model of images, and measures are of points: ask for an "
            "evaluation"
        )
    data = run.config.data
    root = Path(data.root) if data.root else None
    test = load(data.name, "test", root=root, up=data.up, allow_refused=data.allow_refused)
    generation, robustness = study.measures.generation, study.measures.robustness
    if "generation" in asked and generation is not None and generation.count > len(test):
        raise UserError(
            f"measures.generation.count is {generation.count}, and the test split of {data.name} "
            f"has {len(test)} shapes: lower it"
        )
    available = test.array.shape[1]
    if "robustness" in asked and robustness is not None and robustness.points > available:
        raise UserError(
            f"measures.robustness.points is {robustness.points:,}, and the test shapes of "
            f"{data.name} have {available:,}: lower it"
        )
    most = max(LOCAL_POINTS)
    if "robustness" in asked and robustness is not None and robustness.points <= most:
        raise UserError(
            f"measures.robustness.points is {robustness.points:,}, and the corruptions leave out "
            f"up to {most} points: raise it, or leave robustness out"
        )


def _write_summary(
    study: "Study", runs: "list[PlannedRun]", where: Path, out: Path, outcomes: "Outcomes"
) -> None:
    from pc_crvae.study.markdown import format_summary
    from pc_crvae.study.summary import summarize
    from pc_crvae.utils.files import atomic_path

    summary = summarize(study, runs, where, out, outcomes)
    for name, text in {
        "summary.json": json.dumps(summary, indent=2) + "\n",
        "summary.md": format_summary(summary),
    }.items():
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _report(study: "Study", runs: "list[PlannedRun]", where: Path, out: Path, report: Path) -> None:
    from pc_crvae.runs.record import read_curve, read_record
    from pc_crvae.study.markdown import format_report
    from pc_crvae.study.pictures import plot_accuracies, plot_figures
    from pc_crvae.study.runner import Outcomes
    from pc_crvae.study.summary import summarize
    from pc_crvae.utils.files import atomic_path
    from pc_crvae.visualization.curves import Line, plot_curves

    summary = summarize(study, runs, where, out, Outcomes())
    if not any(run["status"] == "complete" for run in summary["runs"]):
        raise UserError(f"no run of {out} is complete: run the study first, without --report")
    name = where.stem
    pictures = []
    if study.probe is not None:
        accuracies = report.with_name(f"{name}-accuracy.png")
        plot_accuracies(summary, accuracies)
        pictures.append(("accuracy of every arm, a dot a seed", accuracies.name))
    if study.evaluation is not None:
        figures = report.with_name(f"{name}-figures.png")
        plot_figures(summary, figures)
        pictures.append(("figures of every arm, a dot a seed", figures.name))
    complete = {run["name"] for run in summary["runs"] if run["status"] == "complete"}
    watched = [
        run
        for run in runs
        if run.name in complete
        and run.seed == study.seeds[0]
        and ("validation", "probe_accuracy") in read_record(run.folder).curves
    ]
    if watched:
        curves = report.with_name(f"{name}-curves.png")
        recorded = [read_curve(run.folder, "probe_accuracy") for run in watched]
        lines = [Line(curve.minutes, curve.values, curve.name) for curve in recorded]
        plot_curves(lines, "validation probe_accuracy", curves)
        pictures.append(("validation accuracy while training, the first seed", curves.name))
    around = _around_report(report, name, summary["title"])
    text = format_report(summary, pictures, level=1 if around is None else 2)
    with atomic_path(report) as temporary:
        before, after = around or ("", "")
        temporary.write_text(before + text + after, encoding="utf-8")
    print(f"report: {report}")


def _around_report(report: Path, name: str, title: str) -> tuple[str, str] | None:
    """What a file has before and after the place that it keeps for a study.

    None where there is no file yet, or it is an earlier report of the study.
    """
    if not report.is_file():
        return None
    text = report.read_text(encoding="utf-8")
    begin, end = f"<!-- study {name} -->", f"<!-- end of {name} -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened and end not in text:
        if text.startswith(f"# {title}\n"):
            return None
        raise UserError(
            f"{report} is another text, without the lines '{begin}' and '{end}' that keep a place "
            "in it: add them, or give another file"
        )
    if not closed:
        raise UserError(f"{report} has only one of '{begin}' and '{end}': add the other after it")
    return f"{before}{begin}\n", f"{end}{after}"
