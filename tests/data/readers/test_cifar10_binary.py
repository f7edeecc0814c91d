import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_images import CIFAR_CLASSES, cifar_members, image_card, write_cifar
from pc_crvae.data.cards import load_card
from pc_crvae.data.readers import cifar10_binary
from pc_crvae.data.readers.cifar10_binary import read_split, source_paths
from pc_crvae.errors import UserError

CARD = image_card("cifar10_binary", CIFAR_CLASSES)
ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
SECOND = f"{FOLDER}/data_batch_2.bin"
NAMES = f"{FOLDER}/batches.meta.txt"
NONSENSE = gzip.compress(b"")[:10] + b"\xff" * 20


def write_folder(root: Path, members: dict[str, bytes] | None = None) -> None:
    (root / FOLDER).mkdir(parents=True)
    for name, content in (cifar_members() if members is None else members).items():
        (root / name).write_bytes(content)


def write_tar(root: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(root / ARCHIVE, "w:gz") as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture(params=[write_cifar, write_folder], ids=["archive", "folder"])
def write(request: pytest.FixtureRequest) -> Callable[..., None]:
    return request.param


def test_records_come_in_the_order_of_the_files(tmp_path: Path, write: Callable[..., None]):
    write(tmp_path)
    raw = read_split(tmp_path, "train", CARD)
    assert raw.array.shape == (10, 3, 32, 32)
    assert raw.array.dtype == np.uint8
    assert raw.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert raw.labels.dtype == np.int64
    assert raw.classes == CIFAR_CLASSES
    assert raw.ids[:3] == ("data_batch_1/0", "data_batch_1/1", "data_batch_2/0")
    test = read_split(tmp_path, "test", CARD)
    assert test.ids == ("test_batch/0", "test_batch/1")
    assert test.labels.tolist() == [1, 2]


def test_a_record_is_its_label_then_red_green_and_blue_by_rows(tmp_path: Path):
    write_cifar(tmp_path)
    image = read_split(tmp_path, "train", CARD).array[2]
    record = cifar_members()[SECOND][:3073]
    assert image[0, 0, 1] == record[1 + 1]
    assert image[0, 1, 0] == record[1 + 32]
    assert image[1, 0, 0] == record[1 + 1024]
    assert image[2, 31, 31] == record[3072]


def test_files_may_hold_differing_numbers_of_records(tmp_path: Path, write: Callable[..., None]):
    members = cifar_members()
    write(tmp_path, members | {SECOND: 5 * members[SECOND]})
    raw = read_split(tmp_path, "train", CARD)
    assert len(raw.array) == 18
    assert raw.ids[11] == "data_batch_2/9"


def test_the_folder_is_read_where_the_archive_is_there_too(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / ARCHIVE).write_bytes(b"not read")
    assert len(read_split(tmp_path, "train", CARD).array) == 10


def test_sources_are_the_archive_and_the_files_of_the_split(tmp_path: Path):
    names = {path.relative_to(tmp_path).as_posix() for path in source_paths(tmp_path, "test", CARD)}
    assert names == {ARCHIVE, FOLDER, NAMES, f"{FOLDER}/test_batch.bin"}


def test_a_root_without_either_is_told(tmp_path: Path):
    with pytest.raises(UserError, match=f"{ARCHIVE} is missing, and so is the folder {FOLDER}"):
        read_split(tmp_path, "train", CARD)


@pytest.mark.parametrize("name", [SECOND, NAMES])
def test_a_missing_member_is_named(tmp_path: Path, write: Callable[..., None], name: str):
    members = cifar_members()
    del members[name]
    write(tmp_path, members)
    with pytest.raises(UserError, match=f"{name} is missing"):
        read_split(tmp_path, "train", CARD)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (SECOND, b"", "has 0 bytes, which is no whole number of records of 3073"),
        (SECOND, bytes(3072), "has 3072 bytes, which is no whole number"),
        (SECOND, bytes(3 * 3073 + 1), "has 9220 bytes, which is no whole number"),
        (SECOND, bytes(3073) + b"\x03" + bytes(3072), "the label 3 in row 1 is out of range"),
        (NAMES, b"", r"names the classes \(none\) where tiny_cifar10_binary has airplane"),
        (NAMES, b"airplane\nbird\nautomobile\n", "names the classes airplane, bird, automobile"),
        (NAMES, b"airplane\nautomobile\n", "names the classes airplane, automobile where"),
        (NAMES, b"\xff", "cannot be read as text"),
    ],
)
def test_unusable_content_is_told_in_one_sentence(
    tmp_path: Path, write: Callable[..., None], name: str, content: bytes, problem: str
):
    write(tmp_path, cifar_members() | {name: content})
    with pytest.raises(UserError, match=problem) as caught:
        read_split(tmp_path, "train", CARD)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"<html>404</html>",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4],
        lambda content: content[:-8] + bytes([content[-8] ^ 1]) + content[-7:],
        lambda content: NONSENSE,
        lambda content: gzip.compress(gzip.decompress(content) + bytes(1 << 20)) + NONSENSE,
        lambda content: gzip.compress(b"no tar archive" * 100),
        lambda content: gzip.compress(gzip.decompress(content)[:-12000]),
    ],
    ids=[
        "empty",
        "a web page",
        "half",
        "no length",
        "check sum",
        "nothing to unpack",
        "nonsense behind",
        "no tar",
        "half a tar",
    ],
)
def test_a_damaged_archive_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]):
    write_cifar(tmp_path)
    path = tmp_path / ARCHIVE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"cifar-10-binary\.tar\.gz"):
        read_split(tmp_path, "test", CARD)


