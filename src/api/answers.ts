/**
 * What the control API answers, as schemas: the types of `sluice show … --json` and of the REPL's
 * objects come from them, and so does the OpenAPI document.
 */
import { z } from 'zod';
import { CHANGED_THINGS } from '../changes/change.js';
import { ENGINES } from '../config/persistence.js';
import { tunnelReport } from '../config/tunnel.js';
import { MODES, SCHEDULERS, STATES, VERDICT_KINDS } from '../native.js';
import { DAEMON_ROLES } from '../sync/daemons.js';
import { ROLES } from './callers.js';

const count = z.int().min(0);
/** Sums of 64-bit counters: beyond 2⁵³ the last digits are lost. */
const sum = z.number().min(0);
const port = z.int().min(0).max(65535);
const slot = z.int().min(0).describe('Number of the record in the workers’ tables.');
const seconds = z.number().min(0).describe('Seconds.');
const figures = z.record(z.string(), sum);
const address = z.string().describe('IPv4 or IPv6 address.');

export const rates = z
  .strictObject({ cps: sum, inPps: sum, outPps: sum, inBps: sum, outBps: sum })
  .describe('A second, as LVS computes them: connections, packets and bytes in and out.');

const serviceFigures = {
  conns: sum.describe('Connections since the start.'),
  inPkts: sum,
  outPkts: sum,
  inBytes: sum,
  outBytes: sum,
};

export const checkReport = z
  .strictObject({
    type: z.string().describe('keepalived’s word: TCP_CHECK, HTTP_GET …'),
    up: z.boolean(),
    detail: z.string().optional().describe('What the last probe saw; absent before the first.'),
  })
  .describe('A health check.');

export const serverReport = z
  .strictObject({
    address,
    port,
    mode: z.enum(MODES),
    forward: z.string().describe('The mode in ipvsadm’s words: Masq, Route, Tunnel …'),
    tunnel: tunnelReport.nullable().describe('Of mode tun; null in others.'),
    weight: z
      .int()
      .describe(
        'In effect: what drains, dynamic checks and inhibition make of the configured one.',
      ),
    configuredWeight: z.int(),
    drained: z.boolean().describe('Takes no new connections until it is undrained.'),
    up: z.boolean().describe('Takes new connections, were it not for its weight.'),
    checks: z.array(checkReport).describe('In the order of the configuration.'),
    upperThreshold: count,
    lowerThreshold: count,
    rates,
    slot,
    ...serviceFigures,
    active: count.describe('ActiveConn, now.'),
    inactive: count.describe('InActConn, now.'),
  })
  .describe('A real server of a service.');

export const serviceReport = z
  .strictObject({
    name: z.string(),
    protocol: z.enum(['tcp', 'udp', 'sctp', 'fwmark']),
    address,
    port: z
      .int()
      .min(0)
      .max(0xffff_ffff)
      .describe('0: any; of protocol fwmark the mark, and the address says the family.'),
    scheduler: z.enum(SCHEDULERS),
    flags: z.array(z.string()).describe('In ipvsadm’s words: sh-port, ops …'),
    persistence: z
      .strictObject({
        timeoutS: count,
        netmask: z.string().describe('255.255.255.0, of an IPv6 service a length.'),
        engine: z
          .enum(ENGINES)
          .nullable()
          .describe('sip: a client’s calls, by their Call-ID, have a server each.'),
      })
      .nullable()
      .describe(
        'Clients keep their server for so many seconds; null: each connection is scheduled.',
      ),
    localAddresses: z.array(address),
    rates,
    slot,
    ...serviceFigures,
    serverCounts: z
      .strictObject({
        all: count,
        up: count,
        taking: count.describe('Take new connections: up, and of a weight.'),
        drained: count,
      })
      .describe('Of all its servers, those left out of the list as well.'),
    servers: z.array(serverReport),
  })
  .describe('A virtual service.');

export const connectionReport = z
  .strictObject({
    worker: count,
    protocol: z
      .enum(['tcp', 'udp', 'sctp', 'ip'])
      .describe('ip: a persistence template of a service for a mark.'),
    client: address,
    clientPort: port,
    virtual: address,
    virtualPort: port,
    local: z.string().describe('Local address; empty unless the mode is fullnat or enat.'),
    localPort: port,
    server: address,
    serverPort: port,
    mode: z.enum(MODES),
    state: z.enum(STATES),
    serviceSlot: slot,
    serverSlot: slot,
    idleMs: sum.describe('Milliseconds since the last packet.'),
    timeoutMs: sum.describe('Milliseconds from the last packet to expiry, in this state.'),
    service: z.string().nullable().describe('Null when the service has been removed.'),
    engine: z.enum(ENGINES).nullable().describe('Of a persistence template: what has made it.'),
    engineData: z.string().describe('Of engine sip the Call-ID; else empty.'),
  })
  .describe('A connection.');

