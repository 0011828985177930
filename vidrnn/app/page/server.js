// What the page asks the server. Addresses are relative: the token of the page's own address goes with them.

export class Refused extends Error {}

export async function answer(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refused("The server does not answer. Is vidrnn app still running?");
  }
  const told = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) throw new Refused(told.error);
  return told;
}

export const get = (address, values) =>
  answer(fetch(values ? `${address}?${new URLSearchParams(values)}` : address));

export const post = (address, body = {}) =>
  answer(fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
