/** Load from the client: curl, dig and iperf3, with what came back counted. */
import { BIG_PATH, DNS_NAME, IPERF_PORT, type IperfServer } from './fixtures.js';
import type { Lab } from './lab.js';

export interface Answers {
  asked: number;
  failed: number;
  /** Answers by real server. */
  servers: Map<string, number>;
  /** Client addresses the servers named in their answers, with the number of each. */
  clients: Map<string, number>;
  /** What went wrong, the first few lines of it. */
  trouble: string;
}

export type Progress = (done: number) => void;

const count = (counts: Map<string, number>, key: string) =>
  counts.set(key, (counts.get(key) ?? 0) + 1);

/**
 * `requests` HTTP requests, each on a connection of its own, eight at a time; each may take so long,
 * two fifths of it for its connection.
 */
export async function httpRequests(
  lab: Lab,
  url: string,
  requests: number,
  progress: Progress = () => {},
  seconds = 5,
): Promise<Answers> {
  const argv = ['curl', '-sS', '--fail', '-Z', '--parallel-max', '8'];
  argv.push('--connect-timeout', String(0.4 * seconds), '-m', String(seconds));
  argv.push('-H', 'Connection: close', `${url}?request=[1-${requests}]`);
  const curl = lab.ns('client').spawn(argv, { timeout: 2 * seconds + requests / 100 });
  const watch = setInterval(() => progress(curl.stdout.split('\n').length - 1), 100);
  await curl.wait();
  clearInterval(watch);
  const answers: Answers = {
    asked: requests,
    failed: 0,
    servers: new Map(),
    clients: new Map(),
    trouble: '',
  };
  let good = 0;
  for (const line of curl.stdout.split('\n')) {
    const match = /^(rs\d+) (\S+)$/.exec(line);
    if (!match) continue;
    good++;
    count(answers.servers, match[1]!);
    count(answers.clients, match[2]!);
  }
  answers.failed = requests - good;
  if (answers.failed > 0) answers.trouble = firstLines(curl.output, /^curl:/);
  return answers;
}

/** `queries` DNS queries, each from a port of its own, one after the other. */
export async function dnsQueries(
  lab: Lab,
  server: string,
  queries: number,
  progress: Progress = () => {},
): Promise<Answers> {
  const line = `@${server} TXT ${DNS_NAME} +short +tries=1 +time=1`;
  const file = lab.write('client/queries', `${Array(queries).fill(line).join('\n')}\n`);
  const dig = lab.ns('client').spawn(['dig', '-f', file], { timeout: 8 + queries / 100 });
  const watch = setInterval(() => progress(dig.stdout.split('\n').length - 1), 100);
  await dig.wait();
  clearInterval(watch);
  const servers = new Map<string, number>();
  for (const [, name = ''] of dig.stdout.matchAll(/^"(rs\d+)"$/gm)) count(servers, name);
  const good = [...servers.values()].reduce((sum, each) => sum + each, 0);
  return {
    asked: queries,
    failed: queries - good,
    servers,
    clients: new Map(),
    trouble: good === queries ? '' : firstLines(dig.output, /^;;/),
  };
}

export interface Transfer {
  /** Bits a second; 0 when it failed. */
  up: number;
  down: number;
  trouble: string;
}

interface IperfReport {
  error?: string;
  end?: { sum_received?: { bits_per_second?: number; bytes?: number } };
}

/** iperf3 for some seconds each way, through `address` to whichever of the servers is behind it. */
export async function bulkTransfer(
  lab: Lab,
  servers: Iterable<IperfServer>,
  address: string,
  seconds: number,
): Promise<Transfer> {
  const result: Transfer = { up: 0, down: 0, trouble: '' };
  for (const direction of ['up', 'down'] as const) {
    for (const server of servers) await server.ready();
    const argv = ['iperf3', '-J', '-c', address, '-p', String(IPERF_PORT), '-t', String(seconds)];
    argv.push('--connect-timeout', '3000', ...(direction === 'down' ? ['-R'] : []));
    const iperf = lab.ns('client').spawn(argv, { timeout: seconds + 12 });
    await iperf.wait();
    let report: IperfReport = {};
    try {
      report = JSON.parse(iperf.stdout) as IperfReport;
    } catch {
      report.error = `no report: ${iperf.output.slice(-200)}`;
    }
    const rate = report.end?.sum_received?.bits_per_second ?? 0;
    if (report.error || rate === 0) result.trouble ||= `${direction}: ${report.error ?? 'no data'}`;
    else result[direction] = rate;
  }
  return result;
}

/** One static file by HTTP; the number of bytes that arrived. */
export async function download(lab: Lab, host: string): Promise<number> {
  const argv = ['curl', '-sS', '-m', '20', '-o', '/dev/null', '-w', '%{size_download}'];
  const curl = lab.ns('client').spawn([...argv, `http://${host}${BIG_PATH}`], { timeout: 25 });
  await curl.wait();
  return Number(curl.stdout);
}

function firstLines(text: string, pattern: RegExp): string {
  const lines = text.split('\n').filter((line) => pattern.test(line));
  return [...new Set(lines)].slice(0, 3).join('\n');
}
