"""What the page of a run tells of its training: curves, and numbers at the top."""

import numpy as np
from markupsafe import Markup

from pc_crvae.config import Config
from pc_crvae.errors import UserError
from pc_crvae.report.page import Headline, Section, advice, below, drawing, paragraph
from pc_crvae.report.problems import Problems
from pc_crvae.report.stored import Subject
from pc_crvae.runs.finding import run_of
from pc_crvae.runs.record import Record, read_record
from pc_crvae.utils.invocation import called
from pc_crvae.visualization.curves import Line
from pc_crvae.visualization.training_curves import OPENING_SHARE, kl_by_dimension, training_curves

_TITLE = "Training"


def training_section(
    subject: Subject, config: Config | None, problems: Problems
) -> tuple[Section, list[Headline]]:
    """Tell of the run that a model lies in; damage of its record is a problem of the page.

    Args:
        subject: the model.
        config: the config of its run; None of an export outside one.
        problems: the list that damage is added to.
    """
    if config is None:
        return Section(_TITLE, paragraph("This is an export outside its run.", "missing")), []
    try:
        record = read_record(run_of(subject.export).folder)
    except UserError as error:
        return Section(_TITLE, problems.tell(error)), []
    return Section(_TITLE, _curves(record, subject)), _headlines(record)


def _curves(record: Record, subject: Subject) -> Markup:
    figure = training_curves(
        {key: Line(curve.epochs, curve.values) for key, curve in record.curves.items()}
    )
    if figure is None:
        command = called("train", "CONFIG", "--out", subject.folder, "--resume")
        return advice("Nothing is recorded yet; go on with", command)
    caption = (
        "Against epochs; terms in nats an item. The first "
        f"{OPENING_SHARE:.0%} of a long record may lie outside the axes."
    )
    body = drawing(figure, "curves of what was recorded while training") + paragraph(
        caption, "quiet"
    )
    nats = record.lists.get(("validation", "kl_per_dimension"), ())
    if nats and np.isfinite(nats).all():
        heading = "KL to the prior by latent dimension, at the end, on validation"
        body += below(heading, drawing(kl_by_dimension(nats), "KL by latent dimension"))
    return body


def _headlines(record: Record) -> list[Headline]:
    lines = []
    curves = record.curves
    if curves:
        last = max(curves.values(), key=lambda curve: curve.epochs[-1])
        minutes = f"{last.minutes[-1]:.1f} minutes" if last.minutes[-1] else ""
        lines.append(Headline("epochs trained", f"{last.epochs[-1]:.4g}", minutes))
    if ("validation", "objective") in curves:
        values = curves["validation", "objective"].values
        name = "validation objective, nats"
        lines.append(Headline(name, _shown(values[-1]), f"best {_shown(max(values))}"))
    if ("validation", "active_units") in curves:
        units = curves["validation", "active_units"].values[-1]
        dimensions = len(record.lists.get(("validation", "kl_per_dimension"), ()))
        total = f"of {dimensions}, on validation" if dimensions else "on validation"
        lines.append(Headline("active units", f"{units:.0f}", total))
    return lines


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
