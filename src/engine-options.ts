/** Model → the arguments of the addon: what is fixed for the life of an engine or a replay. */
import { randomBytes } from 'node:crypto';
import { formatCidr, parseMac } from './config/address.js';
import { isPciAddress, type Model, type PortModel } from './config/model.js';
import { SluiceError } from './errors.js';
import type { EngineOptions, Limits, PortOptions } from './native.js';
import type { Memory } from './supervisor/memory.js';
import { syncEngineOptions } from './sync/model.js';

export function limits(model: Model): Limits {
  const { maxConnections, maxServices, maxServers } = model.director;
  return { maxConnections, maxServices, maxServers };
}

function portOptions(port: PortModel): PortOptions {
  return {
    name: port.name,
    mtu: port.mtu,
    partialChecksums: port.partialChecksums,
    ...(port.mac ? { mac: parseMac(port.mac) as Uint8Array } : {}),
  };
}

/** `locate`: the place of port i in the file, for a missing MAC. */
export function replayPorts(
  model: Model,
  locate: (index: number) => { file: string; line: number; column: number },
): PortOptions[] {
  return model.ports.map((port, index) => {
    if (!port.mac) {
      throw new SluiceError(
        'ERR_REPLAY_MAC',
        `ports[${index}]: port ${port.name} has no mac; replay has no device to ask, expected ` +
          'mac: with the address that frames in the capture are sent to',
        { place: locate(index) },
      );
    }
    return portOptions(port);
  });
}

/** `memory`: what a hot upgrade hands on, so that the next process knows this one's SYN cookies. */
export function engineOptions(model: Model, cpus: number[], memory: Memory): EngineOptions {
  const { director } = model;
  const cookies = memory.of<bigint>('cookies');
  if (cookies.get('seed') === undefined) cookies.set('seed', randomBytes(8).readBigUInt64LE());
  const devices = model.ports.map((port) => port.device ?? '');
  return {
    eal: {
      hugepages: director.hugepages,
      memory: director.memory,
      workerCpus: cpus,
      pci: devices.filter(isPciAddress).map((device) => device.split(',')[0] as string),
    },
    ports: model.ports.map((port) => ({
      ...portOptions(port),
      device: port.device as string,
      addresses: port.addresses.map(formatCidr),
      ...(port.twin ? { twin: port.twin } : {}),
      ...(port.queues ? { queues: port.queues } : {}),
    })),
    limits: limits(model),
    idle: director.idle,
    mbufs: director.mbufs,
    cookieSeed: cookies.get('seed') as bigint,
    ...syncEngineOptions(model.sync),
  };
}

/**
 * The CPUs of the workers. A count takes the last CPUs that this process may use, so that the
 * first ones stay for the kernel and the control plane.
 */
export function workerCpus(workers: number | number[], allowed: number[]): number[] {
  if (typeof workers === 'number') {
    if (workers <= allowed.length) return allowed.slice(allowed.length - workers);
    throw new SluiceError(
      'ERR_NOT_ENOUGH_CPUS',
      `director.workers is ${workers}, but this process may use ${allowed.length} CPUs ` +
        `(${allowed.join(', ')})`,
    );
  }
  const missing = workers.filter((cpu) => !allowed.includes(cpu));
  if (missing.length === 0) return workers;
  throw new SluiceError(
    'ERR_NOT_ENOUGH_CPUS',
    `director.workers wants CPU ${missing.join(', ')}, but this process may use only ` +
      `${allowed.join(', ')}`,
  );
}

/** `0-3,8` → [0, 1, 2, 3, 8], the kernel's list format. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first, last] = range.split('-').map(Number);
      const end = last ?? first ?? -1;
      return Array.from({ length: end - (first ?? 0) + 1 }, (_, index) => (first ?? 0) + index);
    });
}
