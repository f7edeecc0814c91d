"""The page of a report: sections one below the other, in one file, which loads nothing."""

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pc_crvae.visualization.web_page import data_address, write_page

_SVG_SETTINGS = {"svg.hashsalt": "pc_crvae", "svg.fonttype": "path"}
_NO_METADATA = {"Date": None, "Creator": None}


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        title: its heading, as text.
        body: its content, as HTML, in which every text was escaped.
    """

    title: str
    body: str


@dataclass(frozen=True)
class Headline:
    """One number that stands at the top of a page, with what it is and what to hold it against."""

    name: str
    value: str
    note: str = ""


def paragraph(text: str, kind: str = "") -> str:
    """Return a text as a paragraph of a class of the page's style: ``quiet``, ``missing``..."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{html.escape(text)}</p>\n"


def advice(text: str, command: str) -> str:
    """Return one line that says why something is not there, and the command that makes it."""
    return f'<p class="missing">{html.escape(text)} <code>{html.escape(command)}</code></p>\n'


def preformatted(text: str) -> str:
    """Return a table of text, as the commands print them."""
    return f"<pre>{html.escape(text)}</pre>\n"


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """Return names and what they stand for, one below the other."""
    lines = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts
    )
    return f"<dl>{lines}</dl>\n"


def collapsed(summary: str, body: str) -> str:
    """Return a part that is shown where it is asked for."""
    return f"<details><summary>{html.escape(summary)}</summary>\n{body}</details>\n"


