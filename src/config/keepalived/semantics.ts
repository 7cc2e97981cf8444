/** What only several lines together show, as keepalived -t sees it: names, duplicates, what lacks. */
import { argument, child, children, type Names, named, serverKey, title } from './find.js';
import { missingInChecker } from './keywords/checks.js';
import { integer, isAddress, port as portCheck } from './keywords/kinds.js';
import { tunnelFindings } from './keywords/lvs.js';
import { ClientGroups } from './map-clients.js';
import { type Node, placeOf } from './tree.js';
import type { Problems } from './validate.js';
import { checkVrrp } from './vrrp.js';

export function checkSemantics(tree: readonly Node[], problems: Problems): void {
  const groups = named(tree, 'virtual_server_group');
  const local = named(tree, 'local_address_group');
  const clients = new ClientGroups(tree);
  const files = named(tree, 'track_file', 'vrrp_track_file');
  const bfd = named(tree, 'bfd_instance');
  for (const node of tree) {
    const keyword = node.words[0].text;
    if (keyword === 'virtual_server') {
      checkService(node, groups, local, problems);
      clients.check(node, problems);
      for (const server of children(node, 'real_server')) {
        for (const check of server.children ?? []) checkChecker(check, files, bfd, problems);
      }
    } else if (keyword === 'track_file' || keyword === 'vrrp_track_file') {
      if (node.children && !child(node, 'file')) {
        problems.error('ERR_CONFIG_MISSING', placeOf(node), title(node), 'no file is named');
      }
    } else if (keyword === 'bfd_instance') {
      if (node.children && !child(node, 'neighbor_ip', 'neighbour_ip')) {
        const message = 'neighbor_ip is missing, expected the address of the other end';
        problems.error('ERR_CONFIG_MISSING', placeOf(node), title(node), message);
      }
    }
  }
  checkVrrp(tree, files, bfd, problems);
}

function checkService(node: Node, groups: Names, local: Names, problems: Problems): void {
  const path = title(node);
  const warn = (message: string) =>
    problems.warning('WARN_CONFIG_DEFAULT', placeOf(node), path, message);
  checkListen(node, groups, problems);
  checkGranularity(node, problems);
  for (const line of children(node, 'lvs_method', 'lb_kind', 'sorry_server_lvs_method')) {
    reportTunnel(line, problems);
  }
  const group = child(node, 'laddr_group_name');
  const name = argument(group);
  if (group && name !== undefined && !local.has(name)) {
    const message = `no local_address_group is called ${name}`;
    problems.error(
      'ERR_CONFIG_REFERENCE',
      placeOf(group, group.words[1]),
      'laddr_group_name',
      message,
    );
  }
  if (!node.children) return;
  const servers = children(node, 'real_server');
  if (servers.length === 0) {
    const message = 'it has no real_server and is left out';
    problems.warning('WARN_CONFIG_NO_SERVER', placeOf(node), path, message);
    return;
  }
  const fwmark = isMarked(node, groups);
  const protocol = argument(child(node, 'protocol'))?.toUpperCase();
  if (fwmark && protocol !== undefined) {
    const line = child(node, 'protocol') as Node;
    const message = 'a fwmark has every protocol: it is ignored';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(line), 'protocol', message);
  }
  if (!fwmark && protocol === undefined)
    warn('no protocol is given: it is UDP, as keepalived has it');
  if (!child(node, 'lvs_sched', 'lb_algo')) warn('no lvs_sched is given: it is wlc');
  if (!child(node, 'lvs_method', 'lb_kind')) warn('no lvs_method is given: it is NAT');
  if (child(node, 'ops') && protocol !== 'UDP' && !fwmark) {
    const line = child(node, 'ops') as Node;
    const message = 'one-packet scheduling is for UDP only: it is ignored';
    problems.warning('WARN_CONFIG_IGNORED', placeOf(line), 'ops', message);
  }
  const inhibit = child(node, 'sorry_server_inhibit');
  const sorry = child(node, 'sorry_server');
  if (inhibit && (!sorry || sorry.line > inhibit.line)) {
    const message = 'no sorry_server is given before it';
    problems.error('ERR_CONFIG_MISSING', placeOf(inhibit), 'sorry_server_inhibit', message);
  }
  checkOnce(node, ['quorum_up', 'quorum_down'], problems);
  checkQuorum(node, servers, problems);
  checkPorts(node, servers, groups, problems);
  checkServers(servers, problems);
}

