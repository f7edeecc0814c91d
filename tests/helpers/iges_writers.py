"""A small IGES file: the bracket of :mod:`.step_writers` as flat patches (entity 128)."""

from helpers.step_writers import L_DEPTH, L_PROFILE

_UNITS = {"mm": (2, "2HMM"), "inch": (1, "2HIN")}


def bracket_iges(unit: str = "mm") -> bytes:
    patches = []
    for y in (0.0, L_DEPTH):
        for low, high in (((0.0, 0.0), (60.0, 10.0)), ((0.0, 10.0), (10.0, 100.0))):
            patches.append([(x, y, z) for z in (low[1], high[1]) for x in (low[0], high[0])])
    ends = zip(L_PROFILE, L_PROFILE[1:] + L_PROFILE[:1], strict=True)
    patches += [[(x, y, z) for y in (0.0, L_DEPTH) for x, z in pair] for pair in ends]

    flag, name = _UNITS[unit]
    start = ["A bracket"]
    settings = (
        f"1H,,1H;,7Hbracket,11Hbracket.igs,4Htest,3H1.0,32,38,6,308,15,7Hbracket,1.,{flag},{name},"
        "1,0.01,15H20260101.000000,1.E-06,1000.,4Hnone,4Hnone,11,0,15H20260101.000000;"
    )
    directory, parameters = [], []
    for patch in patches:
        numbers = [128, 1, 1, 1, 1, 0, 0, 1, 0, 0]
        reals = [0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, *(x for place in patch for x in place)]
        text = ",".join([*map(str, numbers), *(f"{x:.1f}" for x in [*reals, 0, 1, 0, 1])]) + ";"
        lines = _wrapped(text, 64)
        entry = len(directory) + 1
        directory += [
            f"{128:8d}{len(parameters) + 1:8d}" + f"{0:8d}" * 6 + "00000000",
            f"{128:8d}{0:8d}{0:8d}{len(lines):8d}{0:8d}" + " " * 16 + f"{'':8s}{0:8d}",
        ]
        parameters += [f"{line:64s}{entry:8d}" for line in lines]
    sections = {"S": start, "G": _wrapped(settings, 72), "D": directory, "P": parameters}
    counts = "".join(f"{letter}{len(lines):7d}" for letter, lines in sections.items())
    sections["T"] = [counts]
    return "".join(
        f"{line:72s}{letter}{number:7d}\n"
        for letter, lines in sections.items()
        for number, line in enumerate(lines, start=1)
    ).encode()


def _wrapped(text: str, width: int) -> list[str]:
    """Cut a text behind commas, so that no number goes over two lines."""
    lines, line = [], ""
    for part in text.replace(",", ",\0").split("\0"):
        if len(line) + len(part) > width:
            lines.append(line)
            line = ""
        line += part
    return [*lines, line]
