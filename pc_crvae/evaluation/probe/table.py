"""The report of a probe as a table of text: scores in per cent, mean and standard deviation."""

from collections.abc import Iterator, Mapping, Sequence

from pc_crvae.embedding.names import SETTING_TITLES, TRAINING_FREE, UNTRAINED_TITLES
from pc_crvae.evaluation.probe.cross_validation import CrossValidated, Score
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import ALIGNED, ClassifierRow, Row, per_cent
from pc_crvae.evaluation.probe.near_copies import RemainingRow, WithoutNearCopies
from pc_crvae.evaluation.probe.report import PairedRow, ProbeReport
from pc_crvae.evaluation.probe.training_free import TrainingFree
from pc_crvae.evaluation.text_table import align

Cells = Mapping[tuple[str, str, str], str]
"""By features, representation and column."""


def format_table(report: ProbeReport) -> str:
    """Lay a report out as plain text."""
    settings = report.protocol.settings
    accuracies = {_key(row, row.setting): _accuracy(row) for row in report.rows + report.extra_rows}
    by_setting = [["accuracy (class mean)", *(SETTING_TITLES[setting] for setting in settings)]]
    by_setting += _lines(accuracies, settings)
    blocks = []
    for metric in METRICS:
        cells = {
            _key(row, column): cell
            for row in report.measured(metric)
            for column, cell in metric.cells(row).items()
        }
        if cells and metric.by_setting:
            by_setting += [[metric.title, *("" for _ in settings)], *_lines(cells, settings)]
        elif cells:
            columns = list(dict.fromkeys(column for _, _, column in cells))
            blocks.append([[metric.title, *columns], *_lines(cells, columns)])
    without = report.without_near_copies
    if without is not None and without.left_out and without.rows:
        blocks.insert(0, _without_near_copies(without))
    parts = [align(lines) for lines in (by_setting, *blocks)]
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
    if any(row.features == "untrained" for row in report.rows + report.extra_rows):
        parts.append(f"untrained: {UNTRAINED_TITLES[report.protocol.untrained]}")
    if report.training_free is not None:
        parts.append(_candidates(report.training_free))
    parts += _notes(report)
    if report.cross_validation is not None:
        parts += ["", align(_cross_validation(report.cross_validation))]
    return "\n".join(parts)


def _notes(report: ProbeReport) -> Iterator[str]:
    """What the rows' notes say, each once, with the rows that it is about where not all are."""
    rows = report.rows + report.extra_rows
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for note in (row.note or "").split("; "):
            if note:
                name = f"{_words(row.features)} {_words(row.representation)}"
                about.setdefault(note, {})[name] = None
    every = {f"{_words(row.features)} {_words(row.representation)}" for row in rows}
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


def _cross_validation(found: CrossValidated) -> list[list[str]]:
    title = (
        f"training items, {found.folds} folds"
        + (f" {found.repeats} times" if found.repeats > 1 else "")
        + f", {100 * found.level:.0f} % intervals"
    )
    lines = [[title, "accuracy", "class mean"]]
    for row in found.rows:
        name = f"{_words(row.features)} {_words(row.representation)}"
        lines.append([name, *(_score(score, "") for score in (row.accuracy, row.class_mean))])
    for pair in found.differences:
        name = f"trained {_words(pair.trained)} less {_words(pair.against)}"
        if pair.against == TRAINING_FREE:
            name += f" {pair.representation}"
        lines.append([name, *(_score(score, "+") for score in (pair.accuracy, pair.class_mean))])
    return lines


def _score(score: Score, sign: str) -> str:
    low, high = score.interval
    return f"{100 * score.mean:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _words(name: str) -> str:
    return "training-free" if name == TRAINING_FREE else name.replace("_", " ")


def _without_near_copies(without: WithoutNearCopies) -> list[list[str]]:
    cells = {_key(row, row.setting): _accuracy(row) for row in without.rows}
    title = f"without {without.left_out:,} near-copies"
    return [[title, SETTING_TITLES[ALIGNED]], *_lines(cells, [ALIGNED])]


def _accuracy(row: ClassifierRow | RemainingRow) -> str:
    """The accuracy over items and, in brackets, its mean over classes."""
    accuracy = per_cent(row.accuracy_mean, row.accuracy_std, len(row.accuracies))
    return f"{accuracy} ({100 * row.class_mean:.1f})"


def _key(row: Row, column: str) -> tuple[str, str, str]:
    return row.features, row.representation, column


def _lines(cells: Cells, columns: Sequence[str]) -> list[list[str]]:
    names = dict.fromkeys((features, representation) for features, representation, _ in cells)
    return [
        [
            f"{_words(features)} {_words(representation)}",
            *(cells[features, representation, column] for column in columns),
        ]
        for features, representation in names
    ]
