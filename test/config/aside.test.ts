/** Reading a large configuration beside the event loop: the same result, and everything else goes on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isSmall, loadAside, loadInThread } from '../../src/config/aside.js';
import { type Loaded, loadConfig } from '../../src/config/load.js';
import type { Path } from '../../src/config/source.js';
import { ConfigError } from '../../src/errors.js';
import { Names } from '../../src/ipvsadm/names.js';
import { RunningReplay } from '../support/running.js';
import { BASE } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-aside-'));
test.after(() => rmSync(folder, { recursive: true }));

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** So many services of ten servers each. */
function services(count: number): string {
  const lines = ['services:'];
  for (let i = 0; i < count; i++) {
    lines.push(
      `  - name: s${i}`,
      `    listen: 203.0.113.${10 + (i % 200)}:${1000 + Math.floor(i / 200)}`,
      `    mode: fullnat`,
      ...(i % 2 === 0 ? [`    localAddresses: [198.51.100.200, 198.51.100.201]`] : []),
      ...(i % 2 === 1 ? [`    localAddresses: [198.51.100.202]`] : []),
      `    servers:`,
    );
    for (let n = 0; n < 10; n++)
      lines.push(`      - { address: 198.51.100.${11 + n}:${2000 + i} }`);
  }
  return `${lines.join('\n')}\n`;
}

const VRRP =
  'vrrp: { instances: [{ name: VI_1, port: front, routerId: 1, addresses: [192.0.2.100] }] }\n';
const KEEPALIVED = `virtual_server 203.0.113.10 80 {
  lb_algo rr
  protocol TCP
  real_server 198.51.100.11 80 {
    weight 2
    TCP_CHECK {
    }
  }
  real_server 198.51.100.12 80 {
  }
}
`;

function same(aside: Loaded, here: Loaded, paths: readonly Path[]): void {
  assert.equal(aside.model, here.model);
  assert.equal(aside.warnings, here.warnings);
  assert.equal(aside.tokenHashes, here.tokenHashes);
  assert.is(aside.file, here.file);
  for (const path of paths) assert.equal(aside.locate(path), here.locate(path), path.join('.'));
}

/** Whatever is asked for when places are told: what is there, what is not, what no file has. */
const PATHS: Path[] = [
  [],
  ['director'],
  ['director', 'maxConnections'],
  ['ports', 1],
  ['ports', 1, 'mac'],
  ['ports', 7],
  ['routes'],
  ['services'],
  ['services', 0],
  ['services', 0, 'servers'],
  ['services', 0, 'servers', 1],
  ['services', 0, 'localAddresses'],
  ['services', 1, 'localAddresses'],
  ['services', 1, 'servers', 0],
  ['services', 99_999],
  ['vrrp', 'instances', 0, 'routerId'],
];

test('a thread reads what would be read here, and knows the same places', async () => {
  const file = written('director.yaml', `${BASE}${VRRP}${services(3)}`);
  const first = await loadInThread(file);
  same(first, loadConfig(file), PATHS);
  // What has not changed is not another object: nothing later has to look into it.
  writeFileSync(file, `${BASE}${VRRP}${services(4)}`.replace(':2001', ':2999'));
  const second = await loadInThread(file, first.model);
  same(second, loadConfig(file), PATHS);
  const kept = second.model.services.map((one) => first.model.services.includes(one));
  assert.equal(kept, [true, false, true, false]);
});

test('keepalived.conf too, with its includes', async () => {
  written('sluice.yaml', BASE);
  written('more.conf', KEEPALIVED.replaceAll('.10 80', '.20 80'));
  const file = written('keepalived.conf', `${KEEPALIVED}include more.conf\n`);
  assert.not(isSmall(file), 'nobody knows yet how large that is');
  const here = loadConfig(file);
  same(await loadAside(file), here, PATHS);
  assert.ok(here.locate(['services', 1]).file.endsWith('more.conf'));
});

test('mistakes come with their places and words, and what is no file with its reason', async () => {
  const text = `${BASE}${services(2)}`.replace('mode: fullnat', 'mode: fulnat');
  const wrong = written('wrong.yaml', text);
  const problemsOf = async (load: () => Loaded | Promise<Loaded>) => {
    try {
      await load();
    } catch (error) {
      assert.instance(error, ConfigError);
      return (error as ConfigError).problems;
    }
    throw new Error('it was taken');
  };
  const found = await problemsOf(() => loadInThread(wrong));
  assert.is(found.length, 1);
  assert.equal(found, await problemsOf(() => loadConfig(wrong)));
  for (const load of [loadAside, loadInThread]) {
    try {
      await load(join(folder, 'nowhere.yaml'));
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_CONFIG_READ');
    }
  }
});

test('while a large file is read and run the director answers, and reloads follow one another', async () => {
  const limits = 'director: { maxServices: 1024, maxServers: 8192 }\n';
  const names = new Names('', '');
  const director = new RunningReplay(`${limits}${BASE}${services(1)}`, names);
  await director.open();
  try {
    writeFileSync(director.file, `${limits}${BASE}${services(300)}`);
    assert.not(isSmall(director.file));
    const order: string[] = [];
    let turns = 0;
    const clock = setInterval(() => turns++, 1);
    const reloads = [300, 2].map(async (count, index) => {
      // The second request comes while the first one is under way.
      if (index === 1) {
        await director.client.status();
        order.push('status');
        writeFileSync(`${director.file}.2`, `${limits}${BASE}${services(count)}`);
      }
      const file = index === 1 ? `${director.file}.2` : director.file;
      await director.client.reload({ file, edits: 'discard' });
      order.push(`reload ${index}`);
    });
    await Promise.all(reloads);
    clearInterval(clock);
    assert.equal(order, ['status', 'reload 0', 'reload 1']);
    assert.is((await director.client.services()).length, 2, 'the last one that was asked for');
    // Each of them is a turn in which a lease would have been renewed.
    assert.ok(turns > 20, `${turns} turns`);
  } finally {
    director.close();
  }
});

test.run();
