// timeout: 180
/** Other ways to reach a director in a lab: AF_XDP, partial checksums, two workers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ALL_MODES, type FiveModesOptions, startFiveModes } from '../../src/lab/five-modes.js';
import { BIG_BYTES } from '../../src/lab/fixtures.js';
import { Lab, type LabOptions } from '../../src/lab/lab.js';
import { dnsQueries, download, httpRequests } from '../../src/lab/load.js';
import { CLIENT, VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const VARIANTS: [string, LabOptions, FiveModesOptions][] = [
  ['af_packet, checksums left to the interface', { checksums: 'partial' }, {}],
  ['af_xdp', {}, { driver: 'af_xdp' }],
  ['two workers, flows handed over by ring', {}, { workers: 2 }],
  ['af_xdp, checksums left to the interface', { checksums: 'partial' }, { driver: 'af_xdp' }],
];

for (const [name, options, director] of VARIANTS) {
  if (process.getuid?.() !== 0) {
    skip(name, 'network namespaces need root');
    continue;
  }
  test(`${name}: all five modes`, () =>
    Lab.use({ realServers: 2, ...options }, async (lab) => {
      const bench = await startFiveModes(lab, director);
      for (const mode of ALL_MODES) {
        const http = await httpRequests(lab, `http://${VIP[mode]}/`, 40);
        assert.is(http.failed, 0, `${mode}: ${http.trouble}\n${bench.director.log}`);
        assert.equal([...http.clients], [[CLIENT, 40]], mode);
        const dns = await dnsQueries(lab, VIP[mode], 20);
        assert.is(dns.failed, 0, `${mode}: ${dns.trouble}\n${bench.director.log}`);
        assert.is(await download(lab, VIP[mode]), BIG_BYTES, mode);
      }
    }));
}

test.run();
