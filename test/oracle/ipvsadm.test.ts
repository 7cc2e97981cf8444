// timeout: 300
// The same command lines to the real ipvsadm on a real IPVS (in User-Mode-Linux) and to ours on a
// director of replay: exit status, what is printed to the column, what is complained about.

import { isDeepStrictEqual } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Names } from '../../src/ipvsadm/names.js';
import { type Ran, RunningReplay } from '../support/running.js';
import { skip } from '../support/skip.js';
import { type Line, REASONS, SEQUENCES } from './ipvsadm-lines.js';
import { Scene } from './scene.js';
import { topology } from './topology.js';
import { type Frame, Uml, umlUnavailable } from './uml.js';

const CONFIGURATION = JSON.stringify({
  director: { name: 'oracle', maxConnections: 4096 },
  ports: (['front', 'back'] as const).map((name) => ({
    name,
    mac: topology[name].mac,
    addresses: [topology[name].address],
  })),
  routes: topology.routes,
  neighbours: topology.neighbours,
});
const scene = new Scene(0);
/** A connection may have been listed so many seconds later by IPVS. */
const SLACK_SECONDS = 8;

test('at least 80 command lines, and each reason is used', () => {
  const all = SEQUENCES.flatMap(({ lines }) => lines);
  assert.ok(all.length >= 80, `${all.length}`);
  assert.ok(all.every(({ differs, ours }) => (differs === undefined) === (ours === undefined)));
  const used = new Set(all.map(({ differs }) => differs).filter(Boolean));
  assert.equal([...used].sort(), Object.keys(REASONS).sort());
});

const reason = umlUnavailable();
if (reason) skip('ipvsadm against the real one', reason);
else tests();

