// The choice of cases and the report; what is measured is run by test/lab/upgrade.test.ts.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type UpgradeResult, upgrade } from '../../bench/scenarios/upgrade.js';
import { ALL_MODES } from '../../src/lab/five-modes.js';

test('each mode is a case; an unknown one is refused with the choice', () => {
  assert.equal(
    upgrade.cases({}, false).map(upgrade.describe),
    ALL_MODES.map((mode) => `${mode}, 100 connections, 2 upgrades`),
  );
  assert.equal(upgrade.cases({ mode: ['tun'] }, true).map(upgrade.describe), [
    'tun, 500 connections, 5 upgrades',
  ]);
  assert.throws(
    () => upgrade.cases({ mode: ['snat'] }, false),
    /--mode snat: nat, dr, tun, fullnat, enat/,
  );
});

const RESULT: UpgradeResult = {
  scenario: 'upgrade',
  mode: 'nat',
  upgrades: 2,
  switchMs: 1.5,
  worstSwitchMs: 3.25,
  gapMs: 12.5,
  baselineGapMs: 7.5,
  rate: 1_000,
  packets: 9_000,
  lostPackets: 1,
  connections: 100,
  survived: 99,
  requests: 90,
  failedRequests: 0,
};

test('the report has a row a mode, and the targets the longest gap and all that was lost', () => {
  const results = {
    environment: { commit: 'c', date: 'd', cpu: 'e', cores: 2, kernel: 'k', hugepages: 0 },
    selection: 'usual' as const,
    cases: [RESULT, { ...RESULT, mode: 'dr' as const, gapMs: 20, survived: 100 }].map((result) => ({
      result,
      circumstances: {},
    })),
  };
  assert.match(
    upgrade.report(results).markdown,
    /\| nat \| \*\*1\.5\*\* \(3\.25\) \| \*\*12\.5\*\* \| 7\.5 \| 1 of 9 000 \| 99 of 100 \| 0 of 90 \|/,
  );
  assert.equal(upgrade.figures?.(results).upgrade, {
    'ms gap': { value: 20, note: 'dr, 7.5 without' },
    'connections lost': { value: 1, note: 'of 200' },
  });
});

test.run();
