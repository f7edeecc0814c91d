"""Clouds in every format that is read, each as some program writes it."""

import numpy as np

from helpers import cloud_writers as write

# Halves and quarters, so that every format holds them exactly; few values, so that they pack.
POINTS = np.random.default_rng(3).integers(-8, 8, (40, 3)) / 4
GRID = POINTS.astype(np.float32)

GOOD = {
    "ascii.ply": write.ply(POINTS, "ascii"),
    "ascii crlf.ply": write.ply(POINTS, "ascii", line_end="\r\n", faces=2),
    "ascii cr.ply": write.ply(POINTS, "ascii", line_end="\r"),
    "ascii lists.ply": write.ply(
        POINTS, "ascii", lists=True, extra=["uchar"], before=["int"], element_before=True
    ),
    "little.ply": write.ply(POINTS),
    "little crlf.ply": write.ply(POINTS, line_end="\r\n"),
    "little cr.ply": write.ply(POINTS, line_end="\r"),
    "little double.ply": write.ply(POINTS, kind="double", faces=3),
    "big.ply": write.ply(POINTS, "binary_big_endian", before=["uchar"], extra=["double", "short"]),
    "big lists.ply": write.ply(POINTS, "binary_big_endian", lists=True, extra=["int"]),
    "little before.ply": write.ply(POINTS, element_before=True, before=["short"]),
    "ascii.pcd": write.pcd(POINTS, "ascii"),
    "ascii extra.pcd": write.pcd(POINTS, "ascii", extra=True),
    "binary.pcd": write.pcd(POINTS, "binary"),
    "binary extra.pcd": write.pcd(POINTS, "binary", extra=True),
    "packed.pcd": write.pcd(POINTS, "binary_compressed"),
    "packed extra.pcd": write.pcd(POINTS, "binary_compressed", extra=True),
    "no count.pcd": write.pcd(POINTS, "binary").replace(b"COUNT 1 1 1\n", b""),
    "old.pcd": write.pcd(POINTS, "ascii").replace(b"POINTS 40\n", b""),
    "blanks.xyz": write.text(POINTS),
    "tabs.XYZ": write.text(POINTS, "\t", "\r\n"),
    "commas.csv": write.text(POINTS, ","),
    "commas and blanks.txt": write.text(POINTS, ", ", "\n\n"),
    "semicolons.csv": b"\xef\xbb\xbf" + write.text(POINTS, ";"),
    "normals.txt": write.text(np.hstack([POINTS, POINTS]), ","),
    "header.csv": b"x,y,z\n" + write.text(POINTS, ","),
    "moved.csv": b'"Id","X","Y","Z"\n' + write.text(np.insert(POINTS, 0, 7, axis=1), ","),
    "comments.xyz": b"# made by\n//X Y Z R\n" + write.text(POINTS) + b"\n// 7 8 9\n# 7 8 9",
    "count.pts": b"40\n" + write.text(np.hstack([POINTS, POINTS])),
    "plain.pts": write.text(POINTS),
    "float64.npy": write.npy(POINTS),
    "fortran.npy": write.npy(np.asfortranarray(GRID)),
    "big endian.npy": write.npy(POINTS.astype(">f4")),
    "normals.npy": write.npy(np.hstack([POINTS, POINTS]).astype(np.float16)),
    "version2.npy": write.npy(POINTS, (2, 0)),
    "points.npz": write.npz(points=POINTS, labels=np.arange(40), pos=POINTS + 1),
    "pos.npz": write.npz(pos=POINTS, faces=np.zeros((3, 3), int)),
    "only.npz": write.npz(packed=True, cloud=POINTS),
}
