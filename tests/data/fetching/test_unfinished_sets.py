"""A set that lacks a file is not loaded."""

from pathlib import Path

import pytest

from helpers.downloads import CONTENT, card, get, is_whole, refusal, seen, source
from helpers.mirror_server import Answer, MirrorServer
from pc_crvae.data.fetching.record import refuse_unfinished
from pc_crvae.errors import UserError


def test_a_set_that_lacks_a_file_is_not_loaded(mirror: MirrorServer, folder: Path):
    first = source(mirror.serve("/train.gz", Answer(b"train")), file="train.gz")
    second = source(mirror.serve("/test.gz", Answer(status=404)), file="test.gz")
    assert "could not fetch test.gz" in refusal(card(first, second), folder)
    assert seen(folder) == {"train.gz": b"train"}
    with pytest.raises(UserError, match="does not hold all of tiny, because fetching it was"):
        refuse_unfinished(folder, "tiny")
    (folder / "test.gz").write_bytes(b"by hand")
    get(card(first, second), folder)
    assert is_whole(folder)


def test_a_set_that_lacks_a_file_is_not_loaded_whatever_else_lies_there(
    mirror: MirrorServer, folder: Path
):
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    first = source(mirror.serve("/train.gz", Answer(b"train")), file="train.gz")
    second = source(mirror.serve("/test.gz", Answer(status=404)), file="test.gz")
    refusal(card(second, first), folder)
    assert is_whole(folder)  # Nothing has changed.
    refusal(card(first, second), folder)
    assert not is_whole(folder)


def test_an_empty_folder_of_the_user_s_stays(dead: str, folder: Path):
    folder.mkdir(parents=True)
    refusal(card(source(dead)), folder)
    assert folder.is_dir()


def test_what_killed_fetches_left_behind_is_cleared_away(mirror: MirrorServer, folder: Path):
    (folder / ".fetching" / "tiny").mkdir(parents=True)
    (folder / ".fetching" / "tiny" / "tmp1234").touch()
    get(card(source(mirror.serve("/points.h5", Answer(CONTENT)))), folder)
    assert is_whole(folder)


def test_a_folder_that_nothing_was_fetched_into_is_loaded(tmp_path: Path):
    refuse_unfinished(tmp_path, "tiny")
