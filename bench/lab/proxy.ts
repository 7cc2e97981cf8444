/** Proxies of TCP connections, one thread each. */
import { mkdirSync } from 'node:fs';
import { IPERF_PORT, listening } from '../../src/lab/fixtures.js';
import type { Lab } from '../../src/lab/lab.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import { realServer } from '../../src/lab/topology.js';
import type { Contestant, Lane } from './contestant.js';
import { leaveInterfaces, PEER_VIP, takeInterfaces } from './kernel.js';
import { places } from './place.js';

const HTTP = { from: 80, to: 8080 };

const haproxyConfig = () => `global
  nbthread 1
  maxconn 4096
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen http
  bind ${PEER_VIP}:${HTTP.from} backlog 8192
  server rs1 ${realServer(1)}:${HTTP.to}
listen iperf
  bind ${PEER_VIP}:${IPERF_PORT}
  server rs1 ${realServer(1)}:${IPERF_PORT}
`;

const nginxConfig = (directory: string) => `load_module modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
pid ${directory}/pid;
error_log ${directory}/error.log;
events { worker_connections 16384; multi_accept on; }
stream {
  access_log off;
  tcp_nodelay on;
  server { listen ${PEER_VIP}:${HTTP.from} backlog=8192; proxy_pass ${realServer(1)}:${HTTP.to}; }
  server { listen ${PEER_VIP}:${IPERF_PORT}; proxy_pass ${realServer(1)}:${IPERF_PORT}; }
}
`;

abstract class TcpProxy implements Contestant {
  abstract readonly name: string;
  readonly port = 'kernel';
  readonly lanes: readonly Lane[] = [{ mode: 'proxy', path: 'both', address: PEER_VIP }];
  #process: LabProcess | undefined;

  protected abstract argv(lab: Lab, directory: string): string[];

  async start(lab: Lab): Promise<void> {
    const namespace = lab.ns('director1');
    takeInterfaces(namespace);
    namespace.ip(`addr add ${PEER_VIP}/32 dev lo`);
    namespace.sysctl({ 'net.ipv4.ip_local_port_range': '1024 65000' });
    const directory = lab.path('director1', this.name);
    mkdirSync(directory, { recursive: true });
    const pin = ['taskset', '-c', String(places().director)];
    this.#process = namespace.spawn([...pin, ...this.argv(lab, directory)]);
    for (const port of [HTTP.from, IPERF_PORT]) {
      await listening(namespace, 'tcp', port, this.#process);
    }
  }

  async stop(lab: Lab): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
    const namespace = lab.ns('director1');
    namespace.ip(`addr del ${PEER_VIP}/32 dev lo`);
    leaveInterfaces(namespace);
  }
}

export class Haproxy extends TcpProxy {
  readonly name = 'haproxy-tcp';

  protected argv(lab: Lab): string[] {
    return ['haproxy', '-db', '-f', lab.write('director1/haproxy.cfg', haproxyConfig())];
  }
}

export class NginxStream extends TcpProxy {
  readonly name = 'nginx-stream';

  protected argv(lab: Lab, directory: string): string[] {
    const config = lab.write('director1/nginx.conf', nginxConfig(directory));
    // Debian keeps its modules below the compiled-in prefix's sibling, so the prefix stays.
    return ['nginx', '-e', `${directory}/error.log`, '-c', config];
  }
}
