"""A study's summary as Markdown: the one of its folder, and the report with plots."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pc_crvae.embedding.names import SETTING_TITLES
from pc_crvae.study.evaluations import FIGURES
from pc_crvae.study.figures import Figure
from pc_crvae.study.measures import figures_of
from pc_crvae.study.results import (
    AccuracyDifference,
    ArmResult,
    EvaluatedData,
    ProbedData,
    Spread,
    StudySummary,
    TrainingFreeResult,
)
from pc_crvae.study.schema import Measure

_TERMS = {
    "log_likelihood": "log-likelihood",
    "kl": "KL",
    "consistency": "consistency KL",
    "active_units": "active units",
}


def format_summary(summary: StudySummary) -> str:
    """Lay out what is known so far."""
    parts = [f"# {summary.title}", _state(summary), *_tables(summary)]
    return "\n\n".join(part for part in parts if part) + "\n"


def format_report(
    summary: StudySummary, pictures: Sequence[tuple[str, str]], *, level: int = 1
) -> str:
    """Lay out a report.

    Args:
        summary: the summary of the study.
        pictures: alternative text and place, relative to the report, of each.
        level: the level of its heading.
    """
    parts = [
        f"{'#' * level} {summary.title}",
        summary.question.strip(),
        f"    python tools/study.py {summary.study}",
        "Every figure and table here is made from what the runs stored, by that command with "
        "`--report`.",
        _state(summary),
        _data(summary),
        *_tables(summary),
        *(f"![{text}]({place})" for text, place in pictures),
        _arms(summary),
        ", ".join(f"{name} {number}" for name, number in (summary.versions or {}).items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _state(summary: StudySummary) -> str:
    lines = [f"{len(summary.complete)} of {len(summary.runs)} runs are complete."]
    lines += [
        f"- {run.name}: {run.status}" + ("" if run.error is None else f", {run.error}")
        for run in summary.runs
        if run.status != "complete"
    ]
    return "\n".join(lines)


def _data(summary: StudySummary) -> str:
    lines = [_probed(cut) for cut in summary.data]
    if summary.evaluated is not None:
        lines.append(_evaluated(summary.evaluated))
    if summary.protocol is not None:
        seeds = _seeds(summary.protocol.seeds)
        lines.append(f"Probe: protocol {summary.protocol.name}, probe seeds {seeds}.")
    return "\n".join(lines)


def _probed(cut: ProbedData) -> str:
    official = ", ".join(f"{count:,} {split}" for split, count in cut.card.items() if count)
    return (
        f"Data: {cut.name}; classifiers fitted on {cut.fitted_on:,} training shapes, "
        f"scored on {cut.scored_on:,} of the {cut.scored_split} split (the card has "
        f"{official or 'no counts'}; a share of {cut.validation_fraction:g} of train is "
        "held out for validation)."
    )


def _evaluated(cut: EvaluatedData) -> str:
    sentence = (
        f"Data: {cut.name}; {cut.evaluated:,} of the {cut.of_split:,} images of the "
        f"{cut.split} split, the same of every run, NLL by importance sampling with "
        f"S = {cut.samples}; {_trained_on(cut)}"
    )
    if cut.classifiers_fitted_on is not None:
        sentence += (
            f". Classifiers are fitted on {cut.classifiers_fitted_on:,} training images and "
            f"scored on all {cut.of_split:,}"
        )
    if cut.transform:
        sentence += f". The consistency KL is under `{cut.transform}`"
    return sentence + "."


def _trained_on(cut: EvaluatedData) -> str:
    share = f"a share of {cut.trained_validation_fraction:g}"
    if cut.split == "validation":
        return f"{cut.train:,} training images, what {share} held out for validation left"
    return f"{cut.train:,} training images, of which {share} is held out for validation"


def _tables(summary: StudySummary) -> list[str]:
    return [
        _accuracies(summary),
        _folds(summary),
        _differences(summary),
        _figures(summary),
        _figure_differences(summary),
        _terms(summary),
        _robustness(summary),
        _generation(summary),
    ]


def accuracy_cells(summary: StudySummary) -> tuple[list[str], list[list[str]]]:
    """The titles and the lines of the table of accuracies; no lines where nothing was probed."""
    arms = [arm for arm in summary.arms if arm.rows]
    keys = list(dict.fromkeys((row.representation, row.setting) for a in arms for row in a.rows))
    lines = []
    for arm in arms:
        cells = {
            (row.representation, row.setting): _with_spread(row.mean, row.std, 100, 1)
            for row in arm.rows
        }
        seeds = "of the probe" if arm.untrained_of is not None else _seeds(arm.seeds)
        lines.append([_arm(arm), *(cells.get(key, "") for key in keys), seeds])
    for bar in summary.training_free:
        scores = {row.setting: _with_spread(row.mean, row.std, 100, 1) for row in bar.rows}
        shown = [scores.get(setting, "") for _, setting in keys]
        lines.append([_training_free(bar, summary), *shown, "of the probe"])
    return ["arm", *_columns(keys), "seeds"], lines


def _accuracies(summary: StudySummary) -> str:
    columns, lines = accuracy_cells(summary)
    if not lines:
        return ""
    return (
        f"Accuracy on the {summary.split} split in per cent, mean ± standard deviation over "
        "training seeds (over probe seeds for untrained encoders and descriptors):\n\n"
        + _table(columns, lines)
    )


def _folds(summary: StudySummary) -> str:
    """The table of the training split by folds; nothing where no run was scored by them."""
    arms = [(_arm(arm), arm.folds) for arm in summary.arms if arm.folds]
    bars = [
        (_training_free(bar, summary), (bar.folds,))
        for bar in summary.training_free
        if bar.folds is not None
    ]
    if not arms:
        return ""
    lines = [
        [
            name,
            row.representation.replace("_", " "),
            _shown(row.class_mean, 100, 1),
            _above(row.above_bar),
            "; ".join(map(_ends, row.intervals)),
        ]
        for name, rows in [*arms, *bars]
        for row in rows
    ]
    return (
        "Accuracy on the training split in per cent by repeated folds, mean over classes ± "
        "standard deviation over training seeds (over repeats for what is not trained). Encoders "
        "saw no label, so arms are chosen by this table. The difference from the training-free row "
        f"is paired by item; its {summary.level:.0%} interval is given for each training seed:\n\n"
        + _table(["arm", "features", "folds", "above the training-free row", "intervals"], lines)
    )


def _above(bar: Spread | None) -> str:
    return "" if bar is None or bar.mean is None else _signed(bar.mean, bar.std, 100, 1)


def _training_free(bar: TrainingFreeResult, summary: StudySummary) -> str:
    frames = "" if bar.frames is None else f" in frames {bar.frames}"
    name = f"training-free: {bar.kind}{frames}"
    return name if len(summary.training_free) == 1 else f"{name}, beside {', '.join(bar.arms)}"


def _differences(summary: StudySummary) -> str:
    rows = summary.differences
    if not rows:
        return ""
    keys = list(dict.fromkeys((row.representation, row.setting) for row in rows))
    of_cell = {(row.first, row.second, row.representation, row.setting): row for row in rows}
    lines = []
    for pair, of_pair in {(row.first, row.second): row for row in rows}.items():
        cells = [of_cell.get((*pair, *key)) for key in keys]
        shown = ["" if row is None else _interval(row) for row in cells]
        lines.append([" - ".join(pair), *shown, str(len(of_pair.training_seeds))])
    return (
        f"Differences in points with {summary.level:.0%} intervals ({summary.method}; not "
        f"corrected for {len(rows)} comparisons, and with few seeds the share of their spread is "
        "underestimated):\n\n" + _table(["arms", *_columns(keys), "seeds"], lines)
    )


def _interval(row: AccuracyDifference) -> str:
    shown = f"{100 * row.difference:+.1f} {_ends(row.interval)}"
    return shown if row.t_interval is None else f"{shown}, t {_ends(row.t_interval)}"


def _ends(interval: tuple[float, float]) -> str:
    low, high = (f"{100 * bound:+.1f}" for bound in interval)
    return f"[{low}, {high}]"


def figure_cells(summary: StudySummary) -> tuple[list[str], list[list[str]]]:
    """The titles and the lines of the table of figures; no lines where nothing was evaluated."""
    arms = [arm for arm in summary.arms if arm.figures]
    names, cells = _cells([arm.figures or {} for arm in arms], FIGURES)
    lines = [
        [_arm(arm), *of_arm, _seeds(arm.seeds)] for arm, of_arm in zip(arms, cells, strict=True)
    ]
    return ["arm", *map(_heading, names), "seeds"], lines


def _figures(summary: StudySummary) -> str:
    arms = [arm for arm in summary.arms if arm.figures]
    if not arms:
        return ""
    columns, lines = figure_cells(summary)
    informed = [(arm.figures or {}).get("mutual_information") for arm in arms]
    bounds = {f"{one.log_n:.2f}" for one in informed if one is not None}
    notes = ""
    if bounds:
        notes = (
            f" MI is estimated from N images and cannot pass log N = {', '.join(bounds)}; "
            "* marks an estimate so near to it that arms must not be ranked by it."
        )
    return (
        f"Of the {summary.split} split, in nats an image (accuracies in per cent), mean ± "
        f"standard deviation over training seeds, where there are several.{notes}\n\n"
        + _table(columns, lines)
    )


def _heading(name: str) -> str:
    figure = FIGURES[name]
    return f"{figure.title} %" if figure.unit == "%" else figure.title


def _figure_differences(summary: StudySummary) -> str:
    rows = summary.figure_differences
    if not rows:
        return ""
    names = [name for name in FIGURES if any(row.figure == name for row in rows)]
    cells = {
        (row.first, row.second, row.figure): _signed(
            row.mean, row.std, FIGURES[row.figure].factor, FIGURES[row.figure].digits
        )
        for row in rows
    }
    pairs = dict.fromkeys((row.first, row.second) for row in rows)
    lines = [
        [" - ".join(pair), *(cells.get((*pair, name), "") for name in names)] for pair in pairs
    ]
    heading = (
        "Differences, seed by seed (mean ± standard deviation; with as few seeds as these no "
        "interval is given, and a difference below twice its spread is no finding)"
        if any(row.std is not None for row in rows)
        else "Differences (of one seed, so that nothing is known of their spread)"
    )
    return f"{heading}:\n\n" + _table(["arms", *map(_heading, names)], lines)


def _terms(summary: StudySummary) -> str:
    arms = [arm for arm in summary.arms if arm.terms]
    if not arms:
        return ""
    names = [name for name in _TERMS if any(name in (arm.terms or {}) for arm in arms)]
    lines = [
        [
            _arm(arm),
            *(_shown((arm.terms or {}).get(name), 1, 1) for name in names),
            str(arm.passes),
            _shown(arm.training_minutes, 1, 1),
        ]
        for arm in arms
    ]
    header = ["arm", *(_TERMS[name] for name in names), "encoder passes", "minutes of training"]
    return (
        "Terms of the validation split after the last epoch, in nats an item (active units: "
        "their number), and the time one run trained, one thread each:\n\n" + _table(header, lines)
    )


def _robustness(summary: StudySummary) -> str:
    table, asked = _measured(summary, "robustness"), summary.measures.robustness
    if not table or asked is None:
        return ""
    return (
        f"Robustness of the posterior mean on the test split, shapes of {asked.points:,} points "
        "whatever a model was trained with (accuracies in per cent, a linear SVM "
        "fitted on unturned training shapes but for z / z and SO(3) / SO(3), where training and "
        "test shapes are turned alike; *corrupted*: mean over 7 corruptions at 5 severities, *mCE* "
        "the mean corruption error, 1 for an untrained encoder of the same architecture; "
        "*occluded*: what a camera sees, mean over 3 elevations, in place and centred anew; "
        "*cosine*: of a shape's posterior mean and that of the turned one, less the mean of all; "
        "*KL*: of the turned shape's posterior to the shape's own, in nats); "
        f"{asked.seeds} draw{'s' if asked.seeds > 1 else ''} a run, mean ± standard deviation over "
        "training seeds:\n\n" + table
    )


def _generation(summary: StudySummary) -> str:
    table, asked = _measured(summary, "generation"), summary.measures.generation
    if not table or asked is None:
        return ""
    return (
        "Reconstructions (sum of both mean squared Chamfer directions; EMD by exact assignment, of "
        f"at most 100 shapes), {asked.count} samples of the prior against {asked.count} test "
        "shapes (1-NNA: 50 is ideal), and latents of all test shapes, in nats; MI cannot pass log "
        "N, and arms near it must not be ranked by it:\n\n" + table
    )


def _measured(summary: StudySummary, measure: Measure) -> str:
    arms = [arm for arm in summary.arms if arm.measured.get(measure)]
    if not arms:
        return ""
    figures = figures_of(measure)
    names, cells = _cells([arm.measured[measure] for arm in arms], figures)
    lines = [[_arm(arm), *of_arm] for arm, of_arm in zip(arms, cells, strict=True)]
    return _table(["arm", *(figures[name].title for name in names)], lines)


def _cells(
    of_arms: Sequence[Mapping[str, Spread]], figures: Mapping[str, Figure[Any]]
) -> tuple[list[str], list[list[str]]]:
    """The names of the figures that any arm has, and a row of cells an arm."""
    names = [name for name in figures if any(name in found for found in of_arms)]
    return names, [
        [_shown(found.get(name), figures[name].factor, figures[name].digits) for name in names]
        for found in of_arms
    ]


def _arms(summary: StudySummary) -> str:
    lines = ["The arms, as runs of their own (with the first seed):", ""]
    for arm in summary.arms:
        if arm.untrained_of is not None:
            lines.append(
                f"- {arm.name}: untrained encoders, scored by the probe of {arm.untrained_of}"
            )
            continue
        overrides = shlex.join(arm.overrides or ())
        lines.append(
            f"- {arm.name}: `python tools/train.py {arm.config} {overrides} --out runs/{arm.name}`"
        )
    return "\n".join(lines)


def _arm(arm: ArmResult) -> str:
    return f"{arm.name}: {arm.about}" if arm.about else arm.name


def _seeds(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _columns(keys: Sequence[tuple[str, str]]) -> list[str]:
    """Headings of representations and settings."""
    return [
        f"{representation.replace('_', ' ')}, {SETTING_TITLES[how]}" for representation, how in keys
    ]


def _shown(values: Spread | None, factor: float, digits: int) -> str:
    if values is None:
        return ""
    mark = " *" if values.saturated else ""
    return _with_spread(values.mean, values.std, factor, digits) + mark


def _with_spread(mean: float | None, std: float | None, factor: float, digits: int) -> str:
    if mean is None:
        return ""
    spread = "" if std is None else f" ± {factor * std:.{digits}f}"
    return f"{factor * mean:.{digits}f}{spread}"


def _signed(mean: float, std: float | None, factor: float, digits: int) -> str:
    text = _with_spread(mean, std, factor, digits)
    if round(factor * mean, digits) == 0:
        return text.removeprefix("-")
    return text if mean < 0 else f"+{text}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )
