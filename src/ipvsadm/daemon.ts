/** `--start-daemon`, `--stop-daemon` and `-L --daemon`: IPVS' connection sync, changed and listed. */
import type { ControlClient } from '../api/client.js';
import type { SyncReport } from '../api/types.js';
import { IpvsadmError, STATUS, unsupported } from './errors.js';
import type { CommandLine } from './parse.js';

export const NO_INTERFACE = 'No such device';

export async function changeDaemon(client: ControlClient, line: CommandLine): Promise<void> {
  const { role, interface: name = '', group, ...rest } = line.daemon;
  if (line.command === 'stop-daemon') {
    await client.syncDaemon({ action: 'stop', role });
    return;
  }
  // What the API would call misspelt is to ipvsadm an interface that is not there.
  if (!/^[^\s/]{1,15}$/.test(name)) throw new IpvsadmError(STATUS.refused, NO_INTERFACE);
  if (group?.includes(':')) throw unsupported('connection sync has no IPv6 groups yet');
  const settings = { ...rest, ...(group === undefined ? {} : { group }) };
  await client.syncDaemon({ action: 'start', role, interface: name, ...settings });
}

export function daemonLines({ daemons }: SyncReport): string[] {
  return daemons.map(({ role, interface: name, syncid, maxlen, group, port, ttl }) => {
    const where = `group=${group}, port=${port}, ttl=${ttl}`;
    return `${role} sync daemon (mcast=${name}, syncid=${syncid}, maxlen=${maxlen}, ${where})`;
  });
}
