"""The report of a probe as a table of text: scores in per cent, mean and standard deviation."""

from collections.abc import Mapping, Sequence

from pc_crvae.embedding.names import SETTING_TITLES, UNTRAINED_TITLES
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import ALIGNED, ClassifierRow, Row, per_cent
from pc_crvae.evaluation.probe.near_copies import RemainingRow, WithoutNearCopies
from pc_crvae.evaluation.probe.report import ProbeReport
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
        f"trained {row.trained.replace('_', ' ')} less the strongest untrained row "
        f"({row.untrained.replace('_', ' ')}), {SETTING_TITLES[row.setting]}: "
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
    return "\n".join(parts)


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
            f"{features} {representation.replace('_', ' ')}",
            *(cells[features, representation, column] for column in columns),
        ]
        for features, representation in names
    ]
