/** `sluice realserver` inside a real server's namespace. */
import { LabError, START_MS, until } from './command.js';
import { sluiceCommand } from './director.js';
import type { Lab } from './lab.js';
import type { LabProcess } from './namespace.js';
import { directorBack, LOCAL_ADDRESSES, VIP } from './topology.js';

/** Starts the agent and waits until it says that its programs are attached. */
export async function startAgent(lab: Lab, role: string): Promise<LabProcess> {
  const directors = lab.spaces.directors.map((_, i) => directorBack(i + 1));
  const argv = [
    ...sluiceCommand(),
    ...['realserver', '--json', '--interface', 'b0'],
    ...[...directors, ...LOCAL_ADDRESSES].flatMap((address) => ['--director', address]),
    ...Object.values(VIP).flatMap((vip) => ['--vip', vip]),
  ];
  const agent = lab.ns(role).spawn(argv);
  await until(() => agent.status !== undefined || agent.stdout.includes('\n'), START_MS);
  if (agent.status !== undefined || !agent.stdout.includes('\n')) {
    await agent.stop();
    throw new LabError('ERR_LAB_AGENT', `the agent on ${role} does not attach: ${agent.output}`);
  }
  return agent;
}
