"""What a study found, as a table for papers."""

from dataclasses import replace

from pc_crvae.errors import UserError
from pc_crvae.evaluation.tables import Table
from pc_crvae.study.markdown import accuracy_table, figure_table
from pc_crvae.study.results import StudySummary
from pc_crvae.utils.templates import filled


def table_of_study(summary: StudySummary) -> Table:
    """The arms of a study: accuracies where they were probed, or else what was evaluated.

    Raises:
        UserError: no arm has been probed or evaluated.
    """
    table, what = accuracy_table(summary), "Accuracy in per cent"
    if not table.rows:
        table, what = figure_table(summary), "In nats an image, accuracies in per cent,"
    if not table.rows:
        raise UserError(
            f"no run of {summary.title} has been probed or evaluated, so there is no table: run "
            "the study first"
        )
    return replace(table, protocol=filled(__file__, "protocol.txt", summary=summary, what=what))
