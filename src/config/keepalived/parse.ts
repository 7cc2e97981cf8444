/**
 * keepalived.conf as keepalived would read it: the tree, and all that is wrong with it. What Sluice
 * then cannot do of it is another question: see support.ts.
 */
import type { Problem } from '../../errors.js';
import { type ReadOptions, readKeepalived } from './reader.js';
import { checkSemantics } from './semantics.js';
import type { Node } from './tree.js';
import { Problems, validate } from './validate.js';

export interface ParsedKeepalived {
  tree: Node[];
  problems: Problem[];
  files: string[];
}

export function parseKeepalived(
  text: string,
  file: string,
  options: ReadOptions = {},
): ParsedKeepalived {
  const { tree, problems, files } = readKeepalived(text, file, options);
  const findings = new Problems(problems);
  validate(tree, findings);
  checkSemantics(tree, findings);
  return { tree, problems: findings.all, files };
}
