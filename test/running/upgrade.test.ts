/** What a hot upgrade asks the process for. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RunningReplay } from '../support/running.js';

const PORTS = `
ports:
  - name: front
    mac: 02:00:00:00:01:01
    addresses: [192.0.2.1/24, "2001:db8::1/64"]
services:
  - name: web
    listen: 198.51.100.1:80
    mode: dr
    servers: [{address: 192.0.2.11:80}]
`;
const SIX = `
  - name: web6
    listen: "[2001:db8:1::1]:80"
    mode: dr
    servers: [{address: "[2001:db8::11]:80"}]
`;

test('services of both families: the running file, unless another one is named', async () => {
  const running = new RunningReplay(PORTS + SIX);
  try {
    for (const file of [undefined, '/etc/sluice/next.yaml']) {
      const more = file === undefined ? {} : { file };
      const failed = await running.control.upgrade({ discardEdits: true, ...more }).then(
        () => undefined,
        (error: Error) => error.message,
      );
      assert.is(failed, 'there is no other process');
    }
    assert.equal(
      running.upgrades.map(({ file }) => file),
      [running.file, '/etc/sluice/next.yaml'],
    );
  } finally {
    running.close();
  }
});

test.run();
