"""Damage to files as disks, networks and mischief do it, and what readers may make of it.

A reader may refuse a damaged file in one sentence that names it, or give what is valid; it may not
crash, warn, hang or take more memory than the file is worth.
"""

import re
import resource
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from pc_crvae.errors import UserError

MEMORY = 256 << 20
"""Bytes that a case may take beyond what is in use."""

SECONDS = 20
"""What a case may take, on a machine however busy."""

_NUMBERS = [
    b"0",
    b"-1",
    b"3",
    b"255",
    b"65536",
    b"1000000000",
    b"4294967295",
    b"9" * 19,
    b"9" * 400,
]
_WORDS = [b"nan", b"-inf", b"1e999", b"1e200", b"1e-320", b"x", b"", b"\xff\xfe", b"list", b"\n"]
_EXTREMES = [0, 1, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1]

_T = TypeVar("_T")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one to four damages, of a kind that suits any format."""
    if rng.random() < 0.03:
        return rng.bytes(int(rng.integers(0, 300)))
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        _damage(data, rng)
    return bytes(data)


def _damage(data: bytearray, rng: np.random.Generator) -> None:
    # Half of the damage goes to the first bytes, where headers are.
    most = len(data) if rng.random() < 0.5 else min(len(data), 400)
    at = int(rng.integers(0, most)) if most else 0
    span = int(rng.integers(1, 60))
    match rng.integers(0, 10):
        case 0 | 1 if at < len(data):
            data[at] ^= 1 << int(rng.integers(0, 8))
        case 2 if at < len(data):
            data[at] = int(rng.choice([0, 1, 0x0A, 0x20, 0x7F, 0x80, 0xFF]))
        case 3:
            order = "little" if rng.random() < 0.5 else "big"
            data[at : at + 4] = int(rng.choice(_EXTREMES)).to_bytes(4, order)
        case 4:
            del data[at:]
        case 5:
            del data[at : at + span]
        case 6:
            data[at:at] = data[at : at + span]
        case 7:
            data[at:at] = rng.bytes(span)
        case _:
            numbers = list(re.finditer(rb"[-+.0-9e]+|\w+", data[at : at + 200]))
            if numbers:
                found = numbers[int(rng.integers(len(numbers)))]
                words = _NUMBERS if rng.random() < 0.6 else _WORDS
                data[at + found.start() : at + found.end()] = words[int(rng.integers(len(words)))]


@contextmanager
def bounds() -> Iterator[None]:
    """Stop what takes too much memory or time; a warning is an error within."""

    def stop(*_: object) -> None:
        raise AssertionError(f"a case took more than {SECONDS} seconds")

    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY, before[1]))
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def check(read: Callable[[], _T], check_valid: Callable[[_T], None], named: str) -> bool:
    """Read within bounds; return whether there was something valid to read.

    Args:
        read: reads the damaged file.
        check_valid: raises where what was read is not valid.
        named: what the sentence of a refusal has to name.
    """
    with bounds():
        try:
            found = read()
        except UserError as refusal:
            said = str(refusal)
            assert named in said, said
            assert "\n" not in said, said
            assert len(said) < 1000, said
            return False
        check_valid(found)
        return True


def fuzz_files(
    files: Mapping[str, bytes],
    read: Callable[[Path], _T],
    check_valid: Callable[[_T], None],
    folder: Path,
    *,
    seed: int,
    cases: int = 1,
    wreck: Callable[[bytes, np.random.Generator], bytes] = damaged,
) -> int:
    """Damage some of ``files``, one a case, write it, read it; return how many were read.

    Args:
        files: contents by name; the name's suffix is kept.
        read: reads the path written.
        check_valid: raises where what was read is not valid.
        folder: to write into.
        seed: of the choice of files and damages.
        cases: how many.
        wreck: makes the damage.
    """
    rng = np.random.default_rng(seed)
    names = sorted(files)
    survived = 0
    for _ in range(cases):
        name = names[int(rng.integers(len(names)))]
        path = folder / f"damaged{Path(name).suffix}"
        path.write_bytes(wreck(files[name], rng))
        survived += check(lambda path=path: read(path), check_valid, str(path))
    return survived


def fuzz_folder(
    root: Path,
    files: Mapping[str, bytes],
    read: Callable[[], _T],
    check_valid: Callable[[_T], None],
    *,
    seed: int,
    cases: int = 1,
    wreck: Callable[[bytes, np.random.Generator], bytes] = damaged,
) -> int:
    """Damage one file of a data set a case, read the set, put it back; return how many were read.

    Args:
        root: the folder of the data set, which a refusal has to name.
        files: contents of the files to damage, by their paths below ``root``.
        read: reads the set.
        check_valid: raises where what was read is not valid.
        seed: of the choice of files and damages.
        cases: how many.
        wreck: makes the damage.
    """
    rng = np.random.default_rng(seed)
    names = sorted(files)
    survived = 0
    for _ in range(cases):
        name = names[int(rng.integers(len(names)))]
        (root / name).write_bytes(wreck(files[name], rng))
        try:
            survived += check(read, check_valid, str(root))
        finally:
            (root / name).write_bytes(files[name])
    return survived


def flip_bits(
    path: Path,
    read: Callable[[], _T],
    check_same: Callable[[_T], None],
    *,
    count: int,
    seed: int = 0,
) -> int:
    """Flip a bit of a file a case, read, and put it back; return how many cases were refused.

    Args:
        path: the file, whose folder a refusal has to name.
        read: reads it, and perhaps what lies beside it.
        check_same: raises where what was read is not what the whole file holds.
        count: how many cases.
        seed: of the choice of bits.
    """
    whole = path.read_bytes()
    rng = np.random.default_rng(seed)
    refused = 0
    for place in rng.integers(len(whole), size=count):
        content = bytearray(whole)
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            found = read()
        except UserError as refusal:
            said = str(refusal)
            assert str(path.parent) in said, said
            refused += 1
        else:
            check_same(found)
    path.write_bytes(whole)
    return refused
