/** Which modules of node_modules run, and which only build or test. */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Dependencies of the addon's build; package.json cannot tell them from the others. */
const BUILD_ONLY = ['cmake-js', 'nan', 'node-addon-api'];

interface Manifest {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

/** Where Node finds `name` from `folder`, relative to `root`; undefined: an optional one left out. */
function find(root: string, folder: string, name: string): string | undefined {
  for (
    let from = folder;
    ;
    from = from.slice(0, Math.max(0, from.lastIndexOf('node_modules') - 1))
  ) {
    const path = join(from, 'node_modules', name);
    if (existsSync(join(root, path, 'package.json'))) return path;
    if (from === '') return undefined;
  }
}

/** Folders below `root` of all modules that the program needs to run, such as node_modules/zod. */
export function runtimeModules(root: string): string[] {
  const found = new Set<string>();
  const visit = (folder: string, names: readonly string[]) => {
    for (const name of names) {
      const path = find(root, folder, name);
      if (path === undefined || found.has(path)) continue;
      found.add(path);
      const { dependencies = {}, optionalDependencies = {} } = manifestOf(join(root, path));
      visit(path, Object.keys({ ...dependencies, ...optionalDependencies }));
    }
  };
  const direct = Object.keys(manifestOf(root).dependencies ?? {});
  visit(
    '',
    direct.filter((name) => !BUILD_ONLY.includes(name)),
  );
  return [...found].sort();
}

/** Copies them to `target`, without what only developers read. */
export function copyModules(root: string, target: string): void {
  for (const folder of runtimeModules(root)) {
    const source = join(root, folder);
    cpSync(source, join(target, folder), {
      recursive: true,
      dereference: true,
      filter: (path) =>
        !/\.(map|d\.[cm]?ts|ts|md|markdown)$|\/\.[^/]*$/i.test(path.slice(source.length)) &&
        // A module's own modules are found by the same walk where they are needed.
        !(path.startsWith(`${source}/`) && path.slice(source.length).includes('/node_modules')),
    });
  }
}
