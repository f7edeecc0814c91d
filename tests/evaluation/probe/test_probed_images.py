"""Images are probed as they are."""

import numpy as np
import pytest

from helpers.tiny_probes import run_probe, table_of
from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.protocol import ProbeProtocol, load_protocol
from pc_crvae.evaluation.probe.run import protocol_for


def images(split):
    """Bright and dark images: told apart by their mean."""
    rng = np.random.default_rng(len(split))
    labels = np.arange(24) % 2
    array = rng.integers(100, size=(24, 1, 4, 4)) + 100 * labels[:, None, None, None]
    ids = tuple(f"{split}{row}" for row in range(24))
    return ImageSet(
        name="lights",
        split=split,
        images=array.astype(np.uint8),
        labels=labels,
        classes=("dark", "bright"),
        ids=ids,
    )


def test_images_are_probed_as_they_are_by_their_posterior_mean(train, test):
    def encode(batch):
        return {"mean": batch.mean(axis=(2, 3))}

    lit, lit_too = images("train"), images("test")
    protocol = protocol_for(None, ProbeProtocol(seeds=(0,)), lit, lit_too)
    found = run_probe(encode, lambda seed: encode, lit, lit_too, protocol)
    assert [(row["representation"], row["setting"]) for row in found["rows"]] == [
        ("posterior_mean", "aligned")
    ] * 2
    assert found["extra_rows"] == []
    assert "without_near_copies" not in found
    assert "near" not in table_of(found)
    assert found["rows"][0]["accuracy_mean"] == 1
    with pytest.raises(
        UserError, match=r"the class bright has 1 training item, .* a protocol of one's own"
    ):
        run_probe(encode, lambda seed: encode, lit.subset([0, 1, 2, 4]), lit_too, protocol)
    with pytest.raises(UserError, match="lights holds images: take ours"):
        protocol_for(None, load_protocol("strl"), lit, lit_too)
    with pytest.raises(UserError, match="averages over turned shapes, and lights holds images"):
        protocol_for(None, load_protocol("averaged-z"), lit, lit_too)
