/** Whether what a configuration asks for fits into the memory and the workers it gives. Pure. */
import type { Findings } from './findings.js';
import type { Model } from './model.js';

/** As the engine sizes its pools: native/engine/live/engine.cc, port/ethdev.h and port/eal.cc. */
const FRAME_ROOM = 2048;
const MBUF_OVERHEAD = 128 + 128 + 64; // rte_mbuf, headroom, mempool header
const MBUFS_A_QUEUE = 4096;
const MBUFS_A_WORKER = 512;
const RING_PACKETS = 1024;
const DATAGRAMS = 255;
const FRAGMENTS = 8;
/** Rings, device structures, DPDK's own: seen to be about this much. */
const BASE_MIB = 8;

const workersOf = ({ director: { workers } }: Model) =>
  typeof workers === 'number' ? workers : workers.length;

/** MiB that packet buffers take of `director.memory`. Tables are ordinary memory, not part of it. */
export function packetMemoryMiB(model: Model): number {
  const workers = workersOf(model);
  const mtu = Math.max(...model.ports.map((port) => port.mtu));
  const room = Math.max(FRAME_ROOM, (mtu + 14 + 4 + 110 + 63) & ~63);
  const rings = (workers + 2) * (workers + 1) * RING_PACKETS;
  const least = model.ports.length * workers * MBUFS_A_QUEUE + rings + workers * MBUFS_A_WORKER;
  const frames = Math.max(model.director.mbufs, least) * (room + MBUF_OVERHEAD);
  const datagrams = DATAGRAMS * (FRAGMENTS * mtu + MBUF_OVERHEAD);
  return Math.ceil((frames + datagrams) / (1 << 20)) + BASE_MIB;
}

export function checkResources(model: Model, findings: Findings): void {
  const { memory, mbufs } = model.director;
  const needed = model.ports.length === 0 ? 0 : packetMemoryMiB(model);
  if (needed > memory) {
    findings.error(
      'ERR_CONFIG_MEMORY',
      ['director', 'memory'],
      `${memory} MiB do not hold the packet buffers, expected at least ${needed} MiB for ` +
        `${workersOf(model)} workers, ${model.ports.length} ports and ${mbufs} mbufs`,
    );
  }
  model.ports.forEach(({ queues }, index) => {
    const workers = workersOf(model);
    if (queues === undefined || queues <= workers) return;
    findings.warning(
      'WARN_CONFIG_IGNORED',
      ['ports', index, 'queues'],
      `${queues} queues, but a worker serves one a port: ${workers} will be used`,
    );
  });
}
