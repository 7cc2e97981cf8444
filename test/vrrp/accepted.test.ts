/** VIPs in accept mode on the twins: when the kernel has them, around each publication. */
import { Writable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../src/lab/command.js';
import { createLogger } from '../../src/log.js';
import type { Role } from '../../src/plan.js';
import { Accepted } from '../../src/vrrp/accepted.js';

const VIP = '203.0.113.10';
const TWINS = ['slfront', '', 'slback'];

class Story {
  readonly steps: string[] = [];
  readonly logged: string[] = [];
  readonly #stream = new Writable({
    write: (chunk, _encoding, done) => {
      this.logged.push(String(chunk));
      done();
    },
  });
  fails = false;
  readonly #accepted = new Accepted(createLogger({ stream: this.#stream }), (twin, addresses) => {
    if (this.fails) throw new Error('no more room');
    this.steps.push(`${twin}: ${addresses.join(' ') || 'none'}`);
  });

  /** What happens with a publication. */
  publish(...all: [address: string, ours: boolean, accepted?: boolean, port?: number][]): string[] {
    const entries = all.map(
      ([address, ours, accepted = true, port = 0]) =>
        [address, { ours, port, mac: undefined, accepted }] as const,
    );
    const role: Role = { addresses: new Map(entries) };
    this.#accepted.around(role, TWINS, () => this.steps.push('published'));
    return this.steps.splice(0);
  }
}

test('what an earlier control plane has left goes first; what is ours comes after it is published', () => {
  const story = new Story();
  assert.equal(story.publish([VIP, true]), [
    'slfront: none',
    'slback: none',
    'published',
    `slfront: ${VIP}`,
  ]);
  assert.equal(story.publish([VIP, true]), ['published'], 'nothing new');
});

test('a master that becomes a backup: the kernel loses the VIP before anybody is told', () => {
  const story = new Story();
  story.publish([VIP, true]);
  assert.equal(story.publish([VIP, false]), ['slfront: none', 'published']);
  assert.equal(story.publish([VIP, true]), ['published', `slfront: ${VIP}`]);
});

test('only what is in accept mode, on the twin of its port', () => {
  const story = new Story();
  const steps = story.publish(
    [VIP, true, false],
    ['2001:db8::1', true, true, 2],
    ['x', true, true, 1],
  );
  assert.equal(steps.slice(2), ['published', 'slback: 2001:db8::1']);
});

test('one of several leaves: the others stay', () => {
  const story = new Story();
  story.publish([VIP, true], ['203.0.113.11', true]);
  assert.equal(story.publish([VIP, false], ['203.0.113.11', true]), [
    'slfront: 203.0.113.11',
    'published',
  ]);
});

test('what the kernel refuses is logged, holds nothing up, and is tried again', async () => {
  const story = new Story();
  story.publish();
  story.fails = true;
  assert.equal(story.publish([VIP, true]), ['published']);
  assert.ok(await until(() => story.logged.length > 0));
  assert.match(story.logged.join('\n'), /accept mode: .*no more room.*ERR_NATIVE_TWIN/s);
  story.fails = false;
  assert.equal(story.publish([VIP, true]), ['slfront: none', 'published', `slfront: ${VIP}`]);
});

test.run();
