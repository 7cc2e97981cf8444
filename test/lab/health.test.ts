// timeout: 240
/** Health checks in the lab: real servers fail in several ways; who serves, and who is told. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceReport } from '../../src/api/types.js';
import { startAgent } from '../../src/lab/agent.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { fiveModesYaml } from '../../src/lab/five-modes.js';
import { DNS_NAME, DnsServer, HttpServer, listening } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { dnsQueries, httpRequests } from '../../src/lab/load.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import { directorBack, realServer, VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const ROLES = ['rs1', 'rs2', 'rs3'];
const TLS_PORT = 8443;

const HTTP_CHECK = '{ type: http, path: /, regex: "^rs[123] " }, { type: tcp }, { type: ping }';
const DNS_CHECK = `{ type: dns, name: ${DNS_NAME}, queryType: TXT, answer: rs, retry: 1 }`;
/** Services that are checked at the VIP; and, as the control, two at their servers' own addresses. */
const TO_VIP = [
  ['dr-http', HTTP_CHECK, 'toVip: true, '],
  ['dr-dns', DNS_CHECK, 'toVip: true, '],
  ['tun-http', HTTP_CHECK, 'toVip: true, '],
  ['tun-dns', DNS_CHECK, 'toVip: true, '],
  ['dr-iperf', '{ type: tcp, connectPort: 80 }', ''],
  ['tun-iperf', '{ type: tcp, connectPort: 80 }', ''],
] as const;

let lab: Lab;
let director: Director;
const http = new Map<string, HttpServer>();
const dns = new Map<string, DnsServer>();
const tls = new Map<string, LabProcess>();

/** A certificate for www.example that nobody but its owner has signed. */
function certificate(name: string): { key: string; cert: string } {
  const [key, cert] = [lab.path(`${name}.key`), lab.path(`${name}.pem`)];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
    ].concat(['-subj', '/CN=www.example', '-addext', 'subjectAltName=DNS:www.example']),
    { stdio: 'ignore' },
  );
  return { key, cert };
}

async function startTls(role: string, { key, cert }: { key: string; cert: string }): Promise<void> {
  const argv = ['openssl', 's_server', '-accept', String(TLS_PORT), '-key', key, '-cert', cert];
  const process = lab.ns(role).spawn([...argv, '-www', '-quiet']);
  await listening(lab.ns(role), 'tcp', TLS_PORT, process);
  tls.set(role, process);
}

/** What the notification scripts were called with, a call a line. */
function told(): string[] {
  const path = lab.path('told');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
}

/** All calls so far, whatever was between them: what a row does not name must not have come. */
const calls: string[] = [];

async function tells(...expected: string[]): Promise<void> {
  const before = calls.length;
  calls.push(...expected);
  assert.ok(await until(() => told().length >= calls.length), `${told().slice(before)}`);
  // Servers that change together are told in any order.
  assert.equal(told().slice(before).sort(), [...expected].sort());
}

function yaml(): string {
  const say = lab.write('say.sh', `#!/bin/sh\necho "$@" >> ${lab.path('told')}\n`);
  const http = `    health:
      delayLoop: 200ms
      retry: 1
      delayBeforeRetry: 100ms
      connectTimeout: 400ms
      alpha: true
      quorumUp: /bin/sh ${say} http quorum up
      quorumDown: /bin/sh ${say} http quorum down
      sorryServer: { address: "${realServer(3)}:80" }
      checks:
        - { type: http, path: /, regex: "^rs[123] " }
        - { type: https, connectPort: ${TLS_PORT}, verify: true, sni: true,
            virtualhost: www.example, ca: ${lab.path('good.pem')} }
`;
  const dns = `    health:
      delayLoop: 200ms
      delayBeforeRetry: 100ms
      connectTimeout: 400ms
      quorum: 3
      quorumUp: /bin/sh ${say} dns quorum up
      quorumDown: /bin/sh ${say} dns quorum down
      checks: [{ type: dns, name: ${DNS_NAME}, queryType: TXT, answer: rs, retry: 1 }]
`;
  const modes = ['fullnat', 'dr', 'tun'] as const;
  let text = fiveModesYaml(lab, lab.path('director1.sock'), { modes });
  for (const [name, check, how] of TO_VIP) {
    const health = `    health: { delayLoop: 200ms, delayBeforeRetry: 100ms, connectTimeout: 400ms, retry: 1,
      ${how}checks: [${check}] }`;
    text = text.replace(`- name: ${name}\n`, `- name: ${name}\n${health}\n`);
  }
  text = text.replace(/(- name: fullnat-http\n)/, `$1${http}`);
  text = text.replace(/(- name: fullnat-dns\n)/, `$1${dns}`);
  for (const [what, port] of [
    ['http', 8080],
    ['dns', 53],
  ] as const) {
    ROLES.forEach((role, i) => {
      const up = `notifyUp: /bin/sh ${say} ${what} ${role} up`;
      const down = `notifyDown: /bin/sh ${say} ${what} ${role} down`;
      const line = `      - { address: "${realServer(i + 1)}:${port}", weight: 1 }`;
      const health = `health: { ${up}, ${down} }`;
      text = text.replace(line, line.replace(' }', `, ${health} }`));
    });
  }
  return text;
}

