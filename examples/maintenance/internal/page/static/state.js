// How the cache's store is: the badge, the banner, and the switch that cuts it off.

import { put } from "./api.js";
import { $, count, element } from "./dom.js";

let wasCut = false, healed = 0;

// showState shows what an answer of /stats says of the store.
export function showState({ provider, scope }) {
  const cut = provider.link === "cut";
  const store = { memory: "in memory", redis: "in Redis", none: "none" }[provider.kind];
  $("instance").textContent = `${location.host} · cache ${store} · database: ${provider.database}`;
  const badge = $("provider");
  if (provider.kind !== "redis") say(badge, "good", provider.kind === "none" ? "no cache" : "in memory");
  else if (cut) say(badge, "bad", "Redis is cut off");
  else if (!provider.answers) say(badge, "bad", "Redis does not answer");
  else if (scope.pending > 0) say(badge, "warn", "catching up");
  else say(badge, "good", "Redis answers");

  $("link-row").hidden = provider.link === undefined;
  $("link").setAttribute("aria-pressed", String(cut));
  $("link").textContent = cut ? "Heal Redis" : "Cut off Redis";
  banner(cut || !provider.answers, scope.pending);
}

function say(badge, state, text) {
  if (badge.dataset.state !== state) badge.dataset.state = state;
  if (badge.textContent !== text) badge.textContent = text; // nothing new is not read aloud
}

// banner says what an outage means, and for a while that it is over.
function banner(out, pending) {
  const box = $("banner");
  if (out || pending > 0) {
    wasCut = true;
    healed = 0;
    const waiting = pending === 0 ? "No invalidation waits yet."
      : pending === 1 ? "1 invalidation waits." : `${count(pending)} invalidations wait.`;
    const text = out
      ? ["Redis is out of reach. ", `Reads go on, from the database. Changes made here are seen here at once; other processes see them after the heal, or after 15 s. ${waiting}`]
      : ["Redis is back. ", `${waiting} Until they are confirmed, what they concern is read from the database.`];
    write(box, false, ...text);
    return;
  }
  if (!wasCut) return;
  if (healed === 0) healed = Date.now();
  if (Date.now() - healed > 8000) {
    wasCut = false;
    box.hidden = true;
    return;
  }
  write(box, true, "All is right again. ", "Every invalidation that waited was confirmed, and every process reads what was written.");
}

function write(box, good, title, text) {
  box.classList.toggle("healed", good);
  if (!box.hidden && box.textContent === title + text) return;
  box.hidden = false;
  box.replaceChildren(element("strong", {}, title), text);
}

export async function toggle() {
  await put("/link", { cut: $("link").getAttribute("aria-pressed") !== "true" });
}
