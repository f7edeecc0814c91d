"""Config files of a test."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Writes a config file and returns its path."""

    def write(text):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def empty(write):
    return write("")
