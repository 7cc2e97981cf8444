/** The control plane's thread: a Director, and what the supervisor wants of it. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Director } from '../director.js';
import { SluiceError } from '../errors.js';
import { createLogger } from '../log.js';
import type { EngineOptions } from '../native.js';
import { NO_TOTALS, type Totals } from '../stats/totals.js';
import { plainEnvironment } from '../threads.js';
import type { UpgradeReport, UpgradeRequest } from '../upgrade/departure.js';
import { errorFrom, reportError } from './error-report.js';
import type { Identity } from './identity.js';
import { Memory } from './memory.js';
import type { ControlData, FromControl, ToControl } from './protocol.js';
import { BEAT_MS } from './pulse.js';

plainEnvironment();
const port = parentPort as MessagePort;
const data = workerData as ControlData;

const beats = new Int32Array(data.beats);
setInterval(() => Atomics.add(beats, 0, 1), BEAT_MS);

const send = (message: FromControl) => port.postMessage(message);
const log = createLogger({
  level: data.logLevel,
  relay: (entry) => send({ type: 'log', entry }),
});
const memory = new Memory(data.memory, (changes) => send({ type: 'keep', changes }));

let director: Director | undefined;
let done: (error: Error | undefined, totals?: Totals) => void = () => {};
/** Of the one upgrade that there can be. */
let upgraded: ((error: Error | undefined, report?: UpgradeReport) => void) | undefined;

function ask(wish: FromControl): Promise<Totals | undefined> {
  return new Promise((resolve, reject) => {
    done = (error, totals) => (error ? reject(error) : resolve(totals));
    send(wish);
  });
}

async function upgrade(request: UpgradeRequest): Promise<UpgradeReport> {
  if (upgraded) {
    throw new SluiceError('ERR_UPGRADE_RUNNING', 'another process is taking over already');
  }
  return new Promise((resolve, reject) => {
    upgraded = (error, report) => (report ? resolve(report) : reject(error));
    send({ type: 'upgrade', request });
  });
}

const become = async ({ user, socket }: Identity) => {
  await ask({ type: 'become', identity: { user, socket } });
};
const startEngine = async (options: EngineOptions) => {
  await ask({ type: 'engine', options });
};
/** The way of a process that takes over from another. */
const succession = data.legacy && {
  ...data.legacy,
  prepared: async () => {
    await ask({ type: 'prepared' });
  },
  switched: async () => (await ask({ type: 'switch' })) ?? NO_TOTALS,
};

port.on('message', (message: ToControl) => {
  switch (message.type) {
    case 'done':
      done(message.error && errorFrom(message.error), message.totals);
      return;
    case 'upgraded':
      upgraded?.(message.error && errorFrom(message.error), message.report);
      upgraded = undefined;
      return;
    case 'freeze':
      freeze();
      return;
    case 'count':
      send({ type: 'counted', totals: director?.countForHeir() ?? NO_TOTALS });
      return;
    case 'thaw':
      director?.thaw();
      return;
    case 'leave':
      void leave();
      return;
    case 'reload':
      void reload();
      return;
    case 'stop':
      void stop();
      return;
  }
});

/** Director.reload() has logged what is wrong, with places; the running state is untouched then. */
async function reload(): Promise<void> {
  send({ type: 'reloading' });
  try {
    await director?.reload();
  } catch {
    // Told already.
  }
  send({ type: 'reloaded', status: director?.summary ?? '' });
}

function freeze(): void {
  if (!director) return;
  const frozen = director.freeze();
  // What it has written down goes first.
  memory.flush();
  send({ type: 'frozen', frozen });
}

async function leave(): Promise<void> {
  await director?.leave();
  send({ type: 'stopped', error: undefined });
}

async function stop(): Promise<void> {
  try {
    await director?.stop();
    send({ type: 'stopped', error: undefined });
  } catch (error) {
    send({ type: 'stopped', error: reportError(error) });
  }
}

try {
  const { startedAt, restarts } = data;
  const host = { log, memory, startedAt, restarts, become, startEngine, succession, upgrade };
  director = await Director.start(data.config, host);
  memory.flush();
  send({ type: 'ready', status: director.summary, generation: director.generation });
} catch (error) {
  send({ type: 'failed', error: reportError(error) });
  process.exit(1);
}
