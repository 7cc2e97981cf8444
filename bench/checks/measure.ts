/**
 * One case of bench/scenarios/checks.ts, in a process and a network namespace of its own: argv has
 * the case as JSON, stdout gets its readings as JSON.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../src/config/load.js';
import type { Outcome, Target } from '../../src/health/checkers/checker.js';
import { withConnection } from '../../src/health/checkers/connection.js';
import { probe } from '../../src/health/checkers/index.js';
import type { Check, HttpCheck, TcpCheck } from '../../src/health/model.js';
import { HealthMonitor } from '../../src/health/monitor.js';
import { REAL_WORLD, type World } from '../../src/health/runner.js';
import { createLogger } from '../../src/log.js';
import type { ChecksCase, Readings } from '../scenarios/checks.js';
import { addressOf, PORT, Sink } from './sink.js';

interface Order extends ChecksCase {
  runs: number;
  milliseconds: number;
  sinkCpu: number;
}

/** A check that begins so long after its time is late. */
const LATE_MS = 100;
const SERVERS = 10_000;
const SERVICES = 100;
/** Under way at once where as many are made as there can be. */
const TOGETHER = 256;

function checkOf(order: Order): Check {
  const { model } = parseConfig(yaml(order), 'bench.yaml');
  return model.services[0]?.servers[0]?.health.checks[0] as Check;
}

function yaml({ protocol, silent }: Order): string {
  const perService = SERVERS / SERVICES;
  const services = Array.from({ length: SERVICES }, (_, service) => {
    const servers = Array.from({ length: perService }, (_, i) => {
      const n = service * perService + i;
      return `{ address: "${addressOf(n, n % 100 < silent)}:${PORT}" }`;
    });
    return `  - name: s${service}
    listen: 203.0.113.10:${1000 + service}
    mode: nat
    health: { delayLoop: 1s, delayBeforeRetry: 1s, warmup: 1s, connectTimeout: 1s, checks: [{ type: ${protocol} }] }
    servers: [${servers.join(', ')}]`;
  });
  return `director: { maxServers: ${SERVERS} }
ports: [{ name: p, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
routes: [{ to: 0.0.0.0/0, via: 198.51.100.2 }]
services:
${services.join('\n')}
`;
}

/** As the checkers did it before there was a prober, to compare. */
function byNode(check: Check, target: Target, step: number, signal: AbortSignal) {
  if (check.type === 'tcp') {
    return withConnection(check as TcpCheck, target, signal, (_socket, done) =>
      done({ ok: true, detail: 'connected' }),
    );
  }
  const { urls, ...rest } = check as HttpCheck;
  // Whatever asks for the body is asked by Node.
  return probe({ ...rest, urls: urls.map((url) => ({ ...url, regex: '' })) }, target, step, signal);
}

interface Reading {
  checks: number;
  failed: number;
  late: number;
  worstMs: number;
  seconds: number;
  cpuUs: number;
  lagMs: number;
}

class Meter {
  checks = 0;
  failed = 0;
  late = 0;
  worstMs = 0;

  async during(ms: number): Promise<Reading> {
    this.checks = this.failed = this.late = this.worstMs = 0;
    const lag = monitorEventLoopDelay({ resolution: 1 });
    lag.enable();
    const [cpu, start] = [process.cpuUsage(), performance.now()];
    await sleep(ms);
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - start) / 1000;
    const { checks, failed, late, worstMs } = this;
    const lagMs = lag.percentile(99) / 1e6;
    return { checks, failed, late, worstMs, seconds, cpuUs: user + system, lagMs };
  }
}

/** As many as there can be. */
async function flatOut(order: Order, meter: Meter): Promise<Reading[]> {
  const check = checkOf(order);
  const ask = order.by === 'node' ? byNode : probe;
  const { signal } = new AbortController();
  let going = true;
  let next = 0;
  const worker = async () => {
    while (going) {
      const server = { address: addressOf(next++ % SERVERS, false), port: PORT };
      // A signal of its own, as every check has.
      const target = { server, service: server, mode: 'nat' as const };
      const outcome = await ask(check, target, 0, AbortSignal.any([signal]));
      meter.checks++;
      if (!outcome.ok) meter.failed++;
    }
  };
  const workers = Array.from({ length: TOGETHER }, worker);
  await meter.during(order.milliseconds);
  const readings: Reading[] = [];
  for (let run = 0; run < order.runs; run++) readings.push(await meter.during(order.milliseconds));
  going = false;
  await Promise.all(workers);
  return readings;
}

/** The director's own monitor, every server's check a second after the last one's end. */
async function onTime(order: Order, meter: Meter): Promise<Reading[]> {
  const due = new Map<string, number>();
  const ask = order.by === 'node' ? byNode : probe;
  const world: World = {
    ...REAL_WORLD,
    probe: async (check, target, step, signal): Promise<Outcome> => {
      const { address } = target.server;
      const lateMs = performance.now() - (due.get(address) ?? Number.POSITIVE_INFINITY);
      if (lateMs > LATE_MS) meter.late++;
      meter.worstMs = Math.max(meter.worstMs, lateMs);
      const outcome = await ask(check, target, step, signal);
      due.set(address, performance.now() + 1_000);
      meter.checks++;
      if (!outcome.ok) meter.failed++;
      return outcome;
    },
  };
  const log = createLogger({ level: 'error' });
  const monitor = new HealthMonitor(log, () => {}, world);
  monitor.update(parseConfig(yaml(order), 'bench.yaml').model);
  // Until every check has had its first turn, and those without an answer their time.
  await sleep(order.silent > 0 ? 2_500 : 1_500);
  const reading = await meter.during(order.runs * order.milliseconds);
  await monitor.stop();
  return [reading];
}

const order = JSON.parse(process.argv[2] as string) as Order;
const sink = await Sink.start(order.sinkCpu);
try {
  const meter = new Meter();
  const readings: Readings = await (order.load === 'flat out' ? flatOut : onTime)(order, meter);
  process.stdout.write(`${JSON.stringify(readings)}\n`);
} finally {
  sink.stop();
}
process.exit(0);
