"""Two processes train an NVAE as one does."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from helpers.nvae_sizes import TOY
from pc_crvae.likelihoods import BernoulliLikelihood
from pc_crvae.models.batch_norm import BatchNorm
from pc_crvae.models.images.nvae import NVAE
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.regularization import Regularized
from pc_crvae.randomness.draws import Draws, keyed_generator

BATCH = 6


def _step(rows: slice, *, synchronized: bool) -> dict[str, torch.Tensor]:
    """Gradients, terms and buffers of one step on some rows of the batch."""
    torch.manual_seed(0)
    model = NVAE(TOY, (1, 8, 8), 1, BernoulliLikelihood).double()
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.synchronized = synchronized
    objective = Regularized(
        ConsistencyRegularized(
            model, ELBO(balanced_groups=True), lambda x, _: x.flip(-1), weight=1.0
        ),
        model.regularization,
    )
    generator = torch.Generator().manual_seed(1)
    x = torch.bernoulli(torch.full((BATCH, 1, 8, 8), 0.3), generator=generator).double()
    terms = objective(x[rows], Draws(keyed_generator("step"), BATCH, rows), kl_warmup=0.5)
    (-terms["objective"].mean()).backward()
    results = {f"term {name}": term.detach() for name, term in terms.items()}
    results |= {f"gradient {name}": p.grad for name, p in model.named_parameters()}
    return results | {f"buffer {name}": buffer for name, buffer in model.named_buffers()}


def _one_of_two(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    half = BATCH // 2
    torch.save(
        _step(slice(rank * half, (rank + 1) * half), synchronized=True), folder / f"{rank}.pt"
    )
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_make_the_step_of_one(tmp_path):
    mp.spawn(_one_of_two, args=(tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    whole = _step(slice(None), synchronized=False)
    assert first.keys() == whole.keys()
    for name, expected in whole.items():
        if name.startswith("term"):
            found = torch.cat([first[name], second[name]])
        elif name.startswith("gradient"):
            found = (first[name] + second[name]) / 2  # as multi-process training averages them
        else:
            found = first[name]
            torch.testing.assert_close(second[name], found)
        torch.testing.assert_close(
            found, expected, rtol=1e-7, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}"
        )
