"""Train a consistency-regularised VAE in a loop of your own, and see what it learnt.

The pieces are the package's: encoder, decoder, likelihood, transforms, objective. The loop, the
optimiser and the data loader are plain PyTorch.

    python examples/train_in_plain_pytorch.py
"""

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pc_crvae.data import CloudSet, load_clouds
from pc_crvae.evaluation import probe_features
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.models.points import FoldingDecoder, PointNet
from pc_crvae.models.vae import VAE, PosteriorHead
from pc_crvae.objectives import ELBO, ConsistencyRegularized
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms import Compose, Jitter, RotateZ

EPOCHS, LATENT, POINTS = 4, 64, 256


def make_model() -> VAE:
    """A small PointNet, and a decoder that folds a sphere."""
    encoder = PointNet(widths=(64, 128, 256))
    return VAE(
        encoder=encoder,
        head=PosteriorHead(encoder.out_features, LATENT, normalize_features=True),
        decoder=FoldingDecoder(LATENT, source="sphere", points=POINTS, widths=(64, 64)),
        make_likelihood=lambda points: ChamferLikelihood(points, scale=1e6),
        latent_dim=LATENT,
    )


def codes(model: VAE, clouds: Tensor) -> Tensor:
    """Posterior means (n, LATENT) of clouds (n, N, 3)."""
    with torch.no_grad():
        return model.eval().posterior(clouds).mean


def turned_accuracy(model: VAE, train: CloudSet, test: CloudSet) -> float:
    """How many test shapes, turned about the vertical, a linear SVM recognises by their codes."""
    clouds = [torch.from_numpy(part.points[:, :POINTS]) for part in (train, test)]
    turn = Draws(keyed_generator("turned test shapes"), len(test))
    features = codes(model, clouds[0]), codes(model, RotateZ()(clouds[1], turn))
    report = probe_features(features[0], train.labels, features[1], test.labels)
    return report.rows[0].accuracy_mean


def main() -> None:
    """Train, and compare with the same network before training."""
    torch.manual_seed(0)
    train, test = load_clouds("shapes", "train")[:1200], load_clouds("shapes", "test")[:400]
    model = make_model()
    before = turned_accuracy(model, train, test)

    transform = Compose([RotateZ(), Jitter(sigma=0.01)])
    objective = ConsistencyRegularized(model, ELBO(), transform, weight=10.0, target="original")
    optimizer = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    for epoch in range(EPOCHS):
        model.train()
        for step, batch in enumerate(DataLoader(train, batch_size=32, shuffle=True)):
            clouds = batch["points"][:, :POINTS]
            terms = objective(clouds, Draws(keyed_generator("step", epoch, step), len(clouds)))
            optimizer.zero_grad()
            (-terms["objective"].mean()).backward()
            optimizer.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: consistency {terms['consistency'].mean():.1f} nats")

    after = turned_accuracy(model, train, test)
    print(f"turned about the vertical: {after:.0%} recognised, {before:.0%} before training")


if __name__ == "__main__":
    main()
