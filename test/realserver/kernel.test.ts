/**
 * Debian 12's own kernel series in User-Mode Linux: its verifier takes the programs, without a JIT
 * and without the kernel's type information, and clsact stands in for TCX.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';

const UML = '/usr/bin/linux.uml';
const MODULES = '/usr/lib/uml/modules';
const BUILD = fileURLToPath(new URL('../../build/Release', import.meta.url));

const ATTACH = `
const addon = require('${BUILD}/sluice.node');
const handle = addon.realserverAttach({ interfaces: ['lo'], objectDir: '${BUILD}',
  directors: ['198.51.100.1'], vips: ['203.0.113.10'], toaKind: 254,
  modes: ['tun', 'toa', 'enat'], maxFlows: 1024 });
console.log('attached ' + JSON.stringify(addon.realserverAttachments(handle)));
addon.realserverDetach(handle);`;

if (process.getuid?.() !== 0 || !existsSync(UML)) {
  skip('the programs on Linux 6.1', 'needs root and the package user-mode-linux');
} else {
  test('Linux 6.1 takes the programs, attaches them by clsact, and takes them off', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-uml-'));
    try {
      writeFileSync(join(directory, 'attach.cjs'), ATTACH);
      const init = join(directory, 'init');
      writeFileSync(
        init,
        `#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /run
mkdir -p /run/root/lib; ln -s ${MODULES} /run/root/lib/modules
modprobe -a -d /run/root sch_ingress cls_bpf
ip link set lo up
echo "kernel $(uname -r)"
${process.execPath} ${directory}/attach.cjs
echo "left $(tc qdisc show dev lo)"
echo o > /proc/sysrq-trigger
sleep 5
`,
        { mode: 0o755 },
      );
      const argv = ['mem=768M', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${init}`];
      const { stdout } = spawnSync(UML, [...argv, 'con=null', 'con0=null,fd:1'], {
        encoding: 'utf8',
        timeout: 60_000,
        killSignal: 'SIGKILL',
        env: { ...process.env, HOME: directory, TMPDIR: directory },
      });
      assert.match(stdout, /^kernel 6\.1\./m);
      const attached = /^attached (.*?)\r?$/m.exec(stdout);
      assert.ok(attached, stdout.slice(-4000));
      const hooks = JSON.parse(attached![1]!) as { program: string; how: string }[];
      assert.equal(
        hooks.map(({ program, how }) => `${program} ${how}`),
        [
          'client_egress clsact',
          'tunnel_ingress clsact',
          'client_ingress clsact',
          'getpeername4 cgroup',
          'getpeername6 cgroup',
        ],
      );
      assert.not.match(stdout, /^left.*clsact/m);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

test.run();
