#!/usr/bin/env node
/** `ipvsadm` as a command of its own; `sluice ipvsadm` does the same. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ControlClient } from '../api/client.js';
import { targetOf, withoutTarget } from '../cli/options.js';
import { describe, EXIT } from '../errors.js';
import { Names } from './names.js';
import { ipvsadm } from './run.js';

/** `--socket PATH`, or `--director URL`, may come first: ipvsadm itself has no such options. */
export async function runIpvsadm(given: readonly string[]): Promise<void> {
  const words = withoutTarget(given);
  const socket = words[0] === '--socket' ? words[1] : undefined;
  const rest = socket === undefined ? words : words.slice(2);
  process.exitCode = await ipvsadm(rest, {
    client: new ControlClient(targetOf({ socket })),
    names: Names.ofThisMachine(),
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    input: readInput,
  });
}

async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function isMain(): boolean {
  const [, script] = process.argv;
  return script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url);
}

if (isMain()) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
  });
  runIpvsadm(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`ipvsadm: ${describe(error)}\n`);
    process.exitCode = EXIT.internal;
  });
}
