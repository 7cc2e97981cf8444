/** The real servers' programs: Debian's own nginx, iperf3 and dnsmasq, with files in the lab. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { LabError, START_MS, until } from './command.js';
import type { Lab } from './lab.js';
import type { LabProcess, Namespace } from './namespace.js';

/** HTTP on both, so that a mode that maps ports has another one to map to. */
export const HTTP_PORTS = [80, 8080];
export const IPERF_PORT = 5201;
export const DNS_PORT = 53;
/** A TXT record that says which server answered, as nginx's body does. */
export const DNS_NAME = 'whoami.example';
/** A static file for transfers through nginx. */
export const BIG_PATH = '/big';
export const BIG_BYTES = 4 << 20;

/** Waits until a program listens, by the kernel's own list of sockets. */
export async function listening(
  namespace: Namespace,
  protocol: 'tcp' | 'udp',
  port: number,
  process: LabProcess,
): Promise<void> {
  const list = ['ss', '-Hln', protocol === 'tcp' ? '-t' : '-u', 'sport', '=', `:${port}`];
  const good = await until(
    () => process.status !== undefined || namespace.try(list).stdout.trim() !== '',
    START_MS,
  );
  if (process.status !== undefined || !good) {
    throw new LabError(
      'ERR_LAB_FIXTURE',
      `${process.argv[0]} on ${namespace.role} does not listen on ${protocol} ${port}: ${process.output}`,
    );
  }
}

/** nginx whose body is `NAME CLIENT-ADDRESS`, so that one answer tells both. */
export class HttpServer {
  readonly process: LabProcess;
  readonly accessLog: string;

  private constructor(process: LabProcess, accessLog: string) {
    this.process = process;
    this.accessLog = accessLog;
  }

  static async start(lab: Lab, role: string): Promise<HttpServer> {
    const directory = lab.path(role, 'nginx');
    mkdirSync(directory, { recursive: true });
    const accessLog = lab.path(role, 'nginx', 'access.log');
    writeFileSync(lab.path(role, 'nginx', 'big'), Buffer.alloc(BIG_BYTES, `${role} `));
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `  ${kind}_temp_path ${directory}/${kind};`,
    );
    const config = lab.write(
      `${role}/nginx/nginx.conf`,
      `daemon off;
user root;
worker_processes 1;
pid ${directory}/pid;
error_log ${directory}/error.log;
events { worker_connections 32768; multi_accept on; }
http {
  log_format seen '$remote_addr $remote_port $server_addr $server_port $status $uri';
  access_log ${accessLog} seen;
${temporary.join('\n')}
  keepalive_requests 1000000;
  keepalive_timeout 3600s;
  server {
${HTTP_PORTS.map((port) => `    listen ${port} backlog=4096;\n    listen [::]:${port} backlog=4096;`).join('\n')}
    location / { default_type text/plain; return 200 "${role} $remote_addr\\n"; }
    location = ${BIG_PATH} { access_log off; alias ${directory}/big; }
  }
}
`,
    );
    const namespace = lab.ns(role);
    // nginx opens its compiled-in error log before it has read ours; -e says where it is.
    const argv = ['nginx', '-e', `${directory}/error.log`, '-p', directory, '-c', config];
    const process = namespace.spawn(argv);
    for (const port of HTTP_PORTS) await listening(namespace, 'tcp', port, process);
    return new HttpServer(process, accessLog);
  }

  /** clients(), once that many requests are in the log: nginx writes it after it has answered. */
  async seen(requests: number): Promise<Map<string, number>> {
    await until(() => [...this.clients().values()].reduce((a, b) => a + b, 0) >= requests);
    return this.clients();
  }

  /** Addresses in the access log, with the number of requests each. */
  clients(): Map<string, number> {
    const counts = new Map<string, number>();
    const text = existsSync(this.accessLog) ? readFileSync(this.accessLog, 'utf8') : '';
    for (const line of text.split('\n').filter(Boolean)) {
      const address = line.split(' ')[0]!;
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    return counts;
  }
}

/** `iperf3 -s`: one transfer at a time, on a control and a data connection. */
export class IperfServer {
  readonly process: LabProcess;

  private constructor(process: LabProcess) {
    this.process = process;
  }

  static async start(lab: Lab, role: string): Promise<IperfServer> {
    mkdirSync(lab.path(role), { recursive: true });
    const argv = ['iperf3', '-s', '-p', String(IPERF_PORT), '--forceflush'];
    const process = lab.ns(role).spawn(argv, { log: lab.path(role, 'iperf3.log') });
    await listening(lab.ns(role), 'tcp', IPERF_PORT, process);
    return new IperfServer(process);
  }

  /**
   * After each transfer iperf3 closes its listening socket and opens another one. A client that
   * comes in between is reset, which would look like a fault of the director.
   */
  async ready(): Promise<boolean> {
    const { process } = this;
    return until(
      () =>
        process.output.lastIndexOf('Server listening') >
        process.output.lastIndexOf('Accepted connection'),
    );
  }
}

/** dnsmasq that answers DNS_NAME with its own name and logs who asked. */
export class DnsServer {
  readonly process: LabProcess;
  readonly queryLog: string;

  private constructor(process: LabProcess, queryLog: string) {
    this.process = process;
    this.queryLog = queryLog;
  }

  static async start(lab: Lab, role: string): Promise<DnsServer> {
    mkdirSync(lab.path(role), { recursive: true });
    const queryLog = lab.path(role, 'dnsmasq.log');
    const namespace = lab.ns(role);
    const argv = [
      'dnsmasq',
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--no-resolv',
      '--no-hosts',
      '--user=root',
      '--pid-file=',
      `--port=${DNS_PORT}`,
      `--txt-record=${DNS_NAME},${role}`,
      '--log-queries=extra',
      `--log-facility=${queryLog}`,
    ];
    const process = namespace.spawn(argv);
    await listening(namespace, 'udp', DNS_PORT, process);
    return new DnsServer(process, queryLog);
  }

  /** Addresses that queries came from, with the number of queries each. */
  clients(): Map<string, number> {
    const counts = new Map<string, number>();
    const text = existsSync(this.queryLog) ? readFileSync(this.queryLog, 'utf8') : '';
    for (const [, address = ''] of text.matchAll(/ query\[TXT\] \S+ from (\S+)/g)) {
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    return counts;
  }
}
