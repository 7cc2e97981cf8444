/**
 * The control API as a table: each route with who may take it, what it asks, what it answers. The
 * server answers by it, and the OpenAPI document is made of it.
 */
import { z } from 'zod';
import { clientReport } from '../clients.js';
import { SluiceError } from '../errors.js';
import { CONTENT_TYPE } from '../stats/metrics.js';
import * as answers from './answers.js';
import type { Caller, Role } from './callers.js';
import type { Handlers } from './handlers.js';
import {
  clientsQuery,
  connectionsQuery,
  diffQuery,
  editRequest,
  explainQuery,
  reloadRequest,
  rollbackRequest,
  servicesQuery,
  syncDaemonRequest,
  upgradeRequest,
  zeroRequest,
} from './requests.js';
import { captureLine, captureQuery, traceLine, traceQuery } from './watch.js';

export type Answer =
  | { kind: 'json'; schema: z.ZodType }
  /** JSON, made as it is sent: lists in it may be iterables. */
  | { kind: 'list'; schema: z.ZodType }
  /** One JSON object a line, as they come: a listing of any length needs no memory. */
  | { kind: 'lines'; schema: z.ZodType }
  | { kind: 'text'; type: string };

export interface Route<
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodType = z.ZodType,
> {
  method: 'GET' | 'POST';
  path: string;
  summary: string;
  /** `anyone`: also without a token. */
  role: Role | 'anyone';
  query?: Query;
  body?: Body;
  answer: Answer;
  /** A value for json and list, an AsyncIterable for lines, an Iterable of strings for text. */
  run(
    handlers: Handlers,
    asked: {
      query: z.output<Query>;
      body: z.output<Body>;
      caller: Caller;
      /** Aborted when whoever asked has left. */
      signal: AbortSignal;
    },
  ): unknown;
}

export function route<Query extends z.ZodObject, Body extends z.ZodType>(
  one: Route<Query, Body>,
): Route {
  // Each route is only ever given what its own schemas have let through.
  return one as unknown as Route;
}

const json = (schema: z.ZodType): Answer => ({ kind: 'json', schema });

