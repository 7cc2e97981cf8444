/** Debian's keepalived as the oracle: `keepalived -t` over many files in a namespace of its own. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

export interface Verdict {
  /** Lines it names. */
  lines: Set<number>;
  /** All it says; empty is good. What is only about the machine's script user is left out. */
  says: string[];
}

/** Interfaces that the samples name; keepalived wants them to be there. */
const SCRIPT = `
for i in 0 1 2 3; do
  ip link add eth$i type veth peer name peer$i
  ip addr add 10.99.$i.1/24 dev eth$i
  ip link set eth$i up; ip link set peer$i up
done
ip link set lo up
ip link add link eth0 name eth0.1 type macvlan
for file in "$@"; do
  timeout 10 keepalived -t -i sluice -f "$file" > "$file.out" 2>&1
  echo "$?" > "$file.status"
done
`;

export function hasOracle(): boolean {
  const version = spawnSync('keepalived', ['-v'], { encoding: 'utf8' });
  const namespace = spawnSync('unshare', ['-n', '-m', 'true']);
  return version.status === 0 && namespace.status === 0;
}

/** One verdict a text. */
export function ask(texts: readonly string[]): Verdict[] {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-keepalived-'));
  try {
    const files = texts.map((text, index) => {
      const file = join(folder, `${index}.conf`);
      writeFileSync(file, text);
      return file;
    });
    const ran = spawnSync('unshare', ['-n', '-m', 'bash', '-c', SCRIPT, 'oracle', ...files], {
      cwd: folder,
      timeout: 300_000,
    });
    if (ran.error) throw ran.error;
    return files.map((file) =>
      verdict(readFileSync(`${file}.out`, 'utf8'), Number(readFileSync(`${file}.status`, 'utf8'))),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function verdict(output: string, status: number): Verdict {
  const says = output
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('SECURITY VIOLATION'));
  if (says.length === 0 && status !== 0 && status !== 6) says.push(`exit status ${status}`);
  const lines = new Set(
    says.flatMap((line) => {
      const number = /^\((?:[^()]*: )?Line (\d+)\)/.exec(line)?.[1];
      return number === undefined ? [] : [Number(number)];
    }),
  );
  return { lines, says };
}

const INSTALLED = '/usr/share/doc/keepalived/samples';

/**
 * The samples of Debian's package by name. A minimal system leaves documentation out when it
 * installs packages, so that they may have to be fetched.
 */
export function samples(): Map<string, string> | undefined {
  const folder = existsSync(INSTALLED) ? INSTALLED : fetched();
  if (folder === undefined) return undefined;
  const names = readdirSync(folder).filter((name) => name.startsWith('keepalived.conf'));
  return new Map(
    names.map((name) => {
      const bytes = readFileSync(join(folder, name));
      const text = name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
      return [name.replace(/\.gz$/, ''), text.toString('utf8')];
    }),
  );
}

function fetched(): string | undefined {
  const cache = fileURLToPath(new URL('../../../build/keepalived-package', import.meta.url));
  const folder = join(cache, 'root', INSTALLED);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const script = 'apt-get download keepalived && dpkg-deb -x keepalived_*.deb root';
  spawnSync('sh', ['-ec', script], { cwd: cache, timeout: 60_000 });
  return existsSync(folder) ? folder : undefined;
}
