"""Add consistency to a VAE that knows nothing of this package.

`SomebodysVAE` stands for a model of your own, with a loss of its own. All that the regulariser asks
for are the means and log-variances that its encoder gives for x and for t(x).

    python examples/regularise_your_vae.py
"""

import torch
from torch import Tensor, nn

from pc_crvae.data import load_clouds
from pc_crvae.evaluation import probe_features
from pc_crvae.geometry import chamfer_distance
from pc_crvae.latents import DiagonalGaussian
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms import RotateZ

STEPS, BATCH, POINTS, LATENT = 200, 32, 128, 32


class SomebodysVAE(nn.Module):
    """A VAE of point clouds as many write it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 256), nn.ReLU())
        self.head = nn.Linear(256, 2 * LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, 256), nn.ReLU(), nn.Linear(256, 3 * POINTS))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (B, LATENT) of clouds (B, N, 3)."""
        return self.head(self.encoder(x).amax(dim=1)).chunk(2, dim=1)

    def loss(self, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Reconstruction and KL to N(0, I), in nats, the mean over the batch."""
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return (1e5 * chamfer_distance(x, self.decoder(z).view(-1, POINTS, 3)) + kl).mean()


def consistency(transformed: tuple[Tensor, Tensor], original: tuple[Tensor, Tensor]) -> Tensor:
    """The regulariser: KL(q(z|t(x)) || q(z|x)), in nats, the mean over the batch."""
    posterior = DiagonalGaussian(*transformed)
    return posterior.kl(DiagonalGaussian(*original), path=()).sum(dim=1).mean()


def trained(clouds: Tensor, weight: float) -> SomebodysVAE:
    """The VAE after `STEPS` steps, with consistency of this weight."""
    torch.manual_seed(0)
    model = SomebodysVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(STEPS):
        x = clouds[torch.randint(len(clouds), (BATCH,))]
        transformed = RotateZ()(x, Draws(keyed_generator("turn", step), BATCH))
        ours, theirs = model.encode(transformed), model.encode(x)
        loss = model.loss(x, *theirs) + model.loss(x, *ours)  # both explain the unturned x
        optimizer.zero_grad()
        (loss + weight * consistency(ours, theirs)).backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    """Train without and with the regulariser, and probe on turned shapes."""
    train, test = load_clouds("shapes", "train")[:1000], load_clouds("shapes", "test")[:400]
    clouds, unseen = (torch.from_numpy(part.points[:, :POINTS]) for part in (train, test))
    turned = RotateZ()(unseen, Draws(keyed_generator("turned test shapes"), len(unseen)))
    for weight in (0.0, 10.0):
        model = trained(clouds, weight)
        codes, of_turned = (model.encode(x)[0].detach() for x in (clouds, turned))
        report = probe_features(codes, train.labels, of_turned, test.labels)
        found = f"{report.rows[0].accuracy_mean:.0%} of turned shapes recognised"
        nats = consistency(model.encode(turned), model.encode(unseen))
        print(f"lambda {weight:g}: {found}; consistency {nats:.1f} nats")


if __name__ == "__main__":
    main()
