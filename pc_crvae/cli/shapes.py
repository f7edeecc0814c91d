"""What the commands that read shapes of one's own share: how shapes are read, what is left out."""

import argparse
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import tell

if TYPE_CHECKING:
    from pc_crvae.data.readers.shape_files import FoundShapes
    from pc_crvae.embedding.index import About
    from pc_crvae.runs.saved import SavedModel


def check_vectors(options: argparse.Namespace) -> None:
    """Refuse, before any work, points that cannot be drawn and a group that is none.

    Raises:
        UserError: either of them.
    """
    from pc_crvae.embedding.index import check_points
    from pc_crvae.embedding.rotation_average import check_group

    check_points(options.points, "--points")
    if options.average_over is not None:
        check_group(options.average_over, "--average-over")


def about_vectors(options: argparse.Namespace, saved: "SavedModel") -> "About":
    """Return what the options make of files, by a model."""
    from pc_crvae.embedding.shapes import about_of

    return about_of(saved, options.points, options.up, options.average_over)


def refuse(reason: str) -> None:
    """Name a file that is left out, and why."""
    tell(f"refused: {reason}")


def tell_passed_over(found: "FoundShapes") -> None:
    """Tell which files of a folder are not read."""
    from pc_crvae.data.formats.other_kinds import tell_passed_over as lines_of

    for line in lines_of(found.passed_over):
        tell(line)


class LeftOut:
    """Counts the points that ``--drop-nan`` leaves out of clouds.

    Attributes:
        count: takes the number of points of a cloud; None where such clouds are refused.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        """Start at none."""
        self._points: list[int] = []
        self.count = self._points.append if options.drop_nan else None

    def tell(self) -> None:
        """Tell how many there were, where there were any."""
        if self._points:
            tell(
                f"left out: {sum(self._points):,} points that are NaN or infinite, of "
                f"{len(self._points):,} clouds"
            )
