/** `sluice drain`, `undrain` and `weight`: where new connections go, one server at a time. */
import type { Command } from 'commander';
import { ControlClient } from '../api/client.js';
import { findTargets, type Target, targetId, targetName } from '../api/targets.js';
import { SluiceError } from '../errors.js';
import type { Edit } from '../model-edit.js';
import { print, type TargetOptions, targetOf, targetOptions, wholeNumber } from './options.js';

const LOOK_MS = 1_000;

interface DrainOptions extends TargetOptions {
  wait?: true;
  timeout: number;
}

const SERVICE = "its name, address:port, or 'all' for every service that has the server";
const SERVER = 'its address:port, or the address alone';

export function registerDrain(program: Command): void {
  const command = (name: string, description: string) => {
    const made = program
      .command(name)
      .description(description)
      .argument('<service>', SERVICE)
      .argument('<server>', SERVER);
    for (const option of targetOptions()) made.addOption(option);
    return made;
  };
  command('drain', 'give a server no new connections; those it has go on, its weight is kept')
    .option('--wait', 'until its connections have ended')
    .option('--timeout <seconds>', 'of --wait; 0: none', wholeNumber('--timeout', 0, 1e7), 0)
    .action(drain);
  command('undrain', 'give a drained server new connections again, with the weight it had').action(
    async (service: string, server: string, options: TargetOptions) => {
      const { targets, note } = await edit(options, service, server, 'undrain', (id) => ({
        edit: 'undrainServer',
        ...id,
      }));
      for (const { service: of, server: one } of targets) {
        const down = one.up ? '' : ' (its health checks have it down)';
        print(
          `${targetName({ service: of, server: one })} has weight ${one.configuredWeight}${down}${note}`,
        );
      }
    },
  );
  command('weight', 'set the weight of a server; ends draining')
    .argument('<weight>', '0 … 65535', wholeNumber('weight', 0, 65_535))
    .action(async (service: string, server: string, weight: number, options: TargetOptions) => {
      const { targets, note } = await edit(options, service, server, `weight ${weight}`, (id) => ({
        edit: 'setWeight',
        ...id,
        weight,
      }));
      for (const target of targets) print(`${targetName(target)} has weight ${weight}${note}`);
    });
}

/** Makes one edit of each server that is meant, all in one step. */
async function edit(
  options: TargetOptions,
  service: string,
  server: string,
  what: string,
  make: (id: ReturnType<typeof targetId>) => Edit,
): Promise<{ client: ControlClient; targets: Target[]; note: string }> {
  const client = new ControlClient(targetOf(options));
  const targets = findTargets(await client.services(), service, server);
  const cause = `sluice ${what} ${service} ${server}`;
  const edits = targets.map((target) => make(targetId(target)));
  const { changes, summary } = await client.edit({ edits, cause });
  return { client, targets, note: changes.length === 0 ? ` (${summary})` : '' };
}

async function drain(service: string, server: string, options: DrainOptions): Promise<void> {
  const { client, targets, note } = await edit(options, service, server, 'drain', (id) => ({
    edit: 'drainServer',
    ...id,
  }));
  for (const target of targets) print(`${targetName(target)} takes no new connections${note}`);
  await follow(client, service, server, options);
}

/** Says how many connections are left, each time that it is another number. */
async function follow(
  client: ControlClient,
  service: string,
  server: string,
  { wait, timeout }: DrainOptions,
): Promise<void> {
  const deadline = timeout > 0 ? performance.now() + timeout * 1_000 : Number.POSITIVE_INFINITY;
  let said = '';
  for (;;) {
    const left = findTargets(await client.services(), service, server);
    const sum = (key: 'active' | 'inactive') =>
      left.reduce((total, { server: one }) => total + one[key], 0);
    const text = `${sum('active')} active, ${sum('inactive')} inactive connections left`;
    if (text !== said) print(text);
    said = text;
    if (!wait || sum('active') + sum('inactive') === 0) return;
    if (performance.now() >= deadline) {
      throw new SluiceError('ERR_STILL_CONNECTED', `after ${timeout} s: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