function tests(): void {
  let uml: Uml;
  let ours: RunningReplay;
  test.before(async () => {
    uml = await Uml.boot({ ...topology, vips: [scene.vip] });
  });
  test.after(() => uml?.close());
  test.before.each(async () => {
    ours = await new RunningReplay(CONFIGURATION, Names.ofThisMachine()).open();
    await uml.sh('ipvsadm -C');
  });
  test.after.each(() => ours?.close());

  /** In a few calls: one costs the guest as much as several command lines. */
  async function theirsAll(lines: readonly Line[]): Promise<Ran[]> {
    const commands = lines.map(({ line, input, undo }) =>
      [
        ...(input === undefined ? [] : [`printf '%b' '${escaped(input)}' >/run/in`]),
        `ipvsadm ${line} <${input === undefined ? '/dev/null' : '/run/in'} >/run/out 2>/run/error`,
        'echo "status $?"; show 1 </run/out; show 2 </run/error',
        ...(undo ? [`ipvsadm ${undo} >/dev/null 2>&1`] : []),
      ].join('; '),
    );
    const ran: Ran[] = [];
    for (let at = 0; at < commands.length; at += AT_ONCE) {
      const text = await uml.sh(`${SHOW}; ${commands.slice(at, at + AT_ONCE).join('; ')}; true`);
      ran.push(
        ...text
          .split(/^status /m)
          .slice(1)
          .map(ranOf),
      );
    }
    assert.is(ran.length, lines.length);
    return ran;
  }

  const theirs = async (line: Line) => (await theirsAll([line]))[0] as Ran;
  const mine = ({ line, input }: Line) => ours.ipvsadm(words(line), input);

  for (const { say, lines } of SEQUENCES) {
    test(say, async () => {
      const problems: string[] = [];
      const real = await theirsAll(lines);
      for (const [at, line] of lines.entries()) {
        const [theirs, own] = [comparable(real[at] as Ran), comparable(await mine(line))];
        const same = isDeepStrictEqual(theirs, own);
        const { differs } = line;
        const input = line.input === undefined ? '' : ` <<< ${JSON.stringify(line.input)}`;
        const told = `$ ipvsadm ${line.line}${input}\n`;
        if (!differs && !same) problems.push(told + shown('real', theirs) + shown('ours', own));
        if (differs && same && !line.undo) problems.push(`${told}no longer differs (${differs})`);
        if (differs && !fits(line, own)) problems.push(told + shown('ours', own));
      }
      assert.ok(problems.length === 0, problems.join('\n'));
    });
  }

  const setUp = [
    `-A -t ${scene.vip}:80 -s rr`,
    `-a -t ${scene.vip}:80 -r 198.51.100.11:8080 -m`,
    `-a -t ${scene.vip}:80 -r 198.51.100.12 -g -w 2`,
    `-A -u ${scene.vip}:53 -s rr`,
    `-a -u ${scene.vip}:53 -r 198.51.100.13:5353 -m`,
    `-A -u ${scene.vip}:5060 -s rr -p 300 -o --pe sip`,
    `-a -u ${scene.vip}:5060 -r 198.51.100.13 -g`,
  ].join('\n');

  async function play(frames: Frame[]): Promise<void> {
    await uml.play(frames);
    for (const { port, bytes } of frames) ours.send(port, bytes);
  }

  test('connections, counts, statistics and rates of the same packets; then -Z', async () => {
    const restore = { line: '-R', input: setUp };
    assert.equal(await theirs(restore), { status: 0, out: '', error: '' });
    assert.equal(await mine(restore), { status: 0, out: '', error: '' });
    const hosts = [1, 2, 3, 4];
    await play([
      ...hosts.map((host) => scene.tcp('S', { host })),
      ...hosts.map((host) => scene.reply('SA', { host })),
      ...hosts.map((host) => scene.tcp('A', { host })),
      scene.tcp('FA', { host: 3 }),
      scene.tcp('R', { host: 4 }),
      scene.udp(),
      scene.udp({ host: 2 }),
      scene.udp({
        host: 5,
        dport: 5060,
        payload: 'BYE sip:a SIP/2.0\r\ni: 4711@192.0.2.9\r\n\r\n',
      }),
    ]);
    for (const line of ['-Lnc', '-Lc', '-L -c --persistent-conn']) {
      const [real, own] = [await theirs({ line }), await mine({ line })];
      assert.equal(connections(own.out).lines, connections(real.out).lines, line);
      connections(real.out).expiries.forEach((seconds, at) => {
        const full = connections(own.out).expiries[at] as number;
        // Ours has lost its first milliseconds; a guest that got no CPU may not have.
        assert.ok(
          seconds <= full + 1 && seconds >= full - SLACK_SECONDS,
          `${line}: ${seconds} ${full}`,
        );
      });
    }
    const real = { rates: '' };
    for (let tries = 0; tries < 40 && !/[1-9]\d* +\d+$/m.test(real.rates.slice(200)); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      real.rates = (await theirs({ line: '-Ln --rate' })).out;
    }
    // Some of IPVS's samples may have been before the last packets, or after.
    const seen: string[] = [];
    for (let sample = 0; sample < 4; sample++) {
      await ours.rates.sample();
      seen.push((await mine({ line: '-Ln --rate' })).out);
    }
    const rates = comparable({ status: 0, out: real.rates, error: '' }).out;
    const all = seen.map((out) => comparable({ status: 0, out, error: '' }).out);
    assert.ok(all.includes(rates), `${real.rates}\nours, sample by sample:\n${seen.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    const listings = ['-Ln', '-L', '-Ln --stats', '-L --stats --exact', '-Ln --thresholds'];
    for (const line of [...listings, '-Ln --persistent-conn', '-Ln --tun-info']) {
      assert.equal(comparable(await mine({ line })), comparable(await theirs({ line })), line);
    }
    for (const line of [`-Z -u ${scene.vip}:53`, '-Z']) {
      assert.equal(await mine({ line }), await theirs({ line }));
      for (const listing of ['-Ln --stats', '-Ln']) {
        const own = comparable(await mine({ line: listing }));
        assert.equal(own, comparable(await theirs({ line: listing })), `${line}, ${listing}`);
      }
    }
  });

  test('-S of one is -R of the other, both ways', async () => {
    assert.is((await mine({ line: '-R', input: setUp })).status, 0);
    const saved = (await mine({ line: '-Sn' })).out;
    assert.equal(await theirs({ line: '-R', input: saved }), { status: 0, out: '', error: '' });
    const back = (await theirs({ line: '-Sn' })).out;
    assert.is(back, saved);
    await mine({ line: '-C' });
    assert.equal(await mine({ line: '-R', input: back }), { status: 0, out: '', error: '' });
    assert.is((await mine({ line: '-Sn' })).out, back);
  });
}

/** A guest's shell function, without a process of its own: lines marked with what they came from. */
const SHOW = 'show() { while IFS= read -r l || [ -n "$l" ]; do echo "$1|$l"; done; }';
const AT_ONCE = 8;

function ranOf(text: string): Ran {
  const rows = text.split('\n');
  const of = (mark: string) =>
    rows.flatMap((row) => (row.startsWith(mark) ? [`${row.slice(mark.length)}\n`] : [])).join('');
  return { status: Number(rows[0]), out: of('1|'), error: of('2|') };
}

/** The version and the size of the table are each director's own. */
function comparable(ran: Ran): Ran {
  return { ...ran, out: ran.out.replace(/^IP Virtual Server version \S+ \(size=\d+\)$/m, 'TITLE') };
}

function fits({ ours }: Line, { status, out, error }: Ran): boolean {
  if (status !== ours?.status) return false;
  return (ours.error?.test(error) ?? true) && (ours.out?.test(out) ?? true);
}

function shown(who: string, { status, out, error }: Ran): string {
  const part = (mark: string, text: string) => (text === '' ? '' : text.replace(/^(?=.)/gm, mark));
  return `${who}: status ${status}\n${part('  1|', out)}${part('  2|', error)}`;
}

/** What a shell makes of the line: words, with double quotes around some. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

const escaped = (text: string) => text.replaceAll('\n', '\\n').replaceAll('\t', '\\t');

/** IPVS lists by hash, Sluice by worker and place: compared in one order, without the clock. */
function connections(text: string): { lines: string[]; expiries: number[] } {
  const [first = '', second = '', ...rest] = text.trimEnd().split('\n');
  const rows = rest
    .map((row) => {
      const [, minutes = '', seconds = ''] = /(\d\d):(\d\d)/.exec(row) ?? [];
      const line = row.replace(/\d\d:\d\d/, '--:--');
      return { line, seconds: Number(minutes) * 60 + Number(seconds) };
    })
    .sort((a, b) => (a.line < b.line ? -1 : 1));
  return {
    lines: [first, second, ...rows.map(({ line }) => line)],
    expiries: rows.map(({ seconds }) => seconds),
  };
}

test.run();
