import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers import cloud_writers as write
from helpers.good_clouds import GOOD, POINTS
from pc_crvae.data.formats.cloud_files import choose_points, load_points, read_cloud
from pc_crvae.data.formats.pcd import unpack_lzf
from pc_crvae.data.formats.registry import CLOUD_SUFFIXES
from pc_crvae.errors import UserError


def save(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", GOOD)
def test_points_come_as_they_were_written(tmp_path: Path, name: str):
    points = read_cloud(save(tmp_path, name, GOOD[name]))
    assert points.dtype == np.float64
    np.testing.assert_array_equal(points, POINTS)


def test_whole_numbers_are_coordinates_too(tmp_path: Path):
    whole = (POINTS * 4).astype(np.int16)
    np.testing.assert_array_equal(read_cloud(save(tmp_path, "a.npy", write.npy(whole))), whole)
    path = save(tmp_path, "a.ply", write.ply(whole, kind="short"))
    np.testing.assert_array_equal(read_cloud(path), whole)


@pytest.mark.parametrize("name", ["ascii crlf.ply", "little double.ply"])
@pytest.mark.parametrize("end", [b"", b"\xff" * 9, b"9 9\n"])
def test_faces_behind_the_vertices_are_not_read(tmp_path: Path, name: str, end: bytes):
    faces = 2 * len(b"3 0 1 2\r\n") if name.startswith("ascii") else 3 * 13
    content = GOOD[name][:-faces] + end
    np.testing.assert_array_equal(read_cloud(save(tmp_path, name, content)), POINTS)


def test_every_suffix_is_tried():
    assert {Path(name).suffix.lower() for name in GOOD} == set(CLOUD_SUFFIXES)


@pytest.mark.parametrize("order", ["ascii", "binary"])
def test_vertices_are_those_that_trimesh_writes(tmp_path: Path, order: str):
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.visual.vertex_colors = np.full((len(mesh.vertices), 4), 9, np.uint8)
    encoding = {"ascii": "ascii", "binary": "binary_little_endian"}[order]
    content = trimesh.exchange.ply.export_ply(mesh, encoding=encoding, vertex_normal=True)
    points = read_cloud(save(tmp_path, "mesh.ply", content))
    np.testing.assert_allclose(points, mesh.vertices, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".xyz", ".pts"])
