"""Writing what a study found: the summary of its folder, and a report with plots."""

from pathlib import Path

from pc_crvae.errors import UserError
from pc_crvae.runs.record import Curve, read_record
from pc_crvae.study.markdown import format_report
from pc_crvae.study.pictures import plot_accuracies, plot_figures
from pc_crvae.study.plan import PlannedRun
from pc_crvae.study.results import StudySummary
from pc_crvae.study.runner import Outcomes
from pc_crvae.study.schema import Study
from pc_crvae.study.summary import summarize
from pc_crvae.utils.files import write_text
from pc_crvae.visualization.curves import Line, plot_curves


def write_summary(summary: StudySummary, out: Path) -> None:
    """Write ``summary.json`` and ``summary.md`` to the folder of a study.

    Raises:
        UserError: they cannot be written.
    """
    summary.write(out / "summary.json")
    write_text(out / "summary.md", format_report(summary))


def write_report(
    study: Study,
    runs: list[PlannedRun],
    where: Path,
    out: Path,
    report: Path,
    *,
    figures: str = "png",
) -> None:
    """Write tables and plots of what is stored of a study.

    Args:
        study: the arms.
        runs: all of them.
        where: the study's file, whose name begins those of the plots beside the report.
        out: the study's folder.
        report: a Markdown file. If it keeps a place for the study, between two comments, what is
            in that place is replaced.
        figures: the format of the plots: ``png``, ``pdf`` or ``svg``.

    Raises:
        UserError: no run is complete, a run's outputs are damaged, the file is another text, or it
            cannot be written.
    """
    summary = summarize(study, runs, where, out, Outcomes())
    if not summary.complete:
        raise UserError(f"no run of {out} is complete: run the study before its report is written")
    pictures = []

    def beside(name: str, text: str) -> Path:
        path = report.with_name(f"{where.stem}-{name}.{figures}")
        pictures.append((text, path.name))
        return path

    if study.probe is not None:
        plot_accuracies(summary, beside("accuracy", "accuracy of every arm, one dot per seed"))
    if study.evaluation is not None:
        plot_figures(summary, beside("figures", "figures of every arm, one dot per seed"))
    curves = _probed_while_training(
        [run for run in runs if run.name in summary.complete and run.seed == study.seeds[0]]
    )
    if curves:
        path = beside("curves", "validation accuracy while training, the first seed")
        lines = [Line(curve.minutes, curve.values, curve.name) for curve in curves]
        plot_curves(lines, "validation probe_accuracy", path)
    around = _around_report(report, where.stem, summary.title)
    text = format_report(summary, pictures, level=1 if around is None else 2)
    before, after = around or ("", "")
    write_text(report, before + text + after)


def _probed_while_training(runs: list[PlannedRun]) -> list[Curve]:
    of_runs = [read_record(run.folder).curves for run in runs]
    key = "validation", "probe_accuracy"
    return [curves[key] for curves in of_runs if key in curves]


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
