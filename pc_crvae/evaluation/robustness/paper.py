"""What is left of a representation, as a table for papers."""

from collections.abc import Mapping

from pc_crvae.embedding.names import SETTING_TITLES, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.robustness.report import AccuracyRow, RobustnessReport
from pc_crvae.evaluation.tables import Table

_UNITS: Mapping[str, str] = {"corruption": "severity", "occlusion": "elevation", "points": "points"}


def table_of_robustness(report: RobustnessReport) -> Table:
    """Every accuracy in per cent, a row a condition and a column an encoder."""
    cells = {
        (_condition(row), title_of(row.features, row.representation)): row.shown
        for row in report.rows
    }
    rules = report.protocol
    errors = [
        f"mCE of {title_of(one.features, one.representation)}: {one.mce_mean:.3f}"
        for one in report.corruption_errors
        if one.mce is not None
    ]
    return Table.of_cells(
        "condition",
        cells,
        protocol=(
            "Accuracy in per cent of linear SVMs on frozen features, "
            + (
                f"mean ± standard deviation over {len(rules.seeds)} seeds"
                if len(rules.seeds) > 1
                else "one seed"
            )
            + f", {rules.points:,} points a shape. Rotations name how training and test shapes "
            "were turned. Untrained encoders: "
            + f"{UNTRAINED_TITLES[rules.untrained]}."
            + "".join(f" {error}." for error in errors)
        ),
    )


def _condition(row: AccuracyRow) -> str:
    if row.part == "rotation":
        return f"rotation {SETTING_TITLES[row.fitted_on]}/{SETTING_TITLES[row.condition]}"
    what = row.condition.replace("_", " ")
    return f"{what}, {_UNITS[row.part]} {row.level:,}"
