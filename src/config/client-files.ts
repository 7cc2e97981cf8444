/** Files of clients that services name, read with the configuration, and all that is wrong with them. */
import { readFileSync } from 'node:fs';
import type { Place, Problem } from '../errors.js';
import { parseClientFile } from './client-sets.js';
import { CLIENT_LISTS, type ClientFile } from './clients.js';
import type { ServiceModel } from './model.js';
import type { Path } from './source.js';

/** Of a file: one that is no list of clients at all has as many mistakes as lines. */
const MOST_FAULTS = 10;

const known = new Map<string, WeakRef<ClientFile>>();

/** What says the same as before is the same object, and what was made of it holds. */
export function sharedClientFile(path: string, text: string): ClientFile {
  const before = known.get(path)?.deref();
  if (before?.text === text) return before;
  const file = { path, text };
  known.set(path, new WeakRef(file));
  return file;
}

/** `locate`, `describe`: of what a path of the configuration says. */
export function readClientFiles(
  services: readonly ServiceModel[],
  problems: Problem[],
  locate: (path: Path) => Place,
  describe: (path: Path) => string,
): ClientFile[] {
  const files = new Map<string, ClientFile>();
  services.forEach(({ clients }, index) => {
    for (const list of CLIENT_LISTS) {
      clients[list].forEach((item, at) => {
        if (typeof item === 'string' || files.has(item.file)) return;
        const path = ['services', index, 'clients', list, at];
        files.set(
          item.file,
          read(item.file, problems, () => [locate(path), describe(path)]),
        );
      });
    }
  });
  return [...files.values()];
}

function read(
  path: string,
  problems: Problem[],
  where: () => [place: Place, what: string],
): ClientFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const [place, what] = where();
    const message = `cannot read ${path}: ${(cause as Error).message}`;
    problems.push({ severity: 'error', code: 'ERR_CONFIG_READ', place, path: what, message });
    return { path, text: '' };
  }
  const file = sharedClientFile(path, text);
  const { faults } = parseClientFile(file);
  faults.slice(0, MOST_FAULTS).forEach(({ line, column, message }, index) => {
    const more = faults.length - MOST_FAULTS;
    const rest = index === MOST_FAULTS - 1 && more > 0 ? `; ${more} more lines are wrong` : '';
    problems.push({
      severity: 'error',
      code: 'ERR_CONFIG_VALUE',
      place: { file: path, line, column },
      path: 'clients',
      message: message + rest,
    });
  });
  return file;
}
