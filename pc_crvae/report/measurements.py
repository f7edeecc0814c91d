"""What the page of a run says of each report that was made of it."""

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from pc_crvae.errors import UserError
from pc_crvae.evaluation.generation.report import GenerationReport, format_quality
from pc_crvae.evaluation.images.report import ImageReport, format_images
from pc_crvae.evaluation.probe.report import format_table
from pc_crvae.evaluation.robustness.picture import robustness_curves
from pc_crvae.evaluation.robustness.report import RobustnessReport
from pc_crvae.evaluation.robustness.table import format_robustness
from pc_crvae.report.confusion_table import confusion_table
from pc_crvae.report.page import Headline, paragraph, picture, preformatted
from pc_crvae.report.stored import DAMAGE, Stored
from pc_crvae.runs.record import Record

_MOST_PIXELS = 4_000_000  # of a picture that lies beside a report


def headlines(
    record: Record | str | None, found: Mapping[str, Stored | str | None]
) -> list[Headline]:
    """Return the numbers that stand at the top, of current reports alone."""
    lines = []
    if isinstance(record, Record):
        lines += _of_training(record)
    tellers: dict[str, Callable[[dict[str, Any]], list[Headline]]] = {
        "probe": _of_probe,
        "generation": _of_generation,
        "evaluation": _of_evaluation,
    }
    for name, tell in tellers.items():
        stored = found[name]
        if isinstance(stored, Stored) and stored.is_current:
            try:
                lines += tell(stored.values)
            except DAMAGE:
                continue  # its section says that it is damaged
    return lines


def _of_training(record: Record) -> list[Headline]:
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


def _of_probe(report: dict[str, Any]) -> list[Headline]:
    rows = {
        (row["features"], row["representation"], row["setting"]): row
        for row in report["rows"] + report["extra_rows"]
    }
    lines = []
    for setting, name in (("aligned", ""), ("z", ", turned about z"), ("so3", ", turned any way")):
        for representation in ("posterior_mean", "pooled"):
            trained = rows.get(("trained", representation, setting))
            untrained = rows.get(("untrained", representation, setting))
            if trained is not None and untrained is not None:
                lines.append(
                    Headline(
                        f"probe accuracy{name}",
                        f"{trained['accuracy_mean']:.1%}",
                        f"untrained {untrained['accuracy_mean']:.1%}",
                    )
                )
                break
    return lines


def _of_generation(report: dict[str, Any]) -> list[Headline]:
    distance = report["reconstruction"]["chamfer_squared_sum"]
    count = report["latents"]["items"]
    note = f"squared, sum of both directions; {count:,} test shapes"
    return [Headline("reconstruction, Chamfer", f"{distance:.4f}", note)]


def _of_evaluation(report: dict[str, Any]) -> list[Headline]:
    if report["nll"] is None:
        return []
    nll = report["nll"]
    bits = nll["bits_per_dimension"]
    note = f"± {nll['stderr']:.2f}" + ("" if bits is None else f", {bits:.3f} bits a dimension")
    return [Headline("NLL, nats an image", f"{nll['mean']:.2f}", note)]


def _tell_probe(report: dict[str, Any]) -> str:
    test = report["data"]["test"]
    seeds = len(report["protocol"]["seeds"])
    caption = (
        f"Per cent of {test['count']:,} test items of {test['name']}; the columns say how they are "
        "turned. Classifiers are fitted on unturned training items; "
        + (f"mean ± standard deviation of {seeds} probe seeds." if seeds > 1 else "one probe seed.")
    )
    body = preformatted(format_table(report)) + paragraph(caption, "quiet")
    if "confusion" in report:
        confusion = report["confusion"]
        body += "<h3>Confusion, as they are, summed over seeds</h3>\n"
        body += confusion_table(confusion["matrix"], confusion["classes"])
    return body


def _tell_robustness(values: dict[str, Any]) -> str:
    report, body = RobustnessReport.model_validate(values), ""
    if any(row.part != "rotation" for row in report.rows):
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / "curves.png"
            robustness_curves(report, drawn)
            body = picture(drawn.read_bytes(), "png", "accuracy by severity of each condition")
    return body + preformatted(format_robustness(report))


def _tell_generation(values: dict[str, Any]) -> str:
    return preformatted(format_quality(GenerationReport.model_validate(values)))


def _tell_evaluation(values: dict[str, Any]) -> str:
    return preformatted(format_images(ImageReport.model_validate(values)))


TELLERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "probe": _tell_probe,
    "robustness": _tell_robustness,
    "generation": _tell_generation,
    "evaluate": _tell_evaluation,
}
"""By tool: its report, as HTML; of a damaged one they raise one of `DAMAGE`."""


def traversals(report: Path) -> str:
    """Return the picture of traversals beside a report of ``evaluate``, nothing without one.

    Raises:
        UserError: it is no whole PNG file, or a huge one.
    """
    path = report.with_name(f"{report.stem}-traversals.png")
    if not path.is_file():
        return ""
    try:
        with Image.open(path, formats=("png",)) as opened:
            width, height = opened.size
            if width * height > _MOST_PIXELS:
                raise UserError(f"{path} is too large a picture for the page, and left out")
            buffer = io.BytesIO()
            opened.convert("RGB").save(buffer, "png", optimize=True)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is no whole PNG picture ({error}): make it anew") from None
    return "<h3>Traversals: one dimension a row, the fullest first, from -3 to 3</h3>\n" + picture(
        buffer.getvalue(), "png", "traversals of latent dimensions", width=width
    )
