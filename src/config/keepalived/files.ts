/** The files a keepalived.conf is made of: reading, and the wildcards of `include`. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Files {
  /** Text of a file; throws Node's error. */
  read(path: string): string;
  /** Names in a folder, [] when there is none. */
  list(folder: string): string[];
  isFolder(path: string): boolean;
}

export const DISK: Files = {
  read: (path) => readFileSync(path, 'utf8'),
  list: (folder) => {
    try {
      return readdirSync(folder);
    } catch {
      return []; // As glob(3): an unreadable folder matches nothing.
    }
  },
  isFolder: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
};

export function hasWildcard(pattern: string): boolean {
  return /[*?[{]/.test(pattern);
}

/** Paths that a pattern of `* ? [a-z] {one,two}` matches, relative to `folder`, sorted. */
export function glob(pattern: string, folder: string, files: Files): string[] {
  return braces(pattern).flatMap((one) => {
    const rooted = one.startsWith('/');
    const steps = one.split('/').filter((step) => step !== '');
    return steps.length === 0 ? [] : walk(rooted ? '/' : folder, steps, files);
  });
}

function walk(folder: string, [step = '', ...rest]: string[], files: Files): string[] {
  const matching = /[*?[]/.test(step)
    ? files.list(folder).filter((name) => wildcard(step).test(name))
    : step === '.' || step === '..' || files.list(folder).includes(step)
      ? [step]
      : [];
  const paths = matching.sort().map((name) => join(folder, name));
  return rest.length === 0 ? paths : paths.flatMap((path) => walk(path, rest, files));
}

/** A leading dot is matched by a dot only. */
function wildcard(step: string): RegExp {
  const source = step.replaceAll(/\[!?[^\]]+\]|[\s\S]/g, (part) => {
    if (part === '*') return '.*';
    if (part === '?') return '.';
    if (part.length > 1) {
      const inner = part.slice(1, -1).replaceAll(/[\\\]^[]/g, '\\$&');
      return inner.startsWith('!') ? `[^${inner.slice(1)}]` : `[${inner}]`;
    }
    return part.replaceAll(/[\\^$.|+()[\]{}*?]/g, '\\$&');
  });
  try {
    return new RegExp(`^${step.startsWith('.') ? '' : '(?!\\.)'}${source}$`, 's');
  } catch {
    return /^(?!)/; // A range that runs backwards matches nothing.
  }
}

/** csh braces: `{a,b{c,d}}` → a, bc, bd. */
function braces(pattern: string, depth = 0): string[] {
  const open = pattern.indexOf('{');
  if (open < 0 || depth > 16) return [pattern];
  let level = 0;
  const commas: number[] = [];
  for (let at = open; at < pattern.length; at++) {
    const letter = pattern[at];
    if (letter === '{') level++;
    else if (letter === ',' && level === 1) commas.push(at);
    else if (letter === '}' && --level === 0) {
      const cuts = [open, ...commas, at];
      return cuts
        .slice(1)
        .flatMap((cut, index) =>
          braces(
            pattern.slice(0, open) +
              pattern.slice((cuts[index] as number) + 1, cut) +
              pattern.slice(at + 1),
            depth + 1,
          ),
        );
    }
  }
  return [pattern];
}

export function folderOf(path: string): string {
  return dirname(path);
}
