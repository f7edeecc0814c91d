"""The report of a probe as a table of text: scores in per cent, mean and standard deviation."""

from collections.abc import Iterator, Sequence

from pc_crvae.embedding.names import SETTING_TITLES, TRAINING_FREE, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.probe.cross_validation import (
    CrossValidated,
    CrossValidatedDifference,
    CrossValidatedRow,
    Score,
)
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import ClassifierRow, Row, per_cent
from pc_crvae.evaluation.probe.near_copies import RemainingRow
from pc_crvae.evaluation.probe.report import PairedRow, ProbeReport
from pc_crvae.evaluation.probe.training_free import TrainingFree
from pc_crvae.evaluation.tables import Table


def format_table(report: ProbeReport) -> str:
    """Lay a report out as plain text."""
    rows = report.rows + report.extra_rows
    main = _table("accuracy (class mean)", [(row, row.setting, _accuracy(row)) for row in rows])
    by_setting, blocks = [main.columns, *main.rows], []
    without = report.without_near_copies
    if without is not None and without.left_out and without.rows:
        title = f"without {without.left_out:,} near-copies"
        blocks.append(_table(title, [(row, row.setting, _accuracy(row)) for row in without.rows]))
    for metric in METRICS:
        cells = [
            (row, *cell) for row in report.measured(metric) for cell in metric.cells(row).items()
        ]
        found = _table(metric.title, cells)
        if cells and metric.by_setting:
            by_setting += [[metric.title, *("" for _ in main.columns[1:])], *found.rows]
        elif cells:
            blocks.append(found)
    parts = [Table(by_setting[0], by_setting[1:]).text(), *(block.text() for block in blocks)]
    parts += [
        f"trained {_words(row.trained)} less {_other_side(row)}, {SETTING_TITLES[row.setting]}: "
        f"{100 * row.difference:+.1f} [{100 * row.interval[0]:+.1f}, {100 * row.interval[1]:+.1f}]"
        for row in report.paired
    ]
    if without is not None:
        parts.append(
            f"near-copies: {without.left_out:,} of {without.test_items:,} test shapes have one in "
            f"training (RMS of basis point distances below {without.threshold:g})"
        )
    if any(row.features == "untrained" for row in rows):
        parts.append(f"untrained: {UNTRAINED_TITLES[report.protocol.untrained]}")
    if report.training_free is not None:
        parts.append(_candidates(report.training_free))
    parts += _notes(report)
    if report.cross_validation is not None:
        parts += ["", _cross_validation(report.cross_validation).text()]
    return "\n".join(parts)


def _notes(report: ProbeReport) -> Iterator[str]:
    """What the rows' notes say, each once, with the rows that it is about where not all are."""
    rows = report.rows + report.extra_rows
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for note in (row.note or "").split("; "):
            if note:
                about.setdefault(note, {})[title_of(row.features, row.representation)] = None
    every = {title_of(row.features, row.representation) for row in rows}
    for note, names in about.items():
        yield f"note: {note}" + ("" if set(names) == every else f" ({', '.join(names)})")


def _other_side(row: PairedRow) -> str:
    if row.training_free is not None:
        return f"the training-free row ({row.training_free})"
    return f"the strongest untrained row ({_words(row.untrained or '')})"


def _candidates(found: TrainingFree) -> str:
    scores = ", ".join(f"{each.kind} {100 * each.class_mean:.1f}" for each in found.candidates)
    return (
        f"training-free: {found.chosen}, of the best class mean by cross-validation on the "
        f"training items ({scores})"
    )


def _cross_validation(found: CrossValidated) -> Table:
    title = (
        f"training items, {found.folds} folds"
        + (f" {found.repeats} times" if found.repeats > 1 else "")
        + f", {100 * found.level:.0f} % intervals"
    )
    scored: list[tuple[str, CrossValidatedRow | CrossValidatedDifference, str]]
    scored = [(title_of(row.features, row.representation), row, "") for row in found.rows]
    for pair in found.differences:
        name = f"trained {_words(pair.trained)} less {_words(pair.against)}"
        if pair.against == TRAINING_FREE:
            name += f" {pair.representation}"
        scored.append((name, pair, "+"))
    return Table(
        [title, "accuracy", "class mean"],
        [
            [name, _score(row.accuracy, sign), _score(row.class_mean, sign)]
            for name, row, sign in scored
        ],
    )


def _score(score: Score, sign: str) -> str:
    low, high = score.interval
    return f"{100 * score.mean:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _words(name: str) -> str:
    return "training-free" if name == TRAINING_FREE else name.replace("_", " ")


def _accuracy(row: ClassifierRow | RemainingRow) -> str:
    """The accuracy over items and, in brackets, its mean over classes."""
    accuracy = per_cent(row.accuracy_mean, row.accuracy_std, len(row.accuracies))
    return f"{accuracy} ({100 * row.class_mean:.1f})"


def _table(title: str, cells: Sequence[tuple[Row, str, str]]) -> Table:
    """Lay out what rows have in columns, which go by the titles of settings where they are such."""
    return Table.of_cells(
        title,
        {
            (title_of(row.features, row.representation), SETTING_TITLES.get(column, column)): cell
            for row, column, cell in cells
        },
    )
