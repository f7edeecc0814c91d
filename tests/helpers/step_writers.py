"""Small STEP files (ISO 10303-21, AP214), written as CAD programs write them."""

from collections.abc import Sequence

Place = tuple[float, float, float]
Edges = Sequence[tuple[int, bool]]

_HEADER = """ISO-10303-21;
HEADER;
FILE_DESCRIPTION((''),'2;1');
FILE_NAME('part','2026-01-01T00:00:00',(''),(''),'','','');
FILE_SCHEMA(('AUTOMOTIVE_DESIGN { 1 0 10303 214 1 1 1 1 }'));
ENDSEC;
DATA;
"""
_SI = {"mm": ".MILLI.", "m": "$", "inch": ".MILLI."}

L_PROFILE = [(0.0, 0.0), (60.0, 0.0), (60.0, 10.0), (10.0, 10.0), (10.0, 100.0), (0.0, 100.0)]
"""Of a bracket in the x-z plane: a foot 60 along x, and a post 100 along z, both 10 thick."""

L_DEPTH = 20.0
"""Of the bracket, along y."""


class _Part:
    """A solid of one product: its entities, numbered as they are added."""

    def __init__(self, name: str, unit: str) -> None:
        self._lines: list[str] = []
        self._vertices: dict[Place, int] = {}
        self._edges: dict[tuple[Place, Place], int] = {}
        self._faces: list[int] = []
        self._name = name
        self._unit = unit

    def add(self, text: str) -> int:
        self._lines.append(f"#{len(self._lines) + 1}={text};")
        return len(self._lines)

    def point(self, place: Place) -> int:
        return self.add(f"CARTESIAN_POINT('',{_numbers(place)})")

    def frame(self, origin: Place, z: Place, x: Place) -> int:
        ends = [self.point(origin), *(self.add(f"DIRECTION('',{_numbers(a)})") for a in (z, x))]
        return self.add(f"AXIS2_PLACEMENT_3D('',{_listed(ends)[1:-1]})")

    def vertex(self, place: Place) -> int:
        if place not in self._vertices:
            self._vertices[place] = self.add(f"VERTEX_POINT('',#{self.point(place)})")
        return self._vertices[place]

    def line(self, start: Place, end: Place) -> tuple[int, bool]:
        """Return the edge between two places, and whether it runs from the first to the second."""
        if (end, start) in self._edges:
            return self._edges[end, start], False
        if (start, end) not in self._edges:
            along = [b - a for a, b in zip(start, end, strict=True)]
            length = sum(x * x for x in along) ** 0.5
            ends = self.vertex(start), self.vertex(end)
            towards = self.add(f"DIRECTION('',{_numbers([x / length for x in along])})")
            vector = self.add(f"VECTOR('',#{towards},1.)")
            curve = self.add(f"LINE('',#{self.point(start)},#{vector})")
            edge = self.add(f"EDGE_CURVE('',#{ends[0]},#{ends[1]},#{curve},.T.)")
            self._edges[start, end] = edge
        return self._edges[start, end], True

    def circle(self, centre: Place, radius: float) -> int:
        start = self.vertex((centre[0] + radius, *centre[1:]))
        curve = self.add(f"CIRCLE('',#{self.frame(centre, (0, 0, 1), (1, 0, 0))},{radius:.6f})")
        return self.add(f"EDGE_CURVE('',#{start},#{start},#{curve},.T.)")

    def face(self, loops: Sequence[Edges], surface: str, *, same: bool = True) -> None:
        """Add a face bounded by loops of edges, the outer one first."""
        bounds = []
        for number, edges in enumerate(loops):
            oriented = [self.add(f"ORIENTED_EDGE('',*,*,#{e},.{_flag(way)}.)") for e, way in edges]
            loop = self.add(f"EDGE_LOOP('',{_listed(oriented)})")
            bounds.append(self.add(f"FACE_{'OUTER_' if not number else ''}BOUND('',#{loop},.T.)"))
        under = self.add(surface)
        self._faces.append(
            self.add(f"ADVANCED_FACE('',{_listed(bounds)},#{under},.{_flag(same)}.)")
        )

    def polygon(self, places: Sequence[Place], outward: Place, holes: Sequence[Edges] = ()) -> None:
        i, j, k = outward
        rim = [self.line(a, b) for a, b in zip(places, [*places[1:], places[0]], strict=True)]
        self.face([rim, *holes], f"PLANE('',#{self.frame(places[0], (i, j, k), (j, k, i))})")

    def prism(self, outline: Sequence[tuple[Place, Place]], outward: Sequence[Place]) -> None:
        """Add the walls between two equal outlines, near and far, as pairs of their corners."""
        for k, along in enumerate(outward):
            (near, far), (near_after, far_after) = outline[k], outline[(k + 1) % len(outline)]
            self.polygon([near, near_after, far_after, far], along)

    def to_bytes(self) -> bytes:
        context, of_shape = self._product()
        shell = self.add(f"CLOSED_SHELL('',{_listed(self._faces)})")
        solid = self.add(f"MANIFOLD_SOLID_BREP('',#{shell})")
        frame = self.frame((0, 0, 0), (0, 0, 1), (1, 0, 0))
        shape = self.add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',(#{frame},#{solid}),#{context})")
        self.add(f"SHAPE_DEFINITION_REPRESENTATION(#{of_shape},#{shape})")
        return (_HEADER + "\n".join(self._lines) + "\nENDSEC;\nEND-ISO-10303-21;\n").encode()

    def _product(self) -> tuple[int, int]:
        add, name = self.add, self._name
        application = add("APPLICATION_CONTEXT('automotive design')")
        context = add(f"PRODUCT_CONTEXT('',#{application},'mechanical')")
        product = add(f"PRODUCT('{name}','{name}','',(#{context}))")
        version = add(f"PRODUCT_DEFINITION_FORMATION('','',#{product})")
        stage = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',#{application},'design')")
        definition = add(f"PRODUCT_DEFINITION('design','',#{version},#{stage})")
        of_shape = add(f"PRODUCT_DEFINITION_SHAPE('','',#{definition})")
        length = add(f"(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT({_SI[self._unit]},.METRE.))")
        if self._unit == "inch":
            one = add("DIMENSIONAL_EXPONENTS(1.,0.,0.,0.,0.,0.,0.)")
            inch = add(f"LENGTH_MEASURE_WITH_UNIT(LENGTH_MEASURE(25.4),#{length})")
            length = add(f"(CONVERSION_BASED_UNIT('INCH',#{inch})LENGTH_UNIT()NAMED_UNIT(#{one}))")
        angle = add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
        solid = add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
        fine = add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-06),#{length},'','')")
        space = add(
            "(GEOMETRIC_REPRESENTATION_CONTEXT(3)"
            f"GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT((#{fine}))"
            f"GLOBAL_UNIT_ASSIGNED_CONTEXT((#{length},#{angle},#{solid}))"
            "REPRESENTATION_CONTEXT('',''))"
        )
        return space, of_shape


