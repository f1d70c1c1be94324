// latest makes a function that reads and then shows what was read. If it is called
// while it reads, it reads once more when that is done: what is shown in the end was
// read after the last call, and no answer overtakes a later one.
export function latest(read, show, fail) {
  let running = false, again = false;
  return async function refresh() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      try {
        const answer = await read();
        if (!again) show(answer);
      } catch (err) {
        if (!again) fail(err);
      }
    } while (again);
    running = false;
  };
}
