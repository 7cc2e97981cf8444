/** `sluice check` and how all commands answer mistakes: sentences and exit statuses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Folder, GOOD } from './support.js';

const folder = new Folder();
test.after(() => folder.remove());
folder.write('good.yaml', GOOD);
folder.write('bad.yaml', GOOD.replace('mode: nat', 'mode: masq').replace('listen', 'listem'));
folder.write('odd.yaml', GOOD.replace('mode: nat', 'mode: dr'));

test('a good file', async () => {
  const ran = await folder.run('check', '-c', 'good.yaml');
  assert.equal(ran, {
    status: 0,
    stdout: 'good.yaml: good: 1 service, 1 real server, 2 ports\n',
    stderr: '',
  });
});

test('a good file with warnings', async () => {
  const ran = await folder.run('check', '-c', 'odd.yaml');
  assert.is(ran.status, 0);
  assert.is(ran.stdout, 'odd.yaml: good: 1 service, 1 real server, 2 ports, 1 warning\n');
  assert.is(
    ran.stderr,
    'odd.yaml:12:26: warning: services[0].servers[0].address: mode dr cannot change the port: ' +
      "8080 is ignored and the service's 80 used, as ipvsadm does\n",
  );
});

test('a bad file: every error with its place, and status 1', async () => {
  const ran = await folder.run('check', '-c', 'bad.yaml');
  assert.equal(ran, {
    status: 1,
    stdout: '',
    stderr:
      'bad.yaml:9:5: services[0].listen: missing, expected an address and port such as 203.0.113.10:80, or a mark\n' +
      'bad.yaml:10:5: services[0].listem: unknown key, did you mean listen?\n' +
      'bad.yaml:11:11: services[0].mode: is "masq", expected nat, dr, tun, fullnat or enat\n' +
      'bad.yaml: 3 errors\n',
  });
});

test('what a file says to the terminal is written out', async () => {
  folder.write('sly.conf', 'virtual_server 203.0.113.10 80 {\n \x1b[2Jlb_algo rr\n}\n');
  const ran = await folder.run('check', '-c', 'sly.conf');
  assert.is(ran.status, 1);
  assert.match(ran.stderr, /^sly\.conf:2:2: \\x1b\[2Jlb_algo: unknown keyword/m);
  assert.not.ok(ran.stderr.includes('\x1b'));
});

test('--json', async () => {
  const bad = await folder.run('check', '-c', 'bad.yaml', '--json');
  assert.is(bad.status, 1);
  const report = JSON.parse(bad.stdout);
  assert.is(report.ok, false);
  assert.is(report.model, undefined);
  assert.equal(report.problems[2], {
    severity: 'error',
    code: 'ERR_CONFIG_VALUE',
    place: { file: 'bad.yaml', line: 11, column: 11 },
    path: 'services[0].mode',
    message: 'is "masq", expected nat, dr, tun, fullnat or enat',
  });
  const good = await folder.run('check', '-c', 'good.yaml', '--json');
  assert.is(good.status, 0);
  const { ok, problems, model } = JSON.parse(good.stdout);
  assert.equal([ok, problems], [true, []]);
  assert.is(model.services[0].listen.address, '203.0.113.10');
});

test('mistakes on the command line: a sentence, no stack, status 2', async () => {
  const rows: [args: string[], says: RegExp][] = [
    [['chekc'], /unknown command 'chekc'.*\n.*\(Did you mean check\?\)/],
    [['check'], /required option '-c, --config <file>' not specified/],
    [['check', '-c', 'good.yaml', 'more'], /too many arguments/],
    [
      ['explain', '--from', '1.2.3.4:5', '--to', '1.2.3.4:80', '--proto', 'icmp'],
      /option '--proto <name>' argument 'icmp' is invalid. Allowed choices are tcp, udp, sctp/,
    ],
    [['show', 'services', '--bogus'], /unknown option '--bogus'/],
    [['replay', '-c', 'good.yaml', '--in', 'front', '--out', 'o'], /expected PORT=FILE/],
    [
      ['replay', '-c', 'good.yaml', '--in', 'front=x', '--out', 'o', '--burst', '33'],
      /--burst is "33", expected a whole number from 1 to 32/,
    ],
    [['show', 'services', '--socket', 'x', '-c', 'good.yaml'], /cannot be used with/],
  ];
  const all = await Promise.all(rows.map(([args]) => folder.run(...args)));
  all.forEach(({ status, stderr }, index) => {
    const [args, says] = rows[index] as [string[], RegExp];
    assert.match(stderr, says, args.join(' '));
    assert.is(status, 2, args.join(' '));
    assert.not.match(stderr, /\n\s+at /, args.join(' '));
  });
});

test('circumstances: a sentence with a code, no stack', async () => {
  const rows: [args: string[], status: number, says: string][] = [
    [
      ['check', '-c', 'none.yaml'],
      1,
      'sluice: cannot read none.yaml: there is no such file [ERR_CONFIG_READ]\n',
    ],
    [['check', '-c', '.'], 1, 'sluice: cannot read .: it is a directory [ERR_CONFIG_READ]\n'],
    [
      ['show', 'services', '--socket', './none.sock'],
      3,
      'sluice: no running director on ./none.sock: there is no such socket [ERR_NOT_RUNNING]\n',
    ],
    // 'show' may be left out.
    [
      ['status', '--socket', './none.sock'],
      3,
      'sluice: no running director on ./none.sock: there is no such socket [ERR_NOT_RUNNING]\n',
    ],
    [
      ['replay', '-c', 'good.yaml', '--in', 'front=none.pcap', '--out', 'o'],
      1,
      'sluice: cannot read none.pcap: there is no such file [ERR_PCAP_READ]\n',
    ],
    [
      ['run', '-c', 'good.yaml'],
      1,
      `sluice: ${folder.path}/good.yaml has 2 errors:\n` +
        `  ${folder.path}/good.yaml:2:5: ports[0].device: missing: port front of a running director needs one, expected such as net_af_packet0,iface=eth1\n` +
        `  ${folder.path}/good.yaml:3:5: ports[1].device: missing: port back of a running director needs one, expected such as net_af_packet0,iface=eth1 [ERR_CONFIG]\n`,
    ],
  ];
  const all = await Promise.all(rows.map(([args]) => folder.run(...args)));
  assert.equal(
    all.map(({ status, stdout, stderr }) => ({ status, stdout, stderr })),
    rows.map(([, status, stderr]) => ({ status, stdout: '', stderr })),
  );
});

test('help names all commands; version; errors', async () => {
  const [help, version, errors] = await Promise.all([
    folder.run('--help'),
    folder.run('--version'),
    folder.run('errors'),
  ]);
  assert.is(help.status, 0);
  for (const word of ['run', 'check', 'show', 'reload', 'replay', 'repl', 'realserver']) {
    assert.match(help.stdout, new RegExp(`^  ${word} `, 'm'));
  }
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match(errors.stdout, /^ERR_ALREADY_RUNNING +Another director/m);
});

test.run();
