/** `sluice show <noun>`: listings of a running director, as text or as JSON. */
import type { Command } from 'commander';
import { type ConnectionFilters, ControlClient } from '../api/client.js';
import type { ConnectionReport } from '../api/types.js';
import { CLIENTS_HEADER, clientLine } from '../clients.js';
import {
  CONNECTION_HEADER,
  connectionLine,
  editsNote,
  formatDrops,
  formatPorts,
  formatServices,
  formatStatus,
} from './format.js';
import { formatHealth, healthOf } from './format-health.js';
import { formatSync } from './format-sync.js';
import { formatVrrp } from './format-vrrp.js';
import {
  jsonOption,
  print,
  printJson,
  type TargetOptions,
  targetOf,
  targetOptions,
  wholeNumber,
} from './options.js';

interface ShowOptions extends TargetOptions {
  json?: true;
}

/** `sluice services` is `sluice show services`. */
export function withShow(words: readonly string[], program: Command): readonly string[] {
  const [first = ''] = words;
  const has = ({ commands }: Command, name: string) => commands.find((one) => one.name() === name);
  const show = has(program, 'show');
  return show && has(show, first) && !has(program, first) ? ['show', ...words] : words;
}

export function registerShow(program: Command): void {
  const show = program.command('show').description('listings of a running director');

  noun(show, 'services', 'virtual services and real servers, as ipvsadm -Ln')
    .option('--stats', 'packets and bytes, as ipvsadm -Ln --stats')
    .option('--rate', 'a second, as ipvsadm -Ln --rate')
    .option('--exact', 'with --stats or --rate: exact numbers, without K, M, G or T')
    .action(async (options: ShowOptions & { stats?: true; rate?: true; exact?: true }) => {
      const client = new ControlClient(targetOf(options));
      const [services, status] = await Promise.all([client.services(), client.status()]);
      const shape = options.stats ? 'stats' : options.rate ? 'rate' : 'plain';
      if (options.json) printJson(services);
      else print(formatServices(services, status, shape, options.exact));
      const note = editsNote(status);
      if (note) process.stderr.write(`${note}\n`);
    });

  noun(show, 'connections', 'connections, as ipvsadm -Lnc, with local addresses')
    .option('--client <address>', 'only those of a client')
    .option('--service <service>', 'only those of a service: its name or address:port')
    .option('--limit <n>', 'at most n (default: all)', wholeNumber('--limit', 0, 1e9))
    .action((options: ShowOptions & ConnectionFilters) =>
      showConnections(new ControlClient(targetOf(options)), options),
    );

  noun(show, 'clients', 'clients that services allow and deny, and the files that say so')
    .option('--service <service>', 'only those of a service: its name or address:port')
    .action(async (options: ShowOptions & { service?: string }) => {
      const clients = new ControlClient(targetOf(options)).clients(options.service);
      if (!options.json) process.stdout.write(`${CLIENTS_HEADER}\n`);
      for await (const one of clients) {
        process.stdout.write(`${options.json ? JSON.stringify(one) : clientLine(one)}\n`);
      }
    });

  noun(show, 'health', 'health checks and what they last saw').action(
    async (options: ShowOptions) => {
      const services = await new ControlClient(targetOf(options)).services();
      if (options.json) printJson(healthOf(services));
      else print(formatHealth(services));
    },
  );

  noun(show, 'ports', 'ports with their devices, twins and traffic').action(
    async (options: ShowOptions) => {
      const ports = await new ControlClient(targetOf(options)).ports();
      if (options.json) printJson(ports);
      else print(formatPorts(ports));
    },
  );

  noun(show, 'vrrp', 'VRRP instances: state, master, priority, addresses').action(
    async (options: ShowOptions) => {
      const report = await new ControlClient(targetOf(options)).vrrp();
      if (options.json) printJson(report);
      else print(formatVrrp(report));
    },
  );

  noun(show, 'drops', 'where packets ended: drop reasons that counted anything')
    .option('--all', 'every reason and every other end, also those that stand at 0')
    .action(async (options: ShowOptions & { all?: true }) => {
      const drops = await new ControlClient(targetOf(options)).drops();
      if (options.json) printJson(drops);
      else print(formatDrops(drops, options.all ?? false));
    });

  noun(show, 'sync', 'connection sync: with whom, what was told, adopted, refused and lost')
    .option('--all', 'every figure, also those that stand at 0')
    .action(async (options: ShowOptions & { all?: true }) => {
      const sync = await new ControlClient(targetOf(options)).sync();
      if (options.json) printJson(sync);
      else print(formatSync(sync, options.all ?? false));
    });

  noun(show, 'status', 'version, configuration, workers, last reload').action(
    async (options: ShowOptions) => {
      const status = await new ControlClient(targetOf(options)).status();
      if (options.json) printJson(status);
      else print(formatStatus(status));
    },
  );
}

function noun(show: Command, name: string, description: string): Command {
  const command = show.command(name).description(description);
  for (const option of targetOptions()) command.addOption(option);
  return command.addOption(jsonOption('print JSON'));
}

/** Printed as they come: there may be millions. */
async function showConnections(
  client: ControlClient,
  { json, client: address, service, limit }: ShowOptions & ConnectionFilters,
): Promise<void> {
  const connections = client.connections({ client: address, service, limit });
  let next: IteratorResult<ConnectionReport> = await connections.next();
  if (!json) print(CONNECTION_HEADER);
  else print('[');
  while (!next.done) {
    const { value } = next;
    next = await connections.next();
    print(json ? `  ${JSON.stringify(value)}${next.done ? '' : ','}` : connectionLine(value));
  }
  if (json) print(']');
}
