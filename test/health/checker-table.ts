/** Each checker with each kind of server that checkers.test.ts runs, and what comes of it. */
import { createHash } from 'node:crypto';
import type { Check, DnsCheck, HttpCheck, UdpCheck } from '../../src/health/model.js';
import { COMMON, URL_DEFAULTS } from './support.js';

export const OWN = '198.51.100.1';
export const SERVER = '198.51.100.11';
/** Packets to it are dropped. */
export const FILTERED = '198.51.100.12';

export const ports = {
  http: 80,
  https: 443,
  smtp: 25,
  mute: 26,
  odd: 27,
  endless: 28,
  sly: 29,
  dns: 53,
  echo: 7,
  sink: 9,
};

export const tcp: Check = { ...COMMON, type: 'tcp' };
export const http = (
  url: Partial<typeof URL_DEFAULTS> = {},
  more: Partial<HttpCheck> = {},
): HttpCheck => ({
  ...COMMON,
  type: 'http',
  tls: false,
  sni: false,
  verify: false,
  ca: undefined,
  certificate: undefined,
  key: undefined,
  password: undefined,
  fastRecovery: false,
  virtualhost: undefined,
  urls: [{ ...URL_DEFAULTS, ...url }],
  ...more,
});
export const smtp: Check = { ...COMMON, type: 'smtp', heloName: 'director.example' };
export const udp = (more: Partial<UdpCheck> = {}): UdpCheck => ({
  ...COMMON,
  type: 'udp',
  payload: undefined,
  requireReply: false,
  reply: undefined,
  minReplyLength: 0,
  maxReplyLength: 255,
  ...more,
});
export const dns = (more: Partial<DnsCheck> = {}): DnsCheck => ({
  ...COMMON,
  type: 'dns',
  queryType: 'A',
  name: 'www.example',
  answer: undefined,
  ...more,
});

interface Row {
  it: string;
  check: Check;
  port: number;
  address?: string;
  ok: boolean;
  says: RegExp;
}

export const BODY = 'all is well: 42\n';
const MD5 = createHash('md5').update(BODY).digest('hex');

