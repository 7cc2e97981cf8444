// Puts one scenario through Linux IPVS.

import { fromBytes } from '../../src/config/address.js';
import { ip4, ip4Text } from '../support/bytes.js';
import { ip6 } from '../support/packet6.js';
import { isFrame, type Listing, type Outcome, type Statistics, sortedListing } from './outcome.js';
import type { Scenario, Scene } from './scene.js';
import { endpoint as endOf, ipvsadm, SERVICES, type Service } from './services.js';
import type { Frame, Uml } from './uml.js';

/** All services of all scenarios at once: a process costs the guest 20 ms. */
export async function prepareIpvs(uml: Uml, all: [Scenario, Scene][]): Promise<void> {
  // Without any service IPVS leaves the packet path: there is always one more than the scenario's.
  const lines = ['-C', '-A -t 192.0.2.1:9 -s rr'];
  for (const [scenario, scene] of all) lines.push(...ipvsadm(scene.vip, [], scenario.services));
  for (let at = 0; at < lines.length; at += 25) await restore(uml, lines.slice(at, at + 25));
}

async function restore(uml: Uml, lines: string[]): Promise<void> {
  if (lines.length > 0) await uml.sh(`printf '%b' '${lines.join('\\n')}\\n' | ipvsadm -R`);
}

export async function runIpvs(uml: Uml, scenario: Scenario, scene: Scene): Promise<Outcome[]> {
  let services = scenario.services;
  const expire = '/proc/sys/net/ipv4/vs/expire_nodest_conn';
  if (scenario.resetOnServerRemoved) await uml.sh(`echo 1 >${expire}`);
  const { mtu } = scenario;
  const setMtu = (front = 1500, back = 1500) =>
    uml.sh(`ip link set vec0 mtu ${front} && ip link set vec1 mtu ${back}`);
  if (mtu) await setMtu(mtu.front, mtu.back);
  const outcomes: Outcome[] = [];
  const start = performance.now();
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
      const found = await listing(uml, scene.vip);
      outcomes.push({ listing: found, seconds: (performance.now() - start) / 1000 });
    } else {
      await restore(uml, ipvsadm(scene.vip, services, step.services));
      services = step.services;
      outcomes.push({ services });
    }
  }
  await flush();
  if (scenario.resetOnServerRemoved) await uml.sh(`echo 0 >${expire}`);
  if (mtu) await setMtu();
  return outcomes;
}

/** One process in the guest for both of IPVS's tables, cut down to the address. */
async function listing(uml: Uml, vip: string): Promise<Listing> {
  const six = vip.includes(':');
  const hex = six
    ? Buffer.from(ip6(vip))
        .toString('hex')
        .replaceAll(/.{4}(?!$)/g, '$&:')
    : Buffer.from(ip4(vip)).toString('hex').toUpperCase();
  const service6 = six ? `[${hex}]` : hex;
  const lines = await uml.sh(
    `awk -v v=${hex} -v s=${service6} '/^[A-Z]/ { on = index($2, s ":") == 1 } on || index($0, " " v " ")' ` +
      '/proc/net/ip_vs /proc/net/ip_vs_conn',
  );
  const counts: Listing['counts'] = {};
  const found: [connection: string, expiry: number][] = [];
  let service = '';
  for (const line of lines.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [first, second = '', third, virtual, vport, server, port, state, expiry, ...engine] =
      words;
    if (virtual === hex) {
      const ends = [[second, third].join(':'), `${hex}:${vport}`, `${server}:${port}`];
      found.push([[first, ...ends.map(endpoint), state, ...engine].join(' '), Number(expiry)]);
    } else if (first === '->') {
      const [active, inactive] = words.slice(4).map(Number);
      counts[`${service} ${endpoint(second)}`] = [active ?? 0, inactive ?? 0];
    } else if (second) service = `${first} ${endpoint(second)}`;
  }
  return sortedListing(found, counts);
}

/** As the Sluice's side writes it, which has no brackets. */
function endpoint(hex: string): string {
  const [, address = '', port = ''] = /^(.*):(.*)$/.exec(hex) ?? [];
  const digits = Buffer.from(address.replaceAll(/[[\]:]/g, ''), 'hex');
  const text = digits.length === 4 ? ip4Text(digits) : fromBytes(digits);
  return `${text}:${Number.parseInt(port, 16)}`;
}

/** IPVS brings these up to date every 2 s. */
export const STATISTICS_MS = 2500;

export async function ipvsStatistics(
  uml: Uml,
  { vip }: Scene,
  services: Service[],
): Promise<Statistics> {
  const lists = services.map(
    ({ protocol, port }) =>
      `ipvsadm -L -n --stats --exact ${SERVICES[protocol]} ${endOf(vip, port)}`,
  );
  const result: Statistics = {};
  let service = '';
  for (const line of (await uml.sh(lists.join('; '))).split('\n')) {
    const words = line.trim().split(/\s+/);
    const [first = '', second = ''] = words;
    const isService = ['TCP', 'UDP', 'SCTP'].includes(first);
    if (isService) service = `${first} ${second}`;
    if (isService || /^[\d[]/.test(second)) {
      result[(isService ? service : `${service} ${second}`).replaceAll(/[[\]]/g, '')] = words
        .slice(-5)
        .map(Number);
    }
  }
  return result;
}
