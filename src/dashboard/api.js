/** Requests to the director that served this page. */

const KEY = 'sluice-token';

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

/** @param {object} [body] makes it a POST. @param {string} [bearer] instead of the tab's token. */
export async function ask(path, body, bearer = token.get()) {
  const response = await fetch(path, {
    method: body ? 'POST' : 'GET',
    headers: {
      ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    body: body && JSON.stringify(body),
    cache: 'no-store',
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { code = 'ERR_API', message = response.statusText } = answer.error ?? {};
  throw new ApiError(response.status, code, message);
}

export function edit(edits, cause) {
  return ask('/v1/edits', { edits, cause });
}
