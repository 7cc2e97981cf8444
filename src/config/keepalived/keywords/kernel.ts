/** Lines of addresses, routes and rules that the kernel is given, with what keepalived remarks. */
import {
  addressFaults,
  parseRoute,
  parseRule,
  routeFaults,
  ruleFaults,
  STATIC,
  VIRTUAL,
  type Where,
} from '../../../kernel/grammar.js';
import type { Node } from '../tree.js';
import type { Finding, Keyword } from './kinds.js';

const textsOf = ({ words }: Node) => words.map(({ text }) => text);

export interface KernelLines {
  addresses: Keyword;
  routes: Keyword;
  rules: Keyword;
}

const remark = (message: string, word = 0): Finding => ({ word, message, warning: true });
const isFault = ({ warning }: Finding) => !warning;

const linesFor = (where: Where): KernelLines => ({
  addresses: { args: [], block: (node) => addressFaults(textsOf(node), where) },
  routes: { args: [], block: (node) => routeFindings(textsOf(node), where) },
  rules: { args: [], block: (node) => ruleFindings(textsOf(node), where) },
});
export const VIRTUAL_LINES = linesFor(VIRTUAL);
export const STATIC_LINES = linesFor(STATIC);

const MARKED = 'a route or rule that is tracked has the director’s own: with no_track it stays';

function routeFindings(words: string[], where: Where): Finding[] {
  const faults: Finding[] = routeFaults(words, where);
  if (faults.some(isFault)) return faults;
  const { options } = parseRoute(words).line;
  const has = (...names: string[]) => options.find(({ name }) => names.includes(name));
  if (has('no_track')) return faults;
  const protocol = has('protocol');
  return [
    ...faults,
    ...(has('dev', 'oif')
      ? []
      : [remark('without dev the route cannot be tracked, expected dev or no_track')]),
    ...(protocol ? [remark(`protocol is ignored: ${MARKED}`, protocol.at)] : []),
  ];
}

function ruleFindings(words: string[], where: Where): Finding[] {
  const faults: Finding[] = ruleFaults(words, where);
  if (faults.some(isFault)) return faults;
  const { options } = parseRule(words).line;
  const has = (...names: string[]) => options.find(({ name }) => names.includes(name));
  const protocol = has('protocol');
  return [
    ...faults,
    ...(has('preference', 'priority', 'order')
      ? []
      : [remark('no preference is given: the order of rules is left to chance')]),
    ...(protocol && !has('no_track')
      ? [remark(`protocol is ignored: ${MARKED}`, protocol.at)]
      : []),
  ];
}
