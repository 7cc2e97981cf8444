/**
 * Where a packet would go, and why: the flow's connection if there is one, else the service it
 * matches, each server with what speaks for or against it, and what the scheduler makes of that.
 * From the running state alone; nothing is sent.
 */
import type { ConnectionReport, ServerReport, ServiceReport, VrrpReport } from './api/types.js';
import { type Endpoint, formatEndpoint, isSix } from './config/address.js';
import { admission, type Entry } from './config/client-sets.js';
import { addressesOf, formatEnd, ruleFor } from './config/marks.js';
import type { Model, ServiceModel } from './config/model.js';
import { netmaskBits, type Persistence, wholeNetmask } from './config/persistence.js';
import { IPIP, type Tunnel } from './config/tunnel.js';
import { formatPlace, type Place } from './errors.js';
import type { Mode } from './native.js';
import { portAtServer, servingIndex } from './serving.js';

export interface Flow {
  protocol: 'tcp' | 'udp' | 'sctp';
  from: Endpoint;
  to: Endpoint;
}

export interface Candidate {
  server: string;
  mode: Mode;
  weight: number;
  active: number;
  inactive: number;
  /** undefined: it may take a new connection. */
  against?: string | undefined;
  /** `file:line:column` of a server that the file has. */
  place?: string | undefined;
}

export interface Explanation {
  flow: { protocol: string; from: string; to: string };
  /** The flow's packets belong to it; the scheduler is not asked. */
  connection: ConnectionReport | null;
  service: { name: string; scheduler: string; place: string | undefined } | null;
  candidates: Candidate[];
  /** Servers that a new connection may get: one, where the scheduler's choice is known. */
  choice: string[];
  /** Sentences, in the order of the packet's way. */
  reasons: string[];
  /** What leaves the director, or undefined when nothing does. */
  rewrite: string | undefined;
}

export interface ExplainSources {
  model: Model;
  /** Of the service that has this index in the Model. */
  report(service: number): ServiceReport | undefined;
  connection: ConnectionReport | null;
  /** The client's persistence template for the service. */
  template?: ConnectionReport | null;
  /** Templates of its calls, where an engine tells them apart. */
  calls?: ConnectionReport[];
  workers: number;
  /** The VRRP instance that has an address, if one has. */
  vrrp?: VrrpReport;
  locate(service: number, server?: number): Place | undefined;
  /** An entry of a service's list of clients, and where it stands. */
  entry(service: number, entry: Entry): string;
}

export function explain(flow: Flow, sources: ExplainSources): Explanation {
  const { model, connection } = sources;
  const { protocol, from, to } = flow;
  const explanation: Explanation = {
    flow: { protocol, from: formatEndpoint(from), to: formatEndpoint(to) },
    connection,
    service: null,
    candidates: [],
    choice: [],
    reasons: [],
    rewrite: undefined,
  };
  const index = servingIndex(model, flow);
  const service = model.services[index];
  const report = service && sources.report(index);
  if (!service || !report) {
    explanation.reasons.push(...withoutService(flow, model));
    if (connection) throughConnection(explanation, connection, undefined, from);
    return explanation;
  }
  explanation.service = {
    name: service.name,
    scheduler: service.scheduler,
    place: placeText(sources.locate(index)),
  };
  explanation.reasons.push(
    `${protocol.toUpperCase()} ${formatEndpoint(to)} is service ${service.name}${by(service, flow, model)}`,
  );
  explanation.candidates = report.servers.map((server, at) => ({
    server: formatEndpoint({
      address: server.address,
      port: portAtServer(service, server.port, to.port),
    }),
    mode: server.mode,
    weight: server.weight,
    active: server.active,
    inactive: server.inactive,
    against: against(server),
    place: placeText(sources.locate(index, at)),
  }));
  const elsewhere = atAnother(to.address, sources.vrrp);
  if (elsewhere !== undefined) {
    explanation.reasons.push(elsewhere);
    return explanation;
  }
  const admitted = admission(service.clients, model.clientFiles, from.address);
  if (admitted.by || !admitted.admitted) {
    const by = admitted.by && sources.entry(index, admitted.by);
    explanation.reasons.push(onList(from.address, service, admitted.admitted, by));
  }
  if (!admitted.admitted) {
    if (connection) explanation.reasons.push('its connection ends with its next packet');
    return explanation;
  }
  if (connection && !service.onePacket) {
    throughConnection(explanation, connection, service, from);
    return explanation;
  }
  if (service.synProxy && explanation.candidates.some((one) => one.against === undefined)) {
    explanation.reasons.push(
      'its SYN is answered by a cookie (synProxy): whoever returns it gets a server, as follows',
    );
  }
  if (service.persistence?.engine) tellCalls(explanation, service, sources.calls ?? []);
  if (
    service.persistence?.engine ||
    !throughTemplate(explanation, service, sources.template ?? null)
  ) {
    schedule(explanation, service, sources.workers);
  }
  const [only] = explanation.choice;
  const chosen = explanation.candidates.find(({ server }) => server === only);
  if (explanation.choice.length === 1 && chosen) {
    explanation.rewrite = rewrite(chosen.mode, chosen.server, from, service);
  }
  return explanation;
}