def test_a_file_longer_than_any_of_this_layout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_folder(tmp_path)
    monkeypatch.setattr(cifar10_binary, "_MOST_BYTES", 6145)
    with pytest.raises(UserError, match=r"data_batch_1\.bin has 6146 bytes, more than the 6145"):
        read_split(tmp_path, "train", CARD)


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "secret").write_bytes(bytes(3073))
    link = tarfile.TarInfo(f"{FOLDER}/test_batch.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "../secret"
    names = tarfile.TarInfo(NAMES)
    names.size = len(cifar_members()[NAMES])
    write_tar(tmp_path, (link, b""), (names, cifar_members()[NAMES]))
    with pytest.raises(UserError, match=r"test_batch\.bin' is a link"):
        read_split(tmp_path, "test", CARD)


def test_headers_that_extend_headers_without_end_are_refused(tmp_path: Path):
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    block = header.tobuf(tarfile.USTAR_FORMAT) + b"x" + bytes(511)
    (tmp_path / ARCHIVE).write_bytes(gzip.compress(block * 5000))
    with pytest.raises(UserError, match="it is damaged or cut short"):
        read_split(tmp_path, "test", CARD)


def test_a_file_with_holes_is_not_taken(tmp_path: Path):
    """A sparse file of old GNU tar: a tiny archive that unpacks to as much as its header says."""
    entry = tarfile.TarInfo(f"{FOLDER}/test_batch.bin")
    entry.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"%011o\0" % (200 * 3073)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    names = tarfile.TarInfo(NAMES)
    names.size = len(cifar_members()[NAMES])
    rest = names.tobuf() + cifar_members()[NAMES].ljust(512, b"\0") + bytes(1024)
    (tmp_path / ARCHIVE).write_bytes(gzip.compress(bytes(block) + rest))
    with pytest.raises(UserError, match=r"test_batch\.bin' is not a plain file"):
        read_split(tmp_path, "test", CARD)


def test_a_length_below_zero_is_refused(tmp_path: Path):
    entry = tarfile.TarInfo("before")
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 10 + b"\xfc\x00"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / ARCHIVE).write_bytes(gzip.compress(bytes(block) + bytes(2048)))
    with pytest.raises(UserError, match=r"cifar-10-binary\.tar\.gz"):
        read_split(tmp_path, "test", CARD)


@pytest.mark.slow
def test_a_bomb_is_unpacked_within_a_bound(tmp_path: Path):
    with gzip.open(tmp_path / ARCHIVE, "wb", compresslevel=1) as packed:
        packed.write(tarfile_start(1 << 31))
        for _ in range(300):
            packed.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"unpacks to more than 268\.4 MB"):
        read_split(tmp_path, "test", CARD)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def tarfile_start(size: int) -> bytes:
    entry = tarfile.TarInfo("something else")
    entry.size = size
    return entry.tobuf(tarfile.USTAR_FORMAT)


def test_the_real_set_loads(data_root: Path):
    folder = data_root / "cifar10"
    if not folder.is_dir():
        pytest.skip(f"{data_root} has no folder cifar10")
    card = load_card("cifar10")
    train = read_split(folder, "train", card)
    assert train.array.shape == (3_500, 3, 32, 32)
    assert read_split(folder, "test", card).array.shape == (700, 3, 32, 32)
    assert np.bincount(train.labels).min() > 300
    # Pictures: a pixel is much like its neighbour on either side, and skies are blue.
    steps = np.abs(np.diff(train.array.astype(int), axis=2)).mean(), train.array.std()
    assert steps[0] < 0.5 * steps[1]
    red, _, blue = train.array[train.labels == card.classes.index("airplane")].mean(axis=(0, 2, 3))
    assert blue > red + 5
