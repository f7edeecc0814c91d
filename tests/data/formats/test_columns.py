"""Which columns of a table are coordinates: what its head says, or a refusal that names them."""

from pathlib import Path

import numpy as np
import pytest

from helpers import cloud_writers as write
from pc_crvae.data.formats.cloud_files import load_points_and_normals, read_cloud
from pc_crvae.errors import UserError

POINTS = np.random.default_rng(5).normal(size=(40, 3)).round(4)
OTHERS = np.random.default_rng(6).integers(0, 256, (40, 3))


def save(folder: Path, head: str, table: np.ndarray, delimiter: str = ",") -> Path:
    path = folder / "cloud.csv"
    path.write_bytes(head.encode() + b"\n" + write.text(table, delimiter))
    return path


@pytest.mark.parametrize(
    "names",
    [
        "x_m,y_m,z_m",
        "pos_x,pos_y,pos_z",
        "posX,posY,posZ",
        "x [m],y [m],z [m]",
        "X (mm),Y (mm),Z (mm)",
        '"Points:0","Points:1","Points:2"',
        "Points_0,Points_1,Points_2",
        "Points_m_XYZ:0,Points_m_XYZ:1,Points_m_XYZ:2",
        "POINT_X,POINT_Y,POINT_Z",
        "Easting,Northing,Elevation",
        "E,N,Z",
        "X Coordinate,Y Coordinate,Z Coordinate",
        "xcoord,ycoord,zcoord",
        "px,py,pz",
        "P[0],P[1],P[2]",
    ],
)
def test_columns_are_told_by_their_names_wherever_they_stand(tmp_path: Path, names: str):
    behind = save(tmp_path, f"R,G,B,{names}", np.hstack([OTHERS, POINTS]))
    np.testing.assert_array_equal(read_cloud(behind), POINTS)
    first, second, third = names.split(",")
    turned = save(
        tmp_path,
        f"{third},{first},nx,{second}",
        np.c_[POINTS[:, [2, 0]], OTHERS[:, 0], POINTS[:, 1]],
    )
    np.testing.assert_array_equal(read_cloud(turned), POINTS)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("id,width,height,price", "columns id, width, height, price, which do not tell"),
        ("r,theta,phi", "columns r, theta, phi"),
        ("nx,ny,nz", "columns nx, ny, nz"),
        ("vx,vy,vz,t", "columns vx, vy, vz, t"),
        ("x,y,intensity", "columns x, y, intensity"),
        ("x_m,y_m,z_mm", "columns x_m, y_m, z_mm"),
        ("feature0,feature1,feature2", "columns feature0, feature1, feature2"),
        ("local_x,local_y,local_z,world_x,world_y,world_z", "columns local_x"),
        ("x,x,y,z", "columns x, x, y, z"),
        ("lon,lat,height", r"degrees \(its columns are lon, lat, height\): project"),
        ("Longitude,Latitude,Altitude", "degrees"),
        ("x_deg,y_deg,z", "degrees"),
        ("x [°],y [°],z [m]", "degrees"),
        ("easting,northing,depth", "columns easting, northing, depth"),
    ],
)
def test_columns_that_cannot_be_told_are_refused_by_name(tmp_path: Path, head: str, problem: str):
    table = np.random.default_rng(0).normal(size=(9, head.count(",") + 1))
    with pytest.raises(UserError, match=problem):
        read_cloud(save(tmp_path, head, table))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_the_numbers_of_pandas_columns_are_no_point(tmp_path: Path, delimiter: str):
    head = delimiter.join("012")
    np.testing.assert_array_equal(read_cloud(save(tmp_path, head, POINTS, delimiter)), POINTS)


def test_an_index_in_front_is_no_coordinate(tmp_path: Path):
    indexed = np.c_[np.arange(40), POINTS]
    for head in (",0,1,2", "Unnamed: 0,x,y,z", '"",x,y,z'):
        np.testing.assert_array_equal(read_cloud(save(tmp_path, head, indexed)), POINTS)
    with pytest.raises(UserError, match="first column that counts the lines"):
        read_cloud(save(tmp_path, "# no names", indexed))
    path = tmp_path / "r.txt"
    rows = [f"{row} {x} {y} {z}" for row, (x, y, z) in enumerate(POINTS, 1)]
    path.write_text("\n".join(["x y z", *rows]))
    with pytest.raises(UserError, match="names 3 columns and has 4, of which the first seems to"):
        read_cloud(path)


def test_a_voxel_at_0_1_2_is_a_point_where_blanks_divide_whole_numbers(tmp_path: Path):
    voxels = np.array([(0, 1, 2), (3, 4, 5), (6, 7, 9)])
    path = tmp_path / "a.xyz"
    path.write_text("\n".join(" ".join(map(str, row)) for row in voxels.tolist()))
    np.testing.assert_array_equal(read_cloud(path), voxels)


@pytest.mark.parametrize("head", ["V1,V2,V3", "col0,col1,col2", '"Var1","Var2","Var3"'])
def test_names_that_only_count_say_nothing(tmp_path: Path, head: str):
    np.testing.assert_array_equal(read_cloud(save(tmp_path, head, POINTS)), POINTS)


