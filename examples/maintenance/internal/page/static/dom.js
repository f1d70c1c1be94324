// Small helpers for elements and for formatting.

export const $ = (id) => document.getElementById(id);

// element("li", { class: "x", onclick: f }, "text", other) creates an element. Text
// is never parsed as HTML.
export function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter((child) => child !== undefined));
  return e;
}

const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

export const shortTime = (t) => `${day.format(new Date(t))}, ${clock.format(new Date(t))}`;
export const longTime = (t) => full.format(new Date(t));
export const count = (n) => whole.format(n);
export const statusName = (status) => status.replace("_", " ");

// milliseconds(0.0123) is "12 µs", milliseconds(45.6) "46 ms".
export function milliseconds(ms) {
  if (ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 1) return `${whole.format(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${whole.format(ms)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

// localInput formats a time for an <input type="datetime-local">.
export function localInput(t) {
  const d = new Date(t);
  return new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
