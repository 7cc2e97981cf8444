// Two guests at once, and nothing left of them, however they end.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';
import { Scene } from './scene.js';
import { topology } from './topology.js';
import { Uml, umlUnavailable } from './uml.js';

const reason = umlUnavailable();
const small = { ...topology, vips: [new Scene(0).vip] };

/** Processes whose parents lead to `root`. */
function descendants(root: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): [number, number][] => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [[Number(name), Number(text.slice(text.lastIndexOf(')') + 4).split(' ')[0])]];
      } catch {
        return [];
      }
    });
  const found = [root];
  for (const at of found) found.push(...parents.filter(([, up]) => up === at).map(([pid]) => pid));
  return found;
}

const alive = (pid: number) => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

const rootLinks = () => execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' });

async function gone(pids: number[]): Promise<boolean> {
  for (let tries = 0; tries < 50 && pids.some(alive); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return !pids.some(alive);
}

if (reason) {
  skip('User-Mode-Linux boxes', reason);
  test('a reason is given', () => assert.ok(reason));
} else {
  test('two guests at once answer for themselves; a killed one takes all of its own along', async () => {
    const links = rootLinks();
    const guests = await Promise.all([Uml.boot(small), Uml.boot(small)]);
    try {
      const scene = new Scene(0);
      const echo = scene.icmp({ type: 8, payload: 'ping' });
      for (const guest of guests) {
        const [sent = []] = await guest.play([echo]);
        assert.is(sent.length, 1);
        assert.is(sent[0]?.port, 'front');
      }
      const [killed, closed] = guests.map((guest) => descendants(guest.pid));
      assert.ok((killed?.length ?? 0) > 2);
      process.kill(guests[0].pid, 'SIGKILL');
      assert.ok(await gone(killed ?? []), 'processes of the killed box');
      const [sent = []] = await guests[1].play([echo]);
      assert.is(sent.length, 1, 'the other one goes on');
      await guests[1].close();
      assert.ok(await gone(closed ?? []), 'processes of the closed box');
    } finally {
      await Promise.all(guests.map((guest) => guest.close()));
    }
    assert.is(rootLinks(), links);
  });

  test('a guest that dies is an error, not a wait', async () => {
    const guest = await Uml.boot(small);
    try {
      let message = '';
      try {
        await guest.sh('poweroff -f || kill -9 1 || echo b >/proc/sysrq-trigger');
        await guest.sh('true');
      } catch (error) {
        message = (error as Error).message;
      }
      assert.match(message, /guest ended|no answer|box ended|Broken pipe/);
    } finally {
      await guest.close();
    }
  });
}

test.run();
