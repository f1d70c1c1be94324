// The page keeps no data of its own: a signal says that something has changed, and the page reads again.
import { show } from "./show.js";
import { plot } from "./plot.js";

const $ = (id) => document.getElementById(id);
const json = { "Content-Type": "application/json" };

// call sends a request, and shows the error if it is refused.
export async function call(method, path, body) {
  const answer = await fetch(path, { method, headers: body ? json : {}, body: body && JSON.stringify(body) });
  const result = await answer.json();
  $("problem").hidden = answer.ok;
  if (!answer.ok) $("problem").textContent = result.error;
  return answer.ok ? result : null;
}

export const user = () => $("user").value || sessionStorage.getItem("user") || "lin";

// refresh reads everything again. While it reads, further signals wait, and are answered by one more refresh.
let reading = false, again = false;
const latest = [];
async function refresh() {
  if (reading) { again = true; return; }
  reading = true;
  do {
    again = false;
    const path = `/api/dashboard?user=${encodeURIComponent(user())}${$("cache").checked ? "" : "&cache=off"}`;
    const data = await call("GET", path).catch(() => null);
    if (!data) { await new Promise((done) => setTimeout(done, 1000)); again = true; continue; }
    show(data);
    latest.push({ queries: data.cost.queries, cached: $("cache").checked });
    if (latest.length > 60) latest.shift();
    $("last").textContent = data.cost.queries;
    plot($("plot"), latest);
  } while (again);
  reading = false;
}

async function cost() {
  const c = await call("GET", "/api/cost").catch(() => null);
  if (!c) return;
  const mean = (s) => (s.refreshes ? (s.queries / s.refreshes).toFixed(1) : "–");
  $("with").textContent = mean(c.with);
  $("without").textContent = mean(c.without);
  $("stale").textContent = c.sampler.stale;
  $("sampled").textContent = `${c.sampler.checked.toLocaleString("en")} versions compared with the database in ${c.sampler.samples} samples.` +
    (c.pending ? ` ${c.pending} invalidations wait for the store.` : "");
  $("store").textContent = `${c.store}, ${c.database}`;
  $("scopes").replaceChildren(...c.scopes.map((s) => {
    const row = document.createElement("tr");
    const ratio = s.hits + s.misses ? `${((100 * s.hits) / (s.hits + s.misses)).toFixed(1)} %` : "–";
    for (const text of [s.name, ratio, s.loads, s.invalidations]) row.insertCell().textContent = text;
    return row;
  }));
  if (document.activeElement !== $("rate")) $("rate").value = c.worker.rate;
  $("rate-shown").textContent = c.worker.rate;
}

function listen() {
  const signals = new EventSource("/signals");
  const state = (text, s) => { $("signals").textContent = text; $("signals").dataset.state = s; };
  signals.onopen = () => { state("live", "up"); refresh(); };
  signals.onerror = () => state("reconnecting", "down");
  for (const kind of ["health", "incident", "maintenance", "catalog", "objective", "anomaly", "announcement"]) {
    signals.addEventListener(`${kind}.updated`, refresh);
  }
  signals.addEventListener("notification.updated", (e) => { if (JSON.parse(e.data).user === user()) refresh(); });
  signals.addEventListener("user.deleted", refresh);
  signals.addEventListener("resync", refresh);
}

$("user").addEventListener("change", () => { sessionStorage.setItem("user", user()); refresh(); });
$("cache").addEventListener("change", refresh);
$("seen").addEventListener("click", () => call("POST", "/api/notifications/seen", { user: user() }));
$("report").addEventListener("click", () => {
  const title = prompt("What is broken?", "Requests time out");
  if (title) call("POST", "/api/incidents", { title, severity: "major", systems: ["api", "checkout"] });
});
$("rate").addEventListener("change", () => call("PUT", "/api/worker", { rate: Number($("rate").value) }).then(cost));
listen();
cost();
setInterval(cost, 2000);
