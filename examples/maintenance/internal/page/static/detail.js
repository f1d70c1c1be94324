// One maintenance and the reports about it.

import { get, post, remove } from "./api.js";
import { $, element, longTime, statusName } from "./dom.js";
import { latest } from "./latest.js";

let names, actions, id = null, version = 0, draft = { message: "", author: undefined };

export function init(allNames, given) {
  names = allNames;
  actions = given;
}

// shown is the id of the shown maintenance, or null.
export const shown = () => id;

export function show(next) {
  id = next;
  version = 0;
  draft = { message: "", author: draft.author };
  if (id === null) {
    $("detail").hidden = true;
    return;
  }
  refresh().then(() => {
    $("detail-title")?.focus({ preventScroll: true });
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    $("detail").scrollIntoView({ block: "nearest", behavior: reduced ? "auto" : "smooth" });
  });
}

export const refresh = latest(
  async () => (id === null ? null : get(`/maintenances/${id}`)),
  (m) => { if (m !== null && m.id === id) render(m); },
  (err) => {
    if (id === null) return;
    if (err.status !== 404 && version > 0) { // it may still exist
      complain(`This cannot be read again: ${err.message}. It is what was read last.`);
      return;
    }
    version = 0;
    $("detail").hidden = false;
    $("detail").replaceChildren(
      element("h2", { id: "detail-title", tabindex: "-1" }, err.status === 404 ? "Gone" : "Not to be read"),
      element("p", { class: "quiet" }, err.status === 404 ? "This maintenance was deleted." : err.message));
  },
);

function render(m) {
  if (m.version === version) { // keeps what the user is typing
    complain(null);
    return;
  }
  const changed = version > 0, focused = focusedControl();
  version = m.version;
  const final = m.status === "completed" || m.status === "cancelled";
  $("detail").hidden = false;
  $("detail").dataset.version = m.version;
  $("detail").replaceChildren(
    element("div", { class: changed ? "panel-head changed" : "panel-head" },
      element("h2", { id: "detail-title", tabindex: "-1" }, m.title),
      element("span", { class: `status ${m.status}` }, statusName(m.status))),
    element("p", {}, m.description),
    element("dl", { class: "meta" },
      element("dt", {}, "From"), element("dd", {}, longTime(m.start)),
      element("dt", {}, "To"), element("dd", {}, longTime(m.end)),
      element("dt", {}, "Systems"), element("dd", {}, m.system_ids.map((s) => names.system.get(s) ?? s).join(", ")),
      element("dt", {}, "Created by"), element("dd", {}, m.created_by_name),
      element("dt", {}, "Version"), element("dd", {}, String(m.version))),
    element("h3", {}, m.updates.length === 0 ? "No updates yet" : "Updates"),
    ...(m.updates.length === 0 ? [] : [element("ol", { class: "updates" }, ...m.updates.map(update))]),
    ...(final ? [] : [reportForm(m)]),
    element("p", { id: "detail-error", class: "error", role: "alert", hidden: true }),
    element("div", { class: "buttons" }, ...buttons(m, final)));
  focused();
}

// focusedControl returns a function that restores the focus after the focused
// control was created again. A change by another user then does not interrupt
// typing.
function focusedControl() {
  const e = document.activeElement;
  if (!$("detail").contains(e) || !e.matches("textarea, select, button")) return () => {};
  const [name, text, from, to] = [e.name, e.textContent, e.selectionStart, e.selectionEnd];
  return () => {
    const again = [...$("detail").querySelectorAll("textarea, select, button")]
      .find((c) => (name ? c.name === name : c.textContent === text));
    again?.focus({ preventScroll: true });
    if (again?.matches("textarea")) again.setSelectionRange(from, to);
  };
}

function update(u) {
  return element("li", {},
    element("p", {}, u.message),
    element("p", { class: "quiet" }, `${longTime(u.at)}, ${u.author_name}`,
      ...(u.status ? [" ", element("span", { class: `status ${u.status}` }, statusName(u.status))] : [])));
}

function buttons(m, final) {
  const all = [];
  const add = (text, action) => all.push(element("button", { type: "button", onclick: () => attempt(action) }, text));
  if (!final) add("Edit or move", () => actions.edit(m));
  if (m.status === "planned") {
    add("Start", () => post(`/maintenances/${m.id}/updates`, { author: author(), message: "We have started.", status: "in_progress" }));
    add("Cancel it", () => post(`/maintenances/${m.id}/close`, { author: author(), outcome: "cancelled" }));
  }
  if (m.status === "in_progress") add("Complete", () => post(`/maintenances/${m.id}/close`, { author: author(), outcome: "completed" }));
  if (m.status !== "in_progress") {
    add("Delete", async () => {
      await remove(`/maintenances/${m.id}`);
      actions.gone();
    });
  }
  return all;
}

const author = () => draft.author ?? names.users[0].id;

function reportForm(m) {
  const text = element("textarea", { name: "message", rows: "2", maxlength: "2000", required: true,
    oninput: (event) => { draft.message = event.target.value; } });
  text.value = draft.message;
  const who = element("select", { name: "author", onchange: (event) => { draft.author = event.target.value; } },
    ...names.users.map((u) => element("option", { value: u.id, selected: u.id === author() }, u.name)));
  return element("form", { class: "report", onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      await post(`/maintenances/${m.id}/updates`, { author: author(), message: draft.message });
      draft.message = "";
      text.value = "";
    });
  } },
  element("label", { class: "field" }, "Add an update", text),
  element("label", { class: "field" }, "As", who),
  element("button", { type: "submit" }, "Add"));
}

async function attempt(action) {
  complain(null);
  try {
    await action();
  } catch (err) {
    complain(err.message);
  }
}

// complain shows an error; null: no error.
function complain(text) {
  const error = $("detail-error");
  if (error === null) return;
  error.textContent = text ?? "";
  error.hidden = text === null;
}
