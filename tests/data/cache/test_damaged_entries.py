"""An entry that is damaged is told and made anew, or kept where it cannot be read."""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.kept_sets import is_mapped, load_train, only_entry, spoil_unseen
from pc_crvae.data.cache import damage, sealed_files, store


def rewrite(path: Path, content: bytes) -> None:
    """Change a file as damage would: at another time than it was written."""
    path.write_bytes(content)
    os.utime(path)


def rewrite_unseen(path: Path, content: bytes) -> None:
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)


DAMAGES = {
    "empty": lambda content: b"",
    "a few bytes": lambda content: content[:5],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "longer by a byte": lambda content: content + b"?",
    "zeros": lambda content: bytes(len(content)),
    "other JSON": lambda content: b"{}",
    "a flipped bit at the start": lambda content: flipped(content, 3),
    "a flipped bit near the end": lambda content: flipped(content, -20),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("write", [rewrite, rewrite_unseen])
@pytest.mark.parametrize("file", ["record.json", "points.npy", "labels.npy"])
def test_a_damaged_entry_is_told_and_made_anew(
    hdf5_root: Path, cache: Path, damage: str, write: Callable[[Path, bytes], None], file: str
):
    first = load_train(hdf5_root).fingerprint()
    entry = only_entry(cache)
    write(entry / file, DAMAGES[damage]((entry / file).read_bytes()))
    with pytest.warns(UserWarning, match=rf"{entry} is damaged \({file} .*made anew"):
        again = load_train(hdf5_root)
    assert again.fingerprint() == first
    assert is_mapped(again)
    assert only_entry(cache) == entry
    inode = entry.stat().st_ino
    load_train(hdf5_root)
    assert entry.stat().st_ino == inode


def test_an_entry_that_lacks_a_file_is_made_anew(hdf5_root: Path, cache: Path):
    first = load_train(hdf5_root).fingerprint()
    for name in ("points.npy", "record.json"):
        (only_entry(cache) / name).unlink()
        with pytest.warns(UserWarning, match=f"is damaged .*{name}"):
            assert load_train(hdf5_root).fingerprint() == first


def test_a_flipped_bit_in_a_large_array_shows_by_the_time_of_the_change(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", 100)
    first = load_train(hdf5_root).fingerprint()
    points = only_entry(cache) / "points.npy"
    rewrite(points, flipped(points.read_bytes(), 300))
    with pytest.warns(UserWarning, match=r"points\.npy is not as it was written"):
        assert load_train(hdf5_root).fingerprint() == first


def test_a_copy_of_an_entry_is_as_good(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", 100)
    first = load_train(hdf5_root).fingerprint()
    entry = only_entry(cache)
    shutil.copytree(entry, cache / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(entry)
    (cache / "copy").rename(entry)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    assert load_train(hdf5_root).fingerprint() == first


def test_the_record_holds_the_digest_of_each_file(hdf5_root: Path, cache: Path):
    load_train(hdf5_root)
    entry = only_entry(cache)
    about = json.loads((entry / "record.json").read_text())["content"]["arrays"]
    assert {f"{name}.npy" for name in about} == {path.name for path in entry.glob("*.npy")}
    for name, values in about.items():
        content = (entry / f"{name}.npy").read_bytes()
        assert values["sha256"] == hashlib.sha256(content).hexdigest()


def test_nothing_pickled_is_loaded_even_where_the_record_vouches_for_it(
    hdf5_root: Path, cache: Path
):
    first = load_train(hdf5_root).fingerprint()
    entry = only_entry(cache)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    rewrite_unseen(entry / "points.npy", pickled.getvalue())
    content = json.loads((entry / "record.json").read_text())["content"]
    content["arrays"]["points"] |= {
        "bytes": len(pickled.getvalue()),
        "sha256": hashlib.sha256(pickled.getvalue()).hexdigest(),
        "dtype": "|O",
        "shape": [1],
    }
    rest = '"content": ' + json.dumps(content) + "}\n"
    digest = hashlib.sha256(rest.encode()).hexdigest()
    (entry / "record.json").write_text(f'{{"sha256": "{digest}",\n{rest}')
    with pytest.warns(UserWarning, match="is damaged .*Python objects"):
        assert load_train(hdf5_root).fingerprint() == first


def test_an_entry_that_cannot_be_read_is_told_and_kept(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = load_train(hdf5_root)
    entry = only_entry(cache)

    def too_many(path: Path) -> dict[str, object]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as unreadable:
        unreadable.setattr(store, "read_record", too_many)
        with pytest.warns(UserWarning, match=r"cannot be read: Too many open files"):
            found = load_train(hdf5_root)
        with pytest.raises(store.NotKeptError, match="cannot be read"):
            damage.discard_damaged("modelnet40", "train")
    assert np.array_equal(found.points, expected.points)
    assert only_entry(cache) == entry
    assert np.array_equal(load_train(hdf5_root).points, expected.points)
