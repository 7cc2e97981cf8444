/** The log: one line an entry, text or JSON; floods are counted, not written. */
import { Writable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLogger, RateLimit } from '../../src/log.js';

function capture(): { lines: string[]; stream: Writable } {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { lines, stream };
}

test('text: level unless info, message, code, the rest', () => {
  const { lines, stream } = capture();
  const log = createLogger({ stream });
  log.info('ready');
  log.warn('no free local port', { code: 'ERR_LOCAL_PORTS_EXHAUSTED', count: 7, service: 'web' });
  log.debug('not at this level');
  const times = lines.map((line) => line.slice(0, 24));
  assert.ok(times.every((time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(time)));
  assert.equal(
    lines.map((line) => line.slice(25)),
    ['ready\n', 'warn: no free local port [ERR_LOCAL_PORTS_EXHAUSTED] count=7 service=web\n'],
  );
});

test('text of strangers neither moves the cursor nor hides', () => {
  const { lines, stream } = capture();
  const log = createLogger({ stream });
  log.warn('it said \x1b[2J\r\u202eok\tand\nno more', { detail: 'a\x9bb' });
  assert.is(
    lines[0]?.slice(25),
    'warn: it said \\x1b[2J\\x0d\\u202eok\tand\nno more detail=a\\x9bb\n',
  );
});

test('JSON', () => {
  const { lines, stream } = capture();
  createLogger({ stream, format: 'json', level: 'error' }).error('bad', { code: 'ERR_CONFIG' });
  const { timestamp, ...rest } = JSON.parse(lines[0] as string);
  assert.ok(Date.parse(timestamp) > 0);
  assert.equal(rest, { level: 'error', message: 'bad', code: 'ERR_CONFIG' });
});

test("the journal's: a priority before each line, and no time", () => {
  const { lines, stream } = capture();
  const log = createLogger({ stream, format: 'journal', level: 'debug' });
  log.error('bad\nand worse', { code: 'ERR_CONFIG' });
  log.warn('hm');
  log.info('ready', { service: 'web' });
  log.debug('x');
  assert.equal(lines, [
    '<3>bad\n<3>and worse [ERR_CONFIG]\n',
    '<4>hm\n',
    '<6>ready service=web\n',
    '<7>x\n',
  ]);
});

test('RateLimit: one line a key and interval; the next says how many were kept back', () => {
  let now = 0;
  const limit = new RateLimit(1000, () => now);
  const written: string[] = [];
  const note = (key: string) =>
    limit.run(key, (suppressed) => written.push(`${now} ${key} ${suppressed}`));
  for (now = 0; now < 2500; now += 100) note('a');
  note('b');
  assert.equal(written, ['0 a 0', '1000 a 9', '2000 a 9', '2500 b 0']);
});

test.run();
