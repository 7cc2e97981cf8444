/** bench/results/*.json → bench/REPORT.md and bench/plots/. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pngOf } from './png.js';
import { DPVS_FLOOR_NS, type Figures } from './reference.js';
import type { Results, Scenario, Section } from './scenario.js';
import { summary } from './summary.js';

/** Where results/, plots/ and REPORT.md lie. */
export const BENCH = fileURLToPath(new URL('.', import.meta.url));

function resultsPath(directory: string, scenario: string): string {
  return join(directory, 'results', `${scenario}.json`);
}

/** What is kept of a scenario; undefined: nothing. */
export function readResults(
  scenario: string,
  directory: string = BENCH,
): Results<unknown> | undefined {
  const path = resultsPath(directory, scenario);
  if (!existsSync(path)) return undefined;
  return JSON.parse(readFileSync(path, 'utf8')) as Results<unknown>;
}

export function writeResults(
  scenario: string,
  results: Results<unknown>,
  directory: string = BENCH,
): void {
  mkdirSync(join(directory, 'results'), { recursive: true });
  writeFileSync(resultsPath(directory, scenario), `${JSON.stringify(results, null, 2)}\n`);
}

const HEAD = `# Benchmarks

Written by \`npm run bench\`; not to be edited by hand. [README](../README.md) says what Sluice is,
[README.md](README.md) how this is measured.

## Targets

DPVS 1.10 and katran were measured on a machine of this kind, DPVS in the way of \`forward\` (its
floor ${DPVS_FLOOR_NS} ns). One worker, medians, the floor of the same run included in each figure.
`;

/** Of the results that are there; a scenario without any is missing but for its rows on top. */
export function buildReport(
  scenarios: readonly Scenario<unknown, unknown>[],
  resultsOf: (scenario: string) => Results<unknown> | undefined,
): Section {
  const figures: Figures = {};
  const plots: Record<string, string> = {};
  const sections: string[] = [];
  for (const scenario of scenarios) {
    const results = resultsOf(scenario.name);
    if (results === undefined || results.cases.length === 0) continue;
    Object.assign(figures, scenario.figures?.(results));
    const section = scenario.report(results);
    Object.assign(plots, section.plots);
    sections.push(section.markdown);
  }
  return { markdown: [HEAD, `${summary(figures)}\n`, ...sections].join('\n'), plots };
}

/** Returns where it lies. */
export function writeReport(
  scenarios: readonly Scenario<unknown, unknown>[],
  directory: string = BENCH,
): string {
  const { markdown, plots } = buildReport(scenarios, (name) => readResults(name, directory));
  mkdirSync(join(directory, 'plots'), { recursive: true });
  for (const [name, svg] of Object.entries(plots)) {
    writeFileSync(join(directory, 'plots', `${name}.svg`), svg);
    writeFileSync(join(directory, 'plots', `${name}.png`), pngOf(svg));
  }
  const path = join(directory, 'REPORT.md');
  writeFileSync(path, markdown);
  return path;
}
