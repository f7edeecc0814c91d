"""What is left of a representation, as a table for papers."""

from collections.abc import Mapping

from pc_crvae.embedding.names import SETTING_TITLES, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.robustness.report import AccuracyRow, RobustnessReport
from pc_crvae.evaluation.tables import Table
from pc_crvae.utils.templates import filled

_UNITS: Mapping[str, str] = {"corruption": "severity", "occlusion": "elevation", "points": "points"}


def table_of_robustness(report: RobustnessReport) -> Table:
    """Every accuracy in per cent, one row per condition and one column per encoder."""
    cells = {
        (_condition(row), title_of(row.features, row.representation)): row.shown
        for row in report.rows
    }
    untrained = UNTRAINED_TITLES[report.protocol.untrained]
    values = {"report": report, "untrained": untrained, "title_of": title_of}
    return Table.of_cells("condition", cells, protocol=filled(__file__, "protocol.txt", **values))


def _condition(row: AccuracyRow) -> str:
    if row.part == "rotation":
        return f"rotation {SETTING_TITLES[row.fitted_on]}/{SETTING_TITLES[row.condition]}"
    what = row.condition.replace("_", " ")
    return f"{what}, {_UNITS[row.part]} {row.level:,}"
