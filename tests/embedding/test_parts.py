"""Embedding in parts: any number of shards give what one embedding gives, and do nothing twice."""

from pathlib import Path

import numpy as np
import pytest

from helpers import mesh_writers as write
from pc_crvae.cli import main
from pc_crvae.data.readers.shape_files import find_shape_files
from pc_crvae.embedding import parts
from pc_crvae.embedding.index import About, load_embeddings
from pc_crvae.embedding.parts import Plan, Shard, embed_parts, merge_parts, missing_parts
from pc_crvae.embedding.shapes import embeddings_of_files
from pc_crvae.errors import UserError
from pc_crvae.models.descriptors.descriptor import Descriptor

pytest.importorskip("pyarrow")

ABOUT = About(model_sha256="0" * 64, points=64, up="z")


@pytest.fixture(scope="module")
def model() -> Descriptor:
    return Descriptor(kind="bps", points=64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty-three boxes, the last of which is damaged."""
    (tmp_path / "files").mkdir()
    for number in range(22):
        content = write.off().replace(b"1.5", f"{1 + number}".encode())
        (tmp_path / "files" / f"{number:02}.off").write_bytes(content)
    (tmp_path / "files" / "22.off").write_text("OFF\n")
    return tmp_path / "files"


def plan_of(folder: Path, about: About = ABOUT, size: int = 5) -> Plan:
    return Plan(find_shape_files([folder]), about, folder.parent / "parts", size)


def embed_shard(model: Descriptor, plan: Plan, shard: Shard) -> tuple[list[int], list[str]]:
    refused: list[str] = []
    numbers = missing_parts(plan, shard, refused.append)
    embed_parts(model, plan, numbers, refused.append)
    return numbers, refused


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
@pytest.mark.parametrize("shards", [1, 3, 7])
def test_any_number_of_shards_gives_the_same_index(
    model: Descriptor, folder: Path, suffix: str, shards: int
):
    plan = plan_of(folder)
    made = []
    for number in range(1, shards + 1):
        made += embed_shard(model, plan, Shard(number, shards))[0]
    assert sorted(made) == [1, 2, 3, 4, 5]
    out = folder.parent / f"whole{suffix}"
    merged = merge_parts(plan.folder, out)
    found, refused = load_embeddings(out), []
    whole = embeddings_of_files(model, plan.files, ABOUT, refused.append)
    assert (merged.vectors, merged.refused) == (22, len(refused))
    assert merged.size == whole.vectors.shape[1]
    assert (found.ids, found.sources, found.about) == (whole.ids, whole.sources, whole.about)
    np.testing.assert_allclose(found.vectors, whole.vectors, atol=1e-6)


def test_parts_that_are_whole_are_left_and_damaged_ones_made_anew(model: Descriptor, folder: Path):
    plan = plan_of(folder)
    embed_shard(model, plan, Shard(1, 1))
    assert embed_shard(model, plan, Shard(1, 1)) == ([], [])
    plan.path(2).unlink()
    content = plan.path(4).read_bytes()
    plan.path(4).write_bytes(content[:60] + b"xxxx" + content[64:])
    plan.path(3).write_bytes(plan.path(3).read_bytes()[:-20])
    numbers, told = embed_shard(model, plan, Shard(1, 1))
    assert numbers == [2, 3, 4]
    assert all(str(plan.path(at)) in line for at, line in zip((3, 4), told, strict=True))
    assert embed_shard(model, plan, Shard(2, 3))[0] == []


def test_a_part_of_refused_files_alone_holds_nothing_and_counts(model: Descriptor, folder: Path):
    plan = plan_of(folder, size=1)
    _, refused = embed_shard(model, plan, Shard(1, 1))
    assert len(refused) == 1
    assert embed_shard(model, plan, Shard(1, 1)) == ([], [])
    assert merge_parts(plan.folder, folder.parent / "all.parquet").vectors == 22


def test_parts_of_something_else_are_not_overwritten(model: Descriptor, folder: Path):
    embed_shard(model, plan_of(folder), Shard(1, 1))
    other = ABOUT.model_copy(update={"model_sha256": "1" * 64})
    with pytest.raises(UserError, match="another model"):
        embed_shard(model, plan_of(folder, other), Shard(1, 1))
    (folder / "21.off").write_bytes(write.off() + b"\n\n")
    with pytest.raises(UserError, match="of other files"):
        embed_shard(model, plan_of(folder), Shard(1, 1))


def test_what_is_missing_is_named_and_nothing_is_written(model: Descriptor, folder: Path):
    plan, out = plan_of(folder), folder.parent / "all.parquet"
    with pytest.raises(UserError, match="holds no parts"):
        merge_parts(folder, out)
    embed_shard(model, plan, Shard(2, 2))
    with pytest.raises(UserError, match=r"3 of the 5 parts are missing in .*, 1, 3, 5"):
        merge_parts(plan.folder, out)
    embed_shard(model, plan, Shard(1, 2))
    other = Plan(plan.files, ABOUT.model_copy(update={"points": 32}), folder.parent / "b", 5)
    embed_parts(model, other, [1], lambda told: None)
    plan.path(1).write_bytes(other.path(1).read_bytes())
    with pytest.raises(UserError, match="not of the same embedding"):
        merge_parts(plan.folder, out)
    for number in range(1, 6):
        plan.path(number).unlink()
    lone = Plan([plan.files[-1]], ABOUT, plan.folder, 5)
    embed_parts(model, lone, [1], lambda told: None)
    with pytest.raises(UserError, match="every file of the parts was refused"):
        merge_parts(plan.folder, out)
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(UserError, match="a shard is such as 3/8"):
        parts.parse_shard(text)


def test_by_command(folder: Path, capsys: pytest.CaptureFixture[str]):
    Descriptor(kind="bps", points=64).save_pretrained(folder.parent / "model")
    out = folder.parent / "parts"
    embed = ["embed", "--ckpt", str(folder.parent / "model")]
    shard = [*embed, str(folder), "--part-files", "4", "--out", str(out), "--shard"]
    merge = [*embed, "--merge", str(out), "--out", str(folder.parent / "all.parquet")]
    assert main([*shard, "1/2"]) == 0
    assert "3 made and 0 there before, of 6 in all shards" in capsys.readouterr().out
    assert main(merge) == 2
    assert "3 of the 6 parts are missing" in capsys.readouterr().err
    assert main([*shard, "2/2"]) == 0
    assert main([*shard, "2/2"]) == 0
    assert "0 made and 3 there before" in capsys.readouterr().out
    assert main(merge) == 0
    said = capsys.readouterr()
    assert "all.parquet, 22 vectors of " in said.out
    assert "1 files were refused when the parts were made" in said.err
    assert main([*shard, "1/2", "--strict"]) == 2
    assert main([*merge, str(folder)]) == 2
    assert main([*shard, "3/2"]) == 2
