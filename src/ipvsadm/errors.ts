/**
 * How ipvsadm ends: 0 done, 2 wrong usage, 255 the table refused (or the command line was not even
 * split into options), 1 a listing of a service that is not there. `fatal`: also ends `-R`.
 */
export const STATUS = { ok: 0, missing: 1, usage: 2, refused: 255 } as const;

export class IpvsadmError extends Error {
  override readonly name = 'IpvsadmError';
  readonly status: number;
  readonly fatal: boolean;

  constructor(status: number, message: string, fatal = false) {
    super(message);
    this.status = status;
    this.fatal = fatal;
  }
}

/** A mistake in what was typed. */
export function usage(message: string): IpvsadmError {
  return new IpvsadmError(STATUS.usage, message, true);
}

/** Nothing that begins with a command. */
export function tryHelp(): IpvsadmError {
  const message = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
  return new IpvsadmError(STATUS.refused, message, true);
}

/** Understood, but not done: the dataplane cannot (yet). */
export function unsupported(what: string): IpvsadmError {
  return new IpvsadmError(STATUS.refused, `ERR_UNSUPPORTED: ${what}`);
}
