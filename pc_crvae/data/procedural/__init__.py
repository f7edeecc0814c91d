"""Parametric objects built from triangle meshes: the makers behind the set `shapes`.

A maker takes a NumPy generator and returns one mesh. All objects stand on z = 0 and face +x,
so width runs along y and depth along x; dimensions are metres in mind, but only proportions
matter, because clouds are normalised when they are read.
"""
