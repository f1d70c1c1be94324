// The dialog to create and edit a maintenance, and to move it between systems.

import { patch, post } from "./api.js";
import { $, element, localInput } from "./dom.js";

let form, onSaved, editing = null;

export function init(names, saved) {
  form = $("editor").querySelector("form");
  onSaved = saved;
  $("editor-systems").append(...names.systems.map((s) => element("label", {},
    element("input", { type: "checkbox", name: "systems", value: s.id }), s.name)));
  form.elements.user.append(...names.users.map((u) => element("option", { value: u.id }, u.name)));
  form.addEventListener("submit", save);
  $("editor-cancel").addEventListener("click", () => $("editor").close());
}

export function create() {
  const hour = 3600_000;
  const start = Math.ceil(Date.now() / hour) * hour + 24 * hour;
  open(null, "New maintenance", { title: "", description: "", start, end: start + 2 * hour, system_ids: [] });
}

export function edit(m) {
  open(m, "Edit or move", m);
}

function open(m, title, values) {
  editing = m;
  $("editor-title").textContent = title;
  $("editor-error").hidden = true;
  $("editor-user").hidden = m !== null;
  form.elements.title.value = values.title;
  form.elements.description.value = values.description;
  form.elements.start.value = localInput(values.start);
  form.elements.end.value = localInput(values.end);
  for (const box of systemBoxes()) box.checked = values.system_ids.includes(box.value);
  mark(null);
  $("editor").showModal();
  form.elements.title.focus();
}

const systemBoxes = () => [...$("editor-systems").querySelectorAll("input")];

async function save(event) {
  event.preventDefault();
  const time = (name) => {
    const t = new Date(form.elements[name].value);
    return Number.isNaN(t.getTime()) ? undefined : t.toISOString();
  };
  const fields = {
    title: form.elements.title.value,
    description: form.elements.description.value,
    start: time("start"),
    end: time("end"),
    system_ids: systemBoxes().filter((box) => box.checked).map((box) => box.value),
  };
  try {
    const saved = editing === null
      ? await post("/maintenances", { ...fields, created_by: form.elements.user.value })
      : await patch(`/maintenances/${editing.id}`, changes(fields));
    $("editor").close();
    onSaved(saved);
  } catch (err) {
    $("editor-error").textContent = err.field ? `${err.field.replace("_ids", "s")}: ${err.message}` : err.message;
    $("editor-error").hidden = false;
    mark(err.field);
  }
}

// changes returns the edited fields and the version that was edited. With the
// version, the service refuses to overwrite a change of another user.
function changes(fields) {
  const changed = { version: editing.version };
  for (const name of ["title", "description"]) if (fields[name] !== editing[name]) changed[name] = fields[name];
  for (const name of ["start", "end"]) {
    if (form.elements[name].value !== localInput(editing[name])) changed[name] = fields[name];
  }
  if (fields.system_ids.join() !== editing.system_ids.join()) changed.system_ids = fields.system_ids;
  return changed;
}

// mark marks the field that was refused.
function mark(field) {
  for (const name of ["title", "description", "start", "end"]) {
    form.elements[name].setAttribute("aria-invalid", String(name === field));
  }
  if (field && form.elements[field]) form.elements[field].focus();
}
