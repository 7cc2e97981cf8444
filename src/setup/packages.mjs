// The Debian packages Sluice is built with, tested with and demonstrated with, and their
// installation. Plain JavaScript that needs only Node: it runs before node_modules exists.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { SetupError, say } from './errors.mjs';

/** What each group is for is part of the message when it is missing. */
export const GROUPS = {
  'the dataplane': [
    'dpdk',
    'libdpdk-dev',
    'libmnl-dev',
    'libbpf-dev',
    'libpcap-dev',
    'libmd-dev',
    'linux-libc-dev',
    'libc6-dev',
  ],
  'the build': ['g++', 'cmake', 'ninja-build', 'pkg-config'],
  'eBPF, fuzzing, formatting': ['clang', 'llvm', 'clang-format', 'libclang-rt-14-dev'],
  'the lab': [
    'iproute2',
    'iputils-ping',
    'procps',
    'ethtool',
    'nginx-light',
    'dnsmasq-base',
    'nsd',
    'openssl',
  ],
  'the load': ['curl', 'wrk', 'iperf3', 'bind9-dnsutils'],
  'the oracles': ['python3', 'python3-scapy', 'tcpdump', 'tshark', 'valgrind'],
  'the Debian package': ['dpkg-dev', 'lintian', 'lowdown', 'man-db'],
  'plots of the benchmark': ['fonts-dejavu-core'],
  // 80 MB to fetch, 400 MB with what it needs: nothing smaller says how a page really looks.
  'the test of the dashboard': ['chromium'],
  'the peers': [
    'prometheus-node-exporter',
    'user-mode-linux',
    'kmod',
    'ipvsadm',
    'keepalived',
    'bird2',
    'nftables',
    'haproxy',
    'libnginx-mod-stream',
    'dpdk-dev',
  ],
};

// Units that Debian enables for the packages above. The lab starts its own copies inside network
// namespaces; a set-up script has no business leaving a web server running on somebody's machine.
const UNITS = [
  'prometheus-node-exporter.service',
  'nginx.service',
  'nsd.service',
  'keepalived.service',
  'bird.service',
  'ipvsadm.service',
  'haproxy.service',
  'nftables.service',
];

const POLICY = '/usr/sbin/policy-rc.d';
const SAVED = '/usr/sbin/policy-rc.d.before-sluice';
const MARK = '# written by the Sluice set-up';

/** Names of the packages that are not installed; one dpkg-query for all of them. */
export function missingPackages() {
  const wanted = Object.values(GROUPS).flat();
  const query = spawnSync(
    'dpkg-query',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
    ['-W', '-f', '${Package} ${db:Status-Status}\n', ...wanted],
    { encoding: 'utf8' },
  );
  if (query.error) {
    throw new SetupError(
      'ERR_SETUP_NOT_DEBIAN',
      'dpkg-query was not found: Sluice needs Debian 12',
    );
  }
  const installed = new Set();
  for (const line of query.stdout.split('\n')) {
    const [name, status] = line.split(' ');
    if (status === 'installed') installed.add(name);
  }
  return wanted.filter((name) => !installed.has(name));
}

/** Root runs a command as it is; anybody else through sudo, which may ask for a password. */
function asRoot(command, args, options = {}) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...options.env };
  if (process.getuid?.() === 0)
    return spawnSync(command, args, { stdio: 'inherit', ...options, env });
  // sudo resets the environment, so env(1) sets what apt has to see.
  const argv = ['env', 'DEBIAN_FRONTEND=noninteractive', command, ...args];
  return spawnSync('sudo', argv, { stdio: 'inherit', ...options, env });
}

function needRoot(missing) {
  if (process.getuid?.() === 0) return;
  const sudo = spawnSync('sudo', ['-V'], { stdio: 'ignore' });
  if (sudo.error) {
    throw new SetupError(
      'ERR_SETUP_NEEDS_ROOT',
      `these packages are missing and there is neither root nor sudo to install them:\n  apt-get install ${missing.join(' ')}`,
    );
  }
}

/**
 * dpkg's post-installation scripts ask /usr/sbin/policy-rc.d whether they may start a service: 101
 * says no. An administrator's own file is put aside and comes back, also after a run that was
 * killed: a file with our mark, or a saved one, is then found by the next run.
 */
function withoutStartingServices(action) {
  const script = `#!/bin/sh\n${MARK}\nexit 101\n`;
  const restore = `
    if [ -e ${SAVED} ]; then mv -f ${SAVED} ${POLICY};
    elif grep -qs '${MARK}' ${POLICY}; then rm -f ${POLICY}; fi`;
  const guard = `${restore}
    if [ -e ${POLICY} ]; then mv -f ${POLICY} ${SAVED}; fi
    printf '%s' "$1" > ${POLICY} && chmod 755 ${POLICY}`;
  const put = asRoot('sh', ['-ec', guard, 'sh', script]);
  if (put.status !== 0) throw new SetupError('ERR_SETUP_POLICY', `could not write ${POLICY}`);
  try {
    return action();
  } finally {
    asRoot('sh', ['-c', restore]);
  }
}

/** True when a unit file for this name is on the machine. */
function unitExists(unit) {
  return (
    existsSync(`/lib/systemd/system/${unit}`) || existsSync(`/etc/init.d/${unit.split('.')[0]}`)
  );
}

/** Installs what is missing. Returns the names that were installed. */
export function installPackages() {
  const missing = missingPackages();
  if (missing.length === 0) return [];
  needRoot(missing);
  for (const [purpose, names] of Object.entries(GROUPS)) {
    const group = names.filter((name) => missing.includes(name));
    if (group.length > 0) say(`installing for ${purpose}: ${group.join(' ')}`);
  }
  const before = new Set(UNITS.filter(unitExists));
  const lock = ['-o', 'DPkg::Lock::Timeout=600'];
  const update = asRoot('apt-get', [...lock, 'update', '-q']);
  if (update.status !== 0) {
    throw new SetupError('ERR_SETUP_APT_UPDATE', 'apt-get update failed; its message is above');
  }
  const install = withoutStartingServices(() =>
    asRoot('apt-get', [...lock, 'install', '-q', '-y', '--no-install-recommends', ...missing]),
  );
  if (install.status !== 0) {
    throw new SetupError('ERR_SETUP_APT_INSTALL', 'apt-get install failed; its message is above');
  }
  // Not started now, and not at the next boot either.
  const fresh = UNITS.filter((unit) => !before.has(unit) && unitExists(unit));
  if (fresh.length > 0 && existsSync('/run/systemd/system')) {
    asRoot('systemctl', ['disable', '--quiet', ...fresh]);
  }
  const still = missingPackages();
  if (still.length > 0) {
    throw new SetupError('ERR_SETUP_APT_INSTALL', `still missing: ${still.join(' ')}`);
  }
  return missing;
}