/** A service for a mark, or for a group of nothing else. */
export function isMarked({ words: [, first, second] }: Node, groups: Names): boolean {
  if (first?.text !== 'group') return first?.text === 'fwmark';
  const members = groups.get(second?.text ?? '')?.children ?? [];
  return members.length > 0 && members.every(({ words }) => words[0].text === 'fwmark');
}

function checkQuorum(node: Node, servers: readonly Node[], problems: Problems): void {
  const line = child(node, 'quorum');
  const quorum = Number(argument(line) ?? 1);
  const total = servers.reduce(
    (sum, server) => sum + Number(argument(child(server, 'weight')) ?? 1),
    0,
  );
  if (line && quorum > total) {
    const message = `is ${quorum}, but all servers together weigh ${total}: that is the quorum then`;
    problems.warning('WARN_CONFIG_DEFAULT', placeOf(line), 'quorum', message);
  }
  const hysteresis = child(node, 'hysteresis');
  const least = Math.min(quorum, Math.max(1, total));
  if (hysteresis && Number(argument(hysteresis)) >= least) {
    const message = `is not below the quorum ${least}: it is 0 then`;
    problems.warning('WARN_CONFIG_DEFAULT', placeOf(hysteresis), 'hysteresis', message);
  }
}

/** DR and TUN leave packets as they are, port included. */
function checkPorts(node: Node, servers: readonly Node[], groups: Names, problems: Problems): void {
  const ports = new Set(listenPorts(node, groups));
  const own = argument(child(node, 'lvs_method', 'lb_kind'));
  for (const server of servers) {
    const method = argument(child(server, 'lvs_method', 'lb_kind')) ?? own;
    const port = server.words[2];
    if ((method !== 'DR' && method !== 'TUN') || !port) continue;
    const other = [...ports].find((one) => one !== port.text);
    if (other === undefined) continue;
    const message = `${method} cannot change the port: ${port.text} is ignored and the service's ${other} used`;
    problems.warning('WARN_CONFIG_IGNORED', placeOf(server, port), title(server), message);
  }
}

function listenPorts(node: Node, groups: Names): string[] {
  const [, first, second] = node.words.map(({ text }) => text);
  if (first === 'fwmark') return [];
  if (first !== 'group') return [second ?? '0'];
  const members = groups.get(second ?? '')?.children ?? [];
  return members
    .filter(({ words }) => words[0].text !== 'fwmark')
    .map((member) => argument(member) ?? '0');
}

/** Which packets: `address [port]`, `fwmark N` or `group NAME`. */
function checkListen(node: Node, groups: Names, problems: Problems): void {
  const [, first, second] = node.words;
  if (!first) return;
  if (first.text === 'fwmark' || first.text === 'group') {
    const path = `virtual_server ${first.text}`;
    if (!second) {
      problems.error(
        'ERR_CONFIG_MISSING',
        placeOf(node, first),
        path,
        'missing, expected its name or number',
      );
    } else if (first.text === 'fwmark' && !/^\d{1,10}$/.test(second.text)) {
      const message = `is ${second.text}, expected a whole number`;
      problems.error('ERR_CONFIG_VALUE', placeOf(node, second), path, message);
    } else if (first.text === 'group' && !groups.has(second.text)) {
      const message = `no virtual_server_group is called ${second.text}`;
      problems.error('ERR_CONFIG_REFERENCE', placeOf(node, second), path, message);
    }
    return;
  }
  checkEndpoint(node, 'virtual_server', problems);
  if (isAddress(first.text) && (!second || second.text === '0') && node.children) {
    if (!child(node, 'persistence_timeout')) {
      const message = 'only a persistent service can do without a port: it is made persistent';
      problems.warning('WARN_CONFIG_DEFAULT', placeOf(node), title(node), message);
    }
  }
}

