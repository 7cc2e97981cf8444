/** When a director that comes back has what its peer knows, and may take over. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { createLogger } from '../../src/log.js';
import { Sync } from '../../src/sync/feature.js';
import { BASE } from '../config/support.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-catching-up-'));
const key = join(folder, 'key');
writeFileSync(key, 'a key that both directors have\n', { mode: 0o600 });
test.after(() => rmSync(folder, { recursive: true }));

const log = createLogger({ level: 'error' });

/** With what the engine's thread is made to say; undefined: none runs. */
function open(keys: string | undefined, figures: Record<string, number>) {
  const block = keys === undefined ? '' : `sync: { interface: lo, peer: 192.0.2.9${keys} }\n`;
  const { model } = parseConfig(`${BASE}${block}`, 'x.yaml');
  let runs = false;
  const sync = new Sync(
    {
      startSync: () => {
        runs = true;
      },
      stopSync: () => {
        runs = false;
      },
      sync: () => (runs ? figures : null),
    } as never,
    log,
  );
  assert.not(sync.isCaughtUp, 'nothing is known before it is opened');
  sync.open(model.sync);
  return sync;
}

test('a peer that is heard, or may still be, is waited for until it has told everything', () => {
  const figures: Record<string, number> = { peers: 0, bulks_done: 0 };
  const sync = open(`, key: ${key}`, figures);
  assert.not(sync.isCaughtUp);
  figures.peers = 1;
  assert.not(sync.isCaughtUp);
  figures.bulks_done = 1;
  assert.ok(sync.isCaughtUp);
  figures.bulks_done = 0;
  assert.ok(sync.isCaughtUp, 'once and for all');
});

test('nobody is waited for who tells nothing', () => {
  assert.ok(open(undefined, {}).isCaughtUp, 'without sync');
  assert.ok(open(`, key: ${key}, role: master`, {}).isCaughtUp, 'one that adopts nothing');
  assert.ok(open(', protocol: ipvs', {}).isCaughtUp, 'Linux never says that it is through');
});

test('a peer that is not there is waited for no longer than it would need to be heard', () => {
  const now = performance.now;
  const figures: Record<string, number> = { peers: 0, bulks_done: 0 };
  let later = 0;
  performance.now = () => now.call(performance) + later;
  try {
    const sync = open(`, key: ${key}`, figures);
    later = 2_500;
    assert.not(sync.isCaughtUp);
    figures.peers = 1;
    later = 10_000;
    assert.not(sync.isCaughtUp);
    figures.peers = 0;
    assert.ok(sync.isCaughtUp);
  } finally {
    performance.now = now;
  }
});

test.run();
