/** Commands without a path: looked for where keepalived looks, in PATH. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TOP } from './keywords/index.js';
import type { Block } from './keywords/kinds.js';
import { type Node, placeOf } from './tree.js';
import { lookUp, type Problems } from './validate.js';
import { unescaped } from './words.js';

const FOLDERS = (process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(':');
/** Where a command is taken to be that is not found: the file may be for another machine. */
const USUAL = '/usr/bin';
const COMMANDS = new Set([
  'script',
  'misc_path',
  'quorum_up',
  'quorum_down',
  'notify',
  ...['up', 'down', 'master', 'backup', 'fault', 'stop'].map((what) => `notify_${what}`),
]);

const bareIn = (text: string): string | undefined => /^[^\s/"'<]+(?=\s|$)/.exec(text)?.[0];

const find = (name: string): string | undefined =>
  FOLDERS.filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

/** The command line with its command's path. */
export function located(text: string): string {
  const bare = bareIn(text);
  if (bare === undefined) return text;
  return (find(bare) ?? join(USUAL, bare)) + text.slice(bare.length);
}

/** Tells of those that are not found. */
export function checkCommands(tree: readonly Node[], problems: Problems, table: Block = TOP): void {
  for (const node of tree) {
    const name = node.words[0].text;
    const block = lookUp(table, name)?.block;
    if (node.children && typeof block === 'object') checkCommands(node.children, problems, block);
    const [, word] = node.words;
    const bare = word && COMMANDS.has(name) ? bareIn(unescaped(word.text)) : undefined;
    if (bare === undefined || find(bare) !== undefined) continue;
    const message = `${bare} is not found in PATH: it is taken as ${join(USUAL, bare)}`;
    problems.warning('WARN_CONFIG_SCRIPT', placeOf(node, word), name, message);
  }
}