/** How a service came by a packet that is not for its own address and port. */
function by({ protocol, listen }: ServiceModel, flow: Flow, { marks }: Model): string {
  if (protocol === 'fwmark') {
    const port = ruleFor(flow, marks)?.port;
    return `, by mark ${listen.port}${port === undefined ? '' : `, if it comes by port ${port}`}`;
  }
  if (listen.port === flow.to.port) return '';
  return listen.port === 0 ? ', for any port' : ', whose FTP data this may be';
}

/** What the service's lists say of a client; `by`: the entry that says it. */
function onList(
  client: string,
  { clients }: ServiceModel,
  admitted: boolean,
  by: string | undefined,
): string {
  if (admitted) return `${client} is allowed by ${by}`;
  if (by) return `${client} is denied by ${by}: its packets are dropped (denied)`;
  const entries = clients.allow.length === 1 ? 'the entry' : `the ${clients.allow.length} entries`;
  return `${client} is none of ${entries} that allow: its packets are dropped (denied)`;
}

/** The address is in a VRRP instance whose master we are not. */
function atAnother(address: string, vrrp: VrrpReport | undefined): string | undefined {
  const instance = vrrp?.instances.find(({ addresses }) => addresses.includes(address));
  if (!instance || instance.state === 'MASTER') return undefined;
  const { name, state, master } = instance;
  const who = master
    ? `${master.address} (priority ${master.priority}) is its master`
    : 'no master has been heard';
  return (
    `${address} is with the other director: VRRP instance ${name} is in state ${state} here, and ` +
    `${who}; packets that arrive here all the same are dropped (standby)`
  );
}

function throughConnection(
  explanation: Explanation,
  connection: ConnectionReport,
  service: ServiceModel | undefined,
  from: Endpoint,
): void {
  const server = formatEndpoint({ address: connection.server, port: connection.serverPort });
  const left = Math.max(0, connection.timeoutMs - connection.idleMs) / 1_000;
  explanation.reasons.push(
    `a connection is there: ${connection.state}, on worker ${connection.worker}, last packet ` +
      `${(connection.idleMs / 1_000).toFixed(1)} s ago, forgotten in ${left.toFixed(0)} s; ` +
      'its packets go where it goes, whatever the scheduler would choose now',
  );
  const now = explanation.candidates.find((one) => one.server === server);
  if (!now) {
    explanation.reasons.push(
      service?.onServerRemoved === 'reset'
        ? `${server} is not configured any more: the connection ends, the packet is a first one`
        : `${server} is not configured any more: its packets are dropped (server_removed)`,
    );
    return;
  }
  if (now.against) explanation.reasons.push(`${server} takes no new ones: ${now.against}`);
  explanation.choice = [server];
  const local = formatEndpoint({ address: connection.local, port: connection.localPort });
  explanation.rewrite = rewrite(
    connection.mode,
    server,
    from,
    service,
    connection.local === '' ? undefined : local,
  );
}

