"""A fold computed one cloud at a time: on a CPU everything between two products stays in cache."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import reference as plain
from pc_crvae.utils.differentiation import differentiable_gradients, wants_graph


def fold(
    latent_terms: Tensor,
    points: Tensor,
    point_weight: Tensor,
    layers: Sequence[tuple[Tensor, Tensor]],
) -> Tensor:
    """Apply a fold's perceptron to ``points`` under each cloud's latent.

    The first hidden layer is ReLU(latent_terms + point_weight p); ``layers`` are the linear ones
    after it, with ReLU between them. The same function and gradients as the layers one after
    another on the whole batch, whose activations, 33 MB each for 8 clouds of 2,025 points and
    512 features, go to memory and back at every operation.

    Under autocast, all products are of the lower precision but those that take or give
    coordinates on the way forward, and those of a backward that is differentiable itself.

    Args:
        latent_terms: (B, C), what each latent adds to the first layer, bias included.
        points: (B or 1, M, D).
        point_weight: (C, D).
        layers: weight (C', C) and bias (C',) of each; the last gives coordinates, (3, C).

    Returns:
        (B, M, 3), in the dtype of the parameters.

    Raises:
        ValueError: points for another number of clouds than there are latents.
    """
    if len(points) not in (1, len(latent_terms)):
        raise ValueError(
            f"{len(points)} clouds of points cannot go with {len(latent_terms)} latents"
        )
    dtype = point_weight.dtype
    product_dtype = dtype
    if torch.is_autocast_enabled(points.device.type):
        product_dtype = torch.get_autocast_dtype(points.device.type)
    with torch.autocast(points.device.type, enabled=False):
        flat = [parameter for layer in layers for parameter in layer]
        folded: Tensor = _FoldByCloud.apply(  # type: ignore[no-untyped-call]
            latent_terms.to(dtype), points.to(dtype), point_weight, product_dtype, *flat
        )
        return folded


class _FoldByCloud(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        latent_terms: Tensor,
        points: Tensor,
        point_weight: Tensor,
        product_dtype: torch.dtype,
        *parameters: Tensor,
    ) -> Tensor:
        batch, count = len(latent_terms), points.shape[1]
        hidden = [
            (weight.to(product_dtype), bias.to(product_dtype))
            for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True)
        ]
        weight, bias = parameters[-2:]
        sizes = [len(point_weight), *(len(b) for _, b in hidden)]
        activations = [
            latent_terms.new_empty((batch, count, size), dtype=product_dtype) for size in sizes
        ]
        folded = latent_terms.new_empty((batch, count, len(bias)))
        for b in range(batch):
            own = points[min(b, len(points) - 1)]
            inner = activations[0][b]
            if product_dtype == point_weight.dtype:
                torch.addmm(latent_terms[b], own, point_weight.t(), out=inner).relu_()
            else:
                inner.copy_(torch.addmm(latent_terms[b], own, point_weight.t()).relu_())
            for (inner_weight, inner_bias), activation in zip(hidden, activations[1:], strict=True):
                torch.addmm(inner_bias, inner, inner_weight.t(), out=activation[b])
                inner = activation[b].relu_()
            torch.addmm(bias, inner.to(weight.dtype), weight.t(), out=folded[b])
        ctx.save_for_backward(latent_terms, points, point_weight, *parameters, *activations)
        ctx.n_parameters = len(parameters)
        return folded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        latent_terms, points, point_weight, *rest = ctx.saved_tensors
        parameters, activations = rest[: ctx.n_parameters], rest[ctx.n_parameters :]
        if wants_graph(gradient):
            inputs = (latent_terms, points, point_weight, *parameters)
            gradients = differentiable_gradients(_fold_at_once, inputs, (gradient,))
            return *gradients[:3], None, *gradients[3:]
        dtype = activations[0].dtype
        weights = [point_weight.to(dtype), *(weight.to(dtype) for weight in parameters[::2])]
        low_points = points.to(dtype)
        of_parameters = [torch.zeros_like(parameter) for parameter in parameters]
        latent_gradient = gradient.new_empty((len(gradient), len(point_weight)))
        point_weight_gradient = torch.zeros_like(point_weight)
        points_gradient = torch.zeros_like(points) if ctx.needs_input_grad[1] else None
        for b in range(len(gradient)):
            upstream = gradient[b].to(dtype)
            for layer in reversed(range(len(activations))):
                activation = activations[layer][b]
                of_parameters[2 * layer] += upstream.t() @ activation
                of_parameters[2 * layer + 1] += upstream.sum(dim=0, dtype=gradient.dtype)
                upstream = _through_relu(upstream @ weights[layer + 1], activation)
            latent_gradient[b] = upstream.sum(dim=0, dtype=gradient.dtype)
            own = min(b, len(points) - 1)
            # Its transpose, as the library is slow at results of two or three columns.
            point_weight_gradient += (low_points[own].t() @ upstream).t()
            if points_gradient is not None:
                points_gradient[own] += upstream @ weights[0]
        return latent_gradient, points_gradient, point_weight_gradient, None, *of_parameters


def _fold_at_once(
    latent_terms: Tensor, points: Tensor, point_weight: Tensor, *parameters: Tensor
) -> tuple[Tensor]:
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    return (plain.fold(latent_terms, points, point_weight, layers),)


def _through_relu(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient in the input of a ReLU with this ``output``; a third of a `where`'s cost."""
    passed: Tensor = torch.ops.aten.threshold_backward(gradient, output, 0)
    return passed
