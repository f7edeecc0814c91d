"""The report of a probe as a table of text: scores in per cent, mean and standard deviation."""

from collections.abc import Mapping, Sequence

from pc_crvae.embedding.names import SETTING_TITLES
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import Row, per_cent
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.text_table import align

Cells = Mapping[tuple[str, str, str], str]
"""By features, representation and column."""


def format_table(report: ProbeReport) -> str:
    """Lay a report out as plain text."""
    settings = report.protocol.settings
    accuracies = {
        _key(row, row.setting): per_cent(row.accuracy_mean, row.accuracy_std, len(row.accuracies))
        for row in report.rows + report.extra_rows
    }
    by_setting = [["", *(SETTING_TITLES[setting] for setting in settings)]]
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
    parts = [align(lines) for lines in (by_setting, *blocks)]
    parts += [
        f"trained {row.trained.replace('_', ' ')} less the strongest untrained row "
        f"({row.untrained.replace('_', ' ')}), {SETTING_TITLES[row.setting]}: "
        f"{100 * row.difference:+.1f} [{100 * row.interval[0]:+.1f}, {100 * row.interval[1]:+.1f}]"
        for row in report.paired
    ]
    return "\n".join(parts)


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
