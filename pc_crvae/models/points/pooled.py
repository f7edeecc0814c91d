"""A wide perceptron and the maximum over the points after it, without the wide activation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pc_crvae.geometry import Moments
from pc_crvae.geometry.kernels import kernels_for, reference
from pc_crvae.geometry.kernels.reference import sums_dtype
from pc_crvae.geometry.neighborhoods import extreme_signs
from pc_crvae.models.batch_norm import BatchNorm
from pc_crvae.models.mlp import Perceptron
from pc_crvae.utils.differentiation import differentiable_gradients, is_transformed, wants_graph


def maximum_over_points(perceptron: Perceptron, features: Tensor) -> Tensor:
    """The maximum over the points of ``perceptron(features)``: (B, N, C) to (B, C').

    The same function as the perceptron followed by a maximum, with the same gradients, in less:
    normalisation and activation are monotonic in each channel, so they act on the extremes alone;
    the (B, N, C') activation is made cloud by cloud and never kept; the gradient through the
    maximum touches one point per channel; and the gradient through the batch-norm statistics of a
    linear layer W h + b follows from the mean and the covariance S of h, as its variance is
    diag(W S W'), at C^2 a point.

    Args:
        perceptron: linear, optional batch-norm, (leaky) ReLU; statistics are updated in training.
        features: (B, N, C), at least one point.

    Returns:
        (B, C'), float32 or float64.
    """
    if is_transformed():
        pooled: Tensor = perceptron(features).max(dim=1).values
        return pooled
    linear, norm = perceptron.linear, perceptron.norm
    largest, with_moments = None, False
    if isinstance(norm, BatchNorm):
        largest, with_moments = norm.weight >= 0, norm.training
    dtype = torch.promote_types(features.dtype, torch.float32)
    product_dtype = dtype
    if torch.is_autocast_enabled(features.device.type):
        product_dtype = torch.get_autocast_dtype(features.device.type)
    with torch.autocast(features.device.type, enabled=False):
        extreme, mean, variance = _PooledLinear.apply(  # type: ignore[no-untyped-call]
            features.to(dtype), linear.weight.to(dtype), largest, with_moments, product_dtype
        )
        if linear.bias is not None:
            extreme = extreme + linear.bias
        if isinstance(norm, BatchNorm) and with_moments:
            rows = features.shape[0] * features.shape[1]
            extreme = norm.normalize_by(extreme, Moments(mean, variance, rows))
        else:
            extreme = norm(extreme)
        return F.leaky_relu(extreme, perceptron.negative_slope)


class _PooledLinear(torch.autograd.Function):
    """Extremes over the points of W h, and mean and variance of W h over all points."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        largest: Tensor | None,
        with_moments: bool,
        product_dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        kernels = kernels_for(features.device)
        batch, count, _ = features.shape
        channels = weight.shape[0]
        signs = extreme_signs(largest, weight[:, 0])
        feature_mean = features.mean(dim=(0, 1))
        mean = weight @ feature_mean
        inputs, transposed = features.to(product_dtype), weight.to(product_dtype).t()
        products = inputs.new_empty((count, channels))
        precise = features.new_empty((count, channels) if inputs.dtype != features.dtype else 0)
        extreme = features.new_empty((batch, channels))
        argument = torch.empty((batch, channels), dtype=torch.int64, device=features.device)
        squares = torch.zeros(channels, dtype=sums_dtype(features), device=features.device)
        for b in range(batch):
            torch.mm(inputs[b], transposed, out=products)
            values = products if products.dtype == features.dtype else precise.copy_(products)
            extreme[b], argument[b] = kernels.column_extremes(
                values, mean, signs, squares if with_moments else None
            )
        if product_dtype != features.dtype:
            # The products chose; their values are worth more digits than they were chosen by.
            extreme = kernels.picked_products(features, weight, argument)
        ctx.save_for_backward(features, weight, argument, feature_mean)
        ctx.with_moments, ctx.product_dtype = with_moments, product_dtype
        return extreme, mean, (squares / (batch * count)).to(features.dtype)

    @staticmethod
    def backward(
        ctx: Any, extreme_gradient: Tensor, mean_gradient: Tensor, variance_gradient: Tensor
    ) -> tuple[Any, ...]:
        features, weight, argument, feature_mean = ctx.saved_tensors
        if wants_graph(extreme_gradient, mean_gradient, variance_gradient):

            def pooled(features: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
                extreme = reference.picked_products(features, weight, argument)
                return (extreme, *_moments(features, weight)) if ctx.with_moments else (extreme,)

            upstream = (extreme_gradient, mean_gradient, variance_gradient)
            found = differentiable_gradients(pooled, (features, weight), upstream)
            return *found, None, None, None
        batch, count, dimensions = features.shape
        rows = batch * count
        if ctx.with_moments:
            dtype = ctx.product_dtype
            centered = (features - feature_mean).reshape(rows, dimensions).to(dtype)
            scatter = centered.t() @ centered  # the number of rows times the covariance
            weighted = (variance_gradient.unsqueeze(1) * weight * (2 / rows)).to(dtype)
            through_variance = weight.t().to(dtype) @ weighted  # (C, C)
            gradient = (centered @ through_variance).to(features.dtype)
            gradient += (mean_gradient @ weight) / rows
            moments_gradient = torch.outer(mean_gradient, feature_mean) + weighted @ scatter
        else:
            gradient = features.new_zeros((rows, dimensions))
            moments_gradient = torch.zeros_like(weight)
        gradient = gradient.reshape(features.shape)
        weight_gradient = moments_gradient + kernels_for(features.device).picked_products_backward(
            extreme_gradient, features, weight, argument, gradient
        )
        return gradient, weight_gradient, None, None, None


def _moments(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C',) of W h over all points, by way of the covariance of h."""
    rows = features.flatten(end_dim=1)
    centered = rows - rows.mean(dim=0)
    covariance = centered.t() @ centered / len(rows)
    return weight @ rows.mean(dim=0), ((weight @ covariance) * weight).sum(dim=1)