/** Whether persistence decides, which asks neither the scheduler nor thresholds. */
function throughTemplate(
  explanation: Explanation,
  { persistence, listen }: ServiceModel,
  template: ConnectionReport | null,
): boolean {
  if (!persistence) return false;
  const { reasons, candidates } = explanation;
  const who = whoOf(persistence, listen);
  if (!template) {
    reasons.push(
      `persistent: ${who} will keep the server that is chosen now for ${persistence.timeoutS} s`,
    );
    return false;
  }
  // Of a template for all ports there is no port.
  const { server: address, serverPort } = template;
  const now = candidates.find(({ server: one }) =>
    serverPort === 0
      ? one.startsWith(formatEndpoint({ address, port: 0 }).slice(0, -1))
      : one === formatEndpoint({ address, port: serverPort }),
  );
  const server = now?.server ?? formatEndpoint({ address, port: serverPort });
  const moves = persistence.whenDrained === 'move' && now?.weight === 0;
  if (!now || now.against?.startsWith('down') || moves) {
    reasons.push(`persistent: ${who} has ${server}, which takes nobody now, and gets another`);
    return false;
  }
  const left = Math.max(0, template.timeoutMs - template.idleMs) / 1_000;
  reasons.push(
    `persistent: ${who} keeps ${server} for ${left.toFixed(0)} s more, or while it has connections`,
  );
  explanation.choice = [server];
  return true;
}

const MOST_CALLS = 5;

/** A flow does not say which call its packets are of. */
function tellCalls(
  { reasons }: Explanation,
  { persistence, listen }: ServiceModel,
  calls: readonly ConnectionReport[],
): void {
  if (!persistence) return;
  const who = whoOf(persistence, listen);
  reasons.push(
    `persistent by Call-ID: each call of ${who} keeps its server for ${persistence.timeoutS} s; ` +
      'a packet that has none makes no connection (no_call_id)',
  );
  for (const { engineData, server, serverPort, timeoutMs, idleMs } of calls.slice(0, MOST_CALLS)) {
    const left = Math.max(0, timeoutMs - idleMs) / 1_000;
    const end = formatEndpoint({ address: server, port: serverPort });
    reasons.push(`Call-ID ${engineData} goes to ${end} for ${left.toFixed(0)} s more`);
  }
  const more = calls.length - MOST_CALLS;
  if (more > 0) reasons.push(`and ${more} more: ipvsadm -Lnc --persistent-conn`);
  reasons.push('a call that is not known yet:');
}

function whoOf({ netmask }: Persistence, listen: Endpoint): string {
  if (netmask === wholeNetmask(listen.address)) return 'the client';
  const bits = netmaskBits(netmask);
  return `its network (${bits === undefined ? `netmask ${netmask}` : `${bits} bits`})`;
}

/** What a flow to an address of ours without a service gets. */
const ANSWERS: Record<Flow['protocol'], string> = {
  tcp: 'a reset is the answer, but for a SYN|ACK or a reset',
  udp: 'ICMP port unreachable is the answer',
  sctp: 'ICMP protocol unreachable is the answer',
};

/** Why nothing is forwarded to an address without a service. */
function withoutService({ protocol, to }: Flow, model: Model): string[] {
  const same = model.services.filter((one) => addressesOf(one, model.marks).includes(to.address));
  const isOurs =
    same.length > 0 ||
    model.services.some(({ localAddresses }) => localAddresses.includes(to.address));
  const what = `no service is ${protocol.toUpperCase()} ${formatEndpoint(to)}`;
  if (!isOurs)
    return [`${what}, and the address is not the director's: the kernel gets the packet`];
  const others = same.map(
    (one) => `${one.name} (${one.protocol.toUpperCase()} ${formatEnd(one.protocol, one.listen)})`,
  );
  return [
    others.length > 0
      ? `${what}; the address has ${others.join(', ')}`
      : `${what}; a local address`,
    ANSWERS[protocol],
  ];
}

