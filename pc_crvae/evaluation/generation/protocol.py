"""What decides the numbers of generation, apart from the model and the data."""

from dataclasses import dataclass

from pc_crvae.data.clouds import CloudSet
from pc_crvae.errors import UserError
from pc_crvae.models.points.vae import PointVAE

_COUNT = 100


@dataclass(frozen=True)
class QualityProtocol:
    """What decides the numbers, apart from the model and the data.

    Attributes:
        count: draws of the prior, and test shapes that they are held against.
        points: the points of each cloud in that comparison; fewer where decoded or test clouds have
            fewer.
        encoded_points: the number of points drawn of each test shape that is encoded.
        threshold: the threshold of the F-score, in radii of the shape.
        emd_pairs: reconstructions that are also compared by exact assignment.
        baseline: also hold training shapes against the same test shapes.
        seed: fixes which shapes and points, and the draws of the prior.

    Raises:
        UserError: a value out of its range.
    """

    count: int = _COUNT
    points: int = 512
    encoded_points: int = 1024
    threshold: float = 0.05
    emd_pairs: int = 100
    baseline: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 2:
            raise UserError(f"count must be at least 2, for a nearest neighbour, not {self.count}")

    @property
    def steps(self) -> int:
        """How often ``advance`` is called."""
        return 3 * self.count * (2 if self.baseline else 1)


def protocol_for(
    model: PointVAE,
    train: CloudSet,
    test: CloudSet,
    *,
    count: int | None = None,
    points: int = 512,
    baseline: bool = False,
    seed: int = 0,
) -> QualityProtocol:
    """Return the protocol as it applies to a model and some shapes.

    Args:
        model: a model of points; it encodes as many as it was trained with, or the shapes have.
        train: the shapes that the baseline is taken from.
        test: the shapes that are reconstructed.
        count: the count of samples; None for 100, or as many as there are shapes.
        points: the points of each cloud in the comparison.
        baseline: also hold training shapes against the test shapes.
        seed: the seed of all that is drawn.

    Raises:
        UserError: a value out of its range.
    """
    if count is None:
        count = min(_COUNT, len(test), *([len(train)] if baseline else []))
    return QualityProtocol(
        count=count,
        points=points,
        encoded_points=min(model.points, test.points.shape[1]),
        baseline=baseline,
        seed=seed,
    )
