// The buttons that create load to look at.

import { post } from "./api.js";
import { $, count, milliseconds } from "./dom.js";
import { toggle } from "./state.js";

export function init(target) {
  run("storm", "storm-says", async () => {
    const id = target();
    if (id === undefined) return "There is nothing to read: create a maintenance first.";
    const r = await post("/storm", { id, readers: 1000 });
    const queries = r.queries === 1 ? "1 query" : `${count(r.queries)} queries`;
    const failed = r.failed > 0 ? ` ${count(r.failed)} failed.` : "";
    return `${count(r.reads)} readers, ${queries}. Half within ${milliseconds(r.p50_ms)}, all within ${milliseconds(r.longest_ms)}.${failed}`;
  });
  run("readers", "readers-say", async () => {
    const r = await post("/readers", { seconds: Number($("readers").dataset.seconds) });
    return `${count(r.reads)} reads cost ${count(r.queries)} queries; ${r.failed === 0 ? "none" : count(r.failed)} failed.`;
  });
  run("link", null, toggle);
}

// run runs the action of a button, one at a time, and shows its result.
function run(button, says, action) {
  $(button).addEventListener("click", async () => {
    $(button).disabled = true;
    let text;
    try {
      text = await action();
    } catch (err) {
      text = err.message;
    }
    if (says !== null) $(says).textContent = text;
    $(button).disabled = false;
  });
}
