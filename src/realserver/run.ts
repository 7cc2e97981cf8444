/** `sluice realserver`: attaches the agent, stays in the foreground, counts. */
import { fileURLToPath } from 'node:url';
import { native } from '../native.js';
import { jsonReporter, type Reporter, textReporter } from './report.js';
import type { RealserverAttach, RealserverMode, RealserverNative } from './types.js';

export interface RealserverOptions {
  interface: string[];
  director: string[];
  vip: string[];
  mode: RealserverMode[];
  toaKind: number;
  flows?: number;
  cgroup?: string;
  attach?: RealserverAttach;
  pin?: string;
  json?: boolean;
  /** Folder of the BPF objects; beside the addon unless given. */
  objects?: string;
}

/** An address given to the server later is a place tunnels may end after this time. */
const REFRESH_MS = 2000;

/** The same from src/realserver under tsx and from dist/realserver. */
const OBJECTS = fileURLToPath(new URL('../../build/Release', import.meta.url));

function reporterFor(options: RealserverOptions): Reporter {
  const write = (line: string) => process.stdout.write(`${line}\n`);
  return options.json ? jsonReporter(write) : textReporter(write);
}

/**
 * Resolves after SIGINT, SIGTERM or SIGHUP. SIGUSR1 prints the counters. Errors of attaching are thrown,
 * coded ERR_REALSERVER_….
 */
export async function runRealserver(options: RealserverOptions): Promise<void> {
  const addon = native() as unknown as RealserverNative;
  const reporter = reporterFor(options);
  const handle = addon.realserverAttach({
    interfaces: options.interface,
    objectDir: options.objects ?? OBJECTS,
    directors: options.director,
    vips: options.vip,
    toaKind: options.toaKind,
    modes: options.mode,
    maxFlows: options.flows,
    cgroup: options.cgroup,
    attach: options.attach,
    pin: options.pin,
  });
  const count = () => reporter.counters(addon.realserverCounters(handle));
  // Before anything is printed: whoever waits for the line may signal at once.
  process.on('SIGUSR1', count);
  const ended = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, done);
  });
  const refresh = setInterval(() => addon.realserverRefreshAddresses(handle), REFRESH_MS);
  reporter.attached({
    interfaces: options.interface,
    directors: options.director,
    vips: options.vip,
    modes: options.mode,
    attachments: addon.realserverAttachments(handle),
  });
  await ended;
  clearInterval(refresh);
  process.off('SIGUSR1', count);
  count();
  addon.realserverDetach(handle);
  reporter.detached(options.pin);
}
