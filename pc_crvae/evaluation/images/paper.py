"""How well a model of images explains held-out ones, as a table for papers."""

from collections.abc import Iterator

from pc_crvae.evaluation.images.report import ImageReport
from pc_crvae.evaluation.metrics.likelihood import Estimate
from pc_crvae.evaluation.tables import Table
from pc_crvae.latents.statistics import MutualInformation
from pc_crvae.utils.templates import filled


def table_of_images(report: ImageReport) -> Table:
    """One row per figure: its estimate, its standard error, its unit."""
    columns = ["figure", "estimate", "standard error", "unit"]
    return Table(columns, list(_rows(report)), filled(__file__, "protocol.txt", report=report))


def _rows(report: ImageReport) -> Iterator[list[str]]:
    estimates: dict[str, tuple[Estimate | MutualInformation | None, str]] = {
        "NLL": (report.nll, "mean"),
        "ELBO": (report.elbo, "mean"),
        "rate": (report.rate, "mean"),
        "distortion": (report.distortion, "mean"),
        "consistency KL": (report.consistency_kl, "mean"),
        "mutual information": (report.mutual_information, "estimate"),
        "mutual information of the top group": (report.mutual_information_top_group, "estimate"),
    }
    for name, (found, value) in estimates.items():
        if found is not None:
            yield [name, f"{getattr(found, value):.3f}", f"{found.stderr:.3f}", "nats"]
    yield ["active units", f"{report.active_units}", "", f"of {report.dimensions}"]
    for name, score in (report.classifiers or {}).items():
        yield [name.replace("_", " "), f"{100 * score.accuracy:.2f}", "", "per cent"]
