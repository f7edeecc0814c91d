"""Solids to probe, and the report of one probe of them."""

import pytest

from helpers.solids import clouds
from helpers.tiny_probes import PROTOCOL, noise_encoder, run_probe, spreads


@pytest.fixture(scope="module")
def train():
    return clouds("train")


@pytest.fixture(scope="module")
def test():
    return clouds("test")


@pytest.fixture(scope="module")
def report(train, test):
    return run_probe(spreads, noise_encoder, train, test, PROTOCOL)