export const ROUTES: readonly Route[] = [
  route({
    method: 'GET',
    path: '/v1/session',
    summary: 'Who is asking, and what that allows',
    role: 'read',
    answer: json(answers.session),
    run: (_, { caller }) => ({ token: caller.token ?? null, role: caller.role }),
  }),
  route({
    method: 'GET',
    path: '/v1/status',
    summary: 'The director: version, configuration, workers',
    role: 'read',
    answer: json(answers.statusReport),
    run: (handlers) => handlers.status(),
  }),
  route({
    method: 'GET',
    path: '/v1/services',
    summary: 'Virtual services and real servers with health, counters and rates',
    role: 'read',
    query: servicesQuery,
    answer: { kind: 'list', schema: z.array(answers.serviceReport) },
    run: (handlers, { query }) => handlers.services(query),
  }),
  route({
    method: 'GET',
    path: '/v1/connections',
    summary: 'Connections, one a line',
    role: 'read',
    query: connectionsQuery,
    answer: { kind: 'lines', schema: answers.connectionReport },
    run: (handlers, { query }) => handlers.connections(query),
  }),
  route({
    method: 'GET',
    path: '/v1/clients',
    summary: 'Clients that services allow and deny, one a line',
    role: 'read',
    query: clientsQuery,
    answer: { kind: 'lines', schema: clientReport },
    run: (handlers, { query }) => handlers.clients(query),
  }),
  route({
    method: 'GET',
    path: '/v1/ports',
    summary: 'Ports with their devices, twins and traffic',
    role: 'read',
    answer: json(z.array(answers.portReport)),
    run: (handlers) => handlers.ports(),
  }),
  route({
    method: 'GET',
    path: '/v1/drops',
    summary: 'Where packets ended, and what else is counted',
    role: 'read',
    answer: json(answers.dropsReport),
    run: (handlers) => handlers.drops(),
  }),
  route({
    method: 'GET',
    path: '/v1/sync',
    summary: 'Connection synchronisation: with whom, and what was told, adopted and refused',
    role: 'read',
    answer: json(answers.syncReport),
    run: (handlers) => handlers.sync(),
  }),
  route({
    method: 'GET',
    path: '/v1/vrrp',
    summary: 'VRRP instances and sync groups: state, master, priority, counters',
    role: 'read',
    answer: json(answers.vrrpReport),
    run: (handlers) => handlers.vrrp(),
  }),
  route({
    method: 'GET',
    path: '/v1/explain',
    summary: 'Where a packet would go, and why',
    role: 'read',
    query: explainQuery,
    answer: json(answers.explanation),
    run: (handlers, { query }) => handlers.explain(query),
  }),
  route({
    method: 'GET',
    path: '/v1/trace',
    summary: 'Packets of a flow as they come, each with the decisions that it met, one a line',
    role: 'read',
    query: traceQuery,
    answer: { kind: 'lines', schema: traceLine },
    run: (handlers, { query, signal }) => handlers.trace(query, signal),
  }),
  route({
    method: 'GET',
    path: '/v1/capture',
    summary: 'Frames that a tcpdump filter takes, as they come and go, one a line',
    // Frames have other people's data in them.
    role: 'write',
    query: captureQuery,
    answer: { kind: 'lines', schema: captureLine },
    run: (handlers, { query, signal }) => handlers.capture(query, signal),
  }),
  route({
    method: 'GET',
    path: '/v1/history',
    summary: 'Generations that are kept to return to',
    role: 'read',
    answer: json(z.array(answers.historyReport)),
    run: (handlers) => handlers.history(),
  }),
  route({
    method: 'GET',
    path: '/v1/diff',
    summary: 'What a file would change, and how the running state differs from its own',
    role: 'read',
    query: diffQuery,
    answer: json(answers.diffReport),
    run: (handlers, { query, caller }) => {
      ownFileOnly(query.file, caller);
      return handlers.diff(query.file, query.edits === 'discard');
    },
  }),
  route({
    method: 'POST',
    path: '/v1/edits',
    summary: 'Change services and servers',
    role: 'write',
    body: editRequest,
    answer: json(answers.editReport),
    run: (handlers, { body, caller }) =>
      handlers.edit({ ...body, cause: attributed(body.cause, caller) }),
  }),
  route({
    method: 'POST',
    path: '/v1/reload',
    summary: 'Run a file from now on: whole, or not at all',
    role: 'write',
    body: reloadRequest,
    answer: json(answers.reloadReport),
    run: (handlers, { body, caller }) => {
      ownFileOnly(body.file, caller);
      return handlers.reload({ ...body, cause: attributed(body.cause, caller) });
    },
  }),
  route({
    method: 'POST',
    path: '/v1/rollback',
    summary: 'Run an earlier generation again',
    role: 'write',
    body: rollbackRequest,
    answer: json(answers.reloadReport),
    run: (handlers, { body, caller }) => handlers.rollback(body, attributed('rollback', caller)),
  }),
  route({
    method: 'POST',
    path: '/v1/zero',
    summary: 'Counters and rates of one service, or of all, start at zero',
    role: 'write',
    body: zeroRequest,
    answer: json(answers.nothing),
    run: (handlers, { body }) => {
      handlers.zero(body);
      return {};
    },
  }),
  route({
    method: 'POST',
    path: '/v1/sync/daemon',
    summary: 'Start or stop IPVS’ master or backup sync daemon',
    role: 'write',
    body: syncDaemonRequest,
    answer: json(answers.syncReport),
    run: (handlers, { body }) => handlers.syncDaemon(body),
  }),
  route({
    method: 'POST',
    path: '/v1/upgrade',
    summary: 'Another process takes over with all connections; answered when it has',
    role: 'write',
    body: upgradeRequest,
    answer: json(answers.upgradeReport),
    run: (handlers, { body, caller }) => {
      ownFileOnly(body.file ?? body.program, caller);
      return handlers.upgrade(body);
    },
  }),
  route({
    method: 'GET',
    path: '/metrics',
    summary: 'All figures as Prometheus’ text',
    role: 'read',
    answer: { kind: 'text', type: CONTENT_TYPE },
    run: (handlers) => handlers.metrics(),
  }),
];

/** History and log name the token that changed something. */
function attributed(cause: string, { token }: Caller): string {
  return token === undefined ? cause : `${cause} (token ${token})`;
}

/**
 * A file that the director reads as root, named from afar, would be a way to look at any file of the
 * machine, by the words of its mistakes, or to run what somebody has put down in /tmp.
 */
function ownFileOnly(file: string | undefined, { token }: Caller): void {
  if (file === undefined || token === undefined) return;
  const message = 'another file than the running one is taken on the control socket only';
  throw new SluiceError('ERR_API_FORBIDDEN', message);
}
