"""The arithmetic floor of a training step: its matrix products, and how fast they run here.

Counted are the products that no exact form avoids, in their cheapest known form: a codeword's
product once a cloud, an edge convolution's once a point, and behind the layer before a maximum
over the points only the rows that won. A product in which only one operand needs a gradient
counts twice (forward and one gradient), otherwise three times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from benchmarks.timing import Action
from pc_crvae.config.points import (
    EncoderConfig,
    FoldingDecoderConfig,
    FoldingNetEncoderConfig,
    OctantPointNetConfig,
    PointModelConfig,
    PointNetConfig,
)


@dataclass(frozen=True)
class Product:
    """A matrix product (rows, inner) x (inner, outer), as often as a step makes it.

    Attributes:
        part: of the model it belongs to.
        passes: forward, gradient of the rows, gradient of the weights.
        full_precision: float32 whatever the autocast.
    """

    part: str
    rows: int
    inner: int
    outer: int
    passes: int = 3
    full_precision: bool = False

    @property
    def gflop(self) -> float:
        """Multiplications and additions, in 10^9."""
        return 2e-9 * self.passes * self.rows * self.inner * self.outer


def step_products(
    model: PointModelConfig, batch: int, points: int, *, gaussian: bool = False
) -> list[Product]:
    """The products of one step of ``batch`` clouds of ``points`` points.

    Args:
        model: the layers' sizes.
        batch: clouds.
        points: points a cloud.
        gaussian: whether the head gives variances too.

    Raises:
        ValueError: for a decoder that does not fold.
    """
    if not isinstance(model.decoder, FoldingDecoderConfig):
        raise ValueError(f"no floor is known of the decoder {model.decoder.name}")
    return [
        *_encoder(model.encoder, batch, points),
        *_head(model, batch, gaussian),
        *_folding(model.decoder, model.latent_dim, batch),
    ]


def gflop_by_part(products: Sequence[Product]) -> dict[str, float]:
    """Sums by part of the model."""
    sums: dict[str, float] = {}
    for product in products:
        sums[product.part] = sums.get(product.part, 0.0) + product.gflop
    return sums


def floor_ms(products: Sequence[Product], float32_gflops: float, autocast_gflops: float) -> float:
    """Milliseconds of the products at the measured speeds, in GFLOP/s."""
    full = sum(product.gflop for product in products if product.full_precision)
    lowered = sum(product.gflop for product in products if not product.full_precision)
    return 1000 * (full / float32_gflops + lowered / autocast_gflops)


def decoder_products(
    model: PointModelConfig, batch: int, dtype: torch.dtype, device: torch.device
) -> tuple[Action, float]:
    """The three products of the decoder's hidden layer, bare, and their GFLOP."""
    assert isinstance(model.decoder, FoldingDecoderConfig)
    rows, width = batch * model.decoder.points, model.decoder.widths[0]
    inputs = torch.randn(rows, width, dtype=dtype, device=device)
    weights = torch.randn(width, width, dtype=dtype, device=device)
    gradients = torch.randn(rows, width, dtype=dtype, device=device)

    def products() -> None:
        torch.mm(inputs, weights.t())
        torch.mm(gradients, weights)
        torch.mm(gradients.t(), inputs)

    return products, Product("decoder", rows, width, width).gflop


def _encoder(encoder: EncoderConfig, batch: int, points: int) -> list[Product]:
    rows = batch * points
    if isinstance(encoder, PointNetConfig | OctantPointNetConfig):
        numbers = 3 if isinstance(encoder, PointNetConfig) else 3 + 24 * len(encoder.shares)
        *shared, last = encoder.widths
        inner = shared[-1] if shared else numbers
        return [
            *_shared(rows, (numbers, *shared)),
            *_pooled(batch, points, inner, last, encoder.batch_norm),
        ]
    if isinstance(encoder, FoldingNetEncoderConfig):
        *graph_widths, last = encoder.graph_widths
        widths = (12 if encoder.covariance else 3, *encoder.widths, *graph_widths)
        return [
            *_shared(rows, widths),
            *_pooled(batch, points, widths[-1], last, encoder.batch_norm),
        ]
    products = []
    for layer, (before, after) in enumerate(pairwise((3, *encoder.widths))):
        if layer and encoder.graph == "dynamic":
            products.append(Product("search", rows, before, points, 1, full_precision=True))
        products.append(Product("encoder", rows, before, 2 * after, 3 if layer else 2))
    total = sum(encoder.widths)
    return [*products, *_pooled(batch, points, total, encoder.embedding, encoder.batch_norm)]


def _shared(rows: int, widths: Sequence[int]) -> list[Product]:
    """Perceptrons shared by all points; the points themselves need no gradient."""
    return [
        Product("encoder", rows, before, after, 3 if layer else 2)
        for layer, (before, after) in enumerate(pairwise(widths))
    ]


def _pooled(batch: int, points: int, inner: int, outer: int, batch_norm: bool) -> list[Product]:
    """A perceptron and the maximum over the points.

    Behind the maximum, each cloud and output has one point. The gradient through batch-norm's
    statistics reaches all, by the inputs' second moments: inner x inner, there and back.
    """
    products = [
        Product("encoder", batch * points, inner, outer, 1),
        Product("encoder", batch, inner, outer, 2),
    ]
    if batch_norm:
        products.append(Product("encoder", batch * points, inner, inner, 2))
    return products


def _head(model: PointModelConfig, batch: int, gaussian: bool) -> list[Product]:
    encoder = model.encoder
    if isinstance(encoder, PointNetConfig | OctantPointNetConfig):
        features = encoder.widths[-1]
    elif isinstance(encoder, FoldingNetEncoderConfig):
        features = encoder.graph_widths[-1]
    else:
        features = encoder.embedding * (2 if encoder.pooling == "max_mean" else 1)
    latent = model.latent_dim * (2 if gaussian else 1)
    return [
        Product("head", batch, before, after, full_precision=True)
        for before, after in pairwise((features, *model.head.widths, latent))
    ]


def _folding(decoder: FoldingDecoderConfig, latent: int, batch: int) -> list[Product]:
    products = []
    rows, widths = batch * decoder.points, decoder.widths
    for fold in range(decoder.folds):
        products.append(Product("decoder", batch, latent, widths[0]))
        if fold == 0:  # the source is the same in all clouds, and needs no gradient
            source_dim = 2 if decoder.source == "plane" else 3
            products.append(Product("decoder", decoder.points, source_dim, widths[0], 2))
        else:
            products.append(Product("decoder", rows, 3, widths[0]))
        products += [Product("decoder", rows, before, after) for before, after in pairwise(widths)]
        products.append(Product("decoder", rows, widths[-1], 3, full_precision=True))
    return products
