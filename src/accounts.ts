/** Users and groups of the system, by their names. */
import { spawnSync } from 'node:child_process';

/** As getent(1) has them: asked once a name. undefined: there is none. */
const entries = new Map<string, string[] | undefined>();

function entry(database: 'passwd' | 'group', name: string): string[] | undefined {
  const key = `${database} ${name}`;
  if (!entries.has(key)) {
    const { stdout } = spawnSync('getent', [database, '--', name], { encoding: 'utf8' });
    entries.set(key, stdout ? stdout.trim().split(':') : undefined);
  }
  return entries.get(key);
}

function number(text: string | undefined): number | undefined {
  return text === undefined || text === '' ? undefined : Number(text);
}

export function userId(name: string): number | undefined {
  return number(entry('passwd', name)?.[2]);
}

/** The group that a user has where none is named. */
export function groupOfUser(name: string): number | undefined {
  return number(entry('passwd', name)?.[3]);
}

export function groupId(name: string): number | undefined {
  return number(entry('group', name)?.[2]);
}
