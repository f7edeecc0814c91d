"""The bytes of clouds in the formats that the readers take, as other programs write them."""

import io
import struct
from collections.abc import Sequence

import h5py
import numpy as np

PLY_CODES = {"uchar": "B", "int": "i", "float": "f", "double": "d", "short": "h"}


def ply(
    points: np.ndarray,
    order: str = "binary_little_endian",
    kind: str = "float",
    *,
    before: Sequence[str] = (),
    extra: Sequence[str] = (),
    lists: bool = False,
    faces: int = 0,
    element_before: bool = False,
    line_end: str = "\n",
) -> bytes:
    """A PLY file: ``before`` and ``extra`` are types of properties ahead of and behind x, y, z."""
    header = ["ply", f"format {order} 1.0", "comment made for a test"]
    if element_before:
        header += ["element camera 2", "property float focus", "property list uchar int views"]
    header += [f"element vertex {len(points)}"]
    header += [f"property {name} before{number}" for number, name in enumerate(before)]
    header += [f"property {kind} {axis}" for axis in "xyz"]
    if lists:
        header += ["property list uchar short marks"]
    header += [f"property {name} extra{number}" for number, name in enumerate(extra)]
    if faces:
        header += [f"element face {faces}", "property list uchar int vertex_indices"]
    header += ["end_header", ""]
    rows: list[list[tuple[str, object]]] = []
    if element_before:
        rows += [[("f", 0.5), ("B", 2), ("i", 7), ("i", 8)], [("f", 1.5), ("B", 0)]]
    for number, point in enumerate(points):
        row = [(PLY_CODES[name], 1) for name in before]
        row += [(PLY_CODES[kind], value) for value in point]
        if lists:
            row += [("B", number % 3), *[("h", 5)] * (number % 3)]
        rows.append(row + [(PLY_CODES[name], 2) for name in extra])
    rows += [[("B", 3), ("i", 0), ("i", 1), ("i", 2)]] * faces
    head = line_end.join(header).encode()
    if order == "ascii":
        lines = [" ".join(str(value) for _, value in row) for row in rows]
        return head + (line_end.join(lines) + line_end).encode()
    sign = "<" if order == "binary_little_endian" else ">"
    return head + b"".join(struct.pack(sign + code, value) for row in rows for code, value in row)


def pcd(points: np.ndarray, data: str = "binary", *, extra: bool = False) -> bytes:
    """A PCD file of float32, perhaps with other fields around the coordinates."""
    count = len(points)
    fields = [("rgb", "U", 1, 3), ("_", "U", 1, 1)] if extra else []
    fields += [(axis, "F", 4, 1) for axis in "xyz"]
    fields += [("_", "U", 1, 4), ("vfh", "F", 8, 3), ("_", "I", 2, 1)] if extra else []
    names, kinds, sizes, counts = zip(*fields, strict=True)
    header = "\n".join(
        [
            "# .PCD v.7 - Point Cloud Data file format",
            "VERSION .7",
            f"FIELDS {' '.join(names)}",
            f"SIZE {' '.join(map(str, sizes))}",
            f"TYPE {' '.join(kinds)}",
            f"COUNT {' '.join(map(str, counts))}",
            f"WIDTH {count}",
            "HEIGHT 1",
            "VIEWPOINT 0 0 0 1 0 0 0",
            f"POINTS {count}",
            f"DATA {data}",
            "",
        ]
    ).encode()
    columns = []
    for name, kind, size, inner in fields:
        dtype = f"<{kind.lower()}{size}"
        if name in "xyz":
            columns.append(points[:, "xyz".index(name), None].astype(dtype))
        else:
            columns.append(np.full((count, inner), 3, dtype))
    if data == "ascii":
        rows = zip(*columns, strict=True)
        lines = [" ".join(str(value) for part in row for value in part) for row in rows]
        return header + ("\n".join(lines) + "\n").encode()
    if data == "binary":
        rows = zip(*columns, strict=True)
        return header + b"".join(part.tobytes() for row in rows for part in row)
    plain = b"".join(column.tobytes() for column in columns)
    packed = lzf(plain)
    return header + struct.pack("<II", len(packed), len(plain)) + packed


def lzf(plain: bytes) -> bytes:
    """Pack by the liblzf that comes with HDF5's Python library; it has to get shorter."""
    with h5py.File(io.BytesIO(), "w") as file:
        data = np.frombuffer(plain, np.uint8)
        dataset = file.create_dataset("x", data=data, chunks=data.shape, compression="lzf")
        skipped, packed = dataset.id.read_direct_chunk((0,))
    assert not skipped, "these bytes do not pack"
    return packed


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version, allow_pickle=True)
    return stream.getvalue()


def npz(packed: bool = False, **arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(stream, **arrays)
    return stream.getvalue()


def text(points: np.ndarray, delimiter: str = " ", end: str = "\n") -> bytes:
    return end.join(delimiter.join(map(repr, row)) for row in points.tolist()).encode()
