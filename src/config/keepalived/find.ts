/** Finding statements in a tree. */
import type { Node } from './tree.js';

export function children(node: Node, ...names: string[]): Node[] {
  return node.children?.filter(({ words }) => names.includes(words[0].text)) ?? [];
}

/** The last one counts, as in keepalived. */
export function child(node: Node, ...names: string[]): Node | undefined {
  return children(node, ...names).at(-1);
}

export function argument(node: Node | undefined, index = 1): string | undefined {
  return node?.words[index]?.text;
}

export function title(node: Node): string {
  return node.words.map(({ text }) => text).join(' ');
}

/** Names that other lines refer to, with the blocks that have them. */
export type Names = ReadonlyMap<string, Node>;

export function named(tree: readonly Node[], ...keywords: string[]): Names {
  const blocks = tree.filter(({ words }) => keywords.includes(words[0].text));
  return new Map(blocks.map((node) => [argument(node) ?? '', node]));
}

export function serverKey(server: Node): string {
  return `${argument(server)} ${argument(server, 2) ?? ''}`;
}
