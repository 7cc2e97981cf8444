/** Rows of config tests: a sentence, YAML, and every message with its exact place. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Loaded, parseConfig } from '../../src/config/load.js';
import { ConfigError, formatProblem, type Problem } from '../../src/errors.js';

export interface Row {
  it: string;
  yaml: string;
  /** `line:column: [warning: ]path: message`, in the order of the file. */
  says: string[];
  /** Codes of the problems, where the row is about them. */
  codes?: string[];
}

export function problemsOf(yaml: string): Problem[] {
  try {
    return parseConfig(yaml, 'director.yaml').warnings;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

export function load(yaml: string): Loaded {
  return parseConfig(yaml, 'director.yaml');
}

export function table(rows: Row[]): void {
  for (const { it, yaml, says, codes } of rows) {
    test(it, () => {
      const problems = problemsOf(yaml);
      const lines = problems.map((problem) =>
        formatProblem(problem).replace(/^director\.yaml:/, ''),
      );
      assert.equal(lines, says);
      if (codes) {
        assert.equal(
          problems.map(({ code }) => code),
          codes,
        );
      }
    });
  }
}

/** Two ports and a router, lines 1 to 8; `more` begins at line 9. */
export const BASE = `\
ports:
  - name: front
    mac: 02:00:00:00:01:01
    addresses: [192.0.2.1/24]
  - name: back
    mac: 02:00:00:00:01:02
    addresses: [198.51.100.1/24]
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
`;

/** BASE and one service: its keys begin at line 10, column 5. */
export function service(keys: string): string {
  const lines = keys.trim().split('\n');
  return `${BASE}services:\n  - ${lines.join('\n    ')}\n`;
}
