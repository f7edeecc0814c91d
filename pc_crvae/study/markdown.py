"""A study's summary as Markdown: the one of its folder, and the report with plots.

Its sentences are in ``report.md`` beside this file; the tables are made here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pc_crvae.embedding.names import SETTING_TITLES
from pc_crvae.evaluation.tables import Table, with_spread
from pc_crvae.study import results
from pc_crvae.study.evaluations import FIGURES
from pc_crvae.study.figures import Figure
from pc_crvae.study.measures import figures_of
from pc_crvae.study.schema import MEASURES, Measure
from pc_crvae.utils.invocation import called
from pc_crvae.utils.templates import template_beside

_PASSES, _MINUTES = "encoder passes", "minutes of training"


def format_report(
    summary: results.StudySummary,
    pictures: Sequence[tuple[str, str]] | None = None,
    *,
    level: int = 1,
) -> str:
    """Lay out a report, or what is known so far.

    Args:
        summary: the summary of the study.
        pictures: alternative text and place, relative to the report, of each; None for what is
            known so far.
        level: the level of its heading.
    """
    text = template_beside(__file__, "report.md").render(
        summary=summary,
        accuracies=accuracy_table(summary),
        folds=_folds(summary),
        differences=_differences(summary),
        figures=figure_table(summary),
        figure_differences=_figure_differences(summary),
        bounds=_bounds(summary),
        terms=_terms(summary),
        measured={measure: _measured(summary, measure) for measure in MEASURES},
        called=called,
        level=level,
        pictures=pictures,
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def accuracy_table(summary: results.StudySummary) -> Table:
    """The accuracies of arms and of the bars beside them; no rows where nothing was probed."""
    cells, seeds = {}, {}
    for arm in summary.arms:
        for row in arm.rows:
            cells[_arm(arm), _heading(row.representation, row.setting)] = _shown(row, 100)
            of_probe = arm.untrained_of is not None
            seeds[_arm(arm), "seeds"] = "of the probe" if of_probe else _seeds(arm.seeds)
    headings = dict.fromkeys((r.representation, r.setting) for a in summary.arms for r in a.rows)
    for bar in summary.training_free:
        name = _bar(bar, summary)
        scores = {row.setting: _shown(row, 100) for row in bar.rows}
        for representation, setting in headings:
            cells[name, _heading(representation, setting)] = scores.get(setting, "")
        seeds[name, "seeds"] = "of the probe"
    return Table.of_cells("arm", cells | seeds)


def _bar(bar: results.TrainingFreeResult, summary: results.StudySummary) -> str:
    frames = "" if bar.frames is None else f" in frames {bar.frames}"
    beside = "" if len(summary.training_free) == 1 else f", beside {', '.join(bar.arms)}"
    return f"training-free: {bar.kind}{frames}{beside}"


def _folds(summary: results.StudySummary) -> Table:
    """The training split by folds; no rows where no run was scored by them."""
    arms = [(_arm(arm), row) for arm in summary.arms for row in arm.folds]
    bars = [(_bar(bar, summary), bar.folds) for bar in summary.training_free if bar.folds]
    return Table(
        ["arm", "features", "folds", "above the training-free row", "intervals"],
        [
            [
                name,
                row.representation.replace("_", " "),
                _shown(row.class_mean, 100),
                "" if row.above_bar is None else _signed(row.above_bar, 100, 1),
                "; ".join(map(_ends, row.intervals)),
            ]
            for name, row in (arms + bars if arms else [])
        ],
    )


def _differences(summary: results.StudySummary) -> Table:
    cells, seeds = {}, {}
    for row in summary.differences:
        pair = f"{row.first} - {row.second}"
        cells[pair, _heading(row.representation, row.setting)] = _interval(row)
        seeds[pair, "seeds"] = str(len(row.training_seeds))
    return Table.of_cells("arms", cells | seeds)


def _interval(row: results.AccuracyDifference) -> str:
    shown = f"{100 * row.difference:+.1f} {_ends(row.interval)}"
    return shown if row.t_interval is None else f"{shown}, t {_ends(row.t_interval)}"


def _ends(interval: tuple[float, float]) -> str:
    low, high = (f"{100 * bound:+.1f}" for bound in interval)
    return f"[{low}, {high}]"


def figure_table(summary: results.StudySummary) -> Table:
    """The figures of what was evaluated; no rows where nothing was."""
    arms = {_arm(arm): arm for arm in summary.arms if arm.figures}
    titles = {name: _with_unit(figure) for name, figure in FIGURES.items()}
    cells = _cells({name: arm.figures or {} for name, arm in arms.items()}, FIGURES, titles)
    seeds = {(name, "seeds"): _seeds(arm.seeds) for name, arm in arms.items()}
    return Table.of_cells("arm", cells | seeds, columns=titles.values())


def _bounds(summary: results.StudySummary) -> list[str]:
    """The bounds of the mutual information of the arms, log N."""
    informed = [(arm.figures or {}).get("mutual_information") for arm in summary.arms]
    return list({f"{one.log_n:.2f}" for one in informed if one is not None})


def _with_unit(figure: Figure[Any]) -> str:
    return f"{figure.title} %" if figure.unit == "%" else figure.title


def _figure_differences(summary: results.StudySummary) -> Table:
    cells = {}
    for row in summary.figure_differences:
        figure = FIGURES[row.figure]
        shown = _signed(row, figure.factor, figure.digits)
        cells[f"{row.first} - {row.second}", _with_unit(figure)] = shown
    return Table.of_cells("arms", cells, columns=map(_with_unit, FIGURES.values()))


def _signed(values: results.Spread, factor: float, digits: int) -> str:
    """A difference with its sign, which is that of what is shown."""
    text = _shown(values, factor, digits)
    if values.mean is None or round(factor * values.mean, digits) == 0:
        return text.removeprefix("-")
    return text if values.mean < 0 else f"+{text}"


def _terms(summary: results.StudySummary) -> Table:
    arms = {_arm(arm): arm for arm in summary.arms if arm.terms}
    cells = {
        (name, results.TERM_TITLES[term]): _shown(values)
        for name, arm in arms.items()
        for term, values in (arm.terms or {}).items()
        if term in results.TERM_TITLES
    }
    cells |= {(name, _PASSES): str(arm.passes) for name, arm in arms.items()}
    cells |= {(name, _MINUTES): _shown(arm.training_minutes) for name, arm in arms.items()}
    return Table.of_cells("arm", cells, columns=results.TERM_TITLES.values())


def _measured(summary: results.StudySummary, measure: Measure) -> Table:
    arms = {_arm(arm): found for arm in summary.arms if (found := arm.measured.get(measure))}
    figures = figures_of(measure)
    titles = {name: figure.title for name, figure in figures.items()}
    return Table.of_cells("arm", _cells(arms, figures, titles), columns=titles.values())


def _cells(
    arms: Mapping[str, Mapping[str, results.Spread]],
    figures: Mapping[str, Figure[Any]],
    titles: Mapping[str, str],
) -> dict[tuple[str, str], str]:
    return {
        (arm, titles[name]): _shown(found[name], figure.factor, figure.digits)
        for arm, found in arms.items()
        for name, figure in figures.items()
        if name in found
    }


def _arm(arm: results.ArmResult) -> str:
    return f"{arm.name}: {arm.about}" if arm.about else arm.name


def _seeds(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


def _heading(representation: str, setting: str) -> str:
    return f"{representation.replace('_', ' ')}, {SETTING_TITLES[setting]}"


def _shown(values: results.Spread | None, factor: float = 1, digits: int = 1) -> str:
    if values is None or values.mean is None:
        return ""
    spread = None if values.std is None else factor * values.std
    return with_spread(factor * values.mean, spread, digits) + (" *" if values.saturated else "")
