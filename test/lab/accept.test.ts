// timeout: 120
/** VRRP's accept mode: a program beside the director is reached by the VIP, on the master alone. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../src/lab/command.js';
import { Lab } from '../../src/lab/lab.js';
import { type PairOptions, SHARED, SHARED_V6, said, startSluice } from '../../src/lab/pair.js';
import { skip } from '../support/skip.js';

const ECHO = new URL('echo.py', import.meta.url).pathname;
const ASK = `import socket, sys
with socket.create_connection((sys.argv[1], 7007), timeout=2) as to:
    to.sendall(b"hello\\n")
    print(to.makefile().readline().strip())`;
const BOTH: [PairOptions, PairOptions[]] = [
  { name: 'VI_4', advertMs: 100, accept: true },
  [{ name: 'VI_6', advertMs: 100, accept: true, routerId: 52, v6: true, virtualMac: true }],
];

const ask = (lab: Lab, address: string) =>
  lab.ns('router').try(['python3', '-c', ASK, address]).stdout.trim();

const has = (lab: Lab, n: number, address: string) =>
  lab
    .ns(`director${n}`)
    .try(['ip', 'addr', 'show', 'dev', 'slfront'])
    .stdout.includes(`${address}/`);

async function answeredBy(lab: Lab, n: number): Promise<void> {
  for (const address of [SHARED, SHARED_V6]) {
    const good = await until(() => ask(lab, address) === `director${n} hello`, 15_000);
    assert.ok(good, `${address} by ${n}: ${ask(lab, address)}`);
  }
}

if (process.getuid?.() !== 0) {
  skip('accept mode', 'network namespaces need root');
} else {
  test('a program of the master answers by the VIP, of both families; the backup has none', async () => {
    await Lab.use({ directors: 2, realServers: 0 }, async (lab) => {
      for (const role of ['router', 'director1', 'director2']) {
        const of = role === 'router' ? ['default', 'all', 'f0'] : ['default', 'all'];
        for (const one of of) {
          lab.ns(role).sysctl({
            [`net.ipv6.conf.${one}.accept_dad`]: 0,
            [`net.ipv6.conf.${one}.disable_ipv6`]: 0,
          });
        }
      }
      lab.ns('router').ip('addr replace 2001:db8:1::fe/64 dev f0 nodad');
      const start = async (n: 1 | 2) => {
        const director = await startSluice(lab, n, ...BOTH);
        lab.ns(`director${n}`).ip('route replace 2001:db8:1::/64 dev slfront');
        return director;
      };
      for (const n of [1, 2]) {
        const program = lab.ns(`director${n}`).spawn(['python3', ECHO, `director${n}`]);
        assert.ok(await until(() => program.stdout.includes('listening\n')), program.output);
      }
      const first = await start(1);
      await said(first, 'Entering MASTER STATE', 2);
      const second = await start(2);
      await said(second, 'Entering BACKUP STATE', 2);
      await answeredBy(lab, 1);
      assert.equal(
        [SHARED, SHARED_V6].map((one) => has(lab, 2, one)),
        [false, false],
      );

      await first.kill9();
      await said(second, 'Entering MASTER STATE', 2);
      await answeredBy(lab, 2);

      await first.start();
      lab.ns('director1').ip('route replace 2001:db8:1::/64 dev slfront');
      await answeredBy(lab, 1);
      const gone = () => ![SHARED, SHARED_V6].some((one) => has(lab, 2, one));
      assert.ok(await until(gone, 10_000), second.log);
      for (const { log } of [first, second]) assert.not.match(log, /accept mode:/);
    });
  });
}

test.run();
