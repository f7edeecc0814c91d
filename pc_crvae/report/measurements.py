"""What the page of a run says of each kind of report that was made of it."""

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from markupsafe import Markup
from PIL import Image

from pc_crvae.errors import UserError
from pc_crvae.evaluation.generation.report import GenerationReport, format_quality
from pc_crvae.evaluation.images.report import ImageReport, format_images
from pc_crvae.evaluation.probe.metrics.base import ClassifierRow
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.table import format_table
from pc_crvae.evaluation.reports import DataCut
from pc_crvae.evaluation.robustness.picture import robustness_curves
from pc_crvae.evaluation.robustness.report import RobustnessReport
from pc_crvae.evaluation.robustness.table import format_robustness
from pc_crvae.report.confusion_table import confusion_table
from pc_crvae.report.page import NOTHING, Headline, below, paragraph, picture, preformatted
from pc_crvae.report.problems import Problems
from pc_crvae.report.stored import R, Stored

_MOST_PIXELS = 4_000_000  # of a picture that lies beside a report


@dataclass(frozen=True)
class Kind(Generic[R]):
    """A kind of report, and what a page tells of it.

    Attributes:
        tool: the command that makes it.
        name: the name of the file, but for its suffix, and of the section.
        type: what it holds.
        tell: the section's body, as HTML.
        headlines: the numbers that stand at the top of the page.
    """

    tool: str
    name: str
    type: type[R]
    tell: Callable[[Stored[R], Problems], Markup]
    headlines: Callable[[R], Sequence[Headline]] = lambda report: ()

    @property
    def title(self) -> str:
        """The heading of the section."""
        return self.name.capitalize()


def _probe_headlines(report: ProbeReport) -> list[Headline]:
    rows: dict[tuple[str, str, str], ClassifierRow] = {
        (row.features, row.representation, row.setting): row
        for row in (*report.rows, *report.extra_rows)
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
                        f"{trained.accuracy_mean:.1%}",
                        f"untrained {untrained.accuracy_mean:.1%}",
                    )
                )
                break
    return lines


def _tell_probe(stored: Stored[ProbeReport], _: Problems) -> Markup:
    report = stored.report
    seeds = len(report.protocol.seeds)
    test = report.data.test
    name = f" of {test.name}" if isinstance(test, DataCut) else ""
    caption = (
        f"Per cent of {test.count:,} test items{name}; the columns say how they are "
        "turned. Classifiers are fitted on unturned training items; "
        + (f"mean ± standard deviation of {seeds} probe seeds." if seeds > 1 else "one probe seed.")
    )
    body = preformatted(format_table(report)) + paragraph(caption, "quiet")
    if report.confusion is not None:
        of_seeds = f", mean of {seeds} probe seeds" if seeds > 1 else ""
        matrix, classes = report.confusion.matrix, report.confusion.classes
        table = confusion_table(matrix, classes, draws=seeds)
        body += below(f"Confusion, as they are{of_seeds}", table)
    return body


def _tell_robustness(stored: Stored[RobustnessReport], _: Problems) -> Markup:
    report, body = stored.report, NOTHING
    if any(row.part != "rotation" for row in report.rows):
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / "curves.png"
            robustness_curves(report, drawn)
            body = picture(drawn.read_bytes(), "png", "accuracy by severity of each condition")
    return body + preformatted(format_robustness(report))


def _generation_headlines(report: GenerationReport) -> list[Headline]:
    distance = report.reconstruction.chamfer_squared_sum
    note = f"squared, sum of both directions; {report.latents.items:,} test shapes"
    return [Headline("reconstruction, Chamfer", f"{distance:.4f}", note)]


def _evaluation_headlines(report: ImageReport) -> list[Headline]:
    nll = report.nll
    if nll is None:
        return []
    bits = nll.bits_per_dimension
    note = f"± {nll.stderr:.2f}" + ("" if bits is None else f", {bits:.3f} bits a dimension")
    return [Headline("NLL, nats an image", f"{nll.mean:.2f}", note)]


def _tell_evaluation(stored: Stored[ImageReport], problems: Problems) -> Markup:
    body = preformatted(format_images(stored.report))
    try:
        return body + traversals(stored.path)
    except UserError as error:
        return body + problems.tell(error)


PROBE = Kind("probe", "probe", ProbeReport, _tell_probe, _probe_headlines)
ROBUSTNESS = Kind("robustness", "robustness", RobustnessReport, _tell_robustness)
GENERATION = Kind(
    "generation",
    "generation",
    GenerationReport,
    lambda stored, _: preformatted(format_quality(stored.report)),
    _generation_headlines,
)
EVALUATION = Kind("evaluate", "evaluation", ImageReport, _tell_evaluation, _evaluation_headlines)


def traversals(report: Path) -> Markup:
    """Return the picture of traversals beside a report of ``evaluate``, nothing without one.

    Raises:
        UserError: it is no whole PNG file, or a huge one.
    """
    path = report.with_name(f"{report.stem}-traversals.png")
    if not path.is_file():
        return NOTHING
    try:
        with Image.open(path, formats=("png",)) as opened:
            width, height = opened.size
            if width * height > _MOST_PIXELS:
                raise UserError(f"{path} is too large a picture for the page, and left out")
            buffer = io.BytesIO()
            opened.convert("RGB").save(buffer, "png", optimize=True)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is no whole PNG picture ({error}): make it anew") from None
    shown = picture(buffer.getvalue(), "png", "traversals of latent dimensions", width=width)
    return below("Traversals: one dimension per row, the fullest first, from -3 to 3", shown)
