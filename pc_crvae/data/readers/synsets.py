"""ShapeNetCore's folders are WordNet synsets by their offset; these are the names of them all."""

from pathlib import Path

_LIST = Path(__file__).with_name("synsets.txt")

SHAPENET_SYNSETS = dict(line.split() for line in _LIST.read_text(encoding="utf-8").splitlines())
"""The 55 of ShapeNetCore, named as the point-cloud forms of it name them.

``can`` is the ash or litter can, ``tin_can`` the tin; the official taxonomy says ``display`` for
``monitor``, ``loudspeaker`` for ``speaker``, ``motorbike`` for ``motorcycle``, ``flowerpot`` for
``pot``, ``remote control`` for ``remote_control``, ``watercraft`` for ``vessel``.
"""
