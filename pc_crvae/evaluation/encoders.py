"""What the probe reads of a model, and where it was trained, of ones like it that were not."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.items import ItemSet
from pc_crvae.embedding.extraction import check_pool, extract
from pc_crvae.embedding.names import Encode, Untrained
from pc_crvae.embedding.rotation_average import averaged
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.assembly import Probed
from pc_crvae.evaluation.probe.cross_validation import CrossValidation
from pc_crvae.evaluation.probe.protocol import Pool, ProbeProtocol
from pc_crvae.evaluation.probe.run import probe_encoders, protocol_for
from pc_crvae.evaluation.training_free import descriptors_beside, frames_of
from pc_crvae.evaluation.untrained import untrained_like
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.pretrained import Pretrained


def probe_model(
    model: Pretrained,
    train: ItemSet,
    test: ItemSet,
    protocol: ProbeProtocol,
    progress: Callable[[str], None] | None = None,
    *,
    untrained: Untrained | None = None,
    cross_validation: CrossValidation | None = None,
) -> Probed:
    """Probe a model and, where it was trained, untrained ones like it; see `probe_encoders`.

    Beside a trained model of clouds stands the strongest of a few descriptors in its frames, where
    the protocol asks for that. A descriptor that is probed itself has no such row: it is a row of
    that kind, and two are compared by their reports.

    Args:
        model: trained, or a descriptor.
        train: what classifiers are fitted on, and untrained models calibrated on, without labels.
        test: the items that they are scored on.
        protocol: the user's protocol; the model and the data settle what it leaves open.
        progress: a function to call with a line that says what is being done.
        untrained: how the batch-norm of untrained ones is set, instead of as the protocol says.
        cross_validation: the folds of a second estimate, on the training items; None for none.

    Raises:
        UserError: as `probe_encoders`, the protocol has no features that the model has, or
            ``untrained`` is given for a descriptor.
    """
    trained = not isinstance(model, Descriptor)
    if not trained:
        if untrained is not None:
            raise UserError(
                f"--untrained {untrained} is about the untrained encoders beside a trained one, "
                "and a descriptor is never trained: omit it"
            )
        protocol = _of_one_representation(protocol)
    if untrained is not None:
        protocol = protocol.model_copy(update={"untrained": untrained})
    settled = protocol_for(model, protocol, train, test)

    def wrap(encode: Encode) -> Encode:
        return encode if settled.average_over is None else averaged(encode, settled.average_over)

    def encoder(of: Pretrained) -> Encode:
        return wrap(encoder_of(of, settled.pool))

    def twin(seed: int) -> Encode:
        how = settled.untrained
        return encoder(untrained_like(model, seed, train, points=settled.points, how=how))

    def training_free(clouds: NDArray[np.float32]) -> Mapping[str, Encode]:
        return descriptors_beside(model, clouds, wrap)

    twins = twin if trained else None
    bar = training_free if trained and settled.training_free else None
    probed = probe_encoders(
        encoder(model), twins, train, test, settled, progress, bar, cross_validation
    )
    found, frames = probed.report.training_free, frames_of(model)
    if found is None or frames is None:
        return probed
    found = found.model_copy(update={"frames": frames})
    return replace(probed, report=probed.report.model_copy(update={"training_free": found}))


def _of_one_representation(protocol: ProbeProtocol) -> ProbeProtocol:
    """The protocol for a model that has features and nothing pooled beside them."""
    if "mean" not in protocol.representations:
        raise UserError(
            f"the protocol {protocol.name} is about features pooled over points, and a descriptor "
            "has none: take ours"
        )
    return protocol.model_copy(update={"representations": ("mean",), "training_free": False})


def encoder_of(model: Pretrained, pool: Pool | None = None) -> Encode:
    """The model's posterior means (``mean``) and its encoder's features (``pooled``), if it has.

    Args:
        model: trained or not.
        pool: the pooling over points, for ``pooled``; None for the encoder's own.

    Raises:
        UserError: the encoder cannot be pooled so.
    """
    if pool is not None:
        check_pool(model)
    return partial(extract, model, names=("mean", "pooled"), pool=pool)
