"""A model whose page is written."""

import pytest

from helpers.run_pages import point_model


@pytest.fixture
def model():
    return point_model()
