/** Whether a mode's results are good, and the table that shows them. */
import type { Answers, Transfer } from './load.js';
import { type Cell, type Column, renderTable } from './table.js';
import { CLIENT, type ModeName } from './topology.js';

export interface ModeResult {
  mode: ModeName;
  http: Answers;
  dns: Answers;
  transfer: Transfer;
  /** Why the row is not green; empty when it is. */
  wrong: string[];
}

const sum = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0);

/** What a row has to show before it is called good. */
export function judge(roles: string[], http: Answers, dns: Answers, transfer: Transfer): string[] {
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
    { title: 'Gb/s up / down', align: 'right' },
  ];
  const rows = results.map(({ mode, http, dns, transfer, wrong }): Cell[] => {
    const style = wrong.length === 0 ? 'good' : 'bad';
    return [
      { text: wrong.length === 0 ? '✔' : '✘', style },
      { text: mode, style },
      ...counts(http),
      ...counts(dns),
      seen(http, dns),
      { text: rates(transfer), style: transfer.up > 0 && transfer.down > 0 ? 'plain' : 'bad' },
    ];
  });
  return renderTable(columns, rows, colour);
}
