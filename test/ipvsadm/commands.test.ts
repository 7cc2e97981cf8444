/** ipvsadm's words against a running director; what the real ipvsadm says is the oracle's to tell. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Names } from '../../src/ipvsadm/names.js';
import { RunningReplay } from '../support/running.js';

const FILE = `\
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours: [{ address: 192.0.2.254, mac: 02:00:00:00:00:fe }]
`;
const NAMES = new Names('http 80/tcp www\ndomain 53/udp\n', '198.51.100.7 seven\n');
let director: RunningReplay;
test.before.each(async () => {
  director = await new RunningReplay(FILE, NAMES).open();
});
test.after.each(() => director.close());

const run = (line: string, input?: string) =>
  director.ipvsadm(line.split(' ').filter(Boolean), input);

async function good(...lines: string[]): Promise<void> {
  for (const line of lines) assert.equal(await run(line), { status: 0, out: '', error: '' }, line);
}

test('FullNAT in the order DPVS’s own guides have it: service, servers, local addresses', async () => {
  await good(
    '-A -t 203.0.113.10:80 -s rr',
    '-a -t 203.0.113.10:80 -r 198.51.100.7:8080 -b -w 3',
    '-a -t 203.0.113.10:80 -r 198.51.100.8 --enat',
    '--add-laddr -z 198.51.100.200 -t 203.0.113.10:80',
    '-P -z 198.51.100.201 -t 203.0.113.10:80',
    '-Q --lip 198.51.100.201 -t 203.0.113.10:80',
  );
  assert.is(
    (await run('-Ln')).out.split('\n').slice(1).join('\n'),
    `\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  203.0.113.10:80 rr
  -> 198.51.100.7:8080            FullNat 3      0          0         \n\
  -> 198.51.100.8:80              ENat    1      0          0         \n`,
  );
  assert.match((await run('-L')).out, /TCP {2}203\.0\.113\.10:http rr\n {2}-> seven:8080 /);
  assert.is(
    (await run('-G')).out,
    `\
VIP:VPORT            TOTAL    SNAT_IP              CONFLICTS  CONNS
203.0.113.10:80      1      \x20
                              198.51.100.200       0          0\n`,
  );
  const again = await run('-P -z 198.51.100.200 -t 203.0.113.10:80');
  assert.is(again.status, 255);
  assert.match(again.error, /^ERR_LOCAL_ADDRESS_EXISTS: /);
});

test('DPVS’s black and white lists: added, listed, removed', async () => {
  await good(
    '-A -t 203.0.113.10:80 -s rr',
    '-A -u [2001:db8::1]:53 -s rr',
    '-U -t 203.0.113.10:80 -k 192.0.2.7',
    '--add-blklst -t 203.0.113.10:80 --blklst 198.51.100.0/24',
    '-U -u [2001:db8::1]:53 -k 2001:db8:bad::/48',
    '-O -t 203.0.113.10:80 -2 192.0.2.0-192.0.2.99',
    '--add-whtlst -t 203.0.113.10:80 --whtlst 198.18.0.0/15',
  );
  const row = (...[protocol, end, client]: string[]) =>
    `${protocol?.padEnd(8)} ${end?.padEnd(30)} ${client?.padEnd(30)}\n`;
  const black = row('PROTO', 'VIP:VPORT', 'BLACKLIST');
  const six = row('UDP', '[2001:db8::1]:53', '2001:db8:bad::/48');
  const list = async (line: string, out: string) =>
    assert.equal(await run(line), { status: 0, out, error: '' }, line);
  const four =
    row('TCP', '203.0.113.10:80', '192.0.2.7') + row('TCP', '203.0.113.10:80', '198.51.100.0/24');
  await list('-B', black + four + six);
  await list('--get-blklst -t 203.0.113.10:80', black + four);
  await list(
    '-W',
    row('PROTO', 'VIP:VPORT', 'WHITELIST') +
      row('TCP', '203.0.113.10:80', '192.0.2.0-192.0.2.99') +
      row('TCP', '203.0.113.10:80', '198.18.0.0/15'),
  );
  const refused = async (line: string, status: number, error: RegExp) => {
    const ran = await run(line);
    assert.is(ran.status, status, line);
    assert.match(ran.error, error, line);
  };
  await refused('-U -t 203.0.113.10:80 -k 192.0.2.7', 255, /^ERR_CLIENT_EXISTS: /);
  await refused('-V -t 203.0.113.10:80 -k 192.0.2.8', 255, /^ERR_NO_SUCH_CLIENT: /);
  await refused('-U -t 203.0.113.10:80 -k 2001:db8::1', 255, /^ERR_CLIENT_FAMILY: /);
  await refused('-U -t 203.0.113.11:80 -k 192.0.2.8', 255, /^Service not defined$/m);
  await refused('-B -t 203.0.113.11:80', 1, /^No such service$/m);
  await refused('-U -t 203.0.113.10:80 -k 192.0.2.300', 2, /^illegal blacklist address specified/);
  await refused('-O -t 203.0.113.10:80 -2 ::/129', 2, /^illegal whitelist address specified/);
  await refused('-U -t 203.0.113.10:80', 2, /'blklst-address' option for the 'add-blklst' command/);
  await refused('-U -t 203.0.113.10:80 -2 192.0.2.1', 2, /option/);
  for (const save of ['-S', '-Sn']) {
    const saved = await run(save);
    assert.match(saved.out, /-U -t \S+ -k 192\.0\.2\.7\n/);
    await good('-C');
    await list('-B', black);
    assert.equal(await run('-R', saved.out), { status: 0, out: '', error: '' });
    assert.equal(await run(save), saved);
  }
  await good(
    '-V -t 203.0.113.10:80 -k 192.0.2.7',
    '-Y -t 203.0.113.10:80 -2 192.0.2.0-99',
    '-Y -t 203.0.113.10:80 -2 198.18.0.0/15',
    '-E -t 203.0.113.10:80 -s wrr',
  );
  await list('-B', black + row('TCP', '203.0.113.10:80', '198.51.100.0/24') + six);
  await list('-W', row('PROTO', 'VIP:VPORT', 'WHITELIST'));
  await good('-D -u [2001:db8::1]:53', '-A -u [2001:db8::1]:53 -s rr');
  await list('-B', black + row('TCP', '203.0.113.10:80', '198.51.100.0/24'));
  await good('-D -t 203.0.113.10:80', '-D -u [2001:db8::1]:53');
});

test('-S, thresholds and local addresses included, comes back through -R', async () => {
  await good(
    '-A -t 203.0.113.10:80 -s sh -b sh-port,sh-fallback',
    '-P -z 198.51.100.200 -t 203.0.113.10:80',
    '-a -t 203.0.113.10:www -r 198.51.100.7:8080 -b -w 3 -x 100 -y 50',
    '-a -t 203.0.113.10:80 -r 198.51.100.8:8080 -m',
    '-A -u 203.0.113.10:domain -s rr -o',
    '-a -u 203.0.113.10:53 -r 198.51.100.9 -i -w 0',
    '-a -u 203.0.113.10:53 -r 198.51.100.9:5353 --enat',
  );
  for (const save of ['-S', '-Sn']) {
    const saved = await run(save);
    await good('-C');
    assert.is((await run('-Sn')).out, '');
    assert.equal(await run('-R', saved.out), { status: 0, out: '', error: '' });
    assert.equal(await run(save), saved);
  }
  assert.is(
    (await run('-Sn')).out,
    `\
-A -t 203.0.113.10:80 -s sh -b sh-fallback,sh-port
-P -t 203.0.113.10:80 -z 198.51.100.200
-a -t 203.0.113.10:80 -r 198.51.100.7:8080 -b -w 3 -x 100 -y 50
-a -t 203.0.113.10:80 -r 198.51.100.8:8080 -m -w 1
-A -u 203.0.113.10:53 -s rr -o
-a -u 203.0.113.10:53 -r 198.51.100.9:53 -i -w 0 --tun-type ipip
-a -u 203.0.113.10:53 -r 198.51.100.9:5353 --enat -w 1\n`,
  );
});

test('-j, as DPVS has it: listed, kept by -E, saved and restored', async () => {
  const listed = async () => (await run('-Ln')).out.split('\n')[3];
  await good(
    '-A -t 203.0.113.10:80 -s rr -p 300 -j enable',
    '-a -t 203.0.113.10:80 -r 198.51.100.7:8080 -m',
  );
  assert.is(await listed(), 'TCP  203.0.113.10:80 rr persistent 300 synproxy');
  await good('-E -t 203.0.113.10:80 -s wrr');
  assert.is(await listed(), 'TCP  203.0.113.10:80 wrr synproxy');
  const saved = (await run('-Sn')).out;
  assert.is(saved.split('\n')[0], '-A -t 203.0.113.10:80 -s wrr -j enable');
  await good('-E -t 203.0.113.10:80 -s rr --synproxy disable');
  assert.is(await listed(), 'TCP  203.0.113.10:80 rr');
  await good('-C');
  assert.is((await run('-R', saved)).status, 0);
  assert.is((await run('-Sn')).out, saved);
  const other = await run('-E -t 203.0.113.10:80 -j maybe');
  assert.is(other.status, 2);
  assert.match(other.error, /^synproxy switch must be enable or disable\n/);
  const refused = await run('-a -t 203.0.113.10:80 -r 198.51.100.8 -g');
  assert.is(refused.status, 255);
  assert.match(refused.error, /^ERR_CONFIG_CONFLICT: .*a SYN proxy has to see replies/);
  await good(
    '-A -t [2001:db8::10]:80 -s rr -j enable',
    '-a -t [2001:db8::10]:80 -r [2001:db8:2::a]:8080 -m',
  );
  assert.match((await run('-Sn')).out, /^-A -t \[2001:db8::10\]:80 -s rr -j enable$/m);
  const six = await run('-a -t [2001:db8::10]:80 -r 2001:db8:2::b -g');
  assert.match(six.error, /^ERR_CONFIG_CONFLICT: .*a SYN proxy has to see replies/);
  const udp = await run('-A -u 203.0.113.10:53 -j enable');
  assert.match(udp.error, /^ERR_CONFIG_CONFLICT: .*a SYN proxy is for TCP only/);
});

test('IPv6: services, servers and local addresses, listed in order and saved as they came', async () => {
  await good(
    '-A -t [2001:db8::0010]:80 -s rr',
    '-A -u [2001:db8::9]:domain -s sh',
    '-A -t 203.0.113.10:80 -s rr',
    '-a -t [2001:DB8::10]:80 -r [2001:db8:2::b]:8080 -m -w 3',
    '-a -t [2001:db8::10]:80 -r [2001:db8:2::a]:8080 -b',
    '-P -t [2001:db8::10]:80 -z 2001:db8:2::200',
    '-a -u [2001:db8::9]:53 -r 2001:db8:2::a -g',
  );
  assert.is(
    (await run('-Ln')).out.split('\n').slice(3).join('\n'),
    `\
TCP  203.0.113.10:80 rr
TCP  [2001:db8::10]:80 rr
  -> [2001:db8:2::a]:8080         FullNat 1      0          0         \n\
  -> [2001:db8:2::b]:8080         Masq    3      0          0         \n\
UDP  [2001:db8::9]:53 sh
  -> [2001:db8:2::a]:53           Route   1      0          0         \n`,
  );
  for (const save of ['-S', '-Sn']) {
    const saved = await run(save);
    await good('-C');
    assert.equal(await run('-R', saved.out), { status: 0, out: '', error: '' });
    assert.equal(await run(save), saved);
  }
  assert.match((await run('-S')).out, /^-A -t \[2001:db8::10\]:http -s rr$/m);
  // As the real one: families mix in tunnels only.
  assert.is((await run('-a -t [2001:db8::10]:80 -r 198.51.100.7:80 -m')).status, 2);
  await good('-a -t [2001:db8::10]:80 -r 198.51.100.7:80 -i');
  await good('-d -t [2001:db8::10]:80 -r [2001:db8:2::b]:8080', '-D -u [2001:db8::9]:53');
});

test('services for marks and for any port: as -S prints them they come back', async () => {
  await good(
    '-A -f 5 -s wlc -p 50 -M 255.255.255.0',
    '-a -f 5 -r 198.51.100.7 -g',
    '-a -f 5 -r 198.51.100.8:80 -m -w 3',
    '-A -f 4294967295 -6 -s rr',
    '-a -f 4294967295 -6 -r [2001:db8:2::b]:80 -m',
    '-A -t 203.0.113.10 -s rr -p 60',
    '-a -t 203.0.113.10 -r 198.51.100.9 -i',
  );
  const saved = await run('-Sn');
  assert.is(
    saved.out,
    `\
-A -t 203.0.113.10:0 -s rr -p 60
-a -t 203.0.113.10:0 -r 198.51.100.9:0 -i -w 1 --tun-type ipip
-A -f 5 -s wlc -p 50 -M 255.255.255.0
-a -f 5 -r 198.51.100.7:0 -g -w 1
-a -f 5 -r 198.51.100.8:80 -m -w 3
-A -f 4294967295 -6 -s rr
-a -f 4294967295 -6 -r [2001:db8:2::b]:80 -m -w 1
`,
  );
  await good('-C');
  assert.equal(await run('-R', saved.out), { status: 0, out: '', error: '' });
  assert.is((await run('-Sn')).out, saved.out);
  await good('-d -f 5 -r 198.51.100.8:80', '-E -f 5 -s rr', '-Z -f 5', '-D -f 4294967295 -6');
  assert.match((await run('-Ln -f 5')).out, /^FWM {2}5 rr$/m);
});

test('SCTP services: listed, saved and restored as such; in ENAT they are refused', async () => {
  await good(
    '-A --sctp-service 203.0.113.10:2905 -s rr -p 60',
    '-a --sctp-service 203.0.113.10:2905 -r 198.51.100.7:2906 -m',
    '-a --sctp-service 203.0.113.10:2905 -r 198.51.100.8 -g -w 3 -x 9 -y 5',
    '-A --sctp-service [2001:db8:f::1]:2905 -s wlc',
    '-a --sctp-service [2001:db8:f::1]:2905 -r [2001:db8:2::11]:2905 -m',
    '-A -t 203.0.113.10:2905 -s rr',
  );
  assert.match(
    (await run('-Ln')).out,
    /^SCTP 203\.0\.113\.10:2905 rr persistent 60\n {2}-> 198\.51\.100\.7:2906 +Masq /m,
  );
  assert.match((await run('-Ln --sctp-service 203.0.113.10:2905 --stats')).out, /^SCTP 203/m);
  const saved = await run('-Sn');
  assert.match(saved.out, /^-A --sctp-service 203\.0\.113\.10:2905 -s rr -p 60$/m);
  assert.match(
    saved.out,
    /^-a --sctp-service \[2001:db8:f::1\]:2905 -r \[2001:db8:2::11\]:2905 -m /m,
  );
  await good('-C');
  assert.equal(await run('-R', saved.out), { status: 0, out: '', error: '' });
  assert.is((await run('-Sn')).out, saved.out);
  const enat = await run('-a --sctp-service 203.0.113.10:2905 -r 198.51.100.9 --enat');
  assert.equal([enat.status, enat.error], [255, 'ERR_UNSUPPORTED: ENAT takes TCP and UDP\n']);
  const once = await run('-A --sctp-service 203.0.113.10:81 -o');
  assert.is(once.error, 'One-Packet Scheduling is only for UDP virtual services\n');
  await good(
    '-Z --sctp-service 203.0.113.10:2905',
    '-d --sctp-service 203.0.113.10:2905 -r 198.51.100.8',
    '-D --sctp-service 203.0.113.10:2905',
  );
  assert.is((await run('-D --sctp-service 203.0.113.10:2905')).status, 255);
});

test('persistence of an IPv6 service: by prefix length, as it is saved', async () => {
  await good('-A -t [2001:db8::1]:80 -s rr -p 300 -M 64');
  await good('-A -u [2001:db8::1]:53 -s rr -p');
  const listed = (await run('-L -n')).out;
  assert.match(listed, /TCP {2}\[2001:db8::1\]:80 rr persistent 300 mask 64\n/);
  assert.match(listed, /UDP {2}\[2001:db8::1\]:53 rr persistent 360\n/);
  assert.match((await run('-S -n')).out, /-A -t \[2001:db8::1\]:80 -s rr -p 300 -M 64\n/);
  assert.is((await run('-E -t [2001:db8::1]:80 -s rr -p 300 -M 129')).status, 2);
  await good('-D -t [2001:db8::1]:80');
  await good('-D -u [2001:db8::1]:53');
});

test('a persistence engine and a netmask with holes: listed, edited, saved and restored', async () => {
  await good(
    '-A -u 203.0.113.10:5060 -s rr -p 60 -o --pe sip',
    '-A -u [2001:db8::1]:5060 -s rr -p 60 -M 64 --pe sip',
    '-A -t 203.0.113.10:80 -s rr -p -M 255.0.255.0',
  );
  const listed = (await run('-L -n')).out;
  assert.match(listed, /^UDP {2}203\.0\.113\.10:5060 rr persistent 60 pe sip ops$/m);
  assert.match(listed, /^UDP {2}\[2001:db8::1\]:5060 rr persistent 60 mask 64 pe sip$/m);
  assert.match(listed, /^TCP {2}203\.0\.113\.10:80 rr persistent 360 mask 255\.0\.255\.0$/m);
  const saved = (await run('-S -n')).out;
  assert.match(saved, /^-A -u 203\.0\.113\.10:5060 -s rr -p 60 --pe sip -o$/m);
  assert.match(saved, /^-A -t 203\.0\.113\.10:80 -s rr -p 360 -M 255\.0\.255\.0$/m);
  await good('-C');
  assert.equal(await run('-R', saved), { status: 0, out: '', error: '' });
  assert.is((await run('-S -n')).out, saved);
  await good('-E -u 203.0.113.10:5060 -s rr -p 60 -o');
  assert.match((await run('-S -n')).out, /^-A -u 203\.0\.113\.10:5060 -s rr -p 60 -o$/m);
  assert.equal(await run('-A -u 203.0.113.10:81 -p --pe SIP'), {
    ...{ status: 255, out: '' },
    error: 'Scheduler or persistence engine not found\n',
  });
  await good('-C');
});

test('what the dataplane lacks is refused with a code and status 255, and nothing changes', async () => {
  await good('-A -t 203.0.113.10:80');
  for (const line of [
    '-A -t 203.0.113.10:81 -p --pe sip',
    '-A -u 203.0.113.10:81 --pe sip',
    '-A --sctp-service 203.0.113.10:81 -p --pe sip',
    '-A -t 203.0.113.10:81 -b flag-3',
    '-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 --enat',
    '-a -t 203.0.113.10:80 -r 198.51.100.7 -w 65536',
    '--start-daemon master --mcast-interface vec1 --mcast-group ff02::5',
    '-U -t 203.0.113.10:80 -k ipset:bad',
  ]) {
    const ran = await run(line);
    assert.is(ran.status, 255, line);
    assert.match(ran.error, /^ERR_UNSUPPORTED: /, line);
  }
  for (const [line, code] of [
    ['-A -t 127.0.0.1:80', 'ERR_CONFIG_VALUE'],
    ['-A -t 192.0.2.1:80', 'ERR_CONFIG_CONFLICT'],
    ['-a -t 203.0.113.10:80 -r 203.0.113.10', 'ERR_CONFIG_CONFLICT'],
    ['-P -t 203.0.113.10:80 -z 198.51.100.200 -F nowhere', 'ERR_CONFIG_REFERENCE'],
  ] as const) {
    const ran = await run(line);
    assert.is(ran.status, 255, line);
    assert.ok(ran.error.startsWith(`${code}: `), ran.error);
  }
  assert.is((await run('-Sn')).out, '-A -t 203.0.113.10:80 -s wlc\n');
  assert.is(director.running.history().length, 2);
});

test('-R: bad lines say so, the others become one generation', async () => {
  const ran = await run(
    '-R',
    `\
-A -t 203.0.113.10:80 -s rr
-A -t 203.0.113.10:80 -s rr
-A -t 192.0.2.1:80 -s rr

ipvsadm -a -t 203.0.113.10:80 -r 198.51.100.7
-a -t 203.0.113.11:80 -r 198.51.100.7
-a -t 203.0.113.10:80 -r 198.51.100.8 -w 2
`,
  );
  assert.is(ran.status, 0);
  assert.equal(
    ran.error.split('\n').map((line) => line.replace(/: .*/, '')),
    ['Service already exists', 'ERR_CONFIG_CONFLICT', 'Service not defined', ''],
  );
  assert.is(
    (await run('-Sn')).out,
    `\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 198.51.100.7:80 -g -w 1
-a -t 203.0.113.10:80 -r 198.51.100.8:80 -g -w 2\n`,
  );
  assert.equal(
    director.running.history().map(({ cause }) => cause.replace(/start.*/, 'start')),
    ['start', 'ipvsadm -R (6 lines)'],
  );
});

test('a thousand services by -R, and all of them back by -S', async () => {
  const lines: string[] = [];
  for (let at = 0; at < 1_000; at++) {
    const service = `-t 203.0.113.${1 + (at >> 8)}:${1 + (at & 0xff)}`;
    lines.push(
      `-A ${service} -s rr`,
      `-a ${service} -r 198.51.100.7`,
      `-a ${service} -r 198.51.100.8`,
    );
  }
  assert.is((await run('-R', lines.join('\n'))).status, 0);
  assert.is((await run('-Sn')).out.split('\n').length, 3_001);
});

test('nobody runs: status 2 and the reason', async () => {
  const dead = new RunningReplay(FILE, NAMES);
  const ran = await dead.ipvsadm(['-Ln']);
  dead.close();
  assert.is(ran.status, 2);
  assert.match(ran.error, /^ERR_NOT_RUNNING: no running director on /);
});

test.run();
