"""A run on one page: its training, what it makes of items, and what was measured of it."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from markupsafe import Markup

from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.points.model import PointModel
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.report import page
from pc_crvae.report.measured import find_measured, find_misclassified, probe_section
from pc_crvae.report.measurements import EVALUATION, GENERATION, PROBE, ROBUSTNESS
from pc_crvae.report.page import Section, paragraph
from pc_crvae.report.problems import Problems
from pc_crvae.report.setting import setting_section
from pc_crvae.report.stored import Subject
from pc_crvae.report.training import training_section
from pc_crvae.report.view_sections import embedding_map, interpolation, reconstructions, samples
from pc_crvae.report.views import Model, Views, look_at
from pc_crvae.runs.finding import find_run_config
from pc_crvae.version import __version__
from pc_crvae.visualization.web_page import write_page


def write_run_report(
    model: Pretrained,
    subject: Subject,
    split: ItemSet | UserError,
    path: Path,
    *,
    count: int = 400,
    seed: int = 0,
) -> list[str]:
    """Write the page of a run.

    Args:
        model: the model, in evaluation mode.
        subject: the places of the run and of its reports.
        split: held-out items of its modality, or why there are none.
        path: the page to write.
        count: items on the map, at most.
        seed: fixes what is drawn.

    Returns:
        What could not be shown, a sentence each; the page says so too.

    Raises:
        UserError: the page could not be written, or the run's config cannot be read.
    """
    problems = Problems()
    config = find_run_config(subject.export)
    training, headlines = training_section(subject, config, problems)
    of_points = isinstance(model, PointModel)
    probe = find_measured(PROBE, subject, problems)
    robustness = find_measured(ROBUSTNESS, subject, problems) if of_points else None
    made = (
        find_measured(GENERATION, subject, problems)
        if of_points
        else find_measured(EVALUATION, subject, problems)
    )
    views = _look(model, split, count, seed, problems)
    misclassified, why_not = find_misclassified(probe, split, problems)

    sections = [
        training,
        Section("Reconstructions", views if isinstance(views, Markup) else reconstructions(views)),
        _of(views, "Map of embeddings", lambda seen: embedding_map(seen, misclassified, seed)),
        probe_section(probe, split, misclassified, why_not, seed, problems),
    ]
    if robustness is not None:
        sections.append(robustness.section(problems))
    sections += [
        _of(views, "Interpolation", interpolation),
        _of(views, "Samples of the prior", samples),
        made.section(problems),
        setting_section(model, subject, config),
    ]
    write_page(
        path,
        page.__file__,
        title=subject.folder.resolve().name,
        subtitle=_subtitle(model, subject),
        headlines=[*headlines, *probe.headlines, *made.headlines],
        sections=sections,
    )
    return problems.sentences


def _subtitle(model: Pretrained, subject: Subject) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    name = model.data.get("name")
    return (
        f"{type(model).__name__} of {parameters:,} parameters"
        + (f", trained on {Path(str(name)).stem}" if name else "")
        + (", its best state by validation" if subject.which == "best" else "")
        + f". Page of pc_crvae {__version__}."
    )


def _look(
    model: Pretrained, split: ItemSet | UserError, count: int, seed: int, problems: Problems
) -> Views | Markup:
    """What there is to see, or as a part of the page why there is nothing."""
    if isinstance(split, UserError):
        return problems.tell(split) + paragraph(
            "Reconstructions, the map, interpolations and samples of the page need data: name its "
            "folder with --data-root.",
            "missing",
        )
    try:
        if isinstance(model, Descriptor):
            raise UserError("there is nothing to look at: a descriptor encodes and does not decode")
        return look_at(cast(Model, model), split, count, seed)
    except UserError as error:
        return problems.tell(error)


def _of(views: Views | Markup, title: str, show: Callable[[Views], Markup]) -> Section:
    if isinstance(views, Markup):
        text = "Not to be had, for the reason given under Reconstructions."
        return Section(title, paragraph(text, "missing"))
    return Section(title, show(views))
