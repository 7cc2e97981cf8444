// The report from canned results: no row of the target table is ever missing, plots can be drawn.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TARGETS } from '../../bench/reference.js';
import { buildReport, writeReport, writeResults } from '../../bench/report.js';
import type { Results } from '../../bench/scenario.js';
import { apply } from '../../bench/scenarios/apply.js';
import { type ForwardResult, forward } from '../../bench/scenarios/forward.js';
import { SCENARIOS } from '../../bench/scenarios/index.js';
import { isMet } from '../../bench/summary.js';

const ENVIRONMENT = {
  commit: '0123456789',
  date: '2026-01-02',
  cpu: 'A CPU',
  cores: 2,
  kernel: '6.1',
  hugepages: 0,
};

const traffic = (mode: string, flows: number, nsPerPacket: number): ForwardResult => ({
  scenario: 'forward',
  mode,
  protocol: 'udp',
  family: 4,
  flows,
  bytes: 64,
  direction: 'request',
  nsPerPacket,
  madNs: 0.1,
  floorNs: 15.2,
  cyclesPerPacket: nsPerPacket * 2.6,
  runs: 5,
  offered: 1000,
  accounted: 1000,
});

function forwardResults(share = 1): Results<unknown> {
  const results = [
    traffic('fullnat', 1_000, 31),
    traffic('fullnat', 100_000, 55),
    traffic('dr', 1_000, 20),
  ];
  const circumstances = { tscHz: 2.6e9, cpus: [1], hugepages: false, share };
  return {
    environment: ENVIRONMENT,
    selection: 'usual',
    cases: results.map((result) => ({ result, circumstances })),
  };
}

function applyResults(): Results<unknown> {
  const result = {
    scenario: 'apply',
    services: 10_000,
    servers: 100_000,
    scheduler: 'wrr',
    publishMs: 61.26,
    madMs: 2,
    planMs: 30,
    encodeMs: 10,
    nativeMs: 21,
    diffMs: 1,
    firstMs: 300,
    configMs: 6000,
    gapUs: 40,
    calmGapUs: 35,
    lost: 1,
    runs: 5,
    offered: 10,
    accounted: 10,
  };
  const circumstances = { tscHz: 2.6e9, cpus: [1], hugepages: false };
  return { environment: ENVIRONMENT, selection: 'long', cases: [{ result, circumstances }] };
}

/** Cells of the summary's row that begins with `what`. */
function rowOf(markdown: string, what: string): string[] {
  const line = markdown.split('\n').find((each) => each.startsWith(`| ${what}`));
  assert.ok(line, `no row for ${what}`);
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

test('without any results every target is there, and not measured', () => {
  const { markdown, plots } = buildReport(SCENARIOS, () => undefined);
  for (const { what, dpvs } of TARGETS) {
    const cells = rowOf(markdown, what);
    assert.is(cells[1], dpvs);
    assert.equal(cells.slice(4, 6), ['not measured', '–']);
  }
  assert.equal(plots, {});
});

test('what was measured stands beside its target with its floor, what was not says so', () => {
  const { markdown } = buildReport(SCENARIOS, (name) =>
    name === 'forward' ? forwardResults() : undefined,
  );
  assert.equal(rowOf(markdown, 'FullNAT UDP').slice(3), [
    '≤ 32 / ≤ 50 / ≤ 80 ns',
    '**31** / **55** / not measured ns, floor 15.2 / 15.2',
    'yes / no / not measured',
    '[forward](results/forward.json)',
  ]);
  assert.is(rowOf(markdown, 'FullNAT TCP')[4], 'not measured');
  assert.is(rowOf(markdown, 'publish')[4], 'not measured');
});

test('goals of several kinds are named', () => {
  const { markdown } = buildReport([apply], () => applyResults());
  assert.equal(rowOf(markdown, 'publish').slice(3, 6), [
    'ms ≤ 100, packets lost ≤ 0',
    'ms **61.3** (wrr), packets lost **1**',
    'yes / no',
  ]);
});

test('a limit itself is met', () => {
  assert.ok(isMet({ at: '', most: 5 }, { value: 5 }));
  assert.ok(isMet({ at: '', least: 5 }, { value: 5 }));
  assert.not.ok(isMet({ at: '', most: 5 }, { value: 5.1 }));
  assert.not.ok(isMet({ at: '', least: 5 }, { value: 4.9 }));
});

test('commit, machine and a shared core are told', () => {
  const { markdown } = buildReport([forward], () => forwardResults(0.5));
  assert.match(
    markdown,
    /Commit 0123456789, 2026-01-02, usual form\. A CPU, 2 cores, TSC 2\.60 GHz/,
  );
  assert.match(markdown, /shared with other programs .* for 50 %/);
  assert.not.match(buildReport([forward], () => forwardResults()).markdown, /shared with/);
});

test('written: results beside the report, each plot as SVG and as PNG with its text', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-report-'));
  try {
    writeResults('forward', forwardResults(), directory);
    const path = writeReport(SCENARIOS, directory);
    assert.is(path, join(directory, 'REPORT.md'));
    assert.match(readFileSync(path, 'utf8'), /## forward/);
    assert.equal(readdirSync(join(directory, 'plots')).sort(), ['forward.png', 'forward.svg']);
    const png = readFileSync(join(directory, 'plots', 'forward.png'));
    assert.is(png.subarray(1, 4).toString(), 'PNG');
    // Without a font there would be lines only.
    assert.ok(png.length > 20_000, `${png.length} bytes`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
