/** Whether a mode's results are good, and the table that shows them. */
import type { Answers, Transfer } from './load.js';
import { type Cell, type Column, renderTable } from './table.js';
import { CLIENT, type ModeName } from './topology.js';

/** What the director itself counted meanwhile, so that no other path can pass for it. */
export interface DirectorCounts {
  httpConnections: number;
  dnsPackets: number;
  /** Packets of replies that came back through it. */
  replies: number;
}

export interface ModeResult {
  mode: ModeName;
  http: Answers;
  dns: Answers;
  transfer: Transfer;
  director: DirectorCounts;
  /** Why the row is not green; empty when it is. */
  wrong: string[];
}

/** In these modes the director is on the way back, too. */
const RETURNS: readonly ModeName[] = ['nat', 'fullnat'];

const sum = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0);

/** What a row has to show before it is called good: an empty list, or what is wrong with it. */
export function judge(roles: string[], result: Omit<ModeResult, 'wrong'>): string[] {
  const { mode, http, dns, transfer, director } = result;
  const wrong: string[] = [];
  for (const [name, answers] of [
    ['HTTP requests', http],
    ['DNS queries', dns],
  ] as const) {
    if (answers.failed > 0) {
      wrong.push(`${answers.failed} of ${answers.asked} ${name} failed. ${answers.trouble}`.trim());
      continue;
    }
    const idle = roles.filter((role) => !answers.servers.has(role));
    if (idle.length > 0) {
      wrong.push(`${name}: none reached ${idle.join(', ')}`);
    }
    const strangers = [...answers.clients.keys()].filter((address) => address !== CLIENT);
    if (strangers.length > 0 || sum(answers.clients) !== answers.asked) {
      const seen = [...answers.clients].map(([address, n]) => `${address} (${n})`).join(', ');
      wrong.push(`${name}: the servers saw ${seen || 'nobody'}, not ${CLIENT} (${answers.asked})`);
    }
  }
  // A client's port used again soon is the same connection to a director; nine in ten is certain.
  if (http.failed === 0 && director.httpConnections < 0.9 * http.asked) {
    wrong.push(`the director counted ${director.httpConnections} connections for ${http.asked}`);
  }
  if (dns.failed === 0 && director.dnsPackets < dns.asked) {
    wrong.push(`the director counted ${director.dnsPackets} packets for ${dns.asked} queries`);
  }
  if (director.replies > 0 !== RETURNS.includes(mode)) {
    wrong.push(`${director.replies} packets of replies came back through the director`);
  }
  if (transfer.up === 0 || transfer.down === 0) wrong.push(`iperf3 ${transfer.trouble}`);
  return wrong;
}

const gigabits = (bits: number) => (bits / 1e9).toFixed(2);
export const rates = ({ up, down }: Transfer) => `${gigabits(up)} / ${gigabits(down)}`;

/** The client's address in HTTP and DNS servers' eyes; both only when they differ. */
function seen(http: Answers, dns: Answers): Cell {
  const [web, names] = [http, dns].map(
    ({ clients }) => [...clients.keys()].sort().join(' ') || '–',
  );
  const text = web === names ? web! : `${web}, DNS ${names}`;
  return { text, style: text === CLIENT ? 'plain' : 'bad' };
}

export function resultTable(roles: string[], results: ModeResult[], colour: boolean): string {
  const counts = ({ asked, failed, servers }: Answers): Cell[] => [
    { text: String(asked) },
    { text: String(failed), style: failed > 0 ? 'bad' : 'dim' },
    { text: roles.map((role) => servers.get(role) ?? 0).join(' ') },
  ];
  const columns: Column[] = [
    { title: '' },
    { title: 'mode' },
    { title: 'HTTP', align: 'right' },
    { title: 'failed', align: 'right' },
    { title: roles.join(' '), align: 'right' },
    { title: 'DNS', align: 'right' },
    { title: 'failed', align: 'right' },
    { title: roles.join(' '), align: 'right' },
    { title: 'client seen' },
    { title: 'replies' },
    { title: 'Gb/s up / down', align: 'right' },
  ];
  const rows = results.map(({ mode, http, dns, transfer, director, wrong }): Cell[] => {
    const style = wrong.length === 0 ? 'good' : 'bad';
    return [
      { text: wrong.length === 0 ? '✔' : '✘', style },
      { text: mode, style },
      ...counts(http),
      ...counts(dns),
      seen(http, dns),
      { text: director.replies > 0 ? 'by director' : 'direct' },
      { text: rates(transfer), style: transfer.up > 0 && transfer.down > 0 ? 'plain' : 'bad' },
    ];
  });
  return renderTable(columns, rows, colour);
}
