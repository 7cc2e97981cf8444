/** VRRP blocks against one another, as keepalived -t sees them. */
import { argument, child, children, type Names, named, title } from './find.js';
import { type Node, placeOf } from './tree.js';
import type { Problems } from './validate.js';

export function checkVrrp(
  tree: readonly Node[],
  files: Names,
  bfd: Names,
  problems: Problems,
): void {
  const known: Record<string, Names> = {
    track_script: named(tree, 'vrrp_script'),
    track_process: named(tree, 'vrrp_track_process'),
    track_file: files,
    track_bfd: bfd,
  };
  const globals = tree.filter(({ words }) => words[0].text === 'global_defs');
  const strict = globals.some((node) => child(node, 'vrrp_strict') !== undefined);
  const instances = new Map<string, Node>();
  for (const node of tree) {
    const keyword = node.words[0].text;
    if (keyword === 'vrrp_instance') checkInstance(node, instances, strict, problems);
    if (keyword === 'vrrp_instance' || keyword === 'vrrp_sync_group') {
      checkTracked(node, known, problems);
    }
    if (keyword === 'vrrp_script' && node.children && !child(node, 'script')) {
      const message = 'no script is given';
      problems.error('ERR_CONFIG_MISSING', placeOf(node), title(node), message);
    }
  }
  for (const node of tree) {
    if (node.words[0].text === 'vrrp_sync_group') checkGroup(node, instances, problems);
  }
}

function checkInstance(
  node: Node,
  instances: Map<string, Node>,
  globalStrict: boolean,
  problems: Problems,
): void {
  const path = title(node);
  const name = argument(node);
  const first = name === undefined ? undefined : instances.get(name);
  if (first) {
    const message = `has the name of line ${first.line}`;
    problems.error('ERR_CONFIG_DUPLICATE', placeOf(node), path, message);
  } else if (name !== undefined) instances.set(name, node);
  if (!node.children) return;
  if (!child(node, 'virtual_router_id')) {
    const message = 'virtual_router_id is missing, expected a number from 1 to 255';
    problems.error('ERR_CONFIG_MISSING', placeOf(node), path, message);
  }
  const own = argument(child(node, 'interface'));
  if (own === undefined && !child(node, 'unicast_src_ip')) {
    const message = 'interface is missing, expected one (or unicast_src_ip)';
    problems.error('ERR_CONFIG_MISSING', placeOf(node), path, message);
  }
  for (const line of children(node, 'track_interface').flatMap((block) => block.children ?? [])) {
    if (line.words[0].text === own) {
      const message = `${own} is its own interface and tracked anyway`;
      problems.warning('WARN_CONFIG_IGNORED', placeOf(line), 'track_interface', message);
    }
  }
  checkAuthentication(node, strictness(node, globalStrict), problems);
}

function strictness(node: Node, inherited: boolean): boolean {
  const line = child(node, 'strict_mode');
  return line ? !/^(off|no|false)$/.test(argument(line) ?? 'on') : inherited;
}

function checkAuthentication(node: Node, strict: boolean, problems: Problems): void {
  const state = child(node, 'state');
  const master = argument(state) === 'MASTER';
  const owner = argument(child(node, 'priority')) === '255';
  const block = child(node, 'authentication');
  const type = block && child(block, 'auth_type');
  if (state && master && argument(type) === 'AH') {
    const message = 'MASTER at start does not go with AH authentication: it is ignored';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(state), 'state', message);
  }
  if (block?.children && type && !child(block, 'auth_pass')) {
    const message = 'no auth_pass is given: it is ignored';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(block), 'authentication', message);
  }
  if (!strict) return;
  if (block) {
    const message = 'strict mode has no authentication: it is ignored';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(block), 'authentication', message);
  }
  if (state && master !== owner) {
    const message = 'strict mode wants MASTER if and only if the priority is 255';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(state), 'state', message);
  }
}

function checkTracked(node: Node, known: Record<string, Names>, problems: Problems): void {
  for (const [block, names] of Object.entries(known)) {
    for (const line of children(node, block).flatMap((one) => one.children ?? [])) {
      const name = line.words[0].text;
      if (names.has(name)) continue;
      const message = `nothing is called ${name}`;
      problems.error('ERR_CONFIG_REFERENCE', placeOf(line), block, message);
    }
  }
}

function checkGroup(node: Node, instances: Names, problems: Problems): void {
  if (!node.children) return;
  const lines = children(node, 'group').flatMap((block) => block.children ?? []);
  if (lines.length === 0) {
    const message = 'no vrrp_instance is in it, expected group { … }';
    problems.error('ERR_CONFIG_MISSING', placeOf(node), title(node), message);
  }
  for (const line of lines) {
    for (const word of line.words) {
      if (instances.has(word.text)) continue;
      const message = `no vrrp_instance is called ${word.text}`;
      problems.error('ERR_CONFIG_REFERENCE', placeOf(line, word), 'group', message);
    }
  }
}
