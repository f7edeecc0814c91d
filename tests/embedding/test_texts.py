"""Texts that are mapped: by row, and found by what they are."""

import pytest

from pc_crvae.embedding.texts import Texts, write_texts

NAMES = ["chair", "", "chair/1", "é", "air", "1\udcff"]


@pytest.fixture
def texts(tmp_path):
    write_texts(tmp_path / "ids.txt", NAMES)
    return Texts(tmp_path / "ids.txt")


def test_texts_come_back_by_row(texts):
    assert list(texts) == NAMES
    assert texts[-1] == NAMES[-1]
    assert texts[1:3] == NAMES[1:3]
    with pytest.raises(IndexError):
        texts[len(NAMES)]


@pytest.mark.parametrize("row", range(len(NAMES)))
def test_each_is_found_where_it_is(texts, row):
    assert texts.find(NAMES[row]) == row


@pytest.mark.parametrize("name", ["chai", "hair", "chair\0", "2"])
def test_what_is_none_is_not_found(texts, name):
    assert texts.find(name) is None
