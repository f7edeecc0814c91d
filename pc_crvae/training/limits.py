"""What training refuses: sizes that do not go together, and terms that are not finite."""

import math
from collections.abc import Mapping
from typing import Any

from pc_crvae.config import Config
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run


def require_trainable(
    config: Config, train_set: ItemSet, validation_set: ItemSet, *, part_size: int
) -> None:
    """Check that there are items enough for what ``config`` asks.

    Args:
        config: the experiment.
        train_set: the items that are trained on.
        validation_set: the items that the best state is chosen on.
        part_size: items of a batch that are computed at once.

    Raises:
        UserError: there are too few.
    """
    batch_size = config.training.batch_size
    head = getattr(config.model, "head", None)
    if part_size == 1 and head and (head.normalize_features or head.batch_norm):
        raise UserError(
            "batch-norm in model.head needs two items at a time, and training.batch_size "
            f"{batch_size} leaves one for each part: raise it"
        )
    consistency = config.consistency
    projects = (
        consistency is not None
        and consistency.score == "projector"
        and len(consistency.projector_widths) > 1
    )
    if part_size == 1 and projects and not config.training.synchronize_batch_norm:
        raise UserError(
            "the projector's batch-norm needs two items at a time, and training.batch_size "
            f"{batch_size} leaves one for each process: raise it, or set "
            "training.synchronize_batch_norm to true"
        )
    if len(train_set) < batch_size:
        raise UserError(
            f"{train_set.name} has {len(train_set)} items to train on, fewer than "
            f"training.batch_size {batch_size}: lower it"
        )
    if len(train_set) + len(validation_set) < 4:
        raise UserError(
            f"{train_set.name} has {len(train_set) + len(validation_set)} items in its training "
            "split, and it takes 4 to train on two of them and validate on two: add some"
        )
    if len(validation_set) < 2:
        raise UserError(
            f"{train_set.name} leaves {len(validation_set)} items for validation, fewer than 2: "
            "raise data.validation_fraction"
        )


_OF_THE_PARTS = {"objective": 1, "gradient_norm": 2}
"""Terms that are told of last: where the parts are not finite, neither are these."""


def is_reported_only(name: str, consistency_weight: float) -> bool:
    """Whether a term takes no part in the objective, so that it may be infinite without harm."""
    return not consistency_weight > 0 and name.partition("/")[0] == "consistency"


def require_finite(
    terms: Mapping[str, Any], when: str, run: Run, *, consistency_weight: float
) -> None:
    """Check that the scalar ``terms`` are finite, the parts before their sum.

    Args:
        terms: means by name.
        when: names the moment in the sentence.
        run: the run whose last good state is named.
        consistency_weight: the weight of the consistency term, see `is_reported_only`.

    Raises:
        UserError: one is not.
    """
    for name in sorted(terms, key=lambda name: _OF_THE_PARTS.get(name, 0)):
        is_finite = not isinstance(terms[name], float) or math.isfinite(terms[name])
        if not is_finite and not is_reported_only(name, consistency_weight):
            states = run.states()
            kept = f"the last good state is {states[-1]}" if states else "no state was saved yet"
            raise UserError(
                f"the term {name} became {terms[name]} {when}, so training stopped ({kept}): "
                "lower training.learning_rate, or look at the data"
            )
