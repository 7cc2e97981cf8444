/** VRRP blocks against one another, as keepalived -t sees them. */
import { argument, child, children, type Names, named, title } from './find.js';
import { type Node, placeOf } from './tree.js';
import type { Problems } from './validate.js';

const PASSWORD = 8;

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
  const of = (name: string) => globals.map((node) => child(node, name)).find((one) => one);
  const strict = of('vrrp_strict') !== undefined;
  const version = argument(of('vrrp_version')) ?? '2';
  const instances = new Map<string, Node>();
  for (const node of tree) {
    const keyword = node.words[0].text;
    if (keyword === 'vrrp_instance') {
      checkInstance(node, instances, strict, problems);
      if (node.children) checkSettings(node, strictness(node, strict), version, problems);
    }
    if (keyword === 'vrrp_instance' || keyword === 'vrrp_sync_group') {
      checkTracked(node, known, problems);
    }
    if (keyword === 'vrrp_script' && node.children && !child(node, 'script')) {
      const message = 'no script is given';
      problems.error('ERR_CONFIG_MISSING', placeOf(node), title(node), message);
    }
  }
  checkTrackGroups(tree, problems);
  const grouped = new Set<string>();
  for (const node of tree) {
    if (node.words[0].text !== 'vrrp_sync_group') continue;
    checkGroup(node, instances, problems);
    if (child(node, 'sync_group_tracking_weight')) continue;
    const lines = children(node, 'group').flatMap((block) => block.children ?? []);
    for (const { words } of lines) for (const { text } of words) grouped.add(text);
  }
  for (const [name, node] of instances) {
    checkWeights(node, grouped.has(name), known, problems);
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

export function strictness(node: Node, inherited: boolean): boolean {
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
  const word = block && child(block, 'auth_pass');
  if (block?.children && type && !word) {
    const message = 'no auth_pass is given: it is ignored';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(block), 'authentication', message);
  }
  if (word && (argument(word) ?? '').length > PASSWORD) {
    const message = `only its first ${PASSWORD} characters count`;
    problems.warning('WARN_CONFIG_IGNORED', placeOf(word, word.words[1]), 'auth_pass', message);
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

/** Settings that exclude one another: keepalived says so and goes on without the one. */
function checkSettings(node: Node, strict: boolean, version: string, problems: Problems): void {
  const ignored = (line: Node | undefined, why: string) => {
    if (!line) return;
    problems.warning('WARN_CONFIG_IGNORED', placeOf(line), line.words[0].text, why);
  };
  const said = argument(child(node, 'state')) === 'MASTER';
  const owner = (argument(child(node, 'priority')) ?? (said ? '255' : '')) === '255';
  const block = child(node, 'authentication');
  const ah = argument(block && child(block, 'auth_type')) === 'AH';
  const master = said && !(ah && (argument(child(node, 'version')) ?? version) === '2' && !strict);
  const nopreempt = child(node, 'nopreempt');
  if (owner) ignored(nopreempt, 'the owner of the addresses (priority 255) always preempts');
  else if (master) ignored(nopreempt, 'it does not go with state MASTER: it is off');
  const delay = child(node, 'preempt_delay');
  if (master) ignored(delay, 'it does not go with state MASTER: it is 0');
  else if (nopreempt && !owner) ignored(delay, 'there is no preemption to delay');
  else if (strict) ignored(delay, 'it does not go with strict mode: it is 0');
  const vmac = child(node, 'use_vmac');
  const peers = child(node, 'unicast_peer');
  const base = child(node, 'vmac_xmit_base');
  if (!vmac) ignored(base, 'there is no use_vmac');
  if (vmac && peers && !base) ignored(vmac, 'unicast adverts come from the interface’s own MAC');
  if (peers) ignored(child(node, 'mcast_dst_ip'), 'unicast_peer is given: it is unicast');
  else ignored(child(node, 'unicast_src_ip'), 'no unicast_peer is given: it is multicast');
  const [first, ...others] = children(node, 'virtual_ipaddress').flatMap(
    (one) => one.children ?? [],
  );
  const v6 = first?.words[0].text.includes(':') ?? false;
  for (const line of others) {
    if (line.words[0].text.includes(':') === v6) continue;
    ignored(
      line,
      'it is not of the family of the first address: virtual_ipaddress_excluded may be',
    );
  }
  const third = v6 || (argument(child(node, 'version')) ?? version) === '3';
  checkInterval(child(node, 'advert_int'), third, problems);
  const authentication = child(node, 'authentication');
  if (third && !strict && authentication && child(authentication, 'auth_pass')) {
    ignored(authentication, 'version 3 has no authentication');
  }
  if (v6 && argument(child(node, 'version')) === '2') {
    ignored(child(node, 'version'), 'version 2 has no IPv6: it is version 3');
  }
}

function checkInterval(line: Node | undefined, third: boolean, problems: Problems): void {
  const seconds = Number(argument(line));
  if (!line || !(seconds > 0)) return;
  const message = third
    ? seconds > 40.95
      ? 'is 40.95 s, the most that version 3 can say'
      : Math.abs(seconds * 100 - Math.round(seconds * 100)) > 1e-6
        ? 'is rounded: version 3 counts hundredths of a second'
        : undefined
    : Number.isInteger(seconds)
      ? undefined
      : 'is rounded: version 2 counts whole seconds';
  if (message === undefined) return;
  problems.warning('WARN_CONFIG_DEFAULT', placeOf(line, line.words[1]), 'advert_int', message);
}

/** In a sync group, and of the owner of the addresses, weights do not count. */
function checkWeights(
  node: Node,
  grouped: boolean,
  known: Record<string, Names>,
  problems: Problems,
): void {
  const master = argument(child(node, 'state')) === 'MASTER';
  const owner = (argument(child(node, 'priority')) ?? (master ? '255' : '')) === '255';
  if (!owner && !grouped) return;
  const own = argument(child(node, 'interface'));
  for (const block of ['track_interface', ...Object.keys(known)]) {
    for (const line of children(node, block).flatMap((one) => one.children ?? [])) {
      const name = line.words[0].text;
      const tracker = known[block]?.get(name);
      const usual = tracker && argument(child(tracker, 'weight'));
      const weight = argument(line, 2) ?? usual ?? (block === 'track_file' ? '1' : '0');
      if (Number(weight) === 0 || name === own || (known[block] && !tracker)) continue;
      const why = owner ? 'priority 255 stays what it is' : 'a sync group has no weights';
      const message = `${name} has a weight and is not tracked: ${why}`;
      problems.warning('WARN_CONFIG_IGNORED', placeOf(line), block, message);
    }
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

/** Of static addresses, routes and rules. */
function checkTrackGroups(tree: readonly Node[], problems: Problems): void {
  const known = named(tree, 'track_group');
  const blocks = tree.filter(({ words }) => /^static_/.test(words[0].text));
  for (const line of blocks.flatMap((block) => block.children ?? [])) {
    const at = line.words.findIndex(({ text }) => text === 'track_group') + 1;
    const group = at > 0 ? line.words[at] : undefined;
    if (!group || known.has(group.text)) continue;
    const message = `no track_group is called ${group.text}`;
    problems.error('ERR_CONFIG_REFERENCE', placeOf(line, group), 'track_group', message);
  }
}

function checkGroup(node: Node, instances: Names, problems: Problems): void {
  if (!node.children) return;
  const lines = children(node, 'group').flatMap((block) => block.children ?? []);
  if (lines.length === 0) {
    const message = 'no vrrp_instance is in it, expected group { … }';
    problems.error('ERR_CONFIG_MISSING', placeOf(node), title(node), message);
  } else if (lines.flatMap(({ words }) => words).length === 1) {
    const message = 'one vrrp_instance alone needs no group';
    problems.warning('WARN_CONFIG_DEFAULT', placeOf(node), title(node), message);
  }
  for (const line of lines) {
    for (const word of line.words) {
      if (instances.has(word.text)) continue;
      const message = `no vrrp_instance is called ${word.text}`;
      problems.error('ERR_CONFIG_REFERENCE', placeOf(line, word), 'group', message);
    }
  }
}
