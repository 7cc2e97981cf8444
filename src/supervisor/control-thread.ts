/** The control plane's thread: a Director, and what the supervisor wants of it. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Director, type Identity } from '../director.js';
import { createLogger } from '../log.js';
import type { EngineOptions } from '../native.js';
import { Memory } from './memory.js';
import {
  type ControlData,
  errorFrom,
  type FromControl,
  reportError,
  type ToControl,
} from './protocol.js';
import { BEAT_MS } from './pulse.js';

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
let done: (error: Error | undefined) => void = () => {};

function ask(wish: FromControl): Promise<void> {
  return new Promise((resolve, reject) => {
    done = (error) => (error ? reject(error) : resolve());
    send(wish);
  });
}

const become = ({ user, socket }: Identity) => ask({ type: 'become', identity: { user, socket } });
const startEngine = (options: EngineOptions) => ask({ type: 'engine', options });

port.on('message', (message: ToControl) => {
  switch (message.type) {
    case 'done':
      done(message.error && errorFrom(message.error));
      return;
    case 'reload':
      reload();
      return;
    case 'stop':
      void stop();
      return;
  }
});

/** Director.reload() has logged what is wrong, with places; the running state is untouched then. */
function reload(): void {
  send({ type: 'reloading' });
  try {
    director?.reload();
  } catch {
    // Told already.
  }
  send({ type: 'reloaded', status: director?.summary ?? '' });
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
  const host = { log, memory, startedAt, restarts, become, startEngine };
  director = await Director.start(data.config, host);
  memory.flush();
  send({ type: 'ready', status: director.summary });
} catch (error) {
  send({ type: 'failed', error: reportError(error) });
  process.exit(1);
}
