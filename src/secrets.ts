/** What must not be seen in a log, a listing or a message. */
const SECRET = /pass(word|phrase)|token|secret/i;

/** In place of a secret. */
export const HIDDEN = '***';

/** By the name of a setting. */
export function isSecret(key: string): boolean {
  return SECRET.test(key);
}

/** JSON.stringify's second argument: values of such keys are left out, and that they are there is not. */
export function withoutSecrets(key: string, value: unknown): unknown {
  return isSecret(key) && typeof value === 'string' ? HIDDEN : value;
}

/** `--password=abc`, `?token=abc`, `--token abc`: in the arguments of a script or the path of a URL. */
export function withoutSecretsIn(text: string): string {
  return text.replace(
    /((?:pass(?:word|phrase|wd)?|token|secret)\w*(?:[=:]|\s+(?!-)))[^\s&;,]+/gi,
    `$1${HIDDEN}`,
  );
}