def test_names_in_the_comment_above_the_table_are_believed(tmp_path: Path):
    table = np.hstack([OTHERS, POINTS])
    for head in ("# r,g,b,x,y,z", "//R,G,B,X,Y,Z", "# made by hand\n# r g b x y z"):
        np.testing.assert_array_equal(read_cloud(save(tmp_path, head, table)), POINTS)
    # Of other columns than there are, it is a comment.
    path = save(tmp_path, "# z y x, as it was", np.hstack([POINTS, OTHERS]))
    np.testing.assert_array_equal(read_cloud(path), POINTS)


def test_names_with_blanks_between_tabs(tmp_path: Path):
    table = np.c_[OTHERS[:, 0], POINTS]
    path = save(tmp_path, "Point ID\tX\tY\tZ", table, "\t")
    np.testing.assert_array_equal(read_cloud(path), POINTS)


def test_more_names_than_columns_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="names 4 columns and has 3"):
        read_cloud(save(tmp_path, "id,x,y,z", POINTS))


def test_normals_are_told_by_their_names_too(tmp_path: Path):
    normals = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    path = save(tmp_path, "nx,ny,nz,r,x,y,z", np.c_[normals, OTHERS[:, 0], POINTS])
    sample = load_points_and_normals(path, 40, np.random.default_rng(0))
    np.testing.assert_allclose(
        sample.normals, sample.points / np.linalg.norm(sample.points, axis=1, keepdims=True)
    )
    path = save(tmp_path, "x,y,z,r,g,b", np.hstack([POINTS, OTHERS]))
    with pytest.raises(UserError, match="which are the normals: call them nx, ny and nz"):
        load_points_and_normals(path, 40, np.random.default_rng(0))


@pytest.mark.parametrize("rows", [3, 4, 6])
def test_a_point_a_column_is_asked_about(tmp_path: Path, rows: int):
    wide = np.random.default_rng(0).normal(size=(rows, 300))
    for name, content in (
        ("a.npy", write.npy(wide)),
        ("a.npz", write.npz(points=wide)),
        ("a.txt", write.text(wide)),
        ("a.csv", write.text(wide, ",")),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{rows} rows of 300 numbers: is it transposed"):
            read_cloud(tmp_path / name)
    few = np.random.default_rng(0).normal(size=(5, 6))  # points with normals
    (tmp_path / "a.npy").write_bytes(write.npy(few))
    assert len(read_cloud(tmp_path / "a.npy")) == 5


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_byte_order_are_no_numbers(tmp_path: Path, encoding: str):
    path = tmp_path / "a.csv"
    path.write_text(write.text(POINTS, ",").decode(), encoding=encoding)
    np.testing.assert_array_equal(read_cloud(path), POINTS)


@pytest.mark.parametrize("head", ["", "x;y;z\n"])
def test_between_semicolons_a_comma_is_a_decimal_point(tmp_path: Path, head: str):
    path = tmp_path / "a.csv"
    path.write_text(head + write.text(POINTS, ";").decode().replace(".", ","))
    np.testing.assert_array_equal(read_cloud(path), POINTS)


@pytest.mark.parametrize("head", ["", '"x","y","z"\n'])
def test_quoted_numbers_are_read(tmp_path: Path, head: str):
    path = tmp_path / "a.csv"
    rows = write.text(POINTS, ",").decode().splitlines()
    quoted = ['"' + row.replace(",", '","') + '"' for row in rows]
    path.write_text(head + "\n".join(quoted))
    np.testing.assert_array_equal(read_cloud(path), POINTS)


@pytest.mark.parametrize("quote", ['"', '"b', '"b"'])
def test_a_quote_in_another_column_swallows_no_line(tmp_path: Path, quote: str):
    path = tmp_path / "a.csv"
    path.write_text(f"x,y,z,note\n1,2,3,a\n4,5,6,{quote}\n7,8,9,{quote}\n1,1,1,b\n")
    np.testing.assert_array_equal(read_cloud(path), [[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]])


def test_a_quoted_field_of_any_length_gets_a_sentence(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(f'x,y,z,note\n1,2,3,"{"a" * 200_000}"\n4,5,6,b\n')
    with pytest.raises(UserError, match="not one of numbers: field larger than field limit"):
        read_cloud(path)


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_delimiter_between_quotes_parts_no_columns(tmp_path: Path, mark: str):
    path = tmp_path / "a.csv"
    path.write_text('"part, side",x,y,z,q\n"a, left",4,5,6,7\nb,1,2,3,0\n'.replace(",", mark))
    np.testing.assert_array_equal(read_cloud(path), [[4, 5, 6], [1, 2, 3]])


@pytest.mark.parametrize("row", ["1,234;0.5;0.25", "1,234.5;2;3", "0,5;1;2.5"])
def test_commas_that_may_part_thousands_are_refused(tmp_path: Path, row: str):
    path = tmp_path / "a.csv"
    path.write_text(f"x;y;z\n{row}\n0;0;0\n")
    with pytest.raises(UserError, match="is a comma, and other numbers have points"):
        read_cloud(path)
    path.write_text("x;y;z;file\n0,5;1;2,5;a.stl\n0;0;0;b.stl\n")
    np.testing.assert_array_equal(read_cloud(path), [[0.5, 1, 2.5], [0, 0, 0]])


@pytest.mark.parametrize("title", ["chair", "my chair", "scan, front"])
def test_a_title_names_no_columns(tmp_path: Path, title: str):
    np.testing.assert_array_equal(read_cloud(save(tmp_path, title, POINTS)), POINTS)
    with pytest.raises(UserError, match="columns x, y"):
        read_cloud(save(tmp_path, "x,y", POINTS))
