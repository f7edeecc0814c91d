"""Archives of every kind, made member by member, and damaged ones."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

TREE = {"set/train.txt": b"a\n" * 700, "set/chair/1.off": b"OFF\n1 0 0\n0 0 0\n", "set/empty": b""}
TAR_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
SUFFIXES = [".zip", *TAR_MODES]
TarMember = tuple[tarfile.TarInfo, bytes]


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: list[TarMember], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def file_in_tar(name: str, content: bytes = b"x") -> TarMember:
    return tarfile.TarInfo(name), content


def special_in_tar(name: str, kind: bytes, link: str = "") -> TarMember:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def make(path: Path, members: dict[str, bytes]) -> Path:
    suffix = next(suffix for suffix in SUFFIXES if path.name.endswith(suffix))
    if suffix == ".zip":
        return make_zip(path, members)
    return make_tar(path, [file_in_tar(*member) for member in members.items()], TAR_MODES[suffix])


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


Refused = Callable[[Path], str]


def lie(archive: Path, field: int, value: int) -> None:
    """Set a 32-bit field of the zip's last entry in its directory."""
    content = bytearray(archive.read_bytes())
    start = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, start + field, value)
    archive.write_bytes(content)


def tar_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("set/odd")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)
