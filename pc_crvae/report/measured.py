"""The sections of reports: what was measured of the model, or how to measure it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

import numpy as np
from markupsafe import Markup

from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.predictions import predictions_path
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.report import page
from pc_crvae.report.measurements import Kind
from pc_crvae.report.problems import Problems
from pc_crvae.report.stored import R, Stored, Subject, read_misclassified, read_stored
from pc_crvae.visualization.contact_sheet import Tile

_SHOWN = 8  # misclassified items


@dataclass(frozen=True)
class Measured(Generic[R]):
    """A kind of report as it was found: read, missing or damaged.

    Attributes:
        kind: the kind of measurement.
        subject: the model.
        stored: the report; None where there is none, or it cannot be read.
        damage: why it cannot be read, as a part of the page.
    """

    kind: Kind[R]
    subject: Subject
    stored: Stored[R] | None
    damage: Markup = page.NOTHING

    @property
    def headlines(self) -> list[page.Headline]:
        """The numbers that stand at the top: of a current report alone."""
        if self.stored is None or not self.stored.is_current:
            return []
        return list(self.kind.headlines(self.stored.report))

    def section(self, problems: Problems, more: Markup = page.NOTHING) -> page.Section:
        """The report, or how to make it; a stale one only where it is asked for.

        Args:
            problems: the list of what cannot be shown, which is added to.
            more: follows a current report.
        """
        title, command = self.kind.title, self.subject.command(self.kind.tool)
        if self.stored is None:
            if self.damage:
                return page.Section(title, self.damage + page.advice("Make it with", command))
            return page.Section(title, page.advice("Not measured yet; make it with", command))
        body = self.kind.tell(self.stored, problems)
        if self.stored.is_current:
            return page.Section(title, body + more)
        return page.Section(
            title,
            page.paragraph(self.stored.outdated, "stale")
            + page.advice("Make it anew with", command)
            + page.collapsed("Show it all the same", body),
        )


def find_measured(kind: Kind[R], subject: Subject, problems: Problems) -> Measured[R]:
    """Read a report of a kind, if there is one; damage is a problem of the page."""
    try:
        return Measured(kind, subject, read_stored(subject, f"{kind.name}.json", kind.type))
    except UserError as error:
        return Measured(kind, subject, None, problems.tell(error))


def probe_section(
    probe: Measured[ProbeReport],
    split: ItemSet | UserError,
    misclassified: Mapping[str, str],
    note: Markup,
    seed: int,
    problems: Problems,
) -> page.Section:
    """The section of the probe, with some of what it got wrong.

    Args:
        probe: the probe's report, as it was found.
        split: the items, or why there are none.
        misclassified: what items were taken for, by their ids.
        note: why that is not known, as a part of the page.
        seed: fixes which of them are shown.
        problems: the list of what cannot be shown, which is added to.
    """
    is_missing = probe.stored is None and not probe.damage
    if is_missing and isinstance(split, ItemSet) and split.labels is None:
        text = f"{split.name} has no labels to probe with."
        return page.Section(probe.kind.title, page.paragraph(text, "missing"))
    if isinstance(split, UserError) or not misclassified:
        return probe.section(problems, note)
    return probe.section(problems, _tiles(split, misclassified, seed))


def find_misclassified(
    probe: Measured[ProbeReport], split: ItemSet | UserError, problems: Problems
) -> tuple[dict[str, str], Markup]:
    """What the probe got wrong, and else a part of the page that says why that is not known."""
    stored = probe.stored
    if isinstance(split, UserError) or stored is None or not stored.is_current:
        return {}, page.NOTHING
    if stored.report.confusion is None:
        return {}, page.NOTHING
    path = predictions_path(stored.path)
    if not path.is_file():
        missing = f"Which items were wrong lies in {path.name}, which is not there; make it with"
        return {}, page.advice(missing, probe.subject.command(probe.kind.tool))
    try:
        found = read_misclassified(stored, split)
    except UserError as error:
        return {}, problems.tell(error)
    if found is None:
        note = f"The probe was of other items than the {split.split} split of {split.name} loaded."
        return {}, page.paragraph(note, "missing")
    return found, page.NOTHING


def _tiles(split: ItemSet, misclassified: Mapping[str, str], seed: int) -> Markup:
    rows = np.array([row for row, item in enumerate(split.ids) if item in misclassified])
    generator = keyed_numpy_generator("report mistakes", seed)
    tiles = []
    for row in np.sort(generator.permutation(rows)[:_SHOWN]).tolist():
        note = f"{split.class_of(row)}, taken for {misclassified[split.ids[row]]}"
        tiles.append(Tile(split.ids[row], split.array[row], note))
    title = f"{len(tiles)} of the {len(misclassified):,} that most seeds got wrong, drawn at random"
    return page.tile_rows([tiles], [title])
