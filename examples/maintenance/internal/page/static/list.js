// The list of maintenances and its filters.

import { get } from "./api.js";
import { $, element, shortTime, statusName } from "./dom.js";
import { latest } from "./latest.js";

let names, onSelect, marked = null, versions = new Map(), ids = [];

export function init(allNames, select) {
  names = allNames;
  onSelect = select;
  for (const system of names.systems) {
    $("filters").elements.system.append(element("option", { value: system.id }, system.name));
  }
  $("filters").addEventListener("input", () => refresh());
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}

// first returns the id of the first maintenance in the list, if there is one.
export const first = () => ids[0];

export function mark(id) {
  marked = id;
  for (const button of $("list").querySelectorAll("button")) {
    const current = Number(button.dataset.id) === id;
    button.setAttribute("aria-current", String(current));
    if (current) button.scrollIntoView({ block: "nearest" });
  }
}

function query() {
  const form = new FormData($("filters"));
  const parameters = new URLSearchParams();
  for (const status of form.getAll("status")) parameters.append("status", status);
  if (form.get("system")) parameters.set("system", form.get("system"));
  if (form.get("text").trim()) parameters.set("text", form.get("text").trim());
  return parameters.toString();
}

// refresh reads the list again.
export const refresh = latest(
  () => get(`/maintenances?${query()}`),
  ({ maintenances }) => {
    $("list-error").hidden = true;
    render(maintenances);
  },
  (err) => {
    $("list-error").textContent = `The list cannot be read: ${err.message}. What is below is what was read last.`;
    $("list-error").hidden = false;
  },
);

function render(maintenances) {
  const focused = document.activeElement?.closest?.("#list button")?.dataset.id;
  const before = versions;
  versions = new Map(maintenances.map((m) => [m.id, m.version]));
  ids = maintenances.map((m) => m.id);
  $("count").textContent = maintenances.length === 1 ? "1 maintenance" : `${maintenances.length} maintenances`;
  $("list").replaceChildren(...(maintenances.length === 0 ? [nothing()] : []), ...maintenances.map((m) => {
    const changed = before.size > 0 && before.get(m.id) !== m.version;
    return element("li", {}, element("button", {
      type: "button",
      class: changed ? "changed" : undefined,
      "data-id": m.id,
      "data-version": m.version,
      "aria-current": String(m.id === marked),
      onclick: () => onSelect(m.id),
    },
    element("span", { class: "when" }, shortTime(m.start)),
    element("span", { class: "title" }, m.title),
    element("span", { class: `status ${m.status}` }, statusName(m.status)),
    element("span", { class: "where" }, m.system_ids.map((id) => names.system.get(id) ?? id).join(", "))));
  }));
  if (focused) $("list").querySelector(`button[data-id="${focused}"]`)?.focus();
}

// nothing returns what an empty list shows.
function nothing() {
  const filtered = query() !== "";
  return element("li", { class: "nothing" },
    filtered ? "None matches these filters." : "There are no maintenances.",
    ...(filtered ? [element("button", { type: "button", class: "plain", onclick: clear }, "Show all")] : []));
}

function clear() {
  $("filters").reset();
  refresh();
  $("list-title").focus();
}
