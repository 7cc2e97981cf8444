/**
 * Which port a keepalived.conf means by an interface: the one whose device takes its packets from
 * it (`iface=eth0`), else the one of that name, else the one whose twin it is. Without a match the
 * name stands, so that it is told as an unknown port with its place.
 */
import { inNetwork, parseCidr } from '../address.js';
import { isRecord } from '../source.js';

export class Interfaces {
  readonly #ports: Record<string, unknown>[];
  readonly #known: boolean;

  /** `ports`: of the YAML file as it says them, right or wrong; undefined: there is no file. */
  constructor(ports: unknown) {
    this.#ports = Array.isArray(ports) ? ports.filter(isRecord) : [];
    this.#known = ports !== undefined;
  }

  portOf(name: string): string {
    const takes = (device: unknown) =>
      typeof device === 'string' && device.split(',').includes(`iface=${name}`);
    const found =
      this.#ports.find(({ device }) => takes(device)) ??
      this.#ports.find((port) => port.name === name) ??
      this.#ports.find((port) => (port.twin ?? `sl${port.name}`) === name);
    return typeof found?.name === 'string' ? found.name : name;
  }

  /** Whether it is a port at all; true when no ports are known. */
  has(name: string): boolean {
    const port = this.portOf(name);
    return !this.#known || this.#ports.some((one) => one.name === port);
  }

  /** The port in whose network an address is. */
  towards(address: string | undefined): string | undefined {
    if (address === undefined) return undefined;
    const found = this.#ports.find(({ addresses }) =>
      (Array.isArray(addresses) ? addresses : []).some((text) => {
        const parsed = parseCidr(String(text));
        return 'value' in parsed && inNetwork(address, parsed.value);
      }),
    );
    return typeof found?.name === 'string' ? found.name : undefined;
  }
}