@pytest.mark.parametrize("ascii_", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_points_are_those_that_open3d_writes(
    tmp_path: Path, suffix: str, ascii_: bool, compressed: bool
):
    open3d = pytest.importorskip("open3d")
    points = np.random.default_rng(0).normal(size=(500, 3))
    points[100:300] = points[50]
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.colors = open3d.utility.Vector3dVector(np.full((500, 3), 0.5))
    path = tmp_path / f"cloud{suffix}"
    open3d.io.write_point_cloud(str(path), cloud, write_ascii=ascii_, compressed=compressed)
    np.testing.assert_allclose(read_cloud(path), points, atol=1e-5)


def test_lzf_is_unpacked_whatever_repeats():
    rng = np.random.default_rng(1)
    for period in [1, 2, 3, 7, 100, 300, 5000]:
        plain = np.resize(rng.integers(0, 256, period, np.uint8), 12000).tobytes()
        assert unpack_lzf(write.lzf(plain), len(plain)) == plain


@pytest.mark.parametrize(
    "packed",
    [b"\x05abc", b"\x00a\x20", b"\x00a\xe0", b"\x00a\xe0\x01", b"\x20\x00", b"\x00a\x20\x01"],
)
def test_a_damaged_lzf_stream_is_refused(packed: bytes):
    with pytest.raises(ValueError, match="goes"):
        unpack_lzf(packed, 1000)


@pytest.mark.parametrize("size", [0, 2, 4])
def test_an_lzf_stream_of_another_length_is_refused(size: int):
    assert unpack_lzf(b"\x02abc", 3) == b"abc"
    with pytest.raises(ValueError, match=r"stands for .* \d bytes|not"):
        unpack_lzf(b"\x02abc", size)


def _replaced(name: str, old: bytes, new: bytes) -> bytes:
    assert old in GOOD[name]
    return GOOD[name].replace(old, new, 1)


def _without_end(name: str, count: int = 1) -> bytes:
    return GOOD[name][:-count]


def _spoiled(value: float) -> np.ndarray:
    points = POINTS.copy()
    points[7, 2] = value
    return points


def _with_a_negative_list() -> bytes:
    content = bytearray(_replaced("big lists.ply", b"list uchar", b"list char"))
    first = content.index(b"end_header\n") + len(b"end_header\n")
    content[first + 17 + 12] = 0xFF  # of the second record, behind its coordinates
    return bytes(content)


BAD: dict[str, tuple[str, bytes, str]] = {
    "of another kind": ("a.doc", b"", r"should end in \.ply, .*\.npz"),
    "nan": ("a.npy", write.npy(_spoiled(np.nan)), r"NaN or infinite in point 7"),
    "inf": ("a.xyz", write.text(_spoiled(-np.inf)), r"NaN or infinite in point 7"),
    "huge": ("a.xyz", write.text(_spoiled(1e200)), r"beyond 1e150 in point 7"),
    "nan in pcd": ("a.pcd", write.pcd(_spoiled(np.nan), "ascii"), "NaN or infinite in point 7"),
    "collapsed": ("a.npy", write.npy(np.ones((9, 3))), "one single point"),
    "one point": ("a.xyz", b"1 2 3", "one single point"),
    "far away": ("a.npy", write.npy(1e-3 * POINTS + 1e11), "so far from the origin"),
    # text
    "empty text": ("a.txt", b"", "holds no points"),
    "a header alone": ("a.csv", b"x,y,z\n", "holds no points"),
    "a word": ("a.csv", b"1,2,3\n4,five,6\n", "not one of numbers: .*'five'"),
    "a damaged first point": ("a.csv", b"1,?,3\n4,5,6\n", "not one of numbers"),
    "a short line": ("a.xyz", b"1 2 3\n4 5\n", "not one of numbers"),
    "two columns": ("a.xyz", b"1 2\n4 5\n", "not one of numbers"),
    "decimal commas": (
        "a.txt",
        b"1,5 2,5 3,5\n2,5 2,5 3,5\n",
        "commas for points|not one of numbers",
    ),
    "not UTF-8": ("a.txt", b"1 2 3\n\xff", "no text"),
    "fewer than promised": ("a.pts", b"3\n1 2 3\n4 5 6\n", "promises 3 points and holds 2"),
    # npy
    "empty npy": ("a.npy", b"", r"not an \.npy file"),
    "objects": ("a.npy", write.npy(np.array([[{}, 1, 2]], object)), "should hold numbers"),
    "complex": ("a.npy", write.npy(POINTS * 1j), "should hold numbers"),
    "strings": ("a.npy", write.npy(POINTS.astype("S4")), "should hold numbers"),
    "records": ("a.npy", write.npy(np.zeros((4, 3), "f4,f4")), "should hold numbers"),
    "two dimensions": ("a.npy", write.npy(POINTS[:, :2]), r"shape \(N, 3\), not \(40, 2\)"),
    "one axis": ("a.npy", write.npy(POINTS[:, 0]), r"shape \(N, 3\), not \(40,\)"),
    "a batch": ("a.npy", write.npy(POINTS[None]), r"shape \(N, 3\), not \(1, 40, 3\)"),
    "no rows": ("a.npy", write.npy(POINTS[:0]), "holds no points"),
    "short npy": ("a.npy", _without_end("float64.npy"), "cut short"),
    "a pickle": ("a.npy", pickle.dumps(POINTS), r"not an \.npy file"),
    "version 3": ("a.npy", write.npy(POINTS, (3, 0)), "unknown version"),
    # npz
    "no zip": ("a.npz", b"PK", r"not a whole \.npz file"),
    "short npz": ("a.npz", _without_end("points.npz", 400), r"not a whole \.npz file"),
    "two arrays": ("a.npz", write.npz(a=POINTS, b=POINTS), "the arrays a, b, of which none"),
    "no arrays": ("a.npz", write.npz(), "holds no array"),
    "labels alone": ("a.npz", write.npz(points=np.arange(4)), r"\(points\) should have"),
    # ply
    "no ply": ("a.ply", b"solid", "first line is not 'ply'"),
    "endless header": ("a.ply", GOOD["little.ply"][:60], "header does not end"),
    "no format": (
        "a.ply",
        _replaced("little.ply", b"format binary_little_endian 1.0\n", b""),
        "whether it is ascii",
    ),
    "another format": ("a.ply", _replaced("little.ply", b"little", b"middle"), "header that is no"),
    "another type": ("a.ply", _replaced("little.ply", b"float x", b"quad x"), "header that is no"),
    "a negative count": ("a.ply", _replaced("little.ply", b"x 40", b"x -40"), "header that is no"),
    "a list of floats": (
        "a.ply",
        _replaced("big lists.ply", b"list uchar", b"list float"),
        "header that is no",
    ),
    "no vertex": ("a.ply", _replaced("little.ply", b"vertex", b"vertez"), "no element 'vertex'"),
    "no x": ("a.ply", _replaced("little.ply", b"float x", b"float u"), "one number called x"),
    "two x": ("a.ply", _replaced("little.ply", b"float y", b"float x"), "one number called x"),
    "no vertices": ("a.ply", write.ply(POINTS[:0]), "holds no points"),
    "short ply": ("a.ply", _without_end("little.ply"), "cut short: .*480 bytes or more, and 479"),
    "short ascii ply": ("a.ply", _without_end("ascii.ply", 20), "cut short|not one of numbers"),
    "short list": ("a.ply", _without_end("big lists.ply"), "cut short or damaged"),
    "a short line of lists": (
        "a.ply",
        GOOD["ascii lists.ply"].replace(b" 2 5 5 2\n", b" 2 5\n", 1),
        "damaged line",
    ),
    "lines of other lengths": (
        "a.ply",
        GOOD["ascii.ply"][: GOOD["ascii.ply"].index(b"end_header\n") + 11]
        + b"1 2 3\n4 5\n6 7 8 9\n" * 13
        + b"1 2 3\n",
        "damaged line",
    ),
    "less than nothing": (
        "a.ply",
        GOOD["ascii lists.ply"].replace(b" 1 5 2\n", b" -1 5 2\n", 1),
        "damaged line",
    ),
    "less than nothing in bytes": (
        "a.ply",
        _with_a_negative_list(),
        "a list has -1 entries",
    ),
    "a word in ply": ("a.ply", GOOD["ascii.ply"][:-3] + b"x\n", "not one of numbers"),
    # pcd
    "empty pcd": ("a.pcd", b"", "no line DATA"),
    "another form": ("a.pcd", _replaced("binary.pcd", b"DATA binary", b"DATA xml"), "unknown form"),
    "no fields": ("a.pcd", _replaced("binary.pcd", b"FIELDS", b"FIELD"), "do not match"),
    "sizes missing": ("a.pcd", _replaced("binary.pcd", b"SIZE 4 4 4", b"SIZE 4 4"), "do not match"),
    "half a float": ("a.pcd", _replaced("binary.pcd", b"SIZE 4", b"SIZE 2"), "unknown type"),
    "negative": ("a.pcd", _replaced("binary.pcd", b"POINTS 4", b"POINTS -4"), "damaged header"),
    "no z": ("a.pcd", _replaced("binary.pcd", b"x y z", b"x y w"), "one number called z"),
    "grid": ("a.pcd", _replaced("binary.pcd", b"HEIGHT 1", b"HEIGHT 2"), "POINTS do not match"),
    "no points": ("a.pcd", write.pcd(POINTS[:0]), "holds no points"),
    "short pcd": ("a.pcd", _without_end("binary.pcd"), "cut short"),
    "short ascii pcd": ("a.pcd", _without_end("ascii.pcd", 20), "cut short|not one of numbers"),
    "short packed pcd": ("a.pcd", _without_end("packed.pcd"), "cut short"),
    "damaged packed pcd": ("a.pcd", _without_end("packed.pcd", 9) + b"\xff" * 9, "damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, case: str):
    name, content, problem = BAD[case]
    path = save(tmp_path, name, content)
    with pytest.raises(UserError, match=problem) as caught:
        read_cloud(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 400


def _lying_npy() -> bytes:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 3), }"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(99)


def _bomb(size: int) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({size // 24}, 3), }}"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
        with archive.open("points.npy", "w", force_zip64=True) as member:
            member.write(start)
            for _ in range(size >> 20):
                member.write(bytes(1 << 20))
    return stream.getvalue()


def test_an_lzf_stream_that_stands_for_too_much_is_left_early():
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="stands for more than 100 bytes"):
            unpack_lzf(b"\x00a" + b"\xe0\xff\x00" * 10_000, 100)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_an_array_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = save(tmp_path, "a.npz", write.npz(packed=True, points=np.ones((1000, 3))))
    monkeypatch.setattr("pc_crvae.data.formats.npy._LARGEST_ARRAY", 10_000)
    with pytest.raises(UserError, match="unpacks to 24128 bytes, more than the 10000 allowed"):
        read_cloud(path)


LIES = {
    "ply": ("a.ply", GOOD["little.ply"].replace(b"vertex 40", b"vertex 1000000000")),
    "ascii ply": ("a.ply", GOOD["ascii.ply"].replace(b"vertex 40", b"vertex 1000000000")),
    "ply lists": ("a.ply", GOOD["big lists.ply"].replace(b"vertex 40", b"vertex 1000000000")),
    "ply skip": ("a.ply", GOOD["little before.ply"].replace(b"camera 2", b"camera 1000000000")),
    "nothing often": (
        "a.ply",
        GOOD["little.ply"].replace(b"element vertex", b"element a 1000000000\nelement vertex 9999"),
    ),
    "pcd": ("a.pcd", GOOD["binary.pcd"].replace(b" 40\n", b" 1000000000\n")),
    "ascii pcd": ("a.pcd", GOOD["ascii.pcd"].replace(b" 40\n", b" 1000000000\n")),
    "packed pcd": ("a.pcd", GOOD["packed.pcd"].replace(b" 40\n", b" 100000000\n")),
    "npy": ("a.npy", _lying_npy()),
    "npz": ("a.npz", write.npz(points=POINTS).replace(write.npy(POINTS)[:128], _lying_npy()[:128])),
    "text": ("a.pts", b"1000000000\n" + write.text(POINTS)),
    "lengths in text": ("a.ply", GOOD["ascii lists.ply"].replace(b" 2 5 5", b" 2000000000 5 5")),
}


@pytest.mark.parametrize("case", LIES)
def test_what_is_promised_and_not_there_takes_no_memory(tmp_path: Path, case: str):
    name, content = LIES[case]
    path = save(tmp_path, name, content)
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            read_cloud(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path):
    path = save(tmp_path, "a.npz", _bomb((1 << 30) + (1 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"unpacks to .* more than"):
            read_cloud(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_how_many_points_were_not_measured_is_told_where_there_are_more(tmp_path: Path):
    points = np.random.default_rng(0).normal(size=(20, 3))
    for rows, said in {
        (7,): r"in point 7: remove",
        (7, 9, 3): r"in point 3 \(and in 2 more\): ",
    }.items():
        spoiled = points.copy()
        spoiled[list(rows), 1] = np.nan
        np.save(tmp_path / "a.npy", spoiled)
        with pytest.raises(UserError, match=said):
            read_cloud(tmp_path / "a.npy")


def test_what_is_no_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.ply is missing"):
        read_cloud(tmp_path / "gone.ply")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(UserError, match=r"folder\.npy is not a file"):
        read_cloud(tmp_path / "folder.npy")
    os.mkfifo(tmp_path / "pipe.xyz")
    with pytest.raises(UserError, match=r"pipe\.xyz is not a file"):
        read_cloud(tmp_path / "pipe.xyz")


def test_a_file_too_large_for_a_cloud_is_not_read(tmp_path: Path):
    path = save(tmp_path, "a.xyz", b"1 2 3")
    os.truncate(path, (1 << 32) + 1)  # takes no room where files may have holes
    with pytest.raises(UserError, match=r"a\.xyz has 4294967297 bytes, more than the 4294967296"):
        read_cloud(path)


def rows_of(points: np.ndarray) -> list[tuple[float, ...]]:
    return [tuple(row) for row in points.tolist()]


def test_points_are_chosen_without_replacement_by_the_generator_alone(tmp_path: Path):
    points = np.random.default_rng(0).normal(size=(100, 3))
    path = save(tmp_path, "a.npy", write.npy(points))
    one, same, other = (load_points(path, 60, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.points, same.points)
    assert set(rows_of(one.points)) != set(rows_of(other.points))
    assert len(set(rows_of(one.points))) == 60
    assert set(rows_of(one.points)) <= set(rows_of(points))
    assert (one.normals, one.repairs) == (None, {})


def test_points_are_repeated_where_there_are_too_few(tmp_path: Path):
    points = np.random.default_rng(0).normal(size=(10, 3))
    path = save(tmp_path, "a.npy", write.npy(points))
    sample = load_points(path, 25, np.random.default_rng(1))
    found = rows_of(sample.points)
    assert {found.count(row) for row in rows_of(points)} > {1}
    assert set(found) == set(rows_of(points))
    assert len(found) == 25
    assert sample.repairs == {"points repeated": 15}
    whole = load_points(path, 10, np.random.default_rng(1))
    assert sorted(rows_of(whole.points)) == sorted(rows_of(points))
    assert whole.repairs == {}


def test_normals_go_with_their_points():
    points = np.random.default_rng(0).normal(size=(50, 3))
    for count in (20, 80):
        sample = choose_points(Path("a"), points, -points, count, np.random.default_rng(1))
        np.testing.assert_array_equal(sample.normals, -sample.points)


def test_a_choice_of_coinciding_points_is_refused():
    points = np.zeros((1000, 3))
    points[0] = 1
    with pytest.raises(UserError, match="one single point"):
        choose_points(Path("a"), points, None, 5, np.random.default_rng(0))
