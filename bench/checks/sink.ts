/**
 * The servers of a benchmark of health checks: one nginx on its own CPU answers for every address
 * of 198.18.0.0/16; those of 198.19.0.0/16 are silent. In a network namespace that is gone with its
 * last process.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const PORT = 80;

/** Address of the nth server that answers, or is silent. */
export function addressOf(n: number, silent: boolean): string {
  return `198.${silent ? 19 : 18}.${n >> 8}.${n & 255}`;
}

export class Sink {
  readonly #nginx: ChildProcess;
  readonly #directory: string;

  private constructor(nginx: ChildProcess, directory: string) {
    this.#nginx = nginx;
    this.#directory = directory;
  }

  /** In this process' namespace, which has to be a fresh one. */
  static async start(cpu: number): Promise<Sink> {
    execFileSync('ip', ['-batch', '-'], {
      input: 'link set lo up\nroute add local 198.18.0.0/15 dev lo\n',
    });
    execFileSync('sysctl', [
      '-qw',
      'net.ipv4.ip_local_port_range=1024 65535',
      'net.core.somaxconn=16384',
      'net.ipv4.tcp_max_syn_backlog=16384',
    ]);
    execFileSync('nft', [
      'add table ip t; add chain ip t in { type filter hook input priority 0; };' +
        'add rule ip t in ip daddr 198.19.0.0/16 drop',
    ]);
    const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-checks-'));
    const config = join(directory, 'nginx.conf');
    writeFileSync(
      config,
      `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/errors crit;
events { worker_connections 16384; multi_accept on; }
http { access_log off; client_body_temp_path ${directory}; proxy_temp_path ${directory};
fastcgi_temp_path ${directory}; uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
server { listen ${PORT} backlog=16384; return 200 "ok\\n"; } }
`,
    );
    const argv = ['-c', String(cpu), 'nginx', '-e', `${directory}/errors`, '-c', config];
    const nginx = spawn('taskset', argv, { stdio: 'ignore' });
    const sink = new Sink(nginx, directory);
    process.once('exit', () => nginx.kill());
    while (!(await answers())) {
      if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}`);
      await sleep(20);
    }
    return sink;
  }

  stop(): void {
    this.#nginx.kill();
    rmSync(this.#directory, { recursive: true });
  }
}

function answers(): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(PORT, addressOf(1, false));
    socket.on('connect', () => done(true));
    socket.on('error', () => done(false));
    socket.on('close', () => socket.destroy());
  });
}
