"""Arrays of .npz files: what NumPy wrote is read, and what is damaged or hostile is refused."""

import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pc_crvae.errors import UserError
from pc_crvae.utils.files import npz_names, parse_npy, read_npz

ARRAYS = {
    "points": np.arange(12, dtype=np.float32).reshape(4, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "texts": np.array(["é", "", "abc"]),
    "one": np.array("a text"),
    "none": np.empty((0, 5)),
    "big end": np.arange(3, dtype=">i2"),
}


def npy(descr: object = "<f8", shape: object = (2, 3), body: bytes = bytes(48)) -> bytes:
    """An .npy file whose header says what it is told to."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path: Path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    assert npz_names(tmp_path / "a.npz") == list(ARRAYS)
    read = read_npz(tmp_path / "a.npz", list(ARRAYS))
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_an_array_that_is_not_asked_for_is_not_looked_at(tmp_path: Path):
    path = archive(tmp_path / "a.npz", bad=b"nothing", good=npy())
    assert list(read_npz(path, ["good"])) == ["good"]


def test_an_array_that_is_not_there_is_named_with_those_that_are(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=np.ones(2))
    with pytest.raises(UserError, match="holds no array y and no z, only x"):
        read_npz(tmp_path / "a.npz", ["x", "y", "z"])


def test_arrays_that_unpack_to_more_than_allowed_are_not_unpacked(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros(10_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="unpacks to 80000128 bytes, more than the 1000"):
            read_npz(path, ["x"], most=1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_objects_are_refused_unopened(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=np.array([print], dtype=object))
    with pytest.raises(UserError, match=r"a\.npz \(x\) holds an array of Python objects"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_what_is_no_npz_file_is_named(tmp_path: Path):
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "text.npz").write_text("PK")
    for name, problem in {
        "gone.npz": "is missing",
        "folder.npz": "is not a file",
        "pipe.npz": "is not a file",
        "text.npz": "cannot be read or is not a whole .npz file",
    }.items():
        for read in (npz_names, lambda path: read_npz(path, ["x"])):
            with pytest.raises(UserError, match=f"{name} {problem}"):
                read(tmp_path / name)


HOSTILE = {
    "a billion rows": npy(shape=(10**9, 3)),
    "more than a number of 64 bits holds": npy(shape=(2**40, 2**40)),
    "fewer than none": npy(shape=(-1, 3)),
    "a long type": npy(descr="|V2000000000"),
    "a type of nothing": npy(descr="|S0", shape=(10**12,)),
    "an array in each place": npy(descr=("<f8", (1000, 1000)), shape=(1,)),
    "half a shape": npy(shape="(2,"),
    "a deep tuple": npy(shape="(" * 3000 + ")" * 3000),
    "no numbers": npy(shape=("a", "b")),
    "an unknown type": npy(descr="<q9"),
    "an endless header": b"\x93NUMPY\x01\x00\xff\xff{",
    "version 3": b"\x93NUMPY\x03\x00" + npy()[8:],
    "nothing": b"",
    "cut short": npy()[:-1],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_header_takes_no_memory_and_is_told_in_a_sentence(tmp_path: Path, case: str):
    path = archive(tmp_path / "a.npz", x=HOSTILE[case])
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"a\.npz \(x\) ") as caught:
            read_npz(path, ["x"])
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 400


def _damaged(content: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    if rng.random() < 0.3:
        del damaged[rng.integers(len(damaged)) :]
    for place in rng.integers(max(len(damaged), 1), size=3 if damaged else 0):
        damaged[place] ^= 1 << rng.integers(8)
    return bytes(damaged)


@pytest.mark.parametrize("cases", [60, pytest.param(5000, marks=pytest.mark.slow)])
def test_random_damage_is_refused_by_name_or_harmless(tmp_path: Path, cases: int):
    whole = io.BytesIO()
    np.savez_compressed(whole, points=ARRAYS["points"])
    header = io.BytesIO()
    np.save(header, ARRAYS["points"])
    rng = np.random.default_rng(0)
    path = tmp_path / "a.npz"
    for _ in range(cases):
        path.write_bytes(_damaged(whole.getvalue(), rng))
        with _told("a.npz"):
            array = read_npz(path, ["points"])["points"]
            np.testing.assert_array_equal(array, ARRAYS["points"])
        with _told("a.npy"):  # without a check sum, other numbers may pass, but none out of nothing
            content = _damaged(header.getvalue(), rng)
            assert parse_npy("a.npy", content).nbytes <= len(content)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        if name not in str(error):
            raise
