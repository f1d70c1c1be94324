// What the page shows of what it has read.
import { call, user } from "./app.js";

const $ = (id) => document.getElementById(id);
const most = 60; // systems, those with problems first

function element(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  if (properties.state) e.dataset.state = properties.state;
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}
const tag = (text, state) => element("span", { className: "tag", textContent: text, state });
const quiet = (text) => element("div", { className: "quiet", textContent: text });
const button = (text, onclick) => element("button", { type: "button", textContent: text, onclick });
const fill = (id, rows, empty) => $(id).replaceChildren(...(rows.length || !empty ? rows : [element("li", {}, quiet(empty))]));
const time = (t) => new Date(t).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export function show(d) {
  const names = new Map(d.systems.map((s) => [s.id, s.name]));
  const named = (ids) => (ids ?? []).map((id) => names.get(id) ?? id).join(", ");
  showUsers(d.users);
  showSystems(d);
  fill("announcements", d.announcements.map((a) =>
    element("li", {}, element("span", { textContent: a.title }), button("Dismiss", () => call("POST", `/api/announcements/${a.id}/dismiss`, { user: user() })))));
  fill("incidents", d.incidents.map((i) => element("li", {},
    element("div", {}, element("strong", { textContent: i.title }), " ", tag(i.severity, i.severity === "major" ? "down" : "degraded"),
      quiet(named(i.systems)), i.updates?.length ? quiet(i.updates.at(-1).message) : null),
    button("Resolve", () => call("POST", `/api/incidents/${i.id}/resolve`, { author: user() })))), "None.");
  fill("maintenances", d.maintenances.slice(0, 8).map((m) => element("li", {},
    element("div", {}, element("strong", { textContent: m.title }), quiet(`${time(m.start)} · ${named(m.system_ids)}`)),
    tag(m.status.replace("_", " "), m.status === "planned" ? "unknown" : "degraded"))), "None.");
  fill("objectives", d.systems.flatMap((s) => (s.objectives ?? []).map((o) => [s, o])).sort((a, b) => a[1].budget - b[1].budget).slice(0, 8).map(([s, o]) =>
    element("li", {}, element("div", {}, element("strong", { textContent: s.name }), quiet(`${o.name}: ${(100 * o.target).toFixed(1)} % in ${o.days} days`)),
      tag(`${Math.round(100 * o.budget)} % of the budget left`, o.budget > 0.2 ? "up" : o.budget > 0 ? "degraded" : "down"))), "None.");
  fill("anomalies", d.anomalies.slice(0, 8).map((a) => element("li", {},
    element("div", {}, element("strong", { textContent: names.get(a.system) ?? a.system }), quiet(`${a.metric} ${a.value}, since ${time(a.at_ms)}`)),
    tag(a.state, a.state === "anomaly" ? "down" : "degraded"))), "None.");
  $("unread").textContent = d.unread || "";
  $("unread").dataset.state = "down";
  fill("notifications", (d.notifications ?? []).slice(0, 12).map((n) => element("li", { className: n.seen ? "" : "new" },
    element("div", {}, n.text, quiet(time(n.at_ms))))), "None.");
  $("subscriptions").textContent = named(d.subscriptions) || "nothing";
}

function showUsers(users) {
  const select = $("user");
  if (select.options.length === users.length) return;
  const chosen = user();
  select.replaceChildren(...users.map((u) => element("option", { value: u.id, textContent: u.name })));
  select.value = chosen;
}

const worst = { down: 0, degraded: 1, unknown: 2, up: 3 };

function showSystems(d) {
  const counts = {};
  for (const s of d.systems) counts[s.status.state || "unknown"] = (counts[s.status.state || "unknown"] ?? 0) + 1;
  $("summary").textContent = Object.keys(worst).filter((k) => counts[k]).map((k) => `${counts[k]} ${k}`).join(", ");
  const sorted = d.systems.toSorted((a, b) => worst[a.status.state || "unknown"] - worst[b.status.state || "unknown"]);
  const rows = sorted.slice(0, most).map((s) => showSystem(s, (d.subscriptions ?? []).includes(s.id)));
  if (sorted.length > most) rows.push(element("li", { state: "unknown" }, `and ${sorted.length - most} more`));
  fill("systems", rows);
}

function showSystem(s, subscribed) {
  const path = `/api/subscriptions/${user()}/${s.id}`;
  const tags = element("div", { className: "tags" });
  if (s.open_incidents) tags.append(tag(`${s.open_incidents} incident${s.open_incidents > 1 ? "s" : ""}`, "down"));
  if (s.maintenances) tags.append(tag(`${s.maintenances} maintenance${s.maintenances > 1 ? "s" : ""}`, "unknown"));
  const toggle = button(subscribed ? "★" : "☆", () => call(subscribed ? "DELETE" : "PUT", path));
  toggle.setAttribute("aria-label", `${subscribed ? "Unsubscribe from" : "Subscribe to"} ${s.name}`);
  const li = element("li", { state: s.status.state || "unknown" },
    element("div", { className: "name" }, element("span", { textContent: s.name }), element("span", { textContent: s.status.state || "unknown" })),
    element("div", { className: "under" }, quiet(`${s.status.latency_ms} ms${s.contacts?.length ? " · " + s.contacts[0] : ""}`), toggle), tags);
  li.dataset.system = s.id;
  return li;
}
