"""Neighbour searches and farthest point sampling by loops, in float64."""

import numpy as np


def nearest_neighbors(query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Index of the nearest reference point of each query point, the lowest among equals."""
    indices = []
    for point in np.asarray(query, np.float64):
        squared = [float(((point - other) ** 2).sum()) for other in reference.astype(np.float64)]
        indices.append(squared.index(min(squared)))
    return np.array(indices, dtype=np.int64)


def k_nearest_distances(points: np.ndarray, k: int) -> np.ndarray:
    """The k smallest distances from each point to the cloud, itself included: (N, k)."""
    points = np.asarray(points, np.float64)
    rows = []
    for point in points:
        rows.append(sorted(float(np.sqrt(((point - other) ** 2).sum())) for other in points)[:k])
    return np.array(rows)


def farthest_point_sampling(points: np.ndarray, count: int, start: int = 0) -> np.ndarray:
    """Greedy farthest points, no index twice, the lowest index among equals."""
    points = np.asarray(points, np.float64)
    chosen = [start]
    while len(chosen) < count:
        best_index, best_distance = -1, -1.0
        for i in range(len(points)):
            if i in chosen:
                continue
            distance = min(float(((points[i] - points[j]) ** 2).sum()) for j in chosen)
            if distance > best_distance:
                best_index, best_distance = i, distance
        chosen.append(best_index)
    return np.array(chosen, dtype=np.int64)
