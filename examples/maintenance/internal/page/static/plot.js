// A plot of the last minute, of one or two series, as SVG.

import { element } from "./dom.js";

const seconds = 60, width = 300, height = 60, margin = 4;
const namespace = "http://www.w3.org/2000/svg";

function svg(name, attributes) {
  const e = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}

export class Plot {
  // format writes a value; top is the top of the scale, or undefined if that is
  // the largest value shown.
  constructor(first, second, format, top) {
    this.names = [first, second].filter(Boolean);
    this.format = format;
    this.top = top;
    this.series = this.names.map(() => []);
    this.paths = this.names.map((_, i) => svg("path", { class: i === 0 ? "first" : "second", d: "" }));
    this.picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" });
    this.picture.append(
      svg("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2 }), ...[...this.paths].reverse());
    this.scale = element("span", {}, "");
    this.figure = element("figure", { class: "plot" },
      element("figcaption", {},
        element("span", {}, ...this.names.flatMap((name, i) => [
          i === 0 ? "" : " and ", element("b", { class: i === 0 ? "first" : "second" }, name)]), ", last minute"),
        this.scale),
      this.picture);
    this.draw();
  }

  // add adds a value of each series; undefined where there is none.
  add(...values) {
    this.series.forEach((s, i) => {
      s.push(values[i]);
      if (s.length > seconds) s.shift();
    });
    this.draw();
  }

  draw() {
    const all = this.series.flat().filter((v) => v !== undefined);
    const top = this.top ?? nice(Math.max(...all, 0));
    this.series.forEach((s, i) => this.paths[i].setAttribute("d", line(s, top)));
    this.scale.textContent = all.length === 0 ? "" : `0 to ${this.format(top)}`;
    const last = this.names.map((name, i) => {
      const v = this.series[i].at(-1);
      return `${name} ${v === undefined ? "unknown" : this.format(v)}`;
    });
    this.picture.setAttribute("aria-label", `Last minute; now ${last.join(", ")}`);
  }
}

// line is the path of a series, with gaps where it has no value.
function line(values, top) {
  let path = "", pen = "M";
  values.forEach((v, i) => {
    if (v === undefined) {
      pen = "M";
      return;
    }
    const x = width - (values.length - 1 - i) * (width / (seconds - 1));
    const y = height - margin - (top > 0 ? v / top : 0) * (height - 2 * margin);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  return path;
}

// nice is the next of 1, 2, 5, 10, 20, … that is at least v.
function nice(v) {
  if (v <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= v);
}
