/** VRRP for people. */
import type { VrrpReport } from '../api/types.js';

type Instance = VrrpReport['instances'][number];

const COLUMNS: [title: string, value: (one: Instance) => string][] = [
  ['Instance', ({ name }) => name],
  ['State', ({ state }) => state],
  ['Since', ({ since }) => since.replace(/\.\d+Z$/, 'Z')],
  ['Port', ({ port }) => port],
  ['VRID', ({ routerId }) => String(routerId)],
  [
    'Priority',
    ({ priority, effectivePriority }) =>
      priority === effectivePriority ? `${priority}` : `${effectivePriority} (${priority})`,
  ],
  ['Master', ({ master }) => (master ? `${master.address} (${master.priority})` : '-')],
  ['Addresses', ({ addresses }) => addresses.join(' ')],
];

export function formatVrrp({ instances, groups }: VrrpReport): string {
  if (instances.length === 0) return 'no VRRP instance is configured';
  const rows = [
    COLUMNS.map(([title]) => title),
    ...instances.map((one) => COLUMNS.map(([, value]) => value(one))),
  ];
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] as number))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...instances.flatMap(remarks), ...groups.map(groupLine)].join('\n');
}

function remarks({ name, fault, tracked, dropped }: Instance): string[] {
  return [
    ...(fault === null ? [] : [`${name} is in FAULT: ${fault}`]),
    ...tracked.map(
      (one) =>
        `${name} tracks ${one.name} (weight ${one.weight}): ${one.good ? 'good' : 'bad'}, ${one.detail}`,
    ),
    ...Object.entries(dropped).map(
      ([reason, count]) => `${name} dropped ${count} adverts: ${reason}`,
    ),
  ];
}

function groupLine({ name, state, instances }: VrrpReport['groups'][number]): string {
  return `Group ${name} is ${state}: ${instances.join(' ')}`;
}