def bracket(unit: str = "mm") -> bytes:
    """An L of planar faces: nothing about it is symmetric but its depth."""
    part = _Part("bracket", unit)
    near = [(x, 0.0, z) for x, z in L_PROFILE]
    far = [(x, L_DEPTH, z) for x, z in L_PROFILE]
    part.polygon(near, (0, -1, 0))
    part.polygon(far[::-1], (0, 1, 0))
    outward: list[Place] = [(0, 0, -1), (1, 0, 0), (0, 0, 1), (1, 0, 0), (0, 0, 1), (-1, 0, 0)]
    part.prism(list(zip(far, near, strict=True)), outward)
    return part.to_bytes()


def plate(radius: float = 10.0, unit: str = "mm") -> bytes:
    """A plate of 100 x 60 x 5, z up, with a round hole through its middle."""
    part = _Part("plate", unit)
    sides = [(-50.0, -30.0), (50.0, -30.0), (50.0, 30.0), (-50.0, 30.0)]
    low, high = ([(x, y, z) for x, y in sides] for z in (0.0, 5.0))
    rims = [part.circle((0.0, 0.0, z), radius) for z in (0.0, 5.0)]
    seam = part.line((radius, 0.0, 0.0), (radius, 0.0, 5.0))[0]
    part.polygon(high, (0, 0, 1), holes=[[(rims[1], False)]])
    part.polygon(low[::-1], (0, 0, -1), holes=[[(rims[0], True)]])
    outward: list[Place] = [(0, -1, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0)]
    part.prism(list(zip(low, high, strict=True)), outward)
    frame = part.frame((0, 0, 0), (0, 0, 1), (1, 0, 0))
    around = [(rims[0], False), (seam, True), (rims[1], True), (seam, False)]
    part.face([around], f"CYLINDRICAL_SURFACE('',#{frame},{radius:.6f})", same=False)
    return part.to_bytes()


def _numbers(values: Sequence[float]) -> str:
    return "(" + ",".join(f"{value:.6f}" for value in values) + ")"


def _listed(numbers: Sequence[int]) -> str:
    return "(" + ",".join(f"#{number}" for number in numbers) + ")"


def _flag(is_so: bool) -> str:
    return "T" if is_so else "F"
