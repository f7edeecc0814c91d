"""The benchmark tool: what it leaves behind, never how fast anything was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the tests' own runner need not start at the root

from benchmarks import ceilings  # noqa: E402
from benchmarks.cli import main  # noqa: E402
from benchmarks.clouds import collapsed, spread_pair  # noqa: E402
from benchmarks.floor import Product, floor_ms, gflop_by_part, step_products  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from benchmarks.page import write_page  # noqa: E402
from benchmarks.report import Row  # noqa: E402
from benchmarks.timing import Effort, alternate  # noqa: E402
from helpers.prose import long_sentences  # noqa: E402
from pc_crvae.config import parse_config  # noqa: E402
from pc_crvae.geometry import nearest_neighbors  # noqa: E402

REQUIRED = {"what", "name", "dtype", "ours_ms", "reference_ms", "ratio"}


def bench(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "bench.py"), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Folder, report, and the finished process of one quick run of everything."""
    folder = tmp_path_factory.mktemp("bench")
    done = bench("--quick", "--json", f"{folder}/rows.json", "--page", f"{folder}/page.md")
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "rows.json").read_text()), done


@pytest.mark.slow
def test_every_row_names_what_was_measured_and_how_long_it_took(quick):
    _, report, _ = quick
    assert {row["what"] for row in report["rows"]} == {"ops", "step", "scaling", "data"}
    for row in report["rows"]:
        assert row.keys() >= REQUIRED
        assert row["ours_ms"] > 0
        if row["reference_ms"] is not None:
            assert row["ratio"] == pytest.approx(row["reference_ms"] / row["ours_ms"], rel=1e-2)


@pytest.mark.slow
def test_no_two_rows_have_the_same_name(quick):
    _, report, _ = quick
    names = [
        (row["what"], row["name"], row["dtype"], row["points"], row.get("cloud"))
        for row in report["rows"]
    ]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_every_step_is_timed_in_both_precisions_with_its_floor(quick):
    _, report, _ = quick
    steps = [row for row in report["rows"] if row["what"] == "step"]
    plain = [row for row in steps if "cr_over_vae" not in row]
    assert sorted((row["name"], row["dtype"]) for row in plain) == [
        (name, dtype)
        for name in ("DGCNN", "FoldingNet", "PointNet")
        for dtype in ("bfloat16", "float32")
    ]
    for row in steps:
        assert row["floor_share"] == pytest.approx(row["floor_ms"] / row["ours_ms"], rel=1e-2)


@pytest.mark.slow
def test_the_consistency_step_is_compared_with_the_plain_one(quick):
    _, report, _ = quick
    rows = [row for row in report["rows"] if "cr_over_vae" in row]
    assert len(rows) == 6
    for row in rows:
        assert row["cr_over_vae"] == pytest.approx(1 / row["ratio"], rel=1e-2)


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="added memory needs Linux's /proc"
)
@pytest.mark.slow
def test_added_memory_is_measured(quick):
    _, report, _ = quick
    (step,) = [
        row for row in report["rows"] if (row["name"], row["dtype"]) == ("PointNet", "float32")
    ]
    assert step["ours_added_mb"] > 0
    assert step["reference_added_mb"] > 0
    assert len(step["added_mb_by_points"]) == 2


@pytest.mark.slow
def test_the_machine_is_described_and_not_named(quick):
    _, report, _ = quick
    machine = report["machine"]
    assert {"cpu", "cores", "versions", "torch_threads", "kernels", "load"} <= machine.keys()
    assert machine["versions"]["torch"] == torch.__version__
    assert os.uname().nodename not in json.dumps(machine)


@pytest.mark.slow
def test_the_page_shows_every_comparison_and_a_small_plot(quick):
    folder, report, _ = quick
    page = (folder / "page.md").read_text()
    for row in report["rows"]:
        assert row["name"] in page
    assert "(page-scaling.png)" in page
    assert (folder / "page-scaling.png").stat().st_size < 300_000
    assert "The numbers mean nothing" in page


@pytest.mark.slow
def test_progress_goes_to_stderr_and_the_table_to_stdout(quick):
    _, report, done = quick
    assert "step: PointNet in bfloat16" in done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(report["rows"])


@pytest.mark.slow
def test_a_page_can_be_written_from_an_earlier_run(quick, tmp_path):
    folder, _, _ = quick
    done = bench("--from", f"{folder}/rows.json", "--page", f"{tmp_path}/page.md")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.md").read_text() == (folder / "page.md").read_text()


