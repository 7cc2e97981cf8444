/** Runs the CLI as a user does: its own process, stdout and stderr apart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The compiled program if no source is newer (it starts in half the time), else the sources. */
function command(): string[] {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  const newest = Math.max(
    ...sources
      .filter((name) => name.endsWith('.ts'))
      .map((name) => statSync(join(ROOT, 'src', name)).mtimeMs),
  );
  const built = statSync(join(ROOT, 'dist/.tsbuildinfo'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return built > newest
    ? [process.execPath, join(ROOT, 'dist/cli/main.js')]
    : [process.execPath, '--import', import.meta.resolve('tsx'), join(ROOT, 'src/cli/main.ts')];
}

export const COMMAND = command();

export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function start(args: string[], cwd: string, wrapper: string[] = []): ChildProcess {
  const [command, ...rest] = [...wrapper, ...COMMAND, ...args] as [string, ...string[]];
  return spawn(command, rest, { cwd, stdio: ['pipe', 'pipe', 'pipe'] });
}

export function finished(child: ChildProcess, input = ''): Promise<Ran> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    // A character may come in two parts.
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
    child.stdin?.end(input);
  });
}

export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'sluice-cli-'));

  write(name: string, text: string | Uint8Array): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  run(...args: string[]): Promise<Ran> {
    return finished(start(args, this.path));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export const GOOD = `\
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe }
  - { address: 198.51.100.11, mac: 02:00:00:00:02:01 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    servers: [{ address: 198.51.100.11:8080 }]
`;
