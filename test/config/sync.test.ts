/** The `sync` block: what it means, and what is told about a wrong one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KeepalivedSource } from '../../src/config/keepalived/source.js';
import { load, parseConfig } from '../../src/config/load.js';
import { ConfigError, SluiceError } from '../../src/errors.js';
import { restartPaths } from '../../src/reload.js';
import { type SyncModel, syncEngineOptions, syncOptions } from '../../src/sync/model.js';

const YAML = `ports: [{ name: front, addresses: [192.0.2.1/24] }]
services:
  - { name: web, listen: 203.0.113.10:80, mode: dr, servers: [{ address: 192.0.2.11:80 }] }
`;

function sync(block: string): SyncModel {
  const { model } = parseConfig(`${YAML}sync: ${block}\n`, 'director.yaml');
  assert.ok(model.sync);
  return model.sync;
}

function problems(block: string): string[] {
  try {
    sync(block);
    return [];
  } catch (error) {
    assert.instance(error, ConfigError);
    return (error as ConfigError).problems
      .filter(({ severity }) => severity === 'error')
      .map(({ code, place, path, message }) => `${code} ${place.line} ${path}: ${message}`);
  }
}

test('defaults', () => {
  assert.equal(sync('{ interface: slfront, peer: 192.0.2.2, key: /etc/sluice/sync.key }'), {
    protocol: 'sluice',
    role: 'both',
    interface: 'slfront',
    destination: '192.0.2.2',
    port: 8849,
    ttl: 1,
    key: '/etc/sluice/sync.key',
    syncid: 0,
    afterMs: 100,
    refreshMs: 60_000,
    rate: 500_000,
    datagramBytes: undefined,
    share: undefined,
  });
  const ipvs = sync('{ protocol: ipvs, interface: eth1, syncid: 7 }');
  assert.equal([ipvs.destination, ipvs.port, ipvs.syncid], ['224.0.0.81', 8848, 7]);
});

test('none is none', () => {
  assert.is(parseConfig(YAML, 'director.yaml').model.sync, undefined);
  assert.equal(syncEngineOptions(undefined), {});
});

const WRONG: [string, RegExp][] = [
  ['{ interface: a, peer: 192.0.2.2 }', /^ERR_CONFIG_MISSING 4 sync: key is missing: expected/],
  ['{ interface: a, protocol: ipvs, key: /k }', /^ERR_CONFIG_CONFLICT 4 sync\.key: IPVS’/],
  ['{ interface: a, key: /k, syncid: 3 }', /^ERR_CONFIG_CONFLICT 4 sync\.syncid: only/],
  ['{ interface: a, key: /k, peer: 192.0.2.2, group: 224.0.0.81 }', /sync\.group: there is a peer/],
  ['{ interface: a, key: /k, group: 192.0.2.2 }', /sync\.group: is 192\.0\.2\.2, expected a multi/],
  ['{ interface: a, key: /k, peer: 224.0.0.81 }', /sync\.peer: is 224\.0\.0\.81, a multicast/],
  ['{ key: /k }', /sync\.interface/],
  ['{ interface: "a b", key: /k }', /sync\.interface: is "a b", expected the name/],
  ['{ interface: a, key: k }', /sync\.key: is "?k"?, expected an absolute path/],
  ['{ interface: a, key: /k, share: 2 }', /sync\.share: is 2, expected a whole number from 0 to 1/],
  ['{ interface: a, key: /k, after: 2h }', /sync\.after: is "?2h"?, expected a time up to 60 s/],
  ['{ interface: a, key: /k, pear: 192.0.2.2 }', /sync\.pear: unknown key, did you mean peer\?/],
];

for (const [block, expected] of WRONG) {
  test(`refused with its place: ${block}`, () => {
    const found = problems(block);
    assert.is(found.length, 1, found.join('\n'));
    assert.match(found[0] as string, expected);
  });
}

test('a change takes a restart', () => {
  const at = (block: string) => parseConfig(`${YAML}${block}`, 'director.yaml').model;
  const one = 'sync: { interface: a, key: /k }\n';
  assert.equal(restartPaths(at(one), at(one)), []);
  const paths = restartPaths(at(one), at('sync: { interface: b, key: /k }\n'));
  assert.equal(
    paths.map(({ path }) => path),
    [['sync']],
  );
  assert.is(restartPaths(at(''), at(one)).length, 1);
});

test('the key: both directors make the same of it; a short or missing one is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sync-'));
  try {
    const key = join(folder, 'key');
    writeFileSync(key, `${'0123456789abcdef'.repeat(2)}\n`);
    const model = sync(`{ interface: a, key: ${key}, share: 1 }`);
    const made = syncOptions(model);
    assert.is(made.key?.length, 16);
    assert.is(made.tells && made.adopts, true);
    assert.equal(syncOptions(model), made);
    const { portHalf, rssSeed } = syncEngineOptions(model);
    assert.is(portHalf, 1);
    assert.is(typeof rssSeed, 'bigint');
    // A line's end makes no difference; anything else does.
    writeFileSync(key, '0123456789abcdef'.repeat(2));
    assert.equal(syncOptions(model).key, made.key);
    writeFileSync(key, '0123456789abcdeF'.repeat(2));
    assert.not.equal(syncOptions(model).key, made.key);
    for (const bad of ['short', undefined]) {
      if (bad === undefined) rmSync(key);
      else writeFileSync(key, bad);
      assert.throws(
        () => syncOptions(model),
        (error: Error) => error instanceof SluiceError && error.code === 'ERR_SYNC_KEY',
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const KEEPALIVED = `global_defs {
    lvs_sync_daemon eth1 VI_1 maxlen 1400 port 9000 ttl 2 group 224.0.0.99
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress { 203.0.113.10 }
}
virtual_server 203.0.113.10 80 {
    lvs_sched rr
    protocol TCP
    real_server 198.51.100.11 80 { }
}
`;

const fromKeepalived = (text: string) =>
  load(
    new KeepalivedSource(undefined, { file: 'keepalived.conf', text }, ['vrrp']),
    'keepalived.conf',
  );

test('keepalived’s lvs_sync_daemon is IPVS’ protocol; its id is the instance’s', () => {
  const { sync: made } = fromKeepalived(KEEPALIVED).model;
  assert.equal(
    [made?.protocol, made?.interface, made?.syncid, made?.destination, made?.port, made?.ttl],
    ['ipvs', 'eth1', 51, '224.0.0.99', 9000, 2],
  );
  assert.is(made?.datagramBytes, 1400);
  const { model } = fromKeepalived(KEEPALIVED.replace('VI_1 maxlen', 'VI_1 id 7 maxlen'));
  assert.is(model.sync?.syncid, 7);
});

test('a wrong value of lvs_sync_daemon is told at its line', () => {
  try {
    fromKeepalived(KEEPALIVED.replace('ttl 2', 'ttl many'));
    assert.unreachable();
  } catch (error) {
    const [problem] = (error as ConfigError).problems.filter((one) => one.severity === 'error');
    assert.is(problem?.place.line, 2);
    assert.match(problem?.message ?? '', /expected a whole number from 1 to 255/);
  }
});

test.run();
