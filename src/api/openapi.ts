/** The control API as an OpenAPI 3.1 document, made of the routes and their schemas. */
import { z } from 'zod';
import { VERSION } from '../version.js';
import * as answers from './answers.js';
import { edit } from './requests.js';
import { type Answer, ROUTES, type Route, route } from './routes.js';

type Json = Record<string, unknown>;

/** Schemas with a name of their own, referred to wherever they stand. */
const NAMED = {
  Service: answers.serviceReport,
  Server: answers.serverReport,
  Check: answers.checkReport,
  Rates: answers.rates,
  Connection: answers.connectionReport,
  Port: answers.portReport,
  Drops: answers.dropsReport,
  Vrrp: answers.vrrpReport,
  End: answers.endCount,
  Sync: answers.syncReport,
  Status: answers.statusReport,
  Reload: answers.reloadReport,
  Edits: answers.editReport,
  Generation: answers.historyReport,
  Change: answers.countedChange,
  Diff: answers.diffReport,
  Explanation: answers.explanation,
  Session: answers.session,
  Error: answers.errorReport,
  Edit: edit,
} as const;
const NAMES = new Map<unknown, string>(
  Object.entries(NAMED).map(([name, schema]) => [schema, name]),
);

type Direction = 'input' | 'output';

function jsonSchema(schema: z.ZodType, io: Direction): Json {
  const made = z.toJSONSchema(schema, {
    io,
    override: ({ zodSchema, jsonSchema, path }) => {
      const here = jsonSchema as Json;
      const name = path.length > 0 && NAMES.get(zodSchema);
      if (name) {
        for (const key of Object.keys(here)) delete here[key];
        here.$ref = `#/components/schemas/${name}`;
      }
      // zod's bounds of whole numbers are JavaScript's and say nothing about the value.
      if (here.maximum === Number.MAX_SAFE_INTEGER) delete here.maximum;
      if (here.minimum === Number.MIN_SAFE_INTEGER) delete here.minimum;
    },
  }) as Json;
  delete made.$schema;
  return made;
}

/** A reference where the schema has a name. */
function schemaAt(schema: z.ZodType, io: Direction): Json {
  const name = NAMES.get(schema);
  return name ? { $ref: `#/components/schemas/${name}` } : jsonSchema(schema, io);
}

function content(answer: Answer): Json {
  switch (answer.kind) {
    case 'json':
    case 'list':
      return { 'application/json': { schema: schemaAt(answer.schema, 'output') } };
    case 'lines':
      return { 'application/x-ndjson': { schema: schemaAt(answer.schema, 'output') } };
    case 'text':
      return { 'text/plain': { schema: { type: 'string' } } };
  }
}

function parameters({ query }: Route): Json[] {
  if (!query) return [];
  const { properties, required = [] } = jsonSchema(query, 'input') as {
    properties: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

const FAILED = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };

function responses(route: Route): Json {
  const statuses: [number, string][] = [
    ...(route.query || route.body ? ([[400, 'Not what the schemas say.']] as const) : []),
    ...(route.role === 'anyone'
      ? []
      : ([
          [401, 'No token that is known.'],
          [403, 'Not with this token, or not from there.'],
          [429, 'Too many wrong tokens: later.'],
        ] as const)),
    ...(route.query || route.body
      ? ([
          [404, 'There is no such thing.'],
          [409, 'The running state stands in the way.'],
          [422, 'Understood, and it cannot be done.'],
        ] as const)
      : []),
    ...(route.body ? ([[413, 'More than a request may hold.']] as const) : []),
    [500, 'A bug of Sluice.'],
  ].map(([status, why]): [number, string] => [status as number, why as string]);
  const name = route.answer.kind === 'lines' ? 'One JSON object a line.' : 'Done.';
  return {
    200: { description: name, content: content(route.answer) },
    ...Object.fromEntries(
      statuses.map(([status, description]) => [status, { description, content: FAILED }]),
    ),
  };
}

function operation(route: Route): Json {
  const body = route.body && {
    required: false,
    content: { 'application/json': { schema: schemaAt(route.body, 'input') } },
  };
  return {
    operationId: `${route.method} ${route.path}`
      .replace(/\/v1|[./]/g, ' ')
      .replace(/ +(\w)/g, (_, letter: string) => letter.toUpperCase())
      .replace(/^\w+/, (verb) => verb[0]?.toLowerCase() + verb.slice(1)),
    summary: route.summary,
    ...(route.role === 'anyone' ? { security: [] } : {}),
    ...(route.query ? { parameters: parameters(route) } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: responses(route),
    'x-sluice-role': route.role,
  };
}

/** All routes, the description of them included. */
export const API: readonly Route[] = [
  ...ROUTES,
  route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    role: 'anyone',
    answer: { kind: 'json', schema: z.looseObject({ openapi: z.string() }) },
    run: openApi,
  }),
];

export function openApi(): Json {
  const paths: Record<string, Json> = {};
  for (const route of API) {
    const method = route.method.toLowerCase();
    paths[route.path] = { ...paths[route.path], [method]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version: VERSION,
      description:
        'The control API of a running director. On its Unix socket no token is asked for: whoever ' +
        'may open the socket may do everything. Over TCP a token is. Errors have one of the codes ' +
        'that `sluice errors` lists.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(
        Object.entries(NAMED).map(([name, schema]) => [
          name,
          jsonSchema(schema, name === 'Edit' ? 'input' : 'output'),
        ]),
      ),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'A token of `director.api.tokens`; role `read` may GET only.',
        },
      },
    },
  };
}
