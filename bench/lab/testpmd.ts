import { LabError, until } from '../../src/lab/command.js';
import { devargs } from '../../src/lab/five-modes.js';
import type { Lab } from '../../src/lab/lab.js';
import type { LabProcess, Namespace } from '../../src/lab/namespace.js';
import { natServer, realServer } from '../../src/lab/topology.js';
import type { Contestant, Lane } from './contestant.js';
import { places } from './place.js';
import type { Driver } from './port.js';

const SECONDS_AT_MOST = 600;

/** AF_PACKET copies; without this the kernel would do its part of the work on every frame as well. */
const KERNEL_OFF = `table netdev off {
  chain f0 { type filter hook ingress device f0 priority 0; policy drop; }
  chain b0 { type filter hook ingress device b0 priority 0; policy drop; }
}
`;

const macOf = (namespace: Namespace, name: string) =>
  namespace.exec(['cat', `/sys/class/net/${name}/address`]).trim();

/**
 * DPDK's own forwarder in mode `mac`: a new Ethernet header and nothing else, on the same ports with
 * the same rings, memory and burst as the director's. The server is addressed directly; by which of
 * its addresses decides whether it replies through testpmd or past it.
 */
export class Testpmd implements Contestant {
  readonly name = 'testpmd';
  readonly lanes: readonly Lane[] = [
    { mode: 'mac', path: 'both', address: natServer(1) },
    { mode: 'mac', path: 'requests', address: realServer(1) },
  ];
  #process: LabProcess | undefined;

  constructor(readonly port: Driver) {}

  async start(lab: Lab): Promise<void> {
    const { director, others } = places();
    const argv = [
      ...['dpdk-testpmd', '--no-pci', '--no-telemetry', '--no-huge', '--no-shconf', '-m', '512'],
      ...['--iova-mode=va', '-l', `${others},${director}`, '--main-lcore', String(others)],
      ...['--vdev', devargs(this.port, 0, 'f0'), '--vdev', devargs(this.port, 1, 'b0')],
      ...['--', '--forward-mode=mac', '--nb-cores=1', '--burst=32', '--rxd=1024', '--txd=1024'],
      ...['--total-num-mbufs=32768', '--no-lsc-interrupt'],
      `--eth-peer=0,${macOf(lab.ns('client'), 'c0')}`,
      `--eth-peer=1,${macOf(lab.ns('rs1'), 'b0')}`,
      // Without it the end of its standard input would be the end of it.
      '--stats-period=3600',
    ];
    if (this.port === 'af_packet') {
      lab.ns('director1').exec(['nft', '-f', '-'], { input: KERNEL_OFF });
    }
    const process = lab.ns('director1').spawn(argv, { timeout: SECONDS_AT_MOST });
    this.#process = process;
    const forwards = () => process.output.includes('mac packet forwarding');
    await until(() => process.status !== undefined || forwards(), 20_000);
    if (process.status !== undefined || !forwards()) {
      await process.stop();
      throw new LabError('ERR_LAB_PEER', `testpmd does not start: ${process.output.slice(-2000)}`);
    }
  }

  async stop(lab: Lab): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
    lab.ns('director1').try(['nft', 'delete', 'table', 'netdev', 'off']);
  }
}
