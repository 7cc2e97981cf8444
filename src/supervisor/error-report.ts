/** Errors as they cross threads and processes. */

/** An error as it crosses threads: its class is lost on the way, its code is not. */
export interface ErrorReport {
  code: string | undefined;
  message: string;
  stack: string | undefined;
}

export function reportError(error: unknown): ErrorReport {
  if (!(error instanceof Error))
    return { code: undefined, message: String(error), stack: undefined };
  const { code } = error as { code?: unknown };
  return {
    code: typeof code === 'string' ? code : undefined,
    message: error.message,
    stack: error.stack,
  };
}

/** An Error again: with a code it is told as a sentence, without one with its stack. */
export function errorFrom({ code, message, stack }: ErrorReport): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
