"""A top-down network small enough to follow by hand, and a model around it."""

import torch
from torch import nn

from helpers.toy_models import GaussianLikelihood
from pc_crvae.latents.hierarchical import (
    HierarchicalPosterior,
    HierarchicalPrior,
    TopDown,
    decoder_state,
)
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.objectives.base import LatentVariableModel
from pc_crvae.randomness.draws import Draws, keyed_generator

STATE = 4


class ToyTopDown(TopDown):
    """Groups of the given sizes; everything is one linear layer and a tanh.

    Args:
        sizes: D_l of every group.
        batch_norm: whether the state is normalised after each group.
    """

    def __init__(self, sizes=(2, 3, 2), batch_norm=False):
        super().__init__()
        self.sizes = sizes
        self.initial = nn.Parameter(torch.randn(1, STATE))
        self.priors = nn.ModuleList(nn.Linear(STATE, 2 * size) for size in sizes)
        self.posteriors = nn.ModuleList(nn.Linear(2 * STATE, 2 * size) for size in sizes)
        self.absorbers = nn.ModuleList(nn.Linear(STATE + size, STATE) for size in sizes)
        norm = nn.BatchNorm1d if batch_norm else nn.Identity
        self.norms = nn.ModuleList(norm(STATE) for _ in sizes)
        self.combined = 0  # groups combined so far, in all passes

    @property
    def group_sizes(self):
        return self.sizes

    def start(self):
        return self.initial

    def prior(self, group, state):
        mean, log_variance = self.priors[group](state).chunk(2, dim=1)
        if group == 0:
            return DiagonalGaussian.standard(self.sizes[0], like=mean)
        return DiagonalGaussian(mean, log_variance)

    def posterior(self, group, state, prior, encoder_features):
        both = torch.cat([state.expand(len(encoder_features), -1), encoder_features], dim=1)
        mean, log_variance = self.posteriors[group](both).chunk(2, dim=1)
        return DiagonalGaussian(prior.mean + mean, prior.log_variance + log_variance)

    def combine(self, group, state, latent):
        self.combined += 1
        both = torch.cat([state.expand(len(latent), -1), latent], dim=1)
        return self.norms[group](torch.tanh(self.absorbers[group](both)))


class ToyHierarchy(LatentVariableModel):
    """Images (B, 1, 4, 4) around a `ToyTopDown`."""

    def __init__(self, sizes=(2, 3, 2), batch_norm=False, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.ModuleList(nn.Linear(16, STATE) for _ in sizes)
        self.top_down = ToyTopDown(sizes, batch_norm)
        self.decoder = nn.Linear(STATE, 16)

    def posterior(self, x):
        return HierarchicalPosterior(
            self.top_down, [torch.tanh(layer(x.flatten(1))) for layer in self.encoder]
        )

    def likelihood(self, path):
        pixels = self.decoder(decoder_state(self.top_down, path))
        return GaussianLikelihood(pixels.view(-1, 1, 4, 4))

    def prior(self):
        return HierarchicalPrior(self.top_down)


def draws(count, *key):
    return Draws(keyed_generator("hierarchical", *key), count)
