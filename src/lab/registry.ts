/**
 * Every lab is entered in /run/sluice/labs/ID with its owner, so that the next start finds what a
 * killed process left behind. An entry is made before the first namespace and removed after the
 * last one. A process is known by its id and its start time: ids are used again.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runRaw, sleepSync } from './command.js';

export const LABS_DIRECTORY = '/run/sluice/labs';

interface Entry {
  pid: number;
  startTime: string;
}

/** Field 22 of /proc/PID/stat, counted after the name, which may contain spaces. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Enters a new lab and returns its id: short, for it is a part of every namespace's name. */
export function register(): string {
  mkdirSync(LABS_DIRECTORY, { recursive: true, mode: 0o755 });
  const entry: Entry = { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
  for (;;) {
    const id = Math.floor(Math.random() * 36 ** 4)
      .toString(36)
      .padStart(4, '0');
    // Renamed into place as a whole: a sweep never sees an entry without its owner.
    const draft = join(LABS_DIRECTORY, `.${id}-${process.pid}`);
    mkdirSync(draft);
    writeFileSync(join(draft, 'lab.json'), JSON.stringify(entry));
    try {
      renameSync(draft, directoryOf(id));
      return id;
    } catch {
      // The id is taken: a directory that isn't empty is not replaced.
      rmSync(draft, { recursive: true });
    }
  }
}

export function directoryOf(id: string): string {
  return join(LABS_DIRECTORY, id);
}

function namesOf(id: string): string[] {
  const { stdout } = runRaw(['ip', 'netns', 'list']);
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  return names.filter((name) => name.startsWith(`sl${id}-`));
}

function processesIn(namespaces: string[]): number[] {
  return namespaces.flatMap((name) =>
    runRaw(['ip', 'netns', 'pids', name]).stdout.split('\n').filter(Boolean).map(Number),
  );
}

function signal(pids: number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended by itself.
    }
  }
}

/**
 * Takes a lab down: whatever runs in its namespaces, the namespaces, its directory.
 * Only things that bear the lab's own id are touched; safe to call twice.
 */
export function removeLab(id: string): void {
  const namespaces = namesOf(id);
  // SIGTERM first: the real servers' agent removes its programs, the director its socket.
  let pids = processesIn(namespaces);
  signal(pids, 'SIGTERM');
  for (let waited = 0; pids.length > 0 && waited < 1500; waited += 50) {
    sleepSync(50);
    pids = processesIn(namespaces);
  }
  for (let attempt = 0; pids.length > 0 && attempt < 40; attempt++) {
    signal(pids, 'SIGKILL');
    sleepSync(50);
    pids = processesIn(namespaces);
  }
  for (const name of namespaces) runRaw(['ip', 'netns', 'del', name]);
  rmSync(directoryOf(id), { recursive: true, force: true });
}

export interface SweepResult {
  removed: string[];
  alive: string[];
}

/** Removes the labs whose owner is dead. */
export function sweep(): SweepResult {
  const result: SweepResult = { removed: [], alive: [] };
  let ids: string[];
  try {
    ids = readdirSync(LABS_DIRECTORY);
  } catch {
    return result;
  }
  for (const id of ids.filter((each) => !each.startsWith('.'))) {
    let entry: Entry | undefined;
    try {
      entry = JSON.parse(readFileSync(join(directoryOf(id), 'lab.json'), 'utf8')) as Entry;
    } catch {
      // Half removed: by a process that was killed over it.
    }
    if (entry && entry.startTime !== '' && startTimeOf(entry.pid) === entry.startTime) {
      result.alive.push(id);
      continue;
    }
    removeLab(id);
    result.removed.push(id);
  }
  return result;
}
