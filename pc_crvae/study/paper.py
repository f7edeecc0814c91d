"""What a study found, as a table for papers."""

from pc_crvae.errors import UserError
from pc_crvae.evaluation.paper import PaperTable
from pc_crvae.study.markdown import accuracy_cells, figure_cells
from pc_crvae.study.results import StudySummary


def table_of_study(summary: StudySummary) -> PaperTable:
    """The arms of a study: accuracies where they were probed, or else what was evaluated.

    Raises:
        UserError: no arm has been probed or evaluated.
    """
    columns, lines = accuracy_cells(summary)
    what = "Accuracy in per cent"
    if not lines:
        columns, lines = figure_cells(summary)
        what = "In nats an image, accuracies in per cent,"
    if not lines:
        raise UserError(
            f"no run of {summary.title} has been probed or evaluated, so there is no table: run "
            "the study first"
        )
    probe = "" if summary.protocol is None else f" Probe: protocol {summary.protocol.name}."
    return PaperTable(
        columns=columns,
        rows=lines,
        protocol=(
            f"{summary.title}. {what} on the {summary.split} split, mean ± standard deviation over "
            f"training seeds; of encoders and descriptors that were not trained, over probe seeds."
            f"{probe}"
        ),
    )
