/** What has to be there before a director starts: ports with devices, CPUs, hugepages. */
import { readFileSync } from 'node:fs';
import type { Loaded } from './config/load.js';
import { parseCpuList } from './engine-options.js';
import { ConfigError, SluiceError } from './errors.js';

export function requireDevices(loaded: Loaded): void {
  if (loaded.model.ports.length === 0) {
    const [warning] = loaded.warnings.filter(({ code }) => code === 'WARN_CONFIG_NO_PORTS');
    throw new SluiceError('ERR_CONFIG_MISSING', warning?.message ?? 'there are no ports');
  }
  const problems = loaded.model.ports.flatMap(({ device, name }, index) =>
    device
      ? []
      : [
          {
            severity: 'error' as const,
            code: 'ERR_CONFIG_MISSING',
            place: loaded.locate(['ports', index]),
            path: `ports[${index}].device`,
            message: `missing: port ${name} of a running director needs one, expected such as net_af_packet0,iface=eth1`,
          },
        ],
  );
  if (problems.length > 0) throw new ConfigError(loaded.file, problems);
}

export function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0');
}

/** EAL's own message about missing hugepages says neither how many nor what to do. */
export function requireHugepages({ model, locate }: Loaded): void {
  if (!model.director.hugepages) return;
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(meminfo)?.[1]);
  const free = (field('HugePages_Free') * field('Hugepagesize')) / 1024;
  if (Number.isNaN(free) || free >= model.director.memory) return;
  const pages = Math.ceil((model.director.memory * 1024) / field('Hugepagesize'));
  throw new SluiceError(
    'ERR_HUGEPAGES',
    `director.memory is ${model.director.memory} MiB, but ${free} MiB of hugepages are free: ` +
      `reserve them (sysctl vm.nr_hugepages=${pages}) or set director.hugepages: false`,
    { place: locate(['director', 'memory']) },
  );
}
