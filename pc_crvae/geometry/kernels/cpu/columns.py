"""Extremes and moments of a matrix product's columns, and moments over the edges of a graph."""

import numba
import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled

_ROWS = 64
"""Rows whose squares are added up in the values' own precision before float64 takes over."""


@compiled
def column_extremes(  # type: ignore[no-untyped-def]
    values, centers, signs, extreme, argument, squares, start, stop
):
    """Read ``values`` (N, C) once, for a range of the columns.

    Fills ``extreme`` (C,), the largest value where ``signs`` (C,) is 1 and the smallest where it
    is -1, NaN where there is one; ``argument`` (C,) int32, its first row; and adds to ``squares``
    (C,) float64 the squared deviations from ``centers`` (C,), unless it is empty.
    """
    rows = values.shape[0]
    moments = squares.size > 0
    width = stop - start
    best = np.empty(width, values.dtype)
    winner = np.zeros(width, np.int32)
    sign = signs[start:stop].copy()
    center = centers[start:stop].copy()
    partial = np.empty(width, values.dtype)
    for c in range(width):
        best[c] = values[0, start + c] * sign[c]
    for block in range(0, rows, _ROWS):
        partial[:] = 0
        for i in range(block, min(block + _ROWS, rows)):
            row = values[i, start:stop]
            index = np.int32(i)
            for c in range(width):
                value = row[c] * sign[c]
                better = (value > best[c]) | ((value != value) & (best[c] == best[c]))
                best[c] = value if better else best[c]
                winner[c] = index if better else winner[c]
            if moments:
                for c in range(width):
                    deviation = row[c] - center[c]
                    partial[c] += deviation * deviation
        if moments:
            for c in range(width):
                squares[start + c] += partial[c]
    for c in range(width):
        extreme[start + c] = best[c] * sign[c]
        argument[start + c] = winner[c]


@compiled
def edge_squares(edges, squares, start, stop):  # type: ignore[no-untyped-def]
    """Add up (u_j + v_i - mean)^2 over all edges, from sums over points, in float64.

    For a range of the C columns of ``edges``, whose means are in float64. Fills ``squares`` (C,)
    float64.
    """
    own, other, totals, degrees, own_mean, other_mean, k = edges
    for c in range(start, stop):
        squares[c] = 0
    for r in range(own.shape[0]):
        degree = np.float64(degrees[r])
        for c in range(start, stop):
            u = np.float64(other[r, c]) - other_mean[c]
            v = np.float64(own[r, c]) - own_mean[c]
            total = np.float64(totals[r, c]) - k * other_mean[c]
            squares[c] += degree * u * u + v * (2 * total + k * v)


@compiled
def edge_squares_backward(edges, slope, level, gradients, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``gradients`` (3, R, C), in ``other``, ``own`` and ``totals``, for a range of the rows.

    ``slope`` (C,) is twice the gradient in the squares of :func:`edge_squares`, and ``level``
    (C,) that in the mean over the R rows of own and totals / k.
    """
    own, other, totals, degrees, own_mean, other_mean, k = edges
    for r in range(start, stop):
        degree = own.dtype.type(degrees[r])
        for c in range(own.shape[1]):
            centered = own[r, c] - own_mean[c]
            total = totals[r, c] - k * other_mean[c]
            gradients[0, r, c] = degree * (other[r, c] - other_mean[c]) * slope[c]
            gradients[1, r, c] = slope[c] * (total + k * centered) + level[c]
            gradients[2, r, c] = slope[c] * centered + level[c] / k


@numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = a[0] * 0
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@compiled
def picked_products(features, weight, argument, products, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``products`` (B, C): of ``weight`` (C, D) row c and the point ``argument`` (B, C) names.

    For a range of the B * C, with ``features`` (B, N, D).
    """
    channels = weight.shape[0]
    for item in range(start, stop):
        b, c = item // channels, item % channels
        products[b, c] = _dot(features[b, argument[b, c]], weight[c])


@compiled
def picked_products_to_features(  # type: ignore[no-untyped-def]
    gradient, argument, weight, width, features_gradient, start, stop
):
    """Add the gradient of :func:`picked_products` in its features, for a range of its parts.

    A part is ``width`` dimensions of one cloud, so that no two parts meet.
    """
    dimensions = weight.shape[1]
    parts = (dimensions + width - 1) // width
    for item in range(start, stop):
        b, first = item // parts, item % parts * width
        last = min(first + width, dimensions)
        for c in range(weight.shape[0]):
            row = features_gradient[b, argument[b, c]]
            factor = gradient[b, c]
            for d in range(first, last):
                row[d] += factor * weight[c, d]


@compiled
def picked_products_to_weight(gradient, argument, features, weight_gradient, start, stop):  # type: ignore[no-untyped-def]
    """Fill the gradient (C, D) of :func:`picked_products` in its weight, for a range of C."""
    for c in range(start, stop):
        row = weight_gradient[c]
        row[:] = 0
        for b in range(features.shape[0]):
            point = features[b, argument[b, c]]
            factor = gradient[b, c]
            for d in range(len(row)):
                row[d] += factor * point[d]
