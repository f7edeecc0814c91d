"""The Triton kernels in Triton's interpreter, and compiled for CUDA without a GPU.

The interpreter must be asked for before Triton is imported and holds for the whole process, so
one test runs the others of this room in a process of its own. Another compiles every kernel, which
takes no GPU: the interpreter accepts programs that the compiler refuses.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.triton_kernels import kernels, without_interpreter


@without_interpreter
@pytest.mark.parametrize("chosen", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_everything_below_passes_in_tritons_interpreter(chosen):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    finished = subprocess.run(
        [*command, "-m", chosen, Path(__file__).parent],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " passed" in finished.stdout
    assert "needs a CUDA GPU" not in finished.stdout


@without_interpreter
@pytest.mark.parametrize(
    ("floating", "capability"),
    [
        ("fp32", 90),
        pytest.param("fp32", 80, marks=pytest.mark.slow),
        pytest.param("fp64", 80, marks=pytest.mark.slow),
        pytest.param("fp64", 90, marks=pytest.mark.slow),
    ],
)
def test_every_kernel_compiles_for_cuda_without_a_gpu(floating, capability, tmp_path, monkeypatch):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    cuda = kernels()
    points, indices = "*" + floating, "*i64"
    size = 4 if floating == "fp32" else 8
    farthest = torch.finfo(torch.float32 if floating == "fp32" else torch.float64).max

    def compiled(kernel, pointers, sizes, constants, **options):
        signature = {**pointers, **dict.fromkeys(sizes, "i32")}
        signature.update(dict.fromkeys(constants, "constexpr"))
        ordered = {name: signature[name] for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=ordered, constexprs=constants)
        target = GPUTarget("cuda", capability, 32)
        return triton.compile(source, target=target, options=options).asm

    search = {"enable_fp_fusion": False}
    rows = cuda.search._NEAREST_ROW_BYTES // size
    clouds = {"query": points, "reference": points, "indices": indices}
    tile = {"rows": rows, "columns": cuda.search._COLUMNS}
    nearest = compiled(
        cuda.search._nearest_kernel, clouds, ["n_query", "n_reference"], tile, **search
    )
    assert "cubin" in nearest
    assert "fma" not in nearest["ptx"]
    # A size of 1 is a constant to the compiler.
    assert compiled(
        cuda.search._nearest_kernel, clouds, [], {"n_query": 1, "n_reference": 1, **tile}, **search
    )

    cloud = {"points": points, "indices": indices}
    tile = {"rows": cuda.search._K_NEAREST_ROW_BYTES // size, "columns": cuda.search._COLUMNS}
    tile["farthest"] = farthest
    for sizes in ({}, {"k": 1}, {"k": 1, "count": 1}):
        unknown = [name for name in ("count", "k") if name not in sizes]
        asm = compiled(
            cuda.search._k_nearest_kernel, cloud, unknown, {**sizes, **tile}, num_warps=1, **search
        )
        assert "fma" not in asm["ptx"]

    sizes = ["n_rows", "n_points", "n_features", "k", "channels"]
    ones = dict.fromkeys(sizes, 1)
    _, rows, columns = cuda.pooling._pool_grid(100, 64)
    tile = {"rows": rows, "columns": columns}
    pooled = {"features": points, "indices": indices, "signs": points}
    pooled |= {"extreme": points, "argument": "*i32"}
    assert compiled(cuda.pooling._pool_kernel, pooled, sizes, {**tile, "total": None})
    pooled["total"] = points
    assert compiled(cuda.pooling._pool_kernel, pooled, sizes, tile)
    assert compiled(cuda.pooling._pool_kernel, pooled, [], {**ones, "rows": 1024, "columns": 1})

    gradients = {"extreme_gradient": points, "argument": "*i32", "indices": indices}
    gradients["gradient"] = points
    with_sum = {**gradients, "sum_gradient": points}
    assert compiled(cuda.pooling._unpool_kernel, with_sum, sizes, tile)
    assert compiled(cuda.pooling._unpool_kernel, gradients, sizes, {**tile, "sum_gradient": None})
    assert compiled(cuda.pooling._unpool_kernel, with_sum, [], {**ones, "rows": 1024, "columns": 1})

    cloud = {"points": points, "start": indices, "squared_distances": points, "chosen": indices}
    for sizes, columns in (({}, cuda.sampling._FARTHEST_COLUMNS), ({"n_points": 1, "count": 1}, 1)):
        unknown = [name for name in ("n_points", "count") if name not in sizes]
        constants = {**sizes, "columns": columns}
        asm = compiled(
            cuda.sampling._farthest_kernel, cloud, unknown, constants, num_warps=8, **search
        )
        assert "fma" not in asm["ptx"]
