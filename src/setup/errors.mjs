/** A set-up failure with a code to look for; printed without a stack. */
export class SetupError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export function say(text) {
  process.stdout.write(`setup: ${text}\n`);
}
