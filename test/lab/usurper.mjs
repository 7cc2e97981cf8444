/**
 * A process that a director starts for an upgrade, and that fails it: it speaks as little of the
 * protocol as it is told to, and then waits to be killed.
 *
 *   usurper.mjs silent|protocol|hello|prepared|switch|live FORMAT [arguments of sluice run]
 */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';

const [, , step, format] = process.argv;
const stay = () => new Promise(() => setInterval(() => {}, 1000));

const channel = new Socket({ fd: 3 });
const records = new Socket({ fd: 4 });
let heard = Buffer.alloc(0);
const waiting = [];
channel.on('data', (part) => {
  heard = Buffer.concat([heard, part]);
  while (heard.length >= 4 && heard.length >= 4 + heard.readUInt32LE()) {
    const length = 4 + heard.readUInt32LE();
    waiting.shift()?.(deserialize(heard.subarray(4, length)));
    heard = heard.subarray(length);
  }
});
const next = () => new Promise((resolve) => waiting.push(resolve));
const say = (message) => {
  const body = serialize(message);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  channel.write(Buffer.concat([head, body]));
};

if (step === 'silent') await stay();
const { version } = createRequire(import.meta.url)('../../package.json');
const protocol = step === 'protocol' ? 99 : 1;
say({ type: 'hello', protocol, format: Number(format), version, pid: process.pid });
await next();
if (step === 'hello') process.exit(7);
const copying = next();
say({ type: 'prepared' });
await copying;
if (step === 'prepared') process.kill(process.pid, 'SIGKILL');
// Whatever it is told: it is there.
records.resume();
const asked = next();
records.write('r');
await asked;
// The other one's packet sockets are left alone, so that it hears nothing of what it doesn't take.
records.write('s');
await new Promise((done) => setTimeout(done, 100));
if (step === 'live') records.write('l');
await new Promise((done) => setTimeout(done, 200));
writeSync(2, `usurper: ${step}\n`);
process.kill(process.pid, 'SIGKILL');
