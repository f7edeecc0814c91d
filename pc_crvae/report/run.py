"""A run on one page: its training, what it makes of items, and what was measured of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.config import Config, plain
from pc_crvae.data.batches import batch_of
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.predictions import predictions_path
from pc_crvae.geometry import chamfer_distance
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.report.measurements import TELLERS, headlines, traversals
from pc_crvae.report.page import (
    Section,
    advice,
    collapsed,
    drawing,
    pairs,
    paragraph,
    preformatted,
    report_page,
    tile_rows,
)
from pc_crvae.report.stored import Stored, Subject, read_guesses, read_stored
from pc_crvae.report.views import Model, Views, look_at
from pc_crvae.runs.folder import find_run_config, run_of
from pc_crvae.runs.record import Record, read_record
from pc_crvae.version import __version__
from pc_crvae.visualization.contact_sheet import Tile, tile_figures, tile_of
from pc_crvae.visualization.curves import Line
from pc_crvae.visualization.embedding_map import MOST_POINTS, map_element, project_codes
from pc_crvae.visualization.training_curves import (
    OPENING_SHARE,
    kl_by_dimension,
    training_curves,
)

_MISTAKES = 8


@dataclass
class _Told:
    """What of the page could not be made, for the terminal too."""

    problems: list[str] = field(default_factory=list)

    def problem(self, error: UserError) -> str:
        """Note a problem, and return it as a part of the page."""
        self.problems.append(str(error))
        return paragraph(str(error), "damaged")


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
        model: in evaluation mode.
        subject: where it and the reports of it lie.
        split: held-out items of its modality, or why there are none.
        path: the page to write.
        count: items on the map, at most.
        seed: fixes what is drawn.

    Returns:
        What could not be shown, a sentence each; the page says so too.

    Raises:
        UserError: the page could not be written, or the run's config cannot be read.
    """
    told = _Told()
    config = find_run_config(subject.export)
    record = _record(subject, told) if config is not None else None
    found = {
        name: _found(subject, f"{name}.json", told)
        for name in ("probe", "robustness", "generation", "evaluation")
    }
    views: Views | str  # or why there is nothing to see
    guesses: dict[str, str] = {}
    guesses_note = ""
    if isinstance(split, UserError):
        views = told.problem(split) + paragraph(
            "Reconstructions, the map, interpolations and samples of the page need data: name its "
            "folder with --data-root.",
            "missing",
        )
    else:
        try:
            views = look_at(cast(Model, model), split, count, seed)
        except UserError as error:
            views = told.problem(error)
        guesses, guesses_note = _guesses(found["probe"], split, subject, told)

    of_points = isinstance(model, PointVAE)
    sections = [
        _training(record, subject, config),
        Section("Reconstructions", views if isinstance(views, str) else _reconstructions(views)),
        Section("Map of embeddings", _with(views, lambda seen: _map(seen, guesses, seed))),
        _probe(found["probe"], subject, split, guesses, guesses_note, seed, told),
    ]
    if of_points:
        sections.append(_section("Robustness", found["robustness"], subject, "robustness", told))
    sections.append(Section("Interpolation", _with(views, _interpolation)))
    name, title = ("generation", "Generation") if of_points else ("evaluation", "Evaluation")
    made = _section(title, found[name], subject, "generation" if of_points else "evaluate", told)
    sections.append(Section("Samples of the prior", _with(views, _samples)))
    sections += [made, _setting(model, subject, config)]
    report_page(
        path,
        title=_title(subject),
        subtitle=_subtitle(model, subject),
        headlines=headlines(record, found),
        sections=sections,
    )
    return told.problems


def _title(subject: Subject) -> str:
    return subject.folder.resolve().name


def _subtitle(model: Pretrained, subject: Subject) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    name = model.data.get("name")
    return (
        f"{type(model).__name__} of {parameters:,} parameters"
        + (f", trained on {Path(str(name)).stem}" if name else "")
        + (", its best state by validation" if subject.which == "best" else "")
        + f". Page of pc_crvae {__version__}."
    )


def _with(views: Views | str, show: Callable[[Views], str]) -> str:
    if isinstance(views, str):
        return paragraph("Not to be had, for the reason given under Reconstructions.", "missing")
    return show(views)


def _found(subject: Subject, name: str, told: _Told) -> Stored | str | None:
    """The report; None where there is none, or why it cannot be used as a part of the page."""
    try:
        return read_stored(subject, name)
    except UserError as error:
        return told.problem(error)


def _record(subject: Subject, told: _Told) -> Record | str:
    try:
        return read_record(run_of(subject.export).folder)
    except UserError as error:
        return told.problem(error)


