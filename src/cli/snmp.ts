/** `sluice snmp`: a pass_persist helper of snmpd, which asks it by its standard input. */
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { ControlClient } from '../api/client.js';
import { answer, type Instance, instances, ROOT } from '../stats/snmp.js';
import { type TargetOptions, targetOf, targetOptions } from './options.js';

/** A walk is many questions: what it is told is so old at the most. */
const FRESH_MS = 2_000;

export function registerSnmp(program: Command): void {
  const command = program
    .command('snmp')
    .description(
      `for snmpd.conf: pass_persist ${ROOT} /usr/sbin/sluice snmp (services and servers as in KEEPALIVED-MIB)`,
    )
    .action(serve);
  for (const option of targetOptions()) command.addOption(option);
}

async function serve(options: TargetOptions): Promise<void> {
  const client = new ControlClient(targetOf(options));
  let all: Instance[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  const look = async () => {
    if (performance.now() - readAt < FRESH_MS) return;
    try {
      all = instances(await client.services(), await client.status());
    } catch (error) {
      // A director that is being restarted: there is nothing to tell meanwhile.
      process.stderr.write(`sluice snmp: ${(error as Error).message}\n`);
      all = [];
    }
    readAt = performance.now();
  };
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const next = async () => ((await lines.next()).value ?? '') as string;
  // An empty line, or the end: snmpd has no more questions.
  for (let ask = await next(); ask !== ''; ask = await next()) {
    const word = ask.toLowerCase();
    if (word === 'ping') {
      process.stdout.write('PONG\n');
    } else if (word === 'set') {
      await next();
      await next();
      process.stdout.write('not-writable\n');
    } else {
      const oid = (await next()).trim();
      await look();
      process.stdout.write(answer(word, oid, all));
    }
  }
}
