/** `sluice explain`: where would this packet go, and why? */
import type { Command } from 'commander';
import { Option } from 'commander';
import { ControlClient } from '../api/client.js';
import type { Candidate, Explanation } from '../explain.js';
import { table } from './format.js';
import {
  jsonOption,
  print,
  printJson,
  type TargetOptions,
  targetOf,
  targetOptions,
} from './options.js';

interface ExplainOptions extends TargetOptions {
  from: string;
  to: string;
  proto: (typeof PROTOCOLS)[number];
  /** What --proto was called once. */
  protocol?: (typeof PROTOCOLS)[number];
  json?: true;
}

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .description('where a packet would go and why: connection, service, servers, rewrite')
    .requiredOption('--from <address:port>', 'the client')
    .requiredOption('--to <address:port>', 'the virtual service')
    .addOption(new Option('--proto <name>', 'of the packet').choices(PROTOCOLS).default('tcp'))
    .addOption(new Option('--protocol <name>').choices(PROTOCOLS).hideHelp())
    .addOption(jsonOption('print JSON'));
  for (const option of targetOptions()) command.addOption(option);
  command.action(async (options: ExplainOptions) => {
    const client = new ControlClient(targetOf(options));
    const { from, to, proto, protocol = proto } = options;
    const explanation = await client.explain({ from, to, protocol });
    if (options.json) printJson(explanation);
    else print(formatExplanation(explanation));
  });
}

export function formatExplanation(explanation: Explanation): string {
  const { flow, service, candidates, choice, reasons } = explanation;
  const parts = [`${flow.protocol.toUpperCase()} ${flow.from} → ${flow.to}`];
  parts.push(reasons.map((reason) => `  ${reason}`).join('\n'));
  if (candidates.length > 0) {
    parts.push(candidateTable(candidates, choice));
  }
  parts.push(explanation.rewrite ?? undefinedRewrite(explanation));
  if (service?.place) parts.push(`Service ${service.name}: ${service.place}`);
  return parts.join('\n\n');
}

/** `choice`: the one that has been chosen, or those among which it is. */
export function candidateTable(candidates: Candidate[], choice: string[]): string {
  const rows = candidates.map((one) => [
    choice.includes(one.server) ? (choice.length === 1 ? '→' : '?') : '',
    one.server,
    `${one.weight}`,
    `${one.active}`,
    `${one.inactive}`,
    one.place ?? '-',
    one.against ?? 'takes new connections',
  ]);
  return table(['', 'Server', 'Weight', 'Active', 'Inact', 'Configured at', 'Now'], rows);
}

function undefinedRewrite({ choice }: Explanation): string {
  return choice.length > 1 ? 'One of the servers marked with ?' : 'Nothing is forwarded';
}
