/** The one real server: nginx with a body of 64 bytes, and the agent that TUN and ENAT need. */
import { mkdirSync } from 'node:fs';
import { startAgent } from '../../src/lab/agent.js';
import { HTTP_PORTS, listening } from '../../src/lab/fixtures.js';
import type { Lab } from '../../src/lab/lab.js';

export const BODY_BYTES = 64;

/** No access log: it would be the larger part of what the server does. */
function nginxConfig(directory: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
user root;
worker_processes 1;
pid ${directory}/pid;
error_log ${directory}/error.log;
events { worker_connections 8192; multi_accept on; }
http {
  access_log off;
  keepalive_requests 100000000;
${paths.map((kind) => `  ${kind}_temp_path ${directory}/${kind};`).join('\n')}
  server {
${HTTP_PORTS.map((port) => `    listen ${port} backlog=8192;`).join('\n')}
    location / { default_type text/plain; return 200 "${'x'.repeat(BODY_BYTES)}"; }
  }
}
`;
}

export async function startServer(lab: Lab): Promise<void> {
  const namespace = lab.ns('rs1');
  // A minute of closed connections would be more than the limit on them.
  namespace.sysctl({ 'net.ipv4.tcp_max_tw_buckets': 4096 });
  lab.ns('client').sysctl({ 'net.ipv4.ip_local_port_range': '1024 65000' });
  await startAgent(lab, 'rs1');
  const directory = lab.path('rs1', 'nginx');
  mkdirSync(directory, { recursive: true });
  const config = lab.write('rs1/nginx/nginx.conf', nginxConfig(directory));
  const argv = ['nginx', '-e', `${directory}/error.log`, '-p', directory, '-c', config];
  const nginx = namespace.spawn(argv);
  for (const port of HTTP_PORTS) await listening(namespace, 'tcp', port, nginx);
}
