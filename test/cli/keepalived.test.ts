/** A keepalived.conf given to `sluice` as it is. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Folder, GOOD } from './support.js';

const alone = new Folder();
const folder = new Folder();
test.after(() => {
  alone.remove();
  folder.remove();
});

const CONF = `\
global_defs {
    router_id LVS_1
}
virtual_server 203.0.113.10 80 {
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server 198.51.100.11 8080 {
        TCP_CHECK {
            connect_timeout 3
        }
    }
}
`;
alone.write('keepalived.conf', CONF);
folder.write('keepalived.conf', CONF);
folder.write('broken.conf', CONF.replace('lvs_sched rr', 'lvs_shed rr').replace('8080 {', '8080'));
folder.write('sluice.yaml', GOOD.slice(0, GOOD.indexOf('services:')));

test('check: with sluice.yaml beside it, and without', async () => {
  const [both, one] = await Promise.all([
    folder.run('check', '-c', 'keepalived.conf'),
    alone.run('check', '-c', 'keepalived.conf'),
  ]);
  assert.equal(both, {
    status: 0,
    stdout: 'keepalived.conf: good: 1 service, 1 real server, 2 ports, 1 warning\n',
    stderr:
      'keepalived.conf:2:5: warning: router_id: has no effect: it names this machine in mail, SNMP and VRRP only\n',
  });
  assert.is(one.status, 0);
  assert.match(one.stderr, /^keepalived\.conf:1:1: warning: no sluice\.yaml says which ports/);
  assert.match(one.stdout, /good: 1 service, 1 real server, 0 ports, 2 warnings/);
});

test('check: every mistake with its place', async () => {
  const ran = await folder.run('check', '-c', 'broken.conf');
  assert.is(ran.status, 1);
  assert.equal(ran.stderr.split('\n').slice(1), [
    'broken.conf:4:1: warning: virtual_server 203.0.113.10 80: no lvs_sched is given: it is wlc',
    'broken.conf:5:5: lvs_shed: unknown keyword, did you mean lvs_sched?',
    'broken.conf:8:5: real_server: its block is missing, expected {',
    'broken.conf:9:9: TCP_CHECK: unknown keyword, it is not in keepalived.conf(5)',
    'broken.conf:13:1: this } closes nothing',
    'broken.conf: 4 errors, 2 warnings',
    '',
  ]);
});

test('run: what is missing is told in a sentence', async () => {
  const ran = await alone.run('run', '-c', 'keepalived.conf');
  assert.is(ran.status, 1);
  assert.match(
    ran.stderr,
    /sluice: no .*sluice\.yaml says which ports there are: sluice run needs one \[ERR_CONFIG_MISSING\]\n$/,
  );
  assert.not.match(ran.stderr, /\n\s+at /);
});

test.run();