export const portReport = z
  .strictObject({
    name: z.string(),
    device: z.string(),
    mac: z.string(),
    mtu: count,
    up: z.boolean(),
    twin: z.string().describe('Name of the TAP twin; empty for none.'),
    rxPackets: sum,
    txPackets: sum,
    rxBytes: sum,
    txBytes: sum,
    rxMissed: sum,
    txErrors: sum,
    rxNoMbuf: sum,
    addresses: z.array(z.string()).describe('With their prefix lengths.'),
    counters: figures.describe('The workers’ own counters of the port.'),
  })
  .describe('A port, with its driver’s counters.');

export const endCount = z
  .strictObject({ name: z.string(), kind: z.enum(VERDICT_KINDS), help: z.string(), count: sum })
  .describe('An end that packets come to.');

const vrrpState = z.enum(['INIT', 'BACKUP', 'MASTER', 'FAULT', 'STOP']);

const vrrpInstance = z.object({
  name: z.string(),
  port: z.string(),
  routerId: z.number(),
  version: z.union([z.literal(2), z.literal(3)]),
  state: vrrpState,
  since: z.string().describe('ISO 8601'),
  priority: z.number(),
  effectivePriority: z.number().describe('with the weights of what is tracked'),
  advertMs: z.number(),
  masterDownMs: z.number().describe('silence of so long makes a backup the master'),
  preempt: z.boolean(),
  virtualMac: z.boolean(),
  source: z.string().describe('address that adverts come from'),
  unicastPeers: z.array(z.string()).describe('none: multicast'),
  multicastGroup: z.string().nullable().describe('what adverts go to, unless to peers'),
  addresses: z.array(z.string()),
  master: z
    .object({ address: z.string(), priority: z.number() })
    .nullable()
    .describe('as it says; ourselves when we are it'),
  group: z.string().nullable(),
  fault: z.string().nullable().describe('why it is in FAULT'),
  tracked: z.array(
    z.object({ name: z.string(), weight: z.number(), good: z.boolean(), detail: z.string() }),
  ),
  advertisementsReceived: z.number(),
  becameMaster: z.number(),
  releasedMaster: z.number(),
  priorityZeroReceived: z.number(),
  priorityZeroSent: z.number(),
  dropped: z.record(z.string(), z.number()).describe('adverts by why they were dropped'),
});

export const vrrpReport = z.object({
  instances: z.array(vrrpInstance),
  groups: z.array(z.object({ name: z.string(), state: vrrpState, instances: z.array(z.string()) })),
});

export const dropsReport = z
  .strictObject({
    ends: z
      .array(endCount)
      .describe('All ends of packets: forwarded, answered, punted and every drop reason.'),
    extra: figures.describe('Things counted that are not ends.'),
  })
  .describe('Where packets ended.');

export const syncReport = z
  .strictObject({
    running: z.boolean(),
    protocol: z.enum(['sluice', 'ipvs']).nullable(),
    role: z.enum(['both', 'master', 'backup']).nullable(),
    interface: z.string().nullable(),
    destination: z.string().nullable().describe('Peer or multicast group.'),
    port: count.nullable(),
    syncid: count.nullable().describe('Of IPVS’ protocol.'),
    daemons: z
      .array(
        z.strictObject({
          role: z.enum(DAEMON_ROLES),
          interface: z.string(),
          syncid: count,
          maxlen: count.describe('Longest message, bytes.'),
          group: z.string(),
          port,
          ttl: count,
        }),
      )
      .describe('In IPVS’ protocol: the daemons that Linux would have.'),
    figures: z.record(z.string(), z.number()).describe('What was told, adopted, refused and lost.'),
  })
  .describe('Connection synchronisation.');

export const statusReport = z
  .strictObject({
    status: z.enum(['ready', 'stopping']).describe('ready: published and forwarding.'),
    name: z.string(),
    version: z.string(),
    dpdk: z.string(),
    pid: z.int(),
    uptimeSeconds: seconds,
    controlRestarts: count.describe('Times that the control plane failed and was started again.'),
    config: z.string().describe('The file that runs.'),
    socket: z.string(),
    generation: count,
    edits: z
      .array(z.string())
      .describe('Differences of the running state from its file, as `sluice diff` shows them.'),
    timeouts: z.strictObject({ tcp: seconds, tcpFin: seconds, udp: seconds }),
    counters: z.enum(['live', 'copy']).describe('How the workers’ counters are read.'),
    totals: z.strictObject({
      services: count,
      servicesDown: count.describe('Have servers, and none that takes new connections.'),
      servers: count,
      serversUp: count,
      serversDrained: count,
      rates: rates.describe('Sums of all services.'),
    }),
    maxConnections: count.describe('Room in the connection tables of all workers together.'),
    connections: count,
    workers: z.array(
      z.strictObject({
        cpu: count,
        lagUs: sum.describe('Microseconds since the worker finished a loop.'),
        load: sum.max(100).describe('Percent of its time that it had packets, of the last second.'),
      }),
    ),
    alerts: z
      .array(
        z.strictObject({
          code: z.string().describe('WARN_TABLE_NEARLY_FULL …, as `sluice errors` lists them.'),
          of: z.string().describe('Which worker or ring; empty where there is one only.'),
          value: z.number().describe('As measured, in the threshold’s unit.'),
          threshold: z.number(),
          message: z.string(),
          since: z.string(),
        }),
      )
      .describe('What is about to run out.'),
    lastReload: z.strictObject({ at: z.string(), ok: z.boolean(), summary: z.string() }).nullable(),
  })
  .describe('The director.');

