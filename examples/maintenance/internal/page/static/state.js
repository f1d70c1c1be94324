// The state of the store: the badge, the banner, and the switch that cuts it off.

import { put } from "./api.js";
import { $, count, element } from "./dom.js";

// How long the banner shows that an outage is over.
const relief = 8000;

let wasOut = false, healed = 0, cut = false;

// showState shows the state of the store in an answer of /stats.
export function showState({ provider, scope }) {
  cut = provider.link === "cut";
  const store = { memory: "cache in memory", redis: "cache in Redis", none: "no cache" }[provider.kind] +
    (provider.near === undefined ? "" : ` and near (${provider.near})`);
  $("instance").textContent = `${location.host} · ${store} · ${provider.database}`;
  badge(...stateOf(provider, scope.pending));
  $("link-row").hidden = provider.link === undefined;
  $("link").classList.toggle("alarm", cut);
  $("link").textContent = cut ? "Heal Redis" : "Cut off Redis";
  banner(cut || !provider.answers, scope.pending);
}

function stateOf(provider, pending) {
  if (provider.kind === "none") return ["idle", "no cache"];
  if (provider.kind === "memory") return ["good", "in memory"];
  if (cut) return ["bad", "Redis is cut off"];
  if (!provider.answers) return ["bad", "Redis does not answer"];
  if (pending > 0) return ["warn", "catching up"];
  return ["good", "Redis answers"];
}

// showLost shows that the service does not answer.
export function showLost() {
  badge("bad", "no answer");
  wasOut = false;
  write("bad", "The service does not answer. ", "What you see here is what it said last.");
}

function badge(state, text) {
  const e = $("provider");
  if (e.dataset.state !== state) e.dataset.state = state;
  if (e.textContent !== text) e.textContent = text; // screen readers read only changes
}

// banner shows what an outage means and, for a while, that it is over.
function banner(out, pending) {
  const waiting = pending === 0 ? "No invalidation waits yet."
    : pending === 1 ? "1 invalidation waits." : `${count(pending)} invalidations wait.`;
  if (out) {
    write("warn", "Redis is out of reach. ",
      `Reads go on, from the database. What is changed here is seen here at once, and elsewhere after the heal, or after 15 s. ${waiting}`);
  } else if (pending > 0) {
    write("warn", "Redis is back. ", `${waiting} Until they are confirmed, what they concern is read from the database.`);
  } else if (wasOut && healed === 0) {
    healed = Date.now();
    write("good", "All is right again. ", "Every invalidation that waited was confirmed: every process reads what was written.");
  } else if (!wasOut || Date.now() - healed > relief) {
    wasOut = false;
    $("banner").hidden = true;
  }
  if (out || pending > 0) {
    wasOut = true;
    healed = 0;
  }
}

function write(state, title, text) {
  const box = $("banner");
  box.dataset.state = state;
  if (!box.hidden && box.textContent === title + text) return;
  box.hidden = false;
  box.replaceChildren(element("strong", {}, title), text);
}

export async function toggle() {
  await put("/link", { cut: !cut });
}