@pytest.mark.slow
def test_a_page_of_one_suite_leaves_the_others_out(quick, tmp_path):
    _, report, _ = quick
    rows = [row for row in report["rows"] if row["what"] == "ops"]
    write_page(report | {"rows": rows}, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "## Operators" in page
    assert "## Training steps" not in page
    assert not (tmp_path / "page-scaling.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "{folder}"], "--json {folder} is a folder: name a file in it"),
        (["--from", "{folder}/a.json"], "--from reads an earlier run for --page"),
        (["--from", "{folder}/none.json", "--page", "{folder}/p.md"], "could not read"),
        (["--from", "{folder}/other.json", "--page", "{folder}/p.md"], "is no report of version"),
        (["--from", "{folder}/broken.json", "--page", "{folder}/p.md"], "is not JSON"),
        (["--what", "everything"], "there is no --what everything: they are ops, scaling, data"),
        (["--what", "ops", "--device", "cuda"], "--what ops measures the processor"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_sentence(tmp_path, arguments, message, capsys):
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    given = [argument.format(folder=tmp_path) for argument in arguments]
    assert main(given) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in last
    assert message.format(folder=tmp_path) in last


def test_without_a_card_its_benchmark_is_skipped_with_the_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--device", "cuda", "--json", f"{tmp_path}/rows.json"]) == 0
    assert capsys.readouterr().out.startswith("skipped: --device cuda needs a")
    assert not (tmp_path / "rows.json").exists()


def test_ceilings_are_rates_that_follow_from_their_times(tmp_path):
    rows = [row.plain() for row in ceilings.run(quick=True, device=torch.device("cpu"))]
    assert [row["name"] for row in rows] == [
        "product in float32",
        "product in bfloat16",
        "copy within the memory of the processor",
    ]
    for row in rows[:2]:
        assert row["unit"] == "GFLOP/s"
        assert row["rate"] == pytest.approx(2e-9 * 64**3 / (row["ours_ms"] / 1000), rel=1e-2)
    assert rows[2]["rate"] == pytest.approx(2e-3 / (rows[2]["ours_ms"] / 1000), rel=1e-2)
    report = {"quick": True, "command": "", "machine": describe_machine(), "rows": rows}
    write_page(report, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert all(f"| {row['name']} |" in page for row in rows)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
def test_a_card_is_measured_with_its_own_ceilings(tmp_path):
    done = bench("--quick", "--device", "cuda", "--json", f"{tmp_path}/rows.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "rows.json").read_text())
    assert report["machine"]["card"]
    names = {row["name"] for row in report["rows"]}
    assert {"product in TF32", "copy to the card from pinned memory", "PointNet"} <= names


def _model(encoder: str, **sizes):
    return parse_config(
        {
            "model": {
                "encoder": {"name": encoder, **sizes},
                "latent_dim": 512,
                "decoder": {"name": "folding", "points": 2025, "widths": [512, 512]},
            }
        },
        "the test",
    ).model


def test_the_decoder_of_the_paper_costs_51_gflop_a_step_of_8():
    gflop = gflop_by_part(step_products(_model("pointnet"), 8, 2048))
    assert gflop["decoder"] == pytest.approx(51, rel=0.02)


def test_a_product_counts_multiplications_and_additions_of_every_pass():
    assert Product("encoder", 10, 20, 30, passes=2).gflop == pytest.approx(2 * 2 * 6000 / 1e9)


def test_only_products_that_autocast_lowers_run_at_its_speed():
    lowered = Product("decoder", 1000, 1000, 1000, passes=1)
    full = Product("decoder", 1000, 1000, 1000, passes=1, full_precision=True)
    assert floor_ms([lowered, full], 100, 400) == pytest.approx(20 + 5)


@pytest.mark.parametrize(
    ("encoder", "sizes", "expected"),
    [
        # Forward of all points, then two products of the rows that won; statistics there and back.
        ("pointnet", {"widths": [16]}, 80 * 3 * 16 + 2 * (2 * 3 * 16) + 2 * 80 * 3 * 3),
        ("pointnet", {"widths": [16], "batch_norm": False}, 80 * 3 * 16 + 2 * (2 * 3 * 16)),
        (
            "dgcnn",
            {"widths": [8], "embedding": 16, "batch_norm": False},
            2 * 80 * 3 * 16 + 80 * 8 * 16 + 2 * (2 * 8 * 16),
        ),
        (
            "foldingnet",
            {"widths": [8], "graph_widths": [16]},
            2 * 80 * 12 * 8 + 80 * 8 * 16 + 2 * (2 * 8 * 16),
        ),
    ],
)
def test_the_encoders_products_are_counted_from_its_sizes(encoder, sizes, expected):
    gflop = gflop_by_part(step_products(_model(encoder, **sizes), batch=2, points=40))
    assert gflop["encoder"] == pytest.approx(2e-9 * expected)


def test_contenders_take_turns_and_have_the_median_of_their_times():
    calls = []
    actions = {name: lambda name=name: calls.append(name) for name in ("ours", "reference")}
    times = alternate(actions, Effort(seconds=0, at_least=3, at_most=3))
    assert times.keys() == actions.keys()
    assert calls[:2] == ["ours", "reference"]
    assert calls.count("ours") == calls.count("reference") == 1 + 3 * 10


def test_a_row_without_a_reference_has_no_ratio():
    row = Row("scaling", "kNN", "float32", 2.0, None, "none", "a cloud", 1, 64).plain()
    assert row["ratio"] is None
    assert "floor_ms" not in row


def test_spread_and_collapsed_clouds_are_what_they_are_said_to_be():
    first, second = spread_pair(3, 50)
    assert first.shape == second.shape == (3, 50, 3)
    assert not torch.equal(first, second)
    assert torch.equal(first, spread_pair(3, 50)[0])
    assert torch.cat([first, second], dim=1).norm(dim=2).amax() == pytest.approx(1.0)
    tight = collapsed(3, 50)
    centre = torch.full((3, 1, 3), 0.1)
    assert (tight - centre).norm(dim=2).amax() <= 1.001e-3
    assert nearest_neighbors(first, tight).shape == (3, 50)


def _report(rows: list[Row]) -> dict:
    machine = {
        "cpu": "a CPU",
        "cores": 2,
        "memory_gb": 16.0,
        "system": "Linux",
        "python": "3.11",
        "versions": {"torch": "2"},
        "torch_threads": 2,
        "cpu_capability": "AVX2",
        "kernels": "fast",
        "load": 0.1,
    }
    rows = [row.plain() for row in rows]
    return {"version": 1, "command": "bench", "quick": False, "machine": machine, "rows": rows}


def test_the_page_says_how_cost_grows(tmp_path):
    sizes = [4096, 8192, 16384]
    rows = [
        Row("scaling", "kNN", "float32", n**1.5, None, "r", "i", 1, n, 1e-4 * n, cloud="spread")
        for n in sizes
    ]
    write_page(_report(rows), tmp_path / "page.md")
    assert "time grows as N^1.50" in (tmp_path / "page.md").read_text()


def test_a_page_of_data_alone_tells_nothing_of_the_textbook_form(tmp_path):
    rows = [
        Row("data", "loading", "float32", 9.0, None, "", "a set", 64, 2048, ours_added_mb=5.0),
        Row("data", "preparing", "float32", 50.0, 95.0, "one worker", "meshes", 1000, 2048),
    ]
    write_page(_report(rows), tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| loading | a set | 9.00 |  |  |  | 5.00 |" in page
    assert "| preparing | meshes | 50.0 | one worker | 95.0 | **1.90** |  |" in page
    assert "textbook" not in page
    assert "cores busy" not in page
    report = _report(rows)
    report["machine"]["load"] = 3.2
    write_page(report, tmp_path / "page.md")
    assert "Other processes kept 3.2 cores busy" in (tmp_path / "page.md").read_text()


def test_no_sentence_of_a_page_is_too_long_to_be_read_once(tmp_path):
    step = {"ours_added_mb": 5.0, "reference_added_mb": 50.0, "floor_ms": 1.0}
    sizes = {"gflop": {"encoder": 1.0, "decoder": 2.0}, "added_mb_by_points": {64: 5.0, 128: 9.0}}
    rows = [
        Row("ceiling", "product", "float32", 1.0, None, "", "64", 1, 64, rate=5.0, unit="GFLOP/s"),
        Row("step", "PointNet", "float32", 9.0, 20.0, "r", "i", 8, 64, **step, **sizes),
        Row("step", "PointNet, freed memory kept", "float32", 9.0, 20.0, "r", "i", 8, 64, **step),
        Row("step", "CR", "float32", 9.0, 4.0, "r", "i", 8, 64, **step, cr_over_vae=2.0),
        Row("ops", "kNN", "float32", 9.0, 20.0, "r", "i", 8, 64),
        Row("scaling", "kNN", "float32", 1.0, None, "r", "i", 1, 4096, 1.0, cloud="spread"),
        Row("data", "preparing", "float32", 50.0, 95.0, "one worker", "meshes", 1000, 2048),
    ]
    report = _report(rows)
    report["machine"]["load"] = 3.2
    write_page(report, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert page.count("\n## ") == 7
    assert long_sentences(page) == []


def test_the_page_says_what_fits_in_24_gib(tmp_path):
    row = Row(
        *("step", "DGCNN", "float32", 1.0, 2.0, "r", "i", 8, 1000),
        ours_added_mb=800.0,
        reference_added_mb=8000.0,
        floor_ms=0.5,
        gflop={"decoder": 51.0},
        added_mb_by_points={"1000": 800.0, "2000": 1300.0},  # 0.5 MB a point of the 8 clouds
    )
    write_page(_report([row]), tmp_path / "page.md")
    (line,) = [
        line
        for line in (tmp_path / "page.md").read_text().splitlines()
        if line.startswith("| DGCNN") and "50%" not in line
    ]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # 24 GiB are 25,770 MB: at 100 MB a cloud 257, at 1,000 MB 25; (25,770 - 800) / 0.5 + 1,000.
    assert cells == ["DGCNN", "float32", "1,000", "100", "1,000", "250", "25", "50,000"]
