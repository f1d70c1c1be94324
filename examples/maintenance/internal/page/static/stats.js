// The numbers of this process, once a second. The numbers of the last second are the
// difference of two answers.

import { get } from "./api.js";
import { $, count, element, milliseconds } from "./dom.js";
import { Plot } from "./plot.js";
import { showLost, showState } from "./state.js";

const now = [
  ["reads", "reads/s"],
  ["queries", "queries/s"],
  ["ratio", "hit ratio"],
  ["p50", "read p50"],
  ["p99", "read p99"],
  ["pending", "pending invalidations"],
];

// What the memory in front of Redis does, if there is one.
const near = [
  ["near-hits", "near hits/s"],
  ["near-entries", "entries in memory"],
  ["near-dropped", "dropped by messages"],
];

const total = [
  ["run", "queries run"],
  ["saved", "queries saved"],
  ["loads", "loads"],
  ["joined", "joined reads"],
  ["refused", "refused fills"],
  ["errors", "store errors"],
];

const values = {};
let plots, last = null;

export function init() {
  for (const [place, tiles] of [["tiles-now", now], ["tiles-near", near], ["tiles-total", total]]) {
    for (const [name, title] of tiles) {
      values[name] = element("dd", { id: `tile-${name}` }, "–");
      $(place).append(element("div", {}, element("dt", {}, title), values[name]));
    }
  }
  plots = {
    rates: new Plot(["reads/s", "queries/s"], count),
    ratio: new Plot(["hit ratio"], (v) => `${Math.round(v * 100)} %`, 1),
    latency: new Plot(["read p99", "p50"], milliseconds),
    near: new Plot(["near hits/s", "hits in Redis/s"], count),
  };
  $("plots").append(...[plots.rates, plots.ratio, plots.latency].map((plot) => plot.figure));
  $("near-plot").append(plots.near.figure);
  tick();
}

async function tick() {
  try {
    const answer = await get("/stats");
    showState(answer);
    show(answer);
    last = answer;
  } catch {
    showLost();
    for (const plot of Object.values(plots)) plot.add(Date.now());
  }
  setTimeout(tick, 1000);
}

function show(answer) {
  set("loads", count(answer.scope.loads));
  set("joined", count(answer.scope.joined));
  set("run", count(answer.database.queries));
  set("saved", count(Math.max(0, answer.reads.count - answer.scope.loads)));
  set("refused", count(answer.scope.refused_fills));
  set("pending", count(answer.scope.pending));
  set("errors", count(answer.scope.provider_errors));
  showNear(answer.near);
  values.pending.parentElement.classList.toggle("alarm", answer.scope.pending > 0);
  if (last === null || answer.at_ms <= last.at_ms || answer.reads.count < last.reads.count) return; // a new process

  const perSecond = (f) => ((f(answer) - f(last)) * 1000) / (answer.at_ms - last.at_ms);
  if (answer.near !== undefined && last.near !== undefined) {
    const [inMemory, inRedis] = [perSecond((s) => s.near.hits), perSecond((s) => s.near.far_hits)];
    set("near-hits", count(inMemory));
    plots.near.add(Date.now(), inMemory, inRedis);
  }
  const reads = perSecond((s) => s.reads.count);
  const queries = perSecond((s) => s.database.queries);
  const hits = answer.scope.hits - last.scope.hits;
  const asked = hits + answer.scope.misses - last.scope.misses;
  const ratio = asked > 0 ? hits / asked : undefined;
  const took = latencies(last, answer);
  const [p50, p99] = [percentile(took, 0.5), percentile(took, 0.99)];
  set("reads", count(reads));
  set("queries", count(queries));
  set("ratio", ratio === undefined ? "–" : `${(100 * ratio).toFixed(1)} %`);
  set("p50", milliseconds(p50));
  set("p99", milliseconds(p99));
  plots.rates.add(Date.now(), reads, queries);
  plots.ratio.add(Date.now(), ratio);
  plots.latency.add(Date.now(), p99, p50);
}

// showNear shows the memory in front of Redis. While this process does not hear what others invalidate,
// the memory does not answer, and has nothing that counts.
function showNear(memory) {
  $("near").hidden = memory === undefined;
  if (memory === undefined) return;
  set("near-entries", count(memory.entries));
  set("near-dropped", count(memory.dropped));
  values["near-entries"].parentElement.classList.toggle("alarm", !memory.answers);
  const says = memory.answers ? "It hears of every invalidation, and answers."
    : "It does not hear of invalidations, and does not answer. It fills again when it does.";
  if ($("near-says").textContent !== says) $("near-says").textContent = says;
}

function set(name, text) {
  values[name].textContent = text;
}

// latencies returns the buckets of the reads between two answers.
function latencies(before, after) {
  const old = new Map(before.reads.latencies.map((b) => [b.up_to_ms, b.count]));
  const buckets = after.reads.latencies.map((b) => [b.up_to_ms, b.count - (old.get(b.up_to_ms) ?? 0)]);
  return { buckets, total: buckets.reduce((sum, [, n]) => sum + n, 0) };
}

function percentile({ buckets, total: all }, part) {
  let seen = 0;
  for (const [upTo, n] of buckets) {
    seen += n;
    if (all > 0 && seen >= part * all) return upTo;
  }
  return undefined;
}
