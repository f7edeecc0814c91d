"""An encoder of one's own: sines of learned directions, trained and probed.

python docs/tutorials/your_encoder.py
"""

import torch
from torch import Tensor, nn

from pc_crvae.data import load_clouds
from pc_crvae.evaluation import probe_features
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.models.points import FullyConnectedDecoder
from pc_crvae.models.vae import VAE, PosteriorHead
from pc_crvae.objectives import ELBO, ConsistencyRegularized
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms import RotateZ

STEPS, BATCH, POINTS, LATENT = 100, 32, 128, 32


class Waves(nn.Module):
    """The mean, over a cloud's points, of sines of learned directions: (B, N, 3) to (B, F)."""

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.directions = nn.Linear(3, out_features)
        nn.init.normal_(self.directions.weight, std=4.0)

    def forward(self, points: Tensor) -> Tensor:
        """Encode clouds, whatever the order of their points."""
        return self.directions(points).sin().mean(dim=1)


def main() -> None:
    """Train it with consistency, and say how many unseen shapes its codes tell."""
    torch.manual_seed(0)
    train, test = load_clouds("shapes", "train")[:1000], load_clouds("shapes", "test")[:400]
    clouds, unseen = (torch.from_numpy(part.points[:, :POINTS]) for part in (train, test))
    model = VAE(
        encoder=Waves(256),
        head=PosteriorHead(256, LATENT),
        decoder=FullyConnectedDecoder(LATENT, points=POINTS, widths=(128,)),
        make_likelihood=lambda points: ChamferLikelihood(points, scale=1e5),
        latent_dim=LATENT,
    )
    objective = ConsistencyRegularized(model, ELBO(), RotateZ(30.0), weight=1.0, target="original")
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3)
    for step in range(STEPS):
        batch = clouds[torch.randint(len(clouds), (BATCH,))]
        terms = objective(batch, Draws(keyed_generator("step", step), BATCH))
        optimizer.zero_grad()
        (-terms["objective"].mean()).backward()
        optimizer.step()

    with torch.no_grad():
        codes, of_unseen = (model.eval().posterior(each).mean for each in (clouds, unseen))
    report = probe_features(codes, train.labels, of_unseen, test.labels)
    print(f"{report.rows[0].accuracy_mean:.0%} of {len(test)} unseen shapes recognised")


if __name__ == "__main__":
    main()
