// Requests to the service. An error answer is thrown as a Refusal, with the wrong
// field if the answer names one.

export class Refusal extends Error {
  constructor(status, body) {
    super(body.error ?? `the service answered ${status}`);
    this.status = status;
    this.field = body.field;
  }
}

async function request(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store", // the cache of the service is always right
  });
  if (answer.status === 204) return null;
  const text = await answer.text();
  let decoded = {};
  try {
    decoded = JSON.parse(text);
  } catch {
    if (answer.ok) throw new Error("the answer is no JSON");
  }
  if (!answer.ok) throw new Refusal(answer.status, decoded);
  return decoded;
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);
export const patch = (path, body) => request("PATCH", path, body);
export const put = (path, body) => request("PUT", path, body);
export const remove = (path) => request("DELETE", path);