const services = async () => (await director.get('/v1/services')) as ServiceReport[];

/** Which servers of a service are up, as r s: `101`. */
const upOf = async (name: string) =>
  (await services())
    .find((service) => service.name === name)
    ?.servers.map(({ up }) => (up ? '1' : '0'))
    .join('');

/** All services that are checked at the VIP, and those that are not. */
async function become(atVip: string, atServers: string): Promise<void> {
  for (const [name, , how] of TO_VIP) await becomes(name, how === '' ? atServers : atVip);
}

async function becomes(name: string, pattern: string): Promise<void> {
  let seen: string | undefined;
  const there = await until(async () => {
    seen = await upOf(name);
    return seen === pattern;
  }, 8_000);
  const details = JSON.stringify(
    (await services()).map(({ servers }) => servers.map(({ checks }) => checks)),
  );
  assert.ok(there, `${name} is ${seen}, expected ${pattern}: ${details}`);
}

/** The last words of a server's checks come to match. */
async function says(name: string, server: number, words: RegExp): Promise<void> {
  let seen = '';
  const there = await until(async () => {
    const service = (await services()).find((one) => one.name === name);
    seen = (service?.servers[server]?.checks ?? []).map(({ detail }) => detail).join('; ');
    return words.test(seen);
  }, 5_000);
  assert.ok(there, `${name}: ${seen}`);
}

async function served(expected: string[], requests = 60): Promise<void> {
  const answers = await httpRequests(lab, `http://${VIP.fullnat}/`, requests);
  assert.is(answers.failed, 0, answers.trouble);
  assert.equal([...answers.servers.keys()].sort(), expected);
}

const filter = (role: string, on: boolean) =>
  lab
    .ns(role)
    .exec(
      on
        ? [
            'nft',
            'add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in tcp dport 8080 drop',
          ]
        : ['nft', 'delete table ip t'],
    );