function against(server: ServerReport): string | undefined {
  if (!server.up) {
    const failed = server.checks.filter(({ up }) => !up);
    const checks = failed.map(({ type, detail }) => `${type}: ${detail ?? 'has not run yet'}`);
    return checks.length > 0 ? `down, ${checks.join(', ')}` : 'down';
  }
  if (server.drained) return 'it is drained, until sluice undrain';
  if (server.weight === 0) return 'weight 0: it drains';
  const { upperThreshold: upper, active, inactive } = server;
  if (upper > 0 && active + inactive >= upper) {
    return `at its threshold: ${active + inactive} connections of ${upper}`;
  }
  return undefined;
}

function schedule(explanation: Explanation, service: ServiceModel, workers: number): void {
  const { candidates, reasons } = explanation;
  const usable = candidates.filter((one) => one.against === undefined);
  if (usable.length === 0) {
    reasons.push('no server takes new connections: ICMP port unreachable is the answer');
    return;
  }
  if (usable.length === 1) {
    explanation.choice = [(usable[0] as Candidate).server];
    reasons.push(`${explanation.choice[0]} is the only one that takes new connections`);
    return;
  }
  explanation.choice = usable.map(({ server }) => server);
  switch (service.scheduler) {
    case 'lc':
    case 'wlc': {
      const load = ({ active, inactive, weight }: Candidate) =>
        (256 * active + inactive) / (service.scheduler === 'wlc' ? weight : 1);
      const least = usable.reduce((a, b) => (load(b) < load(a) ? b : a));
      reasons.push(
        `${service.scheduler}: ${least.server} has the least load, ` +
          `${figure(load(least))} (active × 256 + inactive${service.scheduler === 'wlc' ? ', by weight' : ''})` +
          (workers > 1 ? '; each worker weighs its own share of the connections' : ''),
      );
      if (workers === 1) explanation.choice = [least.server];
      return;
    }
    case 'sh':
    case 'mh':
      reasons.push(
        `${service.scheduler}: a hash of the client's address${service.schedulePort ? ' and port' : ''} ` +
          'chooses, so the same client gets the same server',
      );
      return;
    default:
      reasons.push(
        `${service.scheduler}: the next in turn` +
          (service.scheduler === 'wrr' ? ', as often as its weight says' : '') +
          (workers > 1 ? ', on each worker by itself' : ''),
      );
  }
}

/** What a mode does to a request. `local`: the local end, once it is known. */
export function rewrite(
  mode: Mode,
  server: string,
  from: Endpoint,
  service: ServiceModel | undefined,
  local?: string,
): string {
  const source =
    local ?? `${service?.localAddresses.join(' or ') || 'the virtual address'}, a free port`;
  // UDP over IPv6 has no option that could carry it.
  const canTell = !(isSix(from.address) && service?.protocol === 'udp');
  const tells =
    service?.clientAddress === 'toa' && canTell
      ? '; the client’s address goes along as an option'
      : '';
  const tunnel = service?.servers.find(({ address }) => formatEndpoint(address) === server)?.tunnel;
  switch (mode) {
    case 'nat':
      return `Masq: the destination becomes ${server}; the source stays ${formatEndpoint(from)}`;
    case 'dr':
      return `Route: unchanged, in a frame to the MAC address of ${hostOf(server)}`;
    case 'tun':
      return `Tunnel: unchanged inside ${wrapping(tunnel)} to ${hostOf(server)}`;
    case 'fullnat':
      return `FullNat: the source becomes ${source}, the destination ${server}${tells}`;
    case 'enat':
      return `ENat: the source becomes ${source}, the destination ${server}${tells}; the server answers the client itself`;
  }
}

/** Of `address:port`. */
function hostOf(server: string): string {
  return server.replace(/:\d+$/, '').replace(/^\[(.+)\]$/, '$1');
}

function wrapping(tunnel: Tunnel = IPIP): string {
  const { type, port, checksum } = tunnel;
  if (type === 'ipip') return 'an IPIP packet';
  const sum = checksum === 'nocsum' ? '' : ' with a checksum';
  const what = type === 'gre' ? 'GRE' : `GUE (UDP port ${port})`;
  return `a ${what} packet${sum}`;
}

function placeText(place: Place | undefined): string | undefined {
  return place && formatPlace(place);
}

function figure(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toFixed(1);
}
