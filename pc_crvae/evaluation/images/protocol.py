"""What decides the numbers of an evaluation on images."""

from dataclasses import dataclass

from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError

ESTIMATED_AT_ONCE = 20  # images whose likelihood is estimated between two ticks of progress


@dataclass(frozen=True)
class ImageProtocol:
    """What decides the numbers, apart from the model, the data and the transform.

    Attributes:
        samples: S, latents an image, of the importance-sampled NLL.
        items: images of the split that are evaluated; None: all. Mutual information, whose range
            ends at the logarithm of their number, and classifiers always take all of them.
        train_items: the most training images that classifiers are fitted on.
        elbo_samples: latents an image that rate and distortion are averaged over.
        seed: fixes which images, their binarisation, the transforms and all latents.

    Raises:
        UserError: a value out of its range.
    """

    samples: int = 500
    items: int | None = None
    train_items: int = 10_000
    elbo_samples: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.items is not None and self.items < 2:
            raise UserError(f"items must be at least 2, for a standard error, not {self.items}")
        if self.train_items < 2:
            raise UserError(f"train_items must be at least 2, not {self.train_items}")
        if not 0 <= self.seed < 2**32:  # what scikit-learn takes
            raise UserError(f"seed must be from 0 to {2**32 - 1}, not {self.seed}")

    def count(self, held_out: ImageSet) -> int:
        """How many images of ``held_out`` are evaluated.

        Raises:
            UserError: fewer are there than asked for, or fewer than two.
        """
        wanted = len(held_out) if self.items is None else self.items
        if len(held_out) < max(wanted, 2):
            raise UserError(
                f"the {held_out.split} split of {held_out.name} has {len(held_out)} images, fewer "
                f"than the {max(wanted, 2)} to be evaluated"
            )
        return wanted

    def steps(self, held_out: ImageSet) -> int:
        """How often ``advance`` is called."""
        return -(-self.count(held_out) // ESTIMATED_AT_ONCE)