if (process.getuid?.() !== 0) {
  skip('health checks in the lab', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    const good = certificate('good');
    for (const role of ROLES) {
      http.set(role, await HttpServer.start(lab, role));
      dns.set(role, await DnsServer.start(lab, role));
      await startTls(role, good);
      // Its decapsulation is what TUN is checked through.
      await startAgent(lab, role);
    }
    director = lab.director({ yaml: yaml(), socket: lab.path('director1.sock') });
    await director.start();
  });
  test.after(() => lab.destroy());

  test('alpha: servers come up by their first success, and each is told once', async () => {
    await becomes('fullnat-http', '111');
    await served(ROLES);
    await tells('http quorum up', 'dns quorum up', ...ROLES.map((role) => `http ${role} up`));
  });

  test('nginx stopped: out, nobody fails any more; back when it is started again', async () => {
    await http.get('rs1')?.process.stop();
    await becomes('fullnat-http', '011');
    await tells('http rs1 down');
    await served(['rs2', 'rs3']);
    http.set('rs1', await HttpServer.start(lab, 'rs1'));
    await becomes('fullnat-http', '111');
    await served(ROLES);
    await tells('http rs1 up');
    assert.match(
      director.log,
      /HTTP_GET on service \[198\.51\.100\.11\]:tcp:8080 failed after 1 retries: connection refused/,
    );
    assert.match(
      director.log,
      /Removing service \[198\.51\.100\.11\]:tcp:8080 from VS \[203\.0\.113\.40\]:tcp:80/,
    );
  });

  test('port filtered', async () => {
    filter('rs2', true);
    await becomes('fullnat-http', '101');
    await tells('http rs2 down');
    await served(['rs1', 'rs3']);
    filter('rs2', false);
    await becomes('fullnat-http', '111');
    await tells('http rs2 up');
  });

  test('answers that do not come: it accepts, and says nothing', async () => {
    const stopped = http.get('rs3')?.process as LabProcess;
    // nginx answers from a worker, a child of the process we started.
    const worker = lab
      .ns('rs3')
      .exec(['pgrep', '-P', String(stopped.pid)])
      .trim();
    lab.ns('rs3').exec(['kill', '-STOP', worker]);
    await becomes('fullnat-http', '110');
    await tells('http rs3 down');
    await served(['rs1', 'rs2']);
    lab.ns('rs3').exec(['kill', '-CONT', worker]);
    await becomes('fullnat-http', '111');
    await tells('http rs3 up');
  });

  test('another certificate', async () => {
    await tls.get('rs1')?.stop();
    await startTls('rs1', certificate('other'));
    await becomes('fullnat-http', '011');
    await says('fullnat-http', 0, /TLS: DEPTH_ZERO_SELF_SIGNED_CERT/);
    await tells('http rs1 down');
    await served(['rs2', 'rs3']);
    await tls.get('rs1')?.stop();
    await startTls('rs1', { key: lab.path('good.key'), cert: lab.path('good.pem') });
    await becomes('fullnat-http', '111');
    await tells('http rs1 up');
  });

  test('a DNS server with a wrong answer', async () => {
    await dns.get('rs2')?.process.stop();
    const argv = ['dnsmasq', '-k', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'];
    const wrong = lab
      .ns('rs2')
      .spawn([...argv, '--user=root', '--pid-file=', `--txt-record=${DNS_NAME},someone-else`]);
    await listening(lab.ns('rs2'), 'udp', 53, wrong);
    await becomes('fullnat-dns', '101');
    // Three of three are asked for.
    await tells('dns rs2 down', 'dns quorum down');
    const answers = await dnsQueries(lab, VIP.fullnat, 20);
    assert.is(answers.failed, 0, answers.trouble);
    assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs3']);
    await says('fullnat-dns', 1, /answer is 'someone-else'/);
    assert.is(await upOf('fullnat-http'), '111', 'one service does not take the other with it');
    await wrong.stop();
    dns.set('rs2', await DnsServer.start(lab, 'rs2'));
    await becomes('fullnat-dns', '111');
    await tells('dns rs2 up', 'dns quorum up');
  });

  test('quorum lost: the sorry server takes over; gained again: it leaves', async () => {
    for (const role of ROLES) filter(role, true);
    await becomes('fullnat-http', '000');
    await tells('http quorum down', ...ROLES.map((role) => `http ${role} down`));
    await served(['rs3'], 20);
    for (const role of ROLES) filter(role, false);
    await becomes('fullnat-http', '111');
    await tells('http quorum up', ...ROLES.map((role) => `http ${role} up`));
    await served(ROLES);
    assert.match(director.log, /Lost quorum 1-0=1 > 0 for VS \[203\.0\.113\.40\]:tcp:80/);
  });

  test('a reload keeps what the checks know, and tells nothing twice', async () => {
    filter('rs2', true);
    await becomes('fullnat-http', '101');
    await tells('http rs2 down');
    director.configure(yaml().replace('weight: 1', 'weight: 5'));
    await director.reload();
    assert.is(await upOf('fullnat-http'), '101');
    await served(['rs1', 'rs3']);
    filter('rs2', false);
    await becomes('fullnat-http', '111');
    await tells('http rs2 up');
  });

  test('dr and tun, checked at the VIP: what counts is what clients get', async () => {
    await become('111', '111');
    // A daemon that is not at the server's own address.
    lab
      .ns('rs1')
      .exec([
        'nft',
        `add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in ip daddr ${realServer(1)} ip saddr ${directorBack(1)} tcp dport 80 reject with tcp reset; add rule ip t in ip daddr ${realServer(1)} ip saddr ${directorBack(1)} udp dport 53 drop; add rule ip t in ip daddr ${realServer(1)} icmp type echo-request drop`,
      ]);
    await become('111', '011');
    // A server that has forgotten the VIPs answers at its own address all the same.
    const vips = [VIP.dr, VIP.tun].map((vip) => `${vip}/32 dev lo`);
    lab.ns('rs2').ip(...vips.map((vip) => `addr del ${vip}`));
    await become('101', '011');
    for (const mode of ['dr', 'tun'] as const) {
      const answers = await httpRequests(lab, `http://${VIP[mode]}/`, 20);
      assert.is(answers.failed, 0, answers.trouble);
      assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs3']);
    }
    lab.ns('rs2').ip(...vips.map((vip) => `addr add ${vip}`));
    filter('rs1', false);
    await become('111', '111');
    // A port that is closed says so, through the tunnel as well: ICMP and RST come back translated.
    await dns.get('rs3')?.process.stop();
    await http.get('rs3')?.process.stop();
    for (const name of ['dr-dns', 'tun-dns', 'dr-http', 'tun-http']) {
      await becomes(name, '110');
      await says(name, 2, /connection refused/);
    }
  });
}

test.run();
