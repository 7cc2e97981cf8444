/**
 * The dashboard's files: read once, served with a policy under which nothing but they runs. They
 * hold nothing secret: what they show comes through the API, with a token where one is asked for.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname } from 'node:path';

const FOLDER = new URL('../dashboard/', import.meta.url);

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Scripts, styles and pictures of our own, requests to ourselves, and nothing else from anywhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

interface Page {
  type: string;
  body: Buffer;
  tag: string;
}

let pages: Map<string, Page> | undefined;

function load(): Map<string, Page> {
  const found = new Map<string, Page>();
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(new URL(name, FOLDER));
    const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    found.set(name === 'index.html' ? '/' : `/dashboard/${name}`, { type, body, tag });
  }
  return found;
}

/** Answers if the path is one of the dashboard's. */
export function sendPage(
  { method, headers }: IncomingMessage,
  response: ServerResponse,
  path: string,
): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  if (path !== '/' && !path.startsWith('/dashboard/')) return false;
  pages ??= load();
  const page = pages.get(path);
  if (!page) return false;
  const fresh = headers['if-none-match'] === page.tag;
  response.writeHead(fresh ? 304 : 200, {
    'content-type': page.type,
    ...(fresh ? {} : { 'content-length': page.body.length }),
    'content-security-policy': POLICY,
    'cache-control': 'no-cache',
    etag: page.tag,
  });
  response.end(fresh || method === 'HEAD' ? undefined : page.body);
  return true;
}

/** For every answer: what is sent is what it says it is, and nobody's page may take it in. */
export const SAFE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const;
