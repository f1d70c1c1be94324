// A plot of the last minute as SVG: one or two series, with labels of the axes. Each
// point is at its time, so a second without a measurement is a gap.

import { element } from "./dom.js";

const span = 60_000, width = 300, height = 60, margin = 3;
const namespace = "http://www.w3.org/2000/svg";

function svg(name, attributes) {
  const e = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}

const ordinal = (i) => (i === 0 ? "first" : "second");

export class Plot {
  // names are the names of one or two series. format formats a value with its unit.
  // top is the top of the scale; undefined means the largest value shown.
  constructor(names, format, top) {
    this.names = names;
    this.format = format;
    this.top = top;
    this.points = []; // { at, values }, oldest first
    this.paths = names.map((_, i) => svg("path", { class: ordinal(i), d: "" }));
    this.picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
    this.picture.append(
      ...[margin, height / 2, height - margin].map((y) => svg("line", { x1: 0, x2: width, y1: y, y2: y })),
      ...[...this.paths].reverse());
    this.legend = names.map((_, i) => element("b", { class: ordinal(i) }, ""));
    [this.high, this.low] = [element("span", {}, ""), element("span", {}, "")];
    this.figure = element("figure", { class: "plot" },
      element("figcaption", {}, ...this.legend),
      element("div", { class: "scale", "aria-hidden": "true" }, this.high, this.low),
      this.picture,
      element("div", { class: "times", "aria-hidden": "true" }, ...["60 s ago", "30 s", "now"].map((t) => element("span", {}, t))));
    this.draw();
  }

  // add adds the values of a time; undefined means no measurement.
  add(at, ...values) {
    this.points.push({ at, values });
    while (this.points[0].at < at - span) this.points.shift();
    this.draw();
  }

  draw() {
    const all = this.points.flatMap((p) => p.values).filter((v) => v !== undefined);
    const top = this.top ?? nice(Math.max(...all, 0));
    this.names.forEach((name, i) => {
      this.paths[i].setAttribute("d", line(this.points.map((p) => [p.at, p.values[i]]), top));
      const now = this.points.at(-1)?.values[i];
      this.legend[i].textContent = `${name} ${now === undefined ? "–" : this.format(now)}`;
    });
    this.high.textContent = all.length > 0 || this.top !== undefined ? this.format(top) : "";
    this.low.textContent = "0";
    this.picture.setAttribute("aria-label",
      `${this.names.join(" and ")} in the last minute, ${all.length === 0 ? "nothing yet" : `up to ${this.format(Math.max(...all))}`}`);
  }
}

// line returns the path of a series. It ends at the right edge.
function line(points, top) {
  let path = "", drawing = false;
  for (const [at, v] of points) {
    if (v !== undefined) {
      const x = width * (1 - (points.at(-1)[0] - at) / span);
      const y = height - margin - (v / top) * (height - 2 * margin);
      // A point between two gaps is drawn as a line of length zero.
      path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${drawing ? "" : "h0"}`;
    }
    drawing = v !== undefined;
  }
  return path;
}

// nice returns the least of 1, 2, 5, 10, 20, … that is at least v.
function nice(v) {
  if (v <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= v);
}
