// The page: a list, one maintenance, and the numbers beside them. It shows the
// answers of the service and keeps no state of its own: at each signal, it reads
// again what it shows.

import { get } from "./api.js";
import { $, element } from "./dom.js";
import * as list from "./list.js";
import * as detail from "./detail.js";
import * as editor from "./editor.js";
import * as stats from "./stats.js";
import * as controls from "./controls.js";

// A signal can be lost without a reconnection, for example if it came from another
// process that ended. The page therefore also reads again from time to time.
const rereadEvery = 30_000;

async function start() {
  const [{ systems }, { users }] = await Promise.all([get("/systems"), get("/users")]);
  const names = { systems, users, system: new Map(systems.map((s) => [s.id, s.name])) };

  editor.init(names, (m) => select(m.id));
  detail.init(names, { edit: editor.edit, gone: () => select(null) });
  list.init(names, select);
  controls.init(() => detail.shown() ?? list.first());
  $("new").addEventListener("click", () => editor.create());

  listen();
  setInterval(refresh, rereadEvery);
  stats.init();
}

function select(id) {
  list.mark(id);
  detail.show(id);
}

function refresh() {
  list.refresh();
  detail.refresh();
}

// listen reads again at each signal, and when the stream opens, because signals
// before that may be missing.
function listen() {
  const state = (name, text) => {
    $("signals").dataset.state = name;
    $("signals").textContent = text;
  };
  const source = new EventSource("/signals");
  source.onopen = () => {
    state("good", "live");
    refresh();
  };
  source.onerror = () => state("bad", "not connected");
  source.addEventListener("resync", refresh);
  source.addEventListener("maintenance.updated", (event) => {
    const signal = JSON.parse(event.data);
    list.refresh();
    if (detail.shown() === signal.id) detail.refresh();
  });
}

start().catch((err) => {
  document.body.prepend(element("p", { class: "error", role: "alert" }, `The page cannot start: ${err.message}`));
});
