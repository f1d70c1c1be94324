// latest returns a function that reads a value and then shows it. If it is called
// while it reads, it reads once more afterwards. The value shown at the end was read
// after the last call, and no answer overtakes a later one.
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