def tile_rows(rows: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    """Return rows of elements, such as `pc_crvae.visualization.contact_sheet.tile_figures` makes.

    Args:
        rows: elements, side by side.
        titles: one above each row; an empty one is left out.
    """
    parts = []
    for elements, title in zip(rows, titles, strict=True):
        above = f"<h3>{html.escape(title)}</h3>\n" if title else ""
        inside = "\n".join(elements)
        parts.append(f'{above}<div class="row" style="--columns: {len(elements)}">{inside}</div>')
    return "\n".join(parts)


def drawing(figure: Figure, alt: str) -> str:
    """Return a figure as a picture of lines, the same bytes again for the same figure."""
    buffer = io.BytesIO()
    with rc_context(_SVG_SETTINGS):
        FigureCanvasAgg(figure).print_figure(buffer, format="svg", metadata=_NO_METADATA)
    return picture(buffer.getvalue(), "svg+xml", alt)


def picture(data: bytes, kind: str, alt: str, *, width: int | None = None) -> str:
    """Return a picture that the page carries.

    Args:
        data: the file.
        kind: of ``image/kind``.
        alt: what it shows, in words.
        width: pixels it is shown at, at most; None for the page's.
    """
    size = "" if width is None else f' style="max-width: {width}px"'
    address = data_address(data, kind)
    return f'<img class="picture"{size} alt="{html.escape(alt)}" src="{address}">\n'


def report_page(
    path: Path | str,
    *,
    title: str,
    subtitle: str,
    headlines: Sequence[Headline],
    sections: Sequence[Section],
) -> None:
    """Write a page, which forbids itself to load anything.

    Args:
        path: the page to write.
        title: of the page, as text.
        subtitle: a line below it, as text.
        headlines: what stands at the top.
        sections: the rest.

    Raises:
        UserError: the page could not be written.
    """
    numbered = list(enumerate(sections, start=1))
    body = Template(_BODY).substitute(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        script=_SCRIPT,
        headlines="".join(map(_headline, headlines)),
        contents="".join(
            f'<a href="#part-{number}">{html.escape(section.title)}</a>'
            for number, section in numbered
        ),
        sections="\n".join(
            f'<section id="part-{number}">\n<h2>{html.escape(section.title)}</h2>\n'
            f"{section.body}</section>"
            for number, section in numbered
        ),
    )
    write_page(
        path,
        title,
        style=_STYLE,
        body=body,
        allowed="script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:",
    )


def _headline(headline: Headline) -> str:
    name, value, note = map(html.escape, (headline.name, headline.value, headline.note))
    return f"<div><b>{value}</b><span>{name}</span><small>{note}</small></div>"


_STYLE = """
  body { margin: 0 auto; max-width: 1120px; padding: 26px 28px 60px; color: #22223b;
         background: white; font: 15px/1.5 system-ui, sans-serif; }
  h1 { margin: 0; font-size: 25px; font-weight: 650; overflow-wrap: anywhere; }
  h2 { margin: 0 0 10px; font-size: 18px; font-weight: 600; }
  h3 { margin: 16px 0 6px; font-size: 14px; font-weight: 600; color: #55577a; }
  p { margin: 8px 0; }
  section { margin-top: 34px; padding-top: 18px; border-top: 1px solid #e3e5ee; }
  nav { display: flex; flex-wrap: wrap; gap: 2px 18px; margin-top: 14px; font-size: 14px; }
  a { color: #2f67b1; text-decoration: none; }
  a:hover { text-decoration: underline; }
  code, pre { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
  code { padding: 1px 5px; border-radius: 4px; background: #f1f2f8; overflow-wrap: anywhere; }
  pre { margin: 8px 0; padding: 12px 14px; border-radius: 8px; background: #f5f6fa;
        overflow-x: auto; }
  small, .quiet { color: #6a6c90; }
  .quiet { font-size: 13.5px; }
  .missing { color: #6a6c90; }
  .stale { padding: 8px 12px; border-left: 4px solid #d98a1f; background: #fdf4e4; }
  .damaged { padding: 8px 12px; border-left: 4px solid #b3382c; background: #fbeceb;
             white-space: pre-line; }
  .headlines { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 18px; }
  .headlines div { flex: 1 1 150px; padding: 11px 14px; border-radius: 8px; background: #f5f6fa; }
  .headlines b { display: block; font-size: 21px; font-weight: 650; line-height: 1.3; }
  .headlines span { display: block; font-size: 13px; line-height: 1.35; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 20px; margin: 8px 0; }
  dt { color: #6a6c90; }
  dd { margin: 0; overflow-wrap: anywhere; }
  summary { cursor: pointer; color: #2f67b1; }
  .picture { display: block; width: 100%; height: auto; margin: 8px 0; }
  .row { display: grid; gap: 8px; grid-template-columns: repeat(var(--columns), 1fr); }
  .row + .row { margin-top: 8px; }
  figure { margin: 0; min-width: 0; border-radius: 8px; overflow: hidden; background: #f5f6fa; }
  figure img { display: block; width: 100%; height: auto; }
  figcaption { padding: 0 5px 6px; font-size: 12px; line-height: 1.35; text-align: center;
               overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  figcaption small { display: block; overflow: hidden; text-overflow: ellipsis; }
  .wide { overflow-x: auto; }
  .confusion { border-collapse: separate; border-spacing: 2px; font-size: 12px;
               font-variant-numeric: tabular-nums; }
  .confusion td { min-width: 27px; height: 23px; padding: 0 2px; border-radius: 3px;
                  background: #f7f8fb; text-align: center; }
  .confusion th { font-weight: 500; text-align: right; padding: 0 6px; white-space: nowrap; }
  .confusion th[scope=col] { vertical-align: bottom; text-align: left; }
  .confusion th[scope=col] span { writing-mode: vertical-rl; transform: rotate(180deg); }
  .confusion .corner { background: none; color: #6a6c90; vertical-align: bottom; }
  .confusion .recall { background: none; color: #6a6c90; padding-left: 6px; }
  #map { display: flex; flex-wrap: wrap; gap: 24px; }
  .plane { flex: 1 1 520px; min-width: 0; }
  .plane svg { display: block; width: 100%; max-height: 640px; border-radius: 8px;
               background: #f8f9fc; touch-action: none; }
  .choice { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px;
            margin-bottom: 8px; }
  circle { stroke: white; stroke-width: 0.8; transition: cx 0.7s, cy 0.7s, opacity 0.15s; }
  circle.wrong { stroke: #22223b; stroke-width: 1.8; }
  circle.dim { opacity: 0.1; }
  circle.chosen { stroke: #22223b; stroke-width: 3; }
  .side { flex: 0 1 240px; min-width: 200px; }
  .side canvas { display: block; width: 220px; height: 220px; border-radius: 8px;
                 background: #f5f6fa; }
  .side canvas[hidden] { display: none; }
  #item-name { min-height: 4.5em; overflow-wrap: anywhere; }
  .legend { margin: 0; padding: 0; list-style: none; max-height: 330px; overflow-y: auto;
            font-size: 13.5px; }
  .legend li { padding: 1px 4px; border-radius: 4px; }
  .legend li[data-class] { cursor: default; }
  .legend li[data-class]:hover { background: #eef0f7; }
  .legend i { display: inline-block; width: 11px; height: 11px; margin-right: 8px;
              border-radius: 50%; }
  @media (max-width: 700px) { .row { grid-template-columns: repeat(4, 1fr); } }
  @media print { .side canvas, #item-name, .choice { display: none; } }
"""

_SCRIPT = """
"use strict";
const stored = document.getElementById("map-content");
if (stored) bringMapToLife(JSON.parse(stored.textContent));

function bringMapToLife({ maps, items, clouds }) {
  const element = id => document.getElementById(id);
  const plane = document.querySelector("#map svg"), canvas = element("item");
  const pen = canvas.getContext("2d"), side = canvas.width;
  const dots = [...plane.querySelectorAll("circle")];
  const REACH = 22;  // of the pointer, in pixels
  const TURNS_PER_SECOND = 0.12;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let current = 0, chosen = null, frame = null;

  const levels = clouds
    ? new Int8Array(Uint8Array.from(atob(clouds.data), letter => letter.charCodeAt(0)).buffer)
    : null;

  // As the pictures of clouds are drawn: balls coloured by height, the far ones first.
  function drawCloud(item, turn) {
    const { points, axes, distance, ball, colors } = clouds;
    const scale = side / 2.2, [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    const first = 3 * points * item, balls = [];
    let low = Infinity, high = -Infinity;
    for (let n = 0; n < points; n++) {
      const [a, b, z] = [0, 1, 2].map(axis => levels[first + 3 * n + axis] / 127);
      const place = [cos * a - sin * b, sin * a + cos * b, z];
      const [right, up, back] = axes.map(
        axis => axis[0] * place[0] + axis[1] * place[1] + axis[2] * place[2]);
      balls.push({ x: right, y: up, z, size: distance / (distance - back) });
      low = Math.min(low, z);
      high = Math.max(high, z);
    }
    balls.sort((one, other) => one.size - other.size);
    const span = Math.max(high - low, 0.25);
    pen.clearRect(0, 0, side, side);
    for (const { x, y, z, size } of balls) {
      const radius = 1.25 * ball * size * scale;
      const [atX, atY] = [side / 2 + x * size * scale, side / 2 - y * size * scale];
      const shade = Math.round((z - low) / span * (colors.length - 1));
      for (const [color, share, shift] of
           [["rgba(34, 34, 59, 0.55)", 1, 0], [colors[shade], 0.86, 0.06],
            ["rgba(255, 255, 255, 0.4)", 0.34, 0.32]]) {
        pen.beginPath();
        pen.arc(atX - shift * radius, atY - shift * radius, share * radius, 0, 2 * Math.PI);
        pen.fillStyle = color;
        pen.fill();
      }
    }
  }

  function drawImage(item) {
    const sprite = element("sprite");
    const [width, height, columns] =
      ["width", "height", "columns"].map(name => Number(sprite.dataset[name]));
    const scale = side / Math.max(width, height);
    pen.clearRect(0, 0, side, side);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(
      sprite, item % columns * width, Math.floor(item / columns) * height, width, height,
      (side - scale * width) / 2, (side - scale * height) / 2, scale * width, scale * height);
  }

  function choose(item) {
    if (item === chosen) return;
    if (chosen !== null) dots[chosen].classList.remove("chosen");
    chosen = item;
    dots[item].classList.add("chosen");
    const told = items[item];
    element("item-name").textContent = [
      told.class, told.id, told.guess ? "taken for " + told.guess : ""
    ].filter(Boolean).join(" \\u00b7 ");
    canvas.hidden = false;
    cancelAnimationFrame(frame);
    if (!clouds) return drawImage(item);
    const start = performance.now();
    const spin = now => {
      drawCloud(item, still ? 0 : (now - start) / 1000 * TURNS_PER_SECOND * 2 * Math.PI);
      if (!still) frame = requestAnimationFrame(spin);
    };
    spin(start);
  }

  // The item nearest to the pointer, so that no dot need be hit.
  plane.addEventListener("pointermove", event => {
    const box = plane.getBoundingClientRect(), view = plane.viewBox.baseVal;
    const scale = Math.min(box.width / view.width, box.height / view.height);
    const x = (event.clientX - box.left - (box.width - view.width * scale) / 2) / scale;
    const y = (event.clientY - box.top - (box.height - view.height * scale) / 2) / scale;
    let nearest = null, least = REACH / scale;
    maps[current].places.forEach(([atX, atY], item) => {
      const distance = Math.hypot(atX - x, atY - y);
      if (distance < least) [nearest, least] = [item, distance];
    });
    if (nearest !== null) choose(nearest);
  });

  for (const button of document.querySelectorAll("#map input")) {
    button.addEventListener("change", () => {
      current = Number(button.value);
      element("map-note").textContent = maps[current].note;
      maps[current].places.forEach(([x, y], item) => {
        dots[item].setAttribute("cx", x);
        dots[item].setAttribute("cy", y);
      });
    });
  }

  for (const entry of document.querySelectorAll(".legend li[data-class]")) {
    const dim = wanted => dots.forEach(dot => dot.classList.toggle(
      "dim", wanted && dot.dataset.class !== entry.dataset.class));
    entry.addEventListener("pointerenter", () => dim(true));
    entry.addEventListener("pointerleave", () => dim(false));
  }
}
"""

_BODY = """<header>
<h1>$title</h1>
<p class="quiet">$subtitle</p>
<div class="headlines">$headlines</div>
<nav>$contents</nav>
</header>
<main>
$sections
</main>
<script>$script</script>"""
