/** Lines for the kernel: what is wrong with them, and what the dataplane does not go by. */
import type { Findings } from '../config/findings.js';
import type { Model } from '../config/model.js';
import type { Path } from '../config/source.js';
import {
  addressFaults,
  type Fault,
  parseRoute,
  routeFaults,
  ruleFaults,
  STATIC,
  VIRTUAL,
  valueIn,
  type Where,
} from './grammar.js';

type Judge = (words: readonly string[], where: Where) => Fault[];

/** `portsKnown`: none was left out because of errors. */
export function checkKernel(model: Model, portsKnown: boolean, findings: Findings): void {
  const { addresses, routes, rules } = model.kernel;
  const check = (path: Path, lines: readonly string[], judge: Judge, where: Where) =>
    lines.forEach((line, index) => {
      const words = line.trim().split(/\s+/);
      const good = checkLine(words, [...path, index], judge, where, findings);
      if (!good) return;
      if (portsKnown) checkDevices(words, [...path, index], model, findings);
      const beyond = judge === ruleFaults ? ALL_RULES : judge === routeFaults && beyondMain(words);
      if (beyond) findings.warning('WARN_CONFIG_UNSUPPORTED', [...path, index], beyond);
    });
  check(['kernel', 'addresses'], addresses, addressFaults, STATIC);
  addresses.forEach((line, index) => {
    if (/(^|\s)dev\s/.test(line)) return;
    const message = 'no dev says which port or interface gets it';
    findings.error('ERR_CONFIG_MISSING', ['kernel', 'addresses', index], message);
  });
  check(['kernel', 'routes'], routes, routeFaults, STATIC);
  check(['kernel', 'rules'], rules, ruleFaults, STATIC);
  model.vrrp.instances.forEach((instance, at) => {
    const path = ['vrrp', 'instances', at];
    check([...path, 'routes'], instance.routes, routeFaults, VIRTUAL);
    check([...path, 'rules'], instance.rules, ruleFaults, VIRTUAL);
    instance.routes.forEach((line, index) => {
      const source = valueIn(parseRoute(line.trim().split(/\s+/)).line.options, 'src');
      const ours = [...instance.addresses, ...instance.excludedAddresses];
      if (instance.accept || source === undefined || !ours.includes(source)) return;
      const message = `src ${source} is an address that the kernel has only with accept: true, and refuses without`;
      findings.warning('WARN_CONFIG_UNSUPPORTED', [...path, 'routes', index], message);
    });
  });
}

function checkLine(
  words: readonly string[],
  path: Path,
  judge: Judge,
  where: Where,
  findings: Findings,
): boolean {
  const faults = judge(words, where);
  for (const { message, code, warning } of faults) {
    if (warning) findings.warning('WARN_CONFIG_DEPRECATED', path, message);
    else findings.error(code ?? 'ERR_CONFIG_VALUE', path, message);
  }
  return faults.every(({ warning }) => warning);
}

/** A port without a twin is nothing that the kernel knows. */
function checkDevices(
  words: readonly string[],
  path: Path,
  model: Model,
  findings: Findings,
): void {
  words.forEach((word, index) => {
    if (!['dev', 'oif', 'iif'].includes(words[index - 1] ?? '')) return;
    const port = model.ports.find(({ name }) => name === word);
    if (!port || port.twin !== undefined) return;
    const message = `port ${word} has no twin, which is how the kernel has it`;
    findings.error('ERR_CONFIG_CONFLICT', path, message);
  });
}

const ALL_RULES =
  'the dataplane goes by the main table alone: rules are for the kernel’s own packets';

/** What the dataplane leaves out of such a route, if anything (native/engine/live/mirror.h). */
function beyondMain(words: readonly string[]): string | undefined {
  const { type = 'unicast', options, hops } = parseRoute(words).line;
  const own = 'it is for the kernel’s own packets';
  const table = valueIn(options, 'table');
  if (type !== 'unicast') return `the dataplane knows no ${type} routes: ${own}`;
  if ((table !== undefined && table !== 'main' && table !== '254') || valueIn(options, 'vrf')) {
    return `the dataplane goes by the main table alone: ${own}`;
  }
  const named = ['tos', 'dsfield', 'from', 'encap'].find((name) => valueIn(options, name));
  if (named) return `the dataplane does not go by ${named}: ${own}`;
  return hops.length > 1
    ? 'the dataplane takes the first next hop that is behind a port'
    : undefined;
}