def _training(record: Record | str | None, subject: Subject, config: Config | None) -> Section:
    title = "Training"
    if record is None:
        return Section(title, paragraph("This is an export outside its run.", "missing"))
    if isinstance(record, str):
        return Section(title, record)
    figure = training_curves(
        {key: Line(curve.epochs, curve.values) for key, curve in record.curves.items()}
    )
    if figure is None:
        command = f"python tools/train.py CONFIG --out {subject.folder} --resume"
        return Section(title, advice("Nothing is recorded yet; go on with", command))
    caption = (
        "Against epochs; terms in nats an item. The first "
        f"{OPENING_SHARE:.0%} of a long record may lie outside the axes."
    )
    body = drawing(figure, "curves of what was recorded while training") + paragraph(
        caption, "quiet"
    )
    nats = record.lists.get(("validation", "kl_per_dimension"), ())
    if nats and np.isfinite(nats).all():
        body += "<h3>KL to the prior by latent dimension, at the end, on validation</h3>\n"
        body += drawing(kl_by_dimension(nats), "KL by latent dimension")
    return Section(title, body)


def _tile(views: Views, of: NDArray[np.float32], caption: str, note: str = "") -> Tile:
    return tile_of(caption, of if views.items.holds == "points" else np.clip(of, 0, 1), note)


def _class_of(items: ItemSet, row: int) -> str:
    return "" if items.labels is None else items.classes[items.labels[row]]


def _reconstructions(views: Views) -> str:
    given = [
        _tile(views, views.inputs[row], views.items.ids[row], _class_of(views.items, row))
        for row in views.shown
    ]
    inputs = views.inputs[list(views.shown)]
    if views.items.holds == "points":
        tensors = (torch.from_numpy(views.reconstructions), torch.from_numpy(inputs))
        errors = chamfer_distance(*tensors).tolist()
        name, meaning = "Chamfer", "Chamfer distance: squared, the sum of both directions"
    else:
        squares = np.square(views.reconstructions - inputs).reshape(len(inputs), -1)
        errors = np.sqrt(squares.mean(axis=1)).tolist()
        name, meaning = "RMSE", "RMSE: of pixels in [0, 1]"
    made = [
        _tile(views, one, f"{name} {error:.4f}")
        for one, error in zip(views.reconstructions, errors, strict=True)
    ]
    rows = tile_rows(tile_figures([given, made]), ["inputs", "reconstructions"])
    return rows + paragraph(
        f"Of the {views.items.split} split of {views.items.name}, drawn at random, one of each "
        f"class first. {meaning}.",
        "quiet",
    )


def _map(views: Views, guesses: Mapping[str, str], seed: int) -> str:
    items, count = views.items, len(views.items)
    projections = project_codes(views.codes)
    if not projections:
        return paragraph(
            f"The embeddings of all {count:,} items drawn coincide: the posterior does not depend "
            "on its input (it has collapsed), so there is no map.",
            "damaged",
        )
    wrong = [guesses.get(item) for item in items.ids]
    ring = " Dark rings: items that the probe's classifier got wrong." if any(wrong) else ""
    told = (
        f"{count:,} items of the {items.split} split of {items.name}, drawn at random; posterior "
        f"means.{ring}"
    )
    # More of a cloud, where the model is given few of its points.
    points = min(MOST_POINTS, items.array.shape[1])
    shown = batch_of(items, range(count), points, "report map", seed)
    element = map_element(
        projections, shown, items.ids, wrong, labels=items.labels, classes=items.classes
    )
    return element + paragraph(told, "quiet")


def _interpolation(views: Views) -> str:
    if not views.paths:
        return paragraph("A path needs two items to join.", "missing")
    rows, titles = [], []
    for path in views.paths:
        first, last = (views.shown[end] for end in path.ends)
        names = [views.items.ids[row] for row in (first, last)]
        between = [f"{share:.0%}" for share in np.linspace(0, 1, len(path.steps))]
        rows.append(
            [_tile(views, step, name) for step, name in zip(path.steps, between, strict=True)]
        )
        titles.append(f"{names[0]} to {names[1]}, {path.kind}")
    return tile_rows(tile_figures(rows), titles) + paragraph(
        "Decoded along paths between the latents of items above.", "quiet"
    )


def _samples(views: Views) -> str:
    if views.samples is None:
        return paragraph("A plain auto-encoder has no prior to draw from.", "missing")
    tiles = [_tile(views, one, f"draw {n}") for n, one in enumerate(views.samples, start=1)]
    return tile_rows(tile_figures([tiles]), [""])