const toldValue = z.union([z.string(), z.number(), z.boolean()]).nullable();

const fieldChange = z
  .union([
    z.strictObject({
      field: z.string(),
      from: toldValue.describe('Null: not given; times with their unit; a secret is ***.'),
      to: toldValue,
    }),
    z
      .strictObject({
        field: z.string(),
        added: z.array(z.string()),
        removed: z.array(z.string()),
        more: count.describe('Added and removed ones that are not named.'),
      })
      .describe('Of a list; nothing added or removed: its order.'),
  ])
  .describe('A setting that has changed.');

const modelChange = z
  .strictObject({
    what: z.enum(CHANGED_THINGS),
    change: z.enum(['added', 'removed', 'changed']),
    key: z.string().describe('`tcp 203.0.113.10:80`, of a server with its address after it.'),
    fields: z.array(fieldChange),
    details: z.array(z.string()).describe('The fields in words: `weight 1 → 5` …'),
  })
  .describe('A difference between two configurations.');

/** What a change of the running state has changed. */
const done = {
  summary: z.string().describe('What has changed, in a line: nothing changed, where nothing has.'),
  changes: z
    .array(modelChange)
    .describe('The first of them; none: nothing has changed, and the generation is the same.'),
  more: count.describe('How many there are besides.'),
};

export const reloadReport = z
  .strictObject({
    generation: count,
    ...done,
    warnings: z.array(z.string()),
    edits: z
      .array(z.string())
      .describe('What the running state has that its file has not, and the other way round.'),
  })
  .describe('A change of the whole.');

export const upgradeReport = z
  .strictObject({
    pid: count,
    version: z.string(),
    formerPid: count,
    formerVersion: z.string(),
    generation: count,
    connections: count.describe('That the new process has of the old one.'),
    refused: count.describe('Whose service or server is not in the new configuration.'),
    gapMs: z.number().describe('From the old one’s last frame to the new one’s first.'),
    seconds: z.number().describe('From the request to this answer.'),
  })
  .describe('Another process has taken over.');

const refusal = z.strictObject({ code: z.string(), message: z.string() });

export const editReport = z
  .strictObject({
    generation: count,
    ...done,
    results: z.array(refusal.nullable()).describe('For each edit why it was refused, or null.'),
  })
  .describe('What became of edits.');

export const historyReport = z
  .strictObject({
    generation: count,
    at: z.string().describe('ISO 8601.'),
    cause: z.string(),
    ...done,
    current: z.boolean(),
  })
  .describe('A generation that is kept to return to.');

export const countedChange = modelChange
  .extend({
    connections: count.describe('That live servers which it removes or changes have now.'),
  })
  .describe('A difference between two configurations.');

export const diffReport = z
  .strictObject({
    file: z.string(),
    changes: z.array(countedChange).describe('What the file would change.'),
    edits: z
      .array(countedChange)
      .describe('How the running state differs from the file it was read from.'),
    overruled: z.array(z.string()).describe('Edits that would give way to the file.'),
    restart: z.array(z.string()).describe('Settings that only a restart brings about.'),
  })
  .describe('What a file would change.');

export const candidate = z.strictObject({
  server: z.string(),
  mode: z.enum(MODES),
  weight: z.int(),
  active: count,
  inactive: count,
  against: z.string().optional().describe('Absent: it may take a new connection.'),
  place: z.string().optional().describe('file:line:column of a server that the file has.'),
});

export const explanation = z
  .strictObject({
    flow: z.strictObject({ protocol: z.string(), from: z.string(), to: z.string() }),
    connection: connectionReport
      .nullable()
      .describe('The flow’s packets belong to it; the scheduler is not asked.'),
    service: z
      .strictObject({
        name: z.string(),
        scheduler: z.string(),
        place: z.string().optional(),
      })
      .nullable(),
    candidates: z.array(candidate),
    choice: z
      .array(z.string())
      .describe('Servers that a new connection may get: one, where the choice is known.'),
    reasons: z.array(z.string()).describe('Sentences, in the order of the packet’s way.'),
    rewrite: z.string().optional().describe('What leaves the director; absent: nothing does.'),
  })
  .describe('Where a packet would go, and why.');

export const session = z
  .strictObject({
    token: z.string().nullable().describe('Name of the token; null on the control socket.'),
    role: z.enum(ROLES),
  })
  .describe('Who is asking.');

export const errorReport = z
  .strictObject({ error: refusal })
  .describe('Why not: one of the codes that `sluice errors` lists, and a sentence.');

/** `{}`: done, and nothing more to say. */
export const nothing = z.strictObject({});
