/** What must not be seen in a log, a listing or a message. */
const SECRET = /pass(word|phrase)|token|secret/i;

/** JSON.stringify's second argument: values of such keys are left out, and that they are there is not. */
export function withoutSecrets(key: string, value: unknown): unknown {
  return SECRET.test(key) && typeof value === 'string' ? '***' : value;
}
