// serial: a flood takes all there is
// timeout: 180
/** A flood overfills a small table many times while clients go on being served. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DropsReport, StatusReport } from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import { type FiveModes, startFiveModes } from '../../src/lab/five-modes.js';
import { Lab } from '../../src/lab/lab.js';
import { download, httpRequests } from '../../src/lab/load.js';
import { type ModeName, VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const FLOOD = fileURLToPath(new URL('flood.py', import.meta.url));
const MODES: ModeName[] = ['nat', 'dr', 'fullnat'];
const ROOM = 2048;
const PACKETS = 5 * ROOM;
/** The table turns over in half a second: longer than any round trip here. */
const RATE = 2 * ROOM;

if (process.getuid?.() !== 0) {
  skip('a flood in the lab', 'network namespaces need root');
} else {
  let lab: Lab;
  let bench: FiveModes;
  test.before(async () => {
    lab = await Lab.create();
    bench = await startFiveModes(lab, { modes: MODES, maxConnections: ROOM });
  });
  test.after(() => lab.destroy());

  const evicted = async (name: string) => {
    const { extra } = (await bench.director.get('/v1/drops')) as DropsReport;
    return extra[name] as number;
  };

  for (const mode of MODES) {
    for (const [kind, port, counter] of [
      ['syn', 80, 'evicted_half_open'],
      ['udp', 53, 'evicted_udp'],
    ] as const) {
      test(`${mode}: HTTP goes on during a flood of ${kind}`, async () => {
        const before = await evicted(counter);
        const argv = ['python3', FLOOD, kind, VIP[mode], String(port)];
        const flood = lab
          .ns('client')
          .spawn([...argv, String(PACKETS), String(RATE)], { timeout: 30 });
        let asked = 0;
        while (flood.status === undefined) {
          const answers = await httpRequests(lab, `http://${VIP[mode]}/`, 20);
          assert.is(answers.failed, 0, answers.trouble);
          asked += answers.asked;
        }
        assert.is(flood.status, 0, flood.output);
        assert.is(Number(flood.stdout), PACKETS);
        assert.ok(asked >= 20, `${asked} requests`);
        assert.ok(await download(lab, VIP[mode]));
        assert.ok(
          await until(async () => (await evicted(counter)) - before > PACKETS / 2),
          `${(await evicted(counter)) - before} of ${PACKETS} gave way`,
        );
        const status = (await bench.director.get('/v1/status')) as StatusReport;
        assert.ok(status.connections <= ROOM, `${status.connections} connections`);
      });
    }
  }
}

test.run();
