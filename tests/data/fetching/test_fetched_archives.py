"""An archive that was fetched is unpacked beside itself, or leaves nothing that loads."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from helpers.downloads import CONTENT, card, get, is_whole, refusal, seen, sha256, source, zipped
from helpers.mirror_server import Answer, MirrorServer
from pc_crvae.data.cards import Source
from pc_crvae.data.fetching import download
from pc_crvae.data.fetching.record import RECORD_NAME, read_record, refuse_unfinished
from pc_crvae.errors import UserError

TREE = {"tiny_set/train.txt": b"a\n", "tiny_set/chair/1.off": b"OFF\n", "tiny_set/lamp/1.off": b""}
LIFTED = {name.removeprefix("tiny_set/"): content for name, content in TREE.items()}


def archive_source(mirror: MirrorServer, content: bytes, file: str = "tiny.zip") -> Source:
    return source(mirror.serve(f"/{file}", Answer(content)), file=file, unpack=True)


def test_an_archive_is_unpacked_beside_itself(mirror: MirrorServer, folder: Path):
    archive = zipped(TREE)
    paths = get(card(archive_source(mirror, archive)), folder)
    assert paths == [folder / name for name in ("tiny.zip", "chair", "lamp", "train.txt")]
    assert seen(folder) == LIFTED | {"tiny.zip": archive}
    assert is_whole(folder)


def test_an_archive_may_be_removed_once_it_is_unpacked(mirror: MirrorServer, folder: Path):
    wanted = card(archive_source(mirror, zipped(TREE)))
    get(wanted, folder)
    (folder / "tiny.zip").unlink()
    assert get(wanted, folder) == [folder / name for name in ("chair", "lamp", "train.txt")]
    assert len(mirror.requests) == 1


def test_what_was_removed_of_an_unpacked_archive_comes_back(mirror: MirrorServer, folder: Path):
    wanted = card(archive_source(mirror, zipped(TREE)))
    get(wanted, folder)
    shutil.rmtree(folder / "chair")
    (folder / "lamp" / "stale.off").touch()
    get(wanted, folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}
    assert len(mirror.requests) == 1


@pytest.mark.parametrize("archive_is_removed", [False, True])
def test_a_new_version_on_the_card_replaces_what_was_unpacked(
    mirror: MirrorServer, folder: Path, archive_is_removed: bool
):
    get(card(archive_source(mirror, zipped(TREE))), folder)
    if archive_is_removed:
        (folder / "tiny.zip").unlink()
    newer = zipped({"tiny_set/train.txt": b"b\n", "tiny_set/sofa/1.off": b""})
    url = mirror.serve("/tiny.zip", Answer(newer))
    get(card(source(url, content=newer, file="tiny.zip", unpack=True)), folder)
    assert seen(folder) == {"train.txt": b"b\n", "sofa/1.off": b"", "tiny.zip": newer}


def test_an_archive_put_there_by_hand_is_unpacked(dead: str, folder: Path):
    folder.mkdir(parents=True)
    (folder / "tiny.zip").write_bytes(zipped(TREE))
    get(card(source(dead, file="tiny.zip", unpack=True)), folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}


def test_what_lies_there_by_hand_is_neither_overwritten_nor_downloaded_again(
    mirror: MirrorServer, folder: Path
):
    (folder / "chair").mkdir(parents=True)
    (folder / "chair" / "mine.off").write_bytes(b"mine")
    message = refusal(card(archive_source(mirror, zipped(TREE))), folder)
    assert f"{folder} holds files that no fetch put there (chair)" in message
    assert mirror.requests == []
    assert seen(folder) == {"chair/mine.off": b"mine"}
    assert list(folder.iterdir()) == [folder / "chair"]


def test_two_archives_with_entries_of_one_name_are_refused(mirror: MirrorServer, folder: Path):
    sources = [archive_source(mirror, zipped(TREE), file) for file in ("a.zip", "b.zip")]
    assert "holds chair, lamp, train.txt already" in refusal(card(*sources), folder)
    assert not is_whole(folder)


def test_an_archive_that_would_write_over_the_record_is_refused(mirror: MirrorServer, folder: Path):
    wanted = card(archive_source(mirror, zipped({RECORD_NAME: b"{}", "a": b"1"})))
    assert f"holds {RECORD_NAME} already" in refusal(wanted, folder)
    assert not is_whole(folder)


def _tar_with_a_link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("tiny_set/first"))
        link = tarfile.TarInfo("tiny_set/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "archive",
    [zipped(TREE | {"../escaped": b"pwned"}), _tar_with_a_link(), zipped(TREE)[:-50], CONTENT,
     zipped({"tiny_set/bomb": bytes(2**29)})],
    ids=["escape", "link", "cut short", "no archive", "bomb"],
)  # fmt: skip
def test_an_archive_that_is_refused_leaves_nothing_that_loads(
    mirror: MirrorServer, folder: Path, archive: bytes
):
    message = refusal(card(archive_source(mirror, archive)), folder)
    assert f"{folder / 'tiny.zip'} was not unpacked" in message
    assert "remove it and fetch tiny again" in message
    assert set(seen(folder)) == {"tiny.zip"}
    assert not is_whole(folder)
    assert list(folder.parent.iterdir()) == [folder]
    (folder / "tiny.zip").unlink()
    get(card(archive_source(mirror, zipped(TREE))), folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}


def test_a_fetch_killed_while_it_moves_what_it_unpacked_is_gone_on_with(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = card(archive_source(mirror, zipped(TREE)))
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "train.txt":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        get(wanted, folder)
    monkeypatch.undo()
    assert set(seen(folder)) == {"tiny.zip", "chair/1.off", "lamp/1.off"}
    assert not is_whole(folder)
    get(wanted, folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}
    assert is_whole(folder)
    assert len(mirror.requests) == 1


def test_a_full_disk_is_not_held_against_an_archive(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = card(archive_source(mirror, zipped(TREE)))
    folder.mkdir(parents=True)
    (folder / "tiny.zip").write_bytes(zipped(TREE))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    message = refusal(wanted, folder)
    assert "the disk of" in message
    assert "remove it" not in message
    assert "tiny.zip" in read_record(folder).files
    monkeypatch.undo()
    get(wanted, folder)
    assert is_whole(folder)


def test_two_sets_may_share_a_folder(mirror: MirrorServer, folder: Path):
    first = card(archive_source(mirror, zipped(TREE), "a.zip"))
    get(first, folder)
    broken = Answer(zipped({"sofa/1.off": CONTENT}), tag='"v1"', breaks_after=200)
    url = mirror.serve("/b.zip", broken, Answer(status=503))
    second = card(source(url, file="b.zip", unpack=True), name="other")
    refusal(second, folder)
    get(first, folder)
    refuse_unfinished(folder, "tiny")
    mirror.serve("/b.zip", Answer(broken.content, tag='"v1"'))
    get(second, folder)
    assert mirror.ranges_asked()[-1] == "bytes=200-"
    assert set(seen(folder)) == {*LIFTED, "a.zip", "b.zip", "sofa/1.off"}


def test_what_was_moved_in_part_is_loaded_by_no_set_of_the_folder(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = card(archive_source(mirror, zipped(TREE)))
    get(wanted, folder)
    shutil.rmtree(folder / "chair")
    monkeypatch.setattr(download, "_remove", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        get(wanted, folder)
    for name in ("tiny", "other"):
        with pytest.raises(UserError, match="does not hold all of tiny"):
            refuse_unfinished(folder, name)


def test_the_record_is_readable_by_people(mirror: MirrorServer, folder: Path):
    get(card(archive_source(mirror, zipped(TREE))), folder)
    written = json.loads((folder / RECORD_NAME).read_text())
    assert written == {
        "unfinished": [],
        "files": {
            "tiny.zip": {
                "sha256": sha256(zipped(TREE)),
                "unpacked": ["chair", "lamp", "train.txt"],
                "unpacked_from": sha256(zipped(TREE)),
            }
        },
    }