export const ROWS: Row[] = [
  { it: 'TCP: a listener', check: tcp, port: ports.mute, ok: true, says: /^connected$/ },
  { it: 'TCP: a closed port', check: tcp, port: 1, ok: false, says: /^connection refused$/ },
  { it: 'TCP: filtered', check: tcp, port: 80, address: FILTERED, ok: false, says: /^timed out$/ },
  {
    it: 'TCP: no route',
    check: tcp,
    port: 80,
    address: '203.0.113.99',
    ok: false,
    says: /^network unreachable$/,
  },
  {
    it: 'TCP: connect_ip and connect_port replace the server',
    check: { ...tcp, connectIp: SERVER, connectPort: ports.http },
    port: 80,
    address: FILTERED,
    ok: true,
    says: /^connected$/,
  },
  {
    it: 'TCP: an own address that is not there',
    check: { ...tcp, bindTo: '198.51.100.77' },
    port: ports.http,
    ok: false,
    says: /^local address not available$/,
  },
  { it: 'HTTP: status 200', check: http(), port: ports.http, ok: true, says: /^status 200$/ },
  {
    it: 'HTTP: status 404',
    check: http({ path: '/gone' }),
    port: ports.http,
    ok: false,
    says: /^status 404$/,
  },
  {
    it: 'HTTP: 404 is what is asked for',
    check: http({ path: '/gone', statusCodes: [[400, 499]] }),
    port: ports.http,
    ok: true,
    says: /^status 404$/,
  },
  {
    it: 'HTTP: digest',
    check: http({ digest: MD5.toUpperCase() }),
    port: ports.http,
    ok: true,
    says: /^status 200$/,
  },
  {
    it: 'HTTP: another digest',
    check: http({ digest: '0'.repeat(32) }),
    port: ports.http,
    ok: false,
    says: new RegExp(`^digest ${MD5}$`),
  },
  {
    it: 'HTTP: regex',
    check: http({ regex: 'WELL: \\d+', regexFlags: 'i' }),
    port: ports.http,
    ok: true,
    says: /200/,
  },
  {
    it: 'HTTP: regex before its least offset',
    check: http({ regex: 'all', regexMinOffset: 1 }),
    port: ports.http,
    ok: false,
    says: /^regex does not match$/,
  },
  {
    it: 'HTTP: regex behind its greatest offset',
    check: http({ regex: 'well', regexMaxOffset: 7 }),
    port: ports.http,
    ok: false,
    says: /^regex does not match$/,
  },
  {
    it: 'HTTP: a regex that must not match',
    check: http({ regex: '42', regexNoMatch: true }),
    port: ports.http,
    ok: false,
    says: /^regex matches$/,
  },
  {
    it: 'HTTP: the virtual host is asked for',
    check: http({ path: '/host', regex: '^www\\.example$' }, { virtualhost: 'www.example' }),
    port: ports.http,
    ok: true,
    says: /200/,
  },
  {
    it: 'HTTP: a slow answer',
    check: http({ path: '/slow' }),
    port: ports.http,
    ok: false,
    says: /^timed out$/,
  },
  {
    it: 'HTTP: an answer that never ends',
    check: http({ path: '/drip', regex: 'x' }),
    port: ports.http,
    ok: false,
    says: /^timed out$/,
  },
  {
    it: 'HTTP: something else listens',
    check: http(),
    port: ports.smtp,
    ok: false,
    says: /answer is not HTTP/,
  },
  {
    it: 'HTTPS: any certificate',
    check: http({}, { tls: true }),
    port: ports.https,
    ok: true,
    says: /^status 200$/,
  },
  {
    it: 'HTTPS: the name is sent',
    check: http(
      { path: '/sni', regex: '^www\\.example$' },
      {
        tls: true,
        sni: true,
        virtualhost: 'www.example',
      },
    ),
    port: ports.https,
    ok: true,
    says: /200/,
  },
  {
    it: 'HTTPS: verified, a certificate of nobody we know',
    check: http({}, { tls: true, verify: true }),
    port: ports.https,
    ok: false,
    says: /^TLS: /,
  },
  {
    it: 'HTTPS: a plain server',
    check: http({}, { tls: true }),
    port: ports.http,
    ok: false,
    says: /^TLS: /,
  },
  { it: 'SMTP: friendly', check: smtp, port: ports.smtp, ok: true, says: /^250 / },
  { it: 'SMTP: mute', check: smtp, port: ports.mute, ok: false, says: /^timed out$/ },
  {
    it: 'SMTP: not now',
    check: smtp,
    port: ports.odd,
    ok: false,
    says: /^greeting answered with '421 busy'$/,
  },
  {
    it: 'SMTP: a line without an end',
    check: smtp,
    port: ports.endless,
    ok: false,
    says: /^more than 64 KiB of answers$/,
  },
  {
    it: 'SMTP: what would clear a screen is written out',
    check: smtp,
    port: ports.sly,
    ok: false,
    says: /^greeting answered with '421 \\x1b\[2Jbusy'$/,
  },
  { it: 'UDP: silence is good', check: udp(), port: ports.sink, ok: true, says: /^no ICMP error$/ },
  { it: 'UDP: a closed port', check: udp(), port: 1, ok: false, says: /^connection refused$/ },
  {
    it: 'UDP: the reply asked for',
    check: udp({ payload: '01 02 0304', requireReply: true, reply: '01x2' }),
    port: ports.echo,
    ok: true,
    says: /^reply of 4 bytes$/,
  },
  {
    it: 'UDP: another reply',
    check: udp({ payload: '01020304', requireReply: true, reply: '0102ff' }),
    port: ports.echo,
    ok: false,
    says: /^reply differs at byte 2$/,
  },
  {
    it: 'UDP: too short a reply',
    check: udp({ payload: '01', requireReply: true, minReplyLength: 2 }),
    port: ports.echo,
    ok: false,
    says: /^reply of 1 bytes$/,
  },
  {
    it: 'UDP: no reply',
    check: udp({ requireReply: true }),
    port: ports.sink,
    ok: false,
    says: /^no reply$/,
  },
  { it: 'DNS: an answer', check: dns(), port: ports.dns, ok: true, says: /^1 answers$/ },
  {
    it: 'DNS: the answer asked for',
    check: dns({ answer: '198.51.100.80' }),
    port: ports.dns,
    ok: true,
    says: /^1 answers$/,
  },
  {
    it: 'DNS: another answer',
    check: dns({ answer: '198.51.100.81' }),
    port: ports.dns,
    ok: false,
    says: /^answer is '198\.51\.100\.80'$/,
  },
  {
    it: 'DNS: no such name',
    check: dns({ name: 'nobody.example' }),
    port: ports.dns,
    ok: false,
    says: /^answer is (NXDOMAIN|REFUSED)$/,
  },
  { it: 'DNS: not DNS', check: dns(), port: ports.sink, ok: false, says: /^no answer$/ },
  {
    it: 'PING: there',
    check: { ...COMMON, type: 'ping' },
    port: 0,
    ok: true,
    says: /^echo reply$/,
  },
  {
    it: 'PING: filtered',
    check: { ...COMMON, type: 'ping' },
    port: 0,
    address: FILTERED,
    ok: false,
    says: /^no echo reply$/,
  },
];
