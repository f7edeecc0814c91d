"""What a model of points decodes, as a table for papers."""

from collections.abc import Iterator

from pc_crvae.evaluation.generation.report import GenerationReport
from pc_crvae.evaluation.metrics.generation import GenerationMetrics
from pc_crvae.evaluation.tables import Table
from pc_crvae.utils.templates import filled

_MODEL, _TRAINING = "model", "training shapes"


def table_of_generation(report: GenerationReport) -> Table:
    """One row per figure: of the model, and of training shapes where they were measured."""
    generation = report.generation
    cells = {(figure, _MODEL): value for figure, value in _of_model(report)}
    for column, found in ((_MODEL, generation.samples), (_TRAINING, generation.training_shapes)):
        if found is not None:
            cells |= {(figure, column): value for figure, value in _likeness(found)}
    protocol = filled(__file__, "protocol.txt", report=report)
    return Table.of_cells("figure", cells, protocol=protocol)


def _of_model(report: GenerationReport) -> Iterator[tuple[str, str]]:
    found, latents = report.reconstruction, report.latents
    yield "reconstruction, CD (squared radii)", f"{found.chamfer_squared_sum:.5f}"
    yield "reconstruction, mean distance (radii)", f"{found.chamfer_mean:.5f}"
    yield "reconstruction, EMD (radii)", f"{found.emd:.5f}"
    yield "reconstruction, F-score (%)", f"{100 * found.f_score:.1f}"
    yield f"active units, of {latents.dimensions}", f"{latents.active_units}"
    if latents.kl is not None:
        yield "KL to the prior (nats)", f"{latents.kl:.1f}"
    if latents.mutual_information is not None:
        yield "mutual information (nats)", f"{latents.mutual_information.estimate:.3f}"


def _likeness(found: GenerationMetrics) -> Iterator[tuple[str, str]]:
    for distance, likeness in (("CD", found.cd), ("EMD", found.emd)):
        yield f"MMD-{distance}", f"{likeness.mmd:.5f}"
        yield f"COV-{distance} (%)", f"{100 * likeness.cov:.1f}"
        yield f"1-NNA-{distance} (%)", f"{100 * likeness.one_nna:.1f}"
    yield "JSD (bits)", f"{found.jsd:.4f}"