/** Of IPv6 it is a length; of a group keepalived does not look. */
function checkGranularity(node: Node, problems: Problems): void {
  const line = child(node, 'persistence_granularity');
  const text = argument(line);
  if (!line || text === undefined || !argument(node)?.includes(':')) return;
  const expected = integer(1, 128)(text);
  if (!expected) return;
  const message = `is ${text}, expected ${expected}, as many bits of a client's address count`;
  problems.error(
    'ERR_CONFIG_VALUE',
    placeOf(line, line.words[1]),
    'persistence_granularity',
    message,
  );
}

/** The port 0 of a service stands for every port. */
function checkEndpoint(node: Node, path: string, problems: Problems): void {
  const [, first, second] = node.words;
  if (first && !isAddress(first.text)) {
    const message = `is ${first.text}, expected an IPv4 or IPv6 address`;
    problems.error('ERR_CONFIG_VALUE', placeOf(node, first), path, message);
  }
  const expected = second && second.text !== '0' ? portCheck(second.text) : undefined;
  if (second && expected) {
    const message = `port is ${second.text}, expected ${expected}`;
    problems.error('ERR_CONFIG_VALUE', placeOf(node, second), path, message);
  }
}

function checkServers(servers: readonly Node[], problems: Problems): void {
  const seen = new Map<string, Node>();
  for (const server of servers) {
    const key = serverKey(server);
    const first = seen.get(key);
    if (first) {
      const message = `is also the one of line ${first.line}`;
      problems.error('ERR_CONFIG_DUPLICATE', placeOf(server), title(server), message);
    }
    seen.set(key, server);
    for (const line of children(server, 'lvs_method', 'lb_kind')) reportTunnel(line, problems);
    checkOnce(server, ['notify_up', 'notify_down'], problems);
  }
}

function reportTunnel(line: Node, problems: Problems): void {
  for (const { word, message } of tunnelFindings(line)) {
    problems.error(
      'ERR_CONFIG_VALUE',
      placeOf(line, line.words[word]),
      line.words[0].text,
      message,
    );
  }
}

/** keepalived takes the first and complains about the others. */
function checkOnce(node: Node, names: readonly string[], problems: Problems): void {
  for (const name of names) {
    for (const line of children(node, name).slice(1)) {
      const message = 'is already given: the first one counts';
      problems.error('ERR_CONFIG_DUPLICATE', placeOf(line), name, message);
    }
  }
}

function checkChecker(node: Node, files: Names, bfd: Names, problems: Problems): void {
  const path = node.words[0].text;
  if (!/^[A-Z]+_(CHECK|GET)$/.test(path) || !node.children) return;
  const missing = missingInChecker(node);
  if (missing) problems.error('ERR_CONFIG_MISSING', placeOf(node), path, missing);
  for (const url of children(node, 'url')) {
    if (url.children && !child(url, 'path')) {
      problems.error('ERR_CONFIG_MISSING', placeOf(url), 'url', 'no path is given');
    }
    const low = Number(argument(child(url, 'regex_min_offset')) ?? 0);
    const high = Number(argument(child(url, 'regex_max_offset')) ?? Number.POSITIVE_INFINITY);
    if (low > high) {
      const line = child(url, 'regex_max_offset') as Node;
      const message = `is below regex_min_offset ${low}`;
      problems.error('ERR_CONFIG_CONFLICT', placeOf(line), 'regex_max_offset', message);
    }
  }
  const references: [keyword: string, line: Node | undefined, of: Names][] = [
    ['track_file', path === 'FILE_CHECK' ? child(node, 'track_file') : undefined, files],
    ['bfd_instance', path === 'BFD_CHECK' ? child(node, 'name') : undefined, bfd],
  ];
  for (const [keyword, line, of] of references) {
    const name = argument(line);
    if (line && name !== undefined && !of.has(name)) {
      const message = `no ${keyword} is called ${name}`;
      problems.error('ERR_CONFIG_REFERENCE', placeOf(line, line.words[1]), path, message);
    }
  }
}
