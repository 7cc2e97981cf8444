// Puts one scenario through Linux IPVS.

import { ip4, ip4Text } from '../support/bytes.js';
import { isFrame, type Listing, type Outcome } from './outcome.js';
import type { Scenario, Scene } from './scene.js';
import { ipvsadm, type Service } from './services.js';
import type { Frame, Uml } from './uml.js';

/** All services of all scenarios at once: a process costs the guest 20 ms. */
export async function prepareIpvs(uml: Uml, all: [Scenario, Scene][]): Promise<void> {
  // Without any service IPVS leaves the packet path: there is always one more than the scenario's.
  const lines = ['-C', '-A -t 192.0.2.1:9 -s rr'];
  for (const [scenario, scene] of all) lines.push(...ipvsadm(scene.vip, [], scenario.services));
  for (let at = 0; at < lines.length; at += 40) await restore(uml, lines.slice(at, at + 40));
}

async function restore(uml: Uml, lines: string[]): Promise<void> {
  if (lines.length > 0) await uml.sh(`printf '%b' '${lines.join('\\n')}\\n' | ipvsadm -R`);
}

export async function runIpvs(uml: Uml, scenario: Scenario, scene: Scene): Promise<Outcome[]> {
  let services = scenario.services;
  const expire = '/proc/sys/net/ipv4/vs/expire_nodest_conn';
  if (scenario.resetOnServerRemoved) await uml.sh(`echo 1 >${expire}`);
  const outcomes: Outcome[] = [];
  let frames: Frame[] = [];
  const flush = async () => {
    const answers = await uml.play(frames);
    frames.forEach((input, at) => {
      outcomes.push({ input, sent: answers[at] ?? [] });
    });
    frames = [];
  };
  for (const step of scenario.steps(scene)) {
    if (isFrame(step)) {
      frames.push(step);
      continue;
    }
    await flush();
    if (step === 'listing') {
      outcomes.push({ listing: await listing(uml, scene.vip, services) });
    } else {
      await restore(uml, ipvsadm(scene.vip, services, step.services));
      services = step.services;
      outcomes.push({ services });
    }
  }
  await flush();
  if (scenario.resetOnServerRemoved) await uml.sh(`echo 0 >${expire}`);
  return outcomes;
}

async function listing(uml: Uml, vip: string, services: Service[]): Promise<Listing> {
  const counts: Listing['counts'] = {};
  let service = '';
  const words = services.map(({ protocol, port }) => `-${protocol[0]} ${vip}:${port}`);
  const lists = words.map((text) => `ipvsadm -L -n ${text}`);
  for (const line of (await uml.sh([...lists, ':'].join('; '))).split('\n')) {
    const [first, second = '', , , active, inactive] = line.trim().split(/\s+/);
    if (first === 'TCP' || first === 'UDP') service = `${first} ${second}`;
    else if (first === '->' && /^\d/.test(second)) {
      counts[`${service} ${second}`] = [Number(active), Number(inactive)];
    }
  }
  const connections: string[] = [];
  const hex = Buffer.from(ip4(vip)).toString('hex').toUpperCase();
  for (const line of (await uml.sh(`grep ' ${hex} ' /proc/net/ip_vs_conn || :`)).split('\n')) {
    const [protocol, client, cport, virtual, vport, server, dport, state] = line.split(/\s+/);
    if (virtual !== hex) continue;
    const ends = [
      hexEndpoint(client, cport),
      hexEndpoint(virtual, vport),
      hexEndpoint(server, dport),
    ];
    connections.push(`${protocol} ${ends.join(' ')} ${state}`);
  }
  return { connections: connections.sort(), counts };
}

const hexEndpoint = (address = '', port = '') =>
  `${ip4Text(Buffer.from(address, 'hex'))}:${Number.parseInt(port, 16)}`;
