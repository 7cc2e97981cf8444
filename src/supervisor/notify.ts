/**
 * What the service manager is told (sd_notify(3)): a datagram of assignments to the socket named in
 * NOTIFY_SOCKET. Where there is none, nothing is told.
 */

export type Send = (text: string) => void;

export class ServiceManager {
  readonly #send: Send;
  /** Between two signs of life that the manager waits for, ms; undefined: it doesn't. */
  readonly watchdogMs: number | undefined;

  /** `environment`: the process's, for WATCHDOG_USEC and WATCHDOG_PID. */
  constructor(send: Send, environment: NodeJS.ProcessEnv = {}) {
    this.#send = send;
    const { WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = environment;
    const ms = Number(usec) / 1_000;
    const ours = pid === undefined || Number(pid) === process.pid;
    this.watchdogMs = ours && ms > 0 ? ms : undefined;
  }

  ready(status: string): void {
    this.#tell(['READY=1', statusLine(status)]);
  }

  /** Another process is the service's main one from now on. */
  succeeded(pid: number): void {
    this.#tell([`MAINPID=${pid}`, 'READY=1']);
  }

  reloading(): void {
    // Type=notify-reload wants to know since when.
    const us = process.hrtime.bigint() / 1_000n;
    this.#tell(['RELOADING=1', `MONOTONIC_USEC=${us}`, statusLine('reloading')]);
  }

  stopping(): void {
    this.#tell(['STOPPING=1', statusLine('stopping')]);
  }

  status(status: string): void {
    this.#tell([statusLine(status)]);
  }

  alive(): void {
    if (this.watchdogMs !== undefined) this.#tell(['WATCHDOG=1']);
  }

  #tell(assignments: string[]): void {
    this.#send(`${assignments.join('\n')}\n`);
  }
}

function statusLine(status: string): string {
  return `STATUS=${status.replaceAll(/\s+/g, ' ')}`;
}
