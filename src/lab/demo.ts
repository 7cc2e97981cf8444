/**
 * `npm run demo`: curl, dig and iperf3 through our own dataplane in all five modes, in namespaces,
 * with a table at the end. Exit status 0 means that all of it worked.
 *
 *   npm run demo -- [--mode nat,tun] [--requests 1000] [--queries 200] [--seconds 2] [--servers 3]
 *                   [--driver af_packet|af_xdp] [--json]
 */
import { spawnSync } from 'node:child_process';
import { Command, InvalidArgumentError } from 'commander';
import type { ServiceReport } from '../api/types.js';
import { LabError } from './command.js';
import { ALL_MODES, type FiveModes, startFiveModes } from './five-modes.js';
import { Lab } from './lab.js';
import { bulkTransfer, dnsQueries, httpRequests } from './load.js';
import { Progress } from './progress.js';
import { paint } from './table.js';
import { type ModeName, VIP } from './topology.js';
import { type DirectorCounts, judge, type ModeResult, rates, resultTable } from './verdict.js';

interface Options {
  mode: ModeName[];
  requests: number;
  queries: number;
  seconds: number;
  servers: number;
  driver: 'af_packet' | 'af_xdp';
  json?: boolean;
}

/** Addresses in all servers' DNS logs, with the number of queries each. */
function dnsClients(bench: FiveModes): Map<string, number> {
  const all = new Map<string, number>();
  for (const server of bench.dns.values()) {
    for (const [address, n] of server.clients()) all.set(address, (all.get(address) ?? 0) + n);
  }
  return all;
}

function difference(after: Map<string, number>, before: Map<string, number>): Map<string, number> {
  const result = new Map<string, number>();
  for (const [key, n] of after) {
    const more = n - (before.get(key) ?? 0);
    if (more > 0) result.set(key, more);
  }
  return result;
}

/** The director's own figures of a mode's services, since its start. */
async function directorCounts(bench: FiveModes, mode: ModeName): Promise<DirectorCounts> {
  const services = (await bench.director.get('/v1/services')) as ServiceReport[];
  const one = (what: string) => services.find(({ name }) => name === `${mode}-${what}`);
  return {
    httpConnections: one('http')?.conns ?? 0,
    dnsPackets: one('dns')?.inPkts ?? 0,
    replies: (one('http')?.outPkts ?? 0) + (one('dns')?.outPkts ?? 0),
  };
}

const roles = (lab: Lab) => lab.spaces.realServers.map(({ role }) => role);

async function tryMode(
  lab: Lab,
  bench: FiveModes,
  mode: ModeName,
  options: Options,
  progress: Progress,
): Promise<ModeResult> {
  const vip = VIP[mode];
  const label = mode.padEnd(8);
  const http = await httpRequests(lab, `http://${vip}/`, options.requests, (done) =>
    progress.update(`${label} HTTP ${done} of ${options.requests}`),
  );
  const before = dnsClients(bench);
  const dns = await dnsQueries(lab, vip, options.queries, (done) =>
    progress.update(`${label} DNS ${done} of ${options.queries}`),
  );
  dns.clients = difference(dnsClients(bench), before);
  progress.update(`${label} iperf3 ${options.seconds} s up, ${options.seconds} s down`);
  const transfer = await bulkTransfer(lab, bench.iperf.values(), vip, options.seconds);
  const director = await directorCounts(bench, mode);
  const result = { mode, http, dns, transfer, director };
  const wrong = judge(roles(lab), result);
  const text = `${label} ${http.asked - http.failed} HTTP, ${dns.asked - dns.failed} DNS, ${rates(transfer)} Gb/s`;
  if (wrong.length === 0) progress.good(text);
  else progress.bad(text);
  return { ...result, wrong };
}

function asJson(results: ModeResult[]): string {
  const plain = (_: string, value: unknown) =>
    value instanceof Map ? Object.fromEntries(value) : value;
  return JSON.stringify(results, plain, 2);
}

async function demo(options: Options): Promise<number> {
  // With --json standard output is the result alone.
  const progress = new Progress(options.json ? process.stderr : process.stdout);
  return Lab.use({ realServers: options.servers }, async (lab) => {
    const many = lab.namespaces.length;
    progress.good(`lab ${lab.id}: ${many} network namespaces, ${options.servers} real servers`);
    const driver = { modes: ALL_MODES, driver: options.driver };
    const bench = await startFiveModes(lab, driver, (text) => progress.update(text));
    progress.good('agents, nginx, iperf3 and dnsmasq on the real servers; one director, five VIPs');

    const results: ModeResult[] = [];
    for (const mode of options.mode) {
      results.push(await tryMode(lab, bench, mode, options, progress));
    }
    if (options.json) process.stdout.write(`${asJson(results)}\n`);
    progress.line();
    progress.line(resultTable(roles(lab), results, progress.colour));
    const bad = results.filter(({ wrong }) => wrong.length > 0);
    for (const { mode, wrong } of bad) {
      for (const text of wrong) progress.line(`${mode}: ${text}`);
    }
    if (bad.length > 0) {
      progress.line(
        `\nThe director's log:\n${bench.director.log.split('\n').slice(-30).join('\n')}`,
      );
    } else {
      const text =
        `Every mode works: all was answered, by every server, and each saw the true client.\n` +
        `Gb/s: one iperf3 connection, ${options.seconds} s each way; client, servers and director share this machine.`;
      progress.line(paint(text, 'dim', progress.colour));
    }
    return bad.length === 0 ? 0 : 1;
  });
}

function wholeNumber(low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`a whole number from ${low} to ${high} is needed`);
  };
}

function modeList(text: string): ModeName[] {
  const modes = text.split(',') as ModeName[];
  const stranger = modes.find((mode) => !ALL_MODES.includes(mode));
  if (stranger === undefined) return modes;
  throw new InvalidArgumentError(`"${stranger}" is not one of ${ALL_MODES.join(', ')}`);
}

function driverName(text: string): 'af_packet' | 'af_xdp' {
  if (text === 'af_packet' || text === 'af_xdp') return text;
  throw new InvalidArgumentError('af_packet or af_xdp is needed');
}

const command = new Command('demo')
  .description('Real traffic through the director in all five modes, in a lab of namespaces')
  .option('--mode <list>', 'only these modes, with commas', modeList, [...ALL_MODES])
  .option('--requests <n>', 'HTTP requests a mode', wholeNumber(1, 100_000), 1000)
  .option('--queries <n>', 'DNS queries a mode', wholeNumber(1, 10_000), 200)
  .option('--seconds <n>', 'iperf3 seconds each way', wholeNumber(1, 60), 2)
  .option('--servers <n>', 'real servers', wholeNumber(1, 9), 3)
  .option('--driver <name>', 'how the director takes its frames', driverName, 'af_packet')
  .option('--json', 'the results as JSON on standard output');

/** Namespaces need root. Whoever isn't is asked for a password once, by sudo. */
function asRoot(): number | undefined {
  if (process.getuid?.() === 0) return undefined;
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const result = spawnSync('sudo', argv, { stdio: 'inherit' });
  if (!result.error) return result.status ?? 1;
  throw new LabError('ERR_LAB_NEEDS_ROOT', 'network namespaces need root, and there is no sudo');
}

try {
  const options = command.parse().opts<Options>();
  process.exitCode = asRoot() ?? (await demo(options));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  process.stderr.write(`demo: ${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}
