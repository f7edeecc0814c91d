"""The Chamfer distance and its gradient by loops, in float64."""

import numpy as np


def _nearest(point: np.ndarray, cloud: np.ndarray) -> tuple[float, int]:
    """Distance to and index of the nearest point, the lowest index among equals."""
    best_squared, best_index = np.inf, 0
    for j in range(len(cloud)):
        squared = 0.0
        for axis in range(3):
            squared += (point[axis] - cloud[j, axis]) ** 2
        if squared < best_squared:
            best_squared, best_index = squared, j
    return float(np.sqrt(best_squared)), best_index


def _one_direction(
    points: np.ndarray, cloud: np.ndarray, squared: bool
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean distance to the nearest point, with its gradients in both clouds."""
    total = 0.0
    points_gradient, cloud_gradient = np.zeros_like(points), np.zeros_like(cloud)
    for i in range(len(points)):
        distance, j = _nearest(points[i], cloud)
        total += distance**2 if squared else distance
        offset = points[i] - cloud[j]
        if squared:
            gradient = 2 * offset
        elif distance > 0:
            gradient = offset / distance
        else:
            gradient = np.zeros(3)
        points_gradient[i] += gradient / len(points)
        cloud_gradient[j] -= gradient / len(points)
    return total / len(points), points_gradient, cloud_gradient


def chamfer_with_gradients(
    x: np.ndarray, y: np.ndarray, *, squared: bool = True, directions: str = "sum"
) -> tuple[float, np.ndarray, np.ndarray]:
    """Distance of one pair of clouds (N, 3) and (M, 3), with its gradients in x and y."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    forward, forward_x, forward_y = _one_direction(x, y, squared)
    backward, backward_y, backward_x = _one_direction(y, x, squared)
    if directions == "max":
        if forward > backward:
            return forward, forward_x, forward_y
        if forward < backward:
            return backward, backward_x, backward_y
    # Where both are equal, the maximum has the mean of the two as its subgradient.
    weight = 1.0 if directions == "sum" else 0.5
    return (
        weight * (forward + backward),
        weight * (forward_x + backward_x),
        weight * (forward_y + backward_y),
    )


def chamfer(
    x: np.ndarray, y: np.ndarray, *, squared: bool = True, directions: str = "sum"
) -> float:
    """Distance of one pair of clouds (N, 3) and (M, 3)."""
    return chamfer_with_gradients(x, y, squared=squared, directions=directions)[0]
