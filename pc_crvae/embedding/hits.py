"""What searches found, written to files for other programs."""

from pathlib import Path

from pc_crvae.config import Section
from pc_crvae.embedding.index import About
from pc_crvae.utils.files import write_csv, write_json
from pc_crvae.version import __version__


class FoundHit(Section):
    """A shape near to a query.

    Attributes:
        rank: 1 is the nearest.
        distance: 1 - cosine, in [0, 2].
        id: the name of the shape.
        path: its file, absolute; None where it has none.
        is_query: whether it is the query itself, its own file or the shape of that id.
    """

    rank: int
    distance: float
    id: str
    path: str | None
    is_query: bool


class Answer(Section):
    """The hits of a query, the nearest first."""

    query: str
    hits: tuple[FoundHit, ...]


class Findings(Section):
    """The answers of a search.

    Attributes:
        pc_crvae_version: the version of the package that wrote it.
        searched: the folder, or the file of the index, absolute.
        shapes: the number of shapes that were searched.
        about: the settings by which their vectors were made.
        answers: one a query.
    """

    pc_crvae_version: str = __version__
    searched: str
    shapes: int
    about: About
    answers: tuple[Answer, ...]

    def write_json(self, path: Path) -> None:
        """Write all of it, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        write_json(path, self.model_dump(mode="json"))

    def write_csv(self, path: Path) -> None:
        """Write a line a hit, under the names of its columns; raises as :meth:`write_json`."""
        rows = (
            [answer.query, *hit.model_dump().values()]
            for answer in self.answers
            for hit in answer.hits
        )
        write_csv(path, ("query", *FoundHit.model_fields), rows)
