/** static_ipaddress, static_routes, static_rules and their like of instances → lines of director.yaml. */
import { children } from './find.js';
import type { Interfaces } from './interfaces.js';
import { type KernelLines, STATIC_LINES, VIRTUAL_LINES } from './keywords/kernel.js';
import type { Data } from './map-checks.js';
import type { Node } from './tree.js';
import { without } from './values.js';

/** keepalived's own. */
const DEFAULT_INTERFACE = 'eth0';

export const KERNEL_LISTS = ['addresses', 'routes', 'rules'] as const;
type Lists = Record<(typeof KERNEL_LISTS)[number], Node[]>;

export interface MappedKernel {
  data: Data | undefined;
  /** As `data` has them. */
  nodes: Lists;
}

/** Lines without an error, each with its text: devices by the names of their ports. */
function goodLines(
  blocks: readonly Node[],
  kind: keyof KernelLines,
  table: KernelLines,
  interfaces: Interfaces,
): { nodes: Node[]; texts: string[] } {
  const { block } = table[kind];
  const judge = typeof block === 'function' ? block : () => [];
  const nodes = blocks
    .flatMap(({ children: of }) => of ?? [])
    .filter((line) => !line.children && judge(line).every(({ warning }) => warning));
  const texts = nodes.map(({ words }) =>
    words
      .map(({ text }, index) => {
        const before = words[index - 1]?.text ?? '';
        return /^(dev|oif|iif)$/.test(before) ? interfaces.portOf(text) : text;
      })
      .join(' '),
  );
  return { nodes, texts };
}

export function mapStatic(
  tree: readonly Node[],
  interfaces: Interfaces,
  defaultInterface = DEFAULT_INTERFACE,
): MappedKernel {
  const of = (keyword: string, kind: keyof KernelLines) =>
    goodLines(
      tree.filter(({ words }) => words[0].text === keyword),
      kind,
      STATIC_LINES,
      interfaces,
    );
  const addresses = of('static_ipaddress', 'addresses');
  const routes = of('static_routes', 'routes');
  const rules = of('static_rules', 'rules');
  const placed = addresses.texts.map((text) =>
    / dev /.test(text) ? text : `${text} dev ${interfaces.portOf(defaultInterface)}`,
  );
  const data = without({
    addresses: some(placed),
    routes: some(routes.texts),
    rules: some(rules.texts),
  });
  const nodes = { addresses: addresses.nodes, routes: routes.nodes, rules: rules.nodes };
  return { data: Object.keys(data).length > 0 ? data : undefined, nodes };
}

const some = (texts: string[]) => (texts.length > 0 ? texts : undefined);

/** Of an instance. */
export function mapVirtual(node: Node, interfaces: Interfaces) {
  return {
    routes: goodLines(children(node, 'virtual_routes'), 'routes', VIRTUAL_LINES, interfaces),
    rules: goodLines(children(node, 'virtual_rules'), 'rules', VIRTUAL_LINES, interfaces),
  };
}
