// The numbers of this process, once a second: what happened in the last second is
// the difference of two answers.

import { get } from "./api.js";
import { $, count, element, milliseconds } from "./dom.js";
import { Plot } from "./plot.js";
import { showState } from "./state.js";

const tiles = [
  ["reads", "reads/s"],
  ["ratio", "hit ratio"],
  ["p50", "read p50"],
  ["queries", "queries/s"],
  ["saved", "queries saved"],
  ["p99", "read p99"],
  ["loads", "loads"],
  ["joined", "joined reads"],
  ["run", "queries run"],
  ["refused", "refused fills"],
  ["pending", "pending invalidations"],
  ["errors", "store errors"],
];

const values = {};
let plots, last = null;

export function init() {
  for (const [name, title] of tiles) {
    values[name] = element("dd", { id: `tile-${name}` }, "–");
    $("tiles").append(element("div", {}, element("dt", {}, title), values[name]));
  }
  plots = {
    rates: new Plot("reads/s", "queries/s", count),
    ratio: new Plot("hit ratio", null, (v) => `${Math.round(v * 100)} %`, 1),
    latency: new Plot("read p99", "p50", milliseconds),
  };
  $("plots").append(...Object.values(plots).map((plot) => plot.figure));
  tick();
}

async function tick() {
  try {
    const now = await get("/stats");
    show(now);
    last = now;
  } catch {
    $("provider").dataset.state = "bad";
    $("provider").textContent = "service does not answer";
  }
  setTimeout(tick, 1000);
}

function show(now) {
  showState(now);
  const set = (name, text) => { values[name].textContent = text; };
  set("loads", count(now.scope.loads));
  set("joined", count(now.scope.joined));
  set("run", count(now.database.queries));
  set("saved", count(Math.max(0, now.reads.count - now.scope.loads)));
  set("refused", count(now.scope.refused_fills));
  set("pending", count(now.scope.pending));
  set("errors", count(now.scope.provider_errors));
  values.pending.parentElement.classList.toggle("alarm", now.scope.pending > 0);
  if (last === null || now.at_ms <= last.at_ms || now.reads.count < last.reads.count) return; // a new process

  const perSecond = (f) => ((f(now) - f(last)) * 1000) / (now.at_ms - last.at_ms);
  const reads = perSecond((s) => s.reads.count);
  const queries = perSecond((s) => s.database.queries);
  const hits = now.scope.hits - last.scope.hits;
  const asked = hits + now.scope.misses - last.scope.misses;
  const took = latencies(last, now);
  set("reads", count(reads));
  set("queries", count(queries));
  if (asked > 0) set("ratio", `${(100 * hits / asked).toFixed(1)} %`);
  if (took.total > 0) {
    set("p50", milliseconds(percentile(took, 0.5)));
    set("p99", milliseconds(percentile(took, 0.99)));
  }
  plots.rates.add(reads, queries);
  plots.ratio.add(asked > 0 ? hits / asked : undefined);
  plots.latency.add(percentile(took, 0.99), percentile(took, 0.5));
}

// latencies are the buckets of the reads between two answers.
function latencies(before, after) {
  const old = new Map(before.reads.latencies.map((b) => [b.up_to_ms, b.count]));
  const buckets = after.reads.latencies.map((b) => [b.up_to_ms, b.count - (old.get(b.up_to_ms) ?? 0)]);
  return { buckets, total: buckets.reduce((sum, [, n]) => sum + n, 0) };
}

function percentile({ buckets, total }, part) {
  let seen = 0;
  for (const [upTo, n] of buckets) {
    seen += n;
    if (total > 0 && seen >= part * total) return upTo;
  }
  return undefined;
}