def _section(
    title: str, stored: Stored | str | None, subject: Subject, tool: str, told: _Told
) -> Section:
    """The section of a report: itself, or how to make it; a stale one only where asked for."""
    if stored is None:
        return Section(title, advice("Not measured yet; make it with", subject.command(tool)))
    if isinstance(stored, str):
        return Section(title, stored + advice("Make it with", subject.command(tool)))
    try:
        body = stored.told(TELLERS[tool])
    except UserError as error:
        return Section(title, told.problem(error) + advice("Make it with", subject.command(tool)))
    if tool == "evaluate":
        try:
            body += traversals(stored.path)
        except UserError as error:
            body += told.problem(error)
    return Section(title, _dated(stored, subject, tool, body))


def _dated(stored: Stored, subject: Subject, tool: str, body: str) -> str:
    """The body of a report of this very model, and of another one behind a warning."""
    if stored.is_current:
        return body
    if stored.is_stale:
        warning = f"Stale: {stored.path.name} is older than the model's weights."
    else:
        warning = (
            f"{stored.path.name} is of the {stored.of_other} state, and this page of the "
            f"{subject.which} one."
        )
    return (
        paragraph(warning, "stale")
        + advice("Make it anew with", subject.command(tool))
        + collapsed("Show it all the same", body)
    )


def _probe(
    stored: Stored | str | None,
    subject: Subject,
    split: ItemSet | UserError,
    guesses: Mapping[str, str],
    guesses_note: str,
    seed: int,
    told: _Told,
) -> Section:
    title = "Probe"
    if stored is None and isinstance(split, ItemSet) and split.labels is None:
        return Section(title, paragraph(f"{split.name} has no labels to probe with.", "missing"))
    section = _section(title, stored, subject, "probe", told)
    if not isinstance(stored, Stored) or not stored.is_current:
        return section
    if isinstance(split, UserError) or not guesses:
        return Section(title, section.body + guesses_note)
    return Section(title, section.body + _mistakes(split, guesses, seed))


def _mistakes(split: ItemSet, guesses: Mapping[str, str], seed: int) -> str:
    rows = np.array([row for row, item in enumerate(split.ids) if item in guesses])
    generator = keyed_numpy_generator("report mistakes", seed)
    tiles = []
    for row in np.sort(generator.permutation(rows)[:_MISTAKES]).tolist():
        note = f"{_class_of(split, row)}, taken for {guesses[split.ids[row]]}"
        tiles.append(tile_of(split.ids[row], split.array[row], note))
    title = f"{len(tiles)} of the {len(guesses):,} that most seeds got wrong, drawn at random"
    return tile_rows(tile_figures([tiles]), [title])


def _guesses(
    stored: Stored | str | None, split: ItemSet, subject: Subject, told: _Told
) -> tuple[dict[str, str], str]:
    """What the probe got wrong, and else a part of the page that says why that is not known."""
    if not isinstance(stored, Stored) or not stored.is_current or "confusion" not in stored.values:
        return {}, ""
    path = predictions_path(stored.path)
    if not path.is_file():
        missing = f"Which items were wrong lies in {path.name}, which is not there; make it with"
        return {}, advice(missing, subject.command("probe"))
    try:
        found = read_guesses(stored, split)
    except UserError as error:
        return {}, told.problem(error)
    if found is None:
        note = f"The probe was of other items than the {split.split} split of {split.name} loaded."
        return {}, paragraph(note, "missing")
    return found, ""


def _setting(model: Pretrained, subject: Subject, config: Config | None) -> Section:
    facts = [("model", type(model).__name__)]
    for name, value in model.data.items():
        if value is not None:
            facts.append((f"data, {name.replace('_', ' ')}", str(value)))
    if config is None:
        return Section("Configuration", pairs(facts))
    values = plain(config)
    for part in ("objective", "consistency", "training"):
        facts.append((part, _in_words(values[part])))
    facts.append(("seed", str(config.seed)))
    text = run_of(subject.export).config.read_text(encoding="utf-8")
    return Section("Configuration", pairs(facts) + collapsed("config.yaml", preformatted(text)))


def _in_words(values: Any) -> str:
    """A section of a configuration in a line, what is not set left out."""
    if isinstance(values, dict):
        told = [
            _in_words(value) if name == "name" else f"{name.replace('_', ' ')} {_in_words(value)}"
            for name, value in values.items()
            if value is not None and value is not False
        ]
        return ", ".join(told)
    if isinstance(values, list):
        return "; ".join(map(_in_words, values))
    return "none" if values is None else str(values)
