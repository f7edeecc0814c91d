from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.geometry import Moments
from pc_crvae.models.batch_norm import BatchNorm, batch_norms_of, gathering_statistics

FEATURES = 3
STEPS = 3


def _batch_norm(synchronized: bool = False) -> BatchNorm:
    norm = BatchNorm(FEATURES, synchronized=synchronized).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.5, -0.5, 0.8]))
        norm.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    return norm


def _batch(step: int, offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(8, 5, FEATURES, generator=generator, dtype=torch.float64) * 2 + offset


def _backward(output: Tensor, first_row: int) -> None:
    """Backpropagate a loss that treats every row of the global batch differently."""
    rows = torch.arange(first_row, first_row + len(output), dtype=output.dtype)
    (rows.view(-1, 1, 1).cos() * output.tanh()).sum().backward()


@pytest.mark.parametrize("shape", [(6,), (4, 5), (2, 3, 4)])
def test_it_is_torch_batch_norm_over_all_but_the_last_dimension(shape):
    norm = _batch_norm()
    running_mean = torch.zeros(FEATURES, dtype=torch.float64)
    running_var = torch.ones(FEATURES, dtype=torch.float64)
    for _ in range(STEPS):
        features = torch.randn(*shape, FEATURES, dtype=torch.float64) * 3 + 1
        expected = F.batch_norm(
            features.reshape(-1, FEATURES),
            running_mean,
            running_var,
            norm.weight,
            norm.bias,
            training=True,
            momentum=0.1,
        )
        torch.testing.assert_close(norm(features), expected.reshape(features.shape))
    torch.testing.assert_close(norm.running_mean, running_mean)
    torch.testing.assert_close(norm.running_var, running_var)
    assert norm.num_batches_tracked == STEPS

    norm.eval()
    expected = F.batch_norm(
        features.reshape(-1, FEATURES), running_mean, running_var, norm.weight, norm.bias
    )
    torch.testing.assert_close(norm(features), expected.reshape(features.shape))


def test_synchronizing_a_single_process_changes_nothing():
    features = _batch(0)
    assert torch.equal(_batch_norm(synchronized=True)(features), _batch_norm()(features))


def _train_in_one_of_two_processes(rank: int, folder: Path, cases: list[tuple[int, float]]) -> None:
    """Train on this process's rows for every case, and write down what came out."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    results = []
    for rows_of_first, offset in cases:
        norm = _batch_norm(synchronized=True)
        first_row = 0 if rank == 0 else rows_of_first
        outputs, gradients = [], []
        for step in range(STEPS):
            whole = _batch(step, offset)
            part = whole[:rows_of_first] if rank == 0 else whole[rows_of_first:]
            part = part.clone().requires_grad_()
            output = norm(part)
            _backward(output, first_row)
            outputs.append(output.detach())
            gradients.append(part.grad)
        if rank == 0:  # a synchronisation here would wait for the other process for ever
            norm.eval()
            outputs.append(norm(_batch(STEPS, offset)).detach())
        results.append(
            {
                "outputs": outputs,
                "gradients": gradients,
                "weight": norm.weight.grad,
                "bias": norm.bias.grad,
                "state": dict(norm.state_dict()),
            }
        )
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_compute_what_one_computes_on_all_rows(tmp_path):
    # Rows of the first process, and the mean of the features: the large one tells centred
    # sums of squares from E[x^2] - E[x]^2.
    cases = [(4, 0.0), (7, 0.5), (1, -3.0), (3, 1e6)]
    mp.spawn(_train_in_one_of_two_processes, args=(tmp_path, cases), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))

    for (_, offset), one, two in zip(cases, first, second, strict=True):
        digits = 1e-7 if offset == 1e6 else 1e-10
        tolerance = {"rtol": digits, "atol": digits}
        norm = _batch_norm()
        for step in range(STEPS):
            whole = _batch(step, offset).requires_grad_()
            output = norm(whole)
            _backward(output, first_row=0)
            outputs = torch.cat([one["outputs"][step], two["outputs"][step]])
            gradients = torch.cat([one["gradients"][step], two["gradients"][step]])
            torch.testing.assert_close(outputs, output, **tolerance)
            torch.testing.assert_close(gradients, whole.grad, **tolerance)
        torch.testing.assert_close(one["weight"] + two["weight"], norm.weight.grad, **tolerance)
        torch.testing.assert_close(one["bias"] + two["bias"], norm.bias.grad, **tolerance)
        for name, expected in norm.state_dict().items():
            torch.testing.assert_close(one["state"][name], expected, **tolerance)
            torch.testing.assert_close(two["state"][name], expected, **tolerance)
        norm.eval()
        torch.testing.assert_close(one["outputs"][STEPS], norm(_batch(STEPS, offset)), **tolerance)


@pytest.mark.parametrize("shape", [(6,), (4, 5), (2, 3, 4)])
def test_normalizing_by_the_moments_of_all_rows_is_normalizing_all_rows(shape):
    known, unknown = _batch_norm(), _batch_norm()
    for _ in range(STEPS):
        features = torch.randn(*shape, FEATURES, dtype=torch.float64) * 3 + 1
        ours, theirs = (features.clone().requires_grad_() for _ in range(2))
        rows = ours.reshape(-1, FEATURES)
        moments = Moments(rows.mean(0), rows.var(0, unbiased=False), len(rows))
        output, expected = known.normalize_by(ours, moments), unknown(theirs)
        torch.testing.assert_close(output, expected)
        for tensor in (output, expected):
            (tensor.tanh() * features.cos()).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(known.weight.grad, unknown.weight.grad)
    torch.testing.assert_close(known.bias.grad, unknown.bias.grad)
    torch.testing.assert_close(known.state_dict(), unknown.state_dict())


def test_moments_of_a_single_row_are_refused_and_change_no_statistic():
    norm = _batch_norm()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    moments = Moments(torch.ones(FEATURES).double(), torch.zeros(FEATURES).double(), 1)
    with pytest.raises(ValueError, match="more than one row"):
        norm.normalize_by(_batch(0), moments)
    torch.testing.assert_close(norm.state_dict(), before, rtol=0, atol=0)


def test_half_precision_features_are_normalized_by_float32_statistics():
    features = torch.randn(4096, 2) + 3
    half = features.bfloat16()
    exact = BatchNorm(2)(half.float())
    torch.testing.assert_close(BatchNorm(2)(half), exact.bfloat16(), rtol=2**-7, atol=2**-9)


def test_a_wrong_number_of_features_is_refused():
    with pytest.raises(ValueError, match="expects 3 features"):
        BatchNorm(3)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="at least one feature"):
        BatchNorm(0)


@pytest.mark.parametrize("by_moments", [False, True])
def test_gathered_statistics_are_the_mean_over_the_batches_whoever_has_the_moments(by_moments):
    norm = _batch_norm()
    norm(_batch(9))
    norm.eval()
    batches = [_batch(step, offset=step) for step in range(STEPS)]
    with gathering_statistics(nn.ModuleDict({"norm": norm, "other": nn.Dropout()})):
        for batch in batches:
            rows = batch.reshape(-1, FEATURES)
            if by_moments:
                moments = Moments(rows.mean(0), rows.var(0, unbiased=False), len(rows))
                norm.normalize_by(batch, moments)
            else:
                norm(batch)
    means, variances = zip(
        *((batch.mean((0, 1)), batch.reshape(-1, FEATURES).var(0)) for batch in batches),
        strict=True,
    )
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack(variances).mean(0))
    assert not norm.training
    assert norm.momentum == 0.1


def test_gathering_reaches_every_batch_norm_and_puts_all_back_after_an_error():
    module = nn.Sequential(BatchNorm(2), nn.BatchNorm2d(3), nn.Linear(2, 2)).eval()
    assert batch_norms_of(module) == [module[0], module[1]]

    def fail() -> None:
        with gathering_statistics(module):
            assert [part.training for part in module] == [True, True, False]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not any(part.training for part in module)
    assert [part.momentum for part in module[:2]] == [0.1, 0.1]
