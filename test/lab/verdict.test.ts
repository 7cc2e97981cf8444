import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Answers } from '../../src/lab/load.js';
import { judge, type ModeResult, resultTable } from '../../src/lab/verdict.js';

const ROLES = ['rs1', 'rs2'];

const answers = (more: Partial<Answers> = {}): Answers => ({
  asked: 10,
  failed: 0,
  servers: new Map([
    ['rs1', 5],
    ['rs2', 5],
  ]),
  clients: new Map([['198.18.0.2', 10]]),
  trouble: '',
  ...more,
});

const result = (more: Partial<ModeResult> = {}) => ({
  mode: 'nat' as const,
  http: answers(),
  dns: answers(),
  transfer: { up: 1.5e9, down: 2.25e9, trouble: '' },
  director: { httpConnections: 10, dnsPackets: 10, replies: 70 },
  ...more,
});

test('a row is good when all was answered, by all servers, who saw the client', () => {
  assert.equal(judge(ROLES, result()), []);
});

test('one failed request spoils it', () => {
  const http = answers({ failed: 1, trouble: 'curl: (28) timed out' });
  assert.equal(judge(ROLES, result({ http })), [
    '1 of 10 HTTP requests failed. curl: (28) timed out',
  ]);
});

test('a server that got nothing spoils it', () => {
  const dns = answers({ servers: new Map([['rs1', 10]]) });
  assert.equal(judge(ROLES, result({ dns })), ['DNS queries: none reached rs2']);
});

test("the director's address in place of the client's spoils it", () => {
  const http = answers({ clients: new Map([['198.51.100.200', 10]]) });
  assert.equal(judge(ROLES, result({ http })), [
    'HTTP requests: the servers saw 198.51.100.200 (10), not 198.18.0.2 (10)',
  ]);
});

test('fewer clients seen than requests answered spoils it', () => {
  const http = answers({ clients: new Map([['198.18.0.2', 9]]) });
  assert.is(judge(ROLES, result({ http })).length, 1);
});

test('a transfer without data spoils it', () => {
  const transfer = { up: 1e9, down: 0, trouble: 'down: unable to connect' };
  assert.equal(judge(ROLES, result({ transfer })), ['iperf3 down: unable to connect']);
});

test('answers that the director knows nothing of spoil it', () => {
  const director = { httpConnections: 0, dnsPackets: 0, replies: 0 };
  assert.equal(judge(ROLES, result({ director })), [
    'the director counted 0 connections for 10',
    'the director counted 0 packets for 10 queries',
    '0 packets of replies came back through the director',
  ]);
});

test('replies of direct routing that pass the director spoil it', () => {
  assert.equal(judge(ROLES, result({ mode: 'dr' })), [
    '70 packets of replies came back through the director',
  ]);
});

test('the table is what a person reads', () => {
  const good = { ...result(), wrong: [] };
  const dns = answers({ clients: new Map([['198.51.100.200', 10]]) });
  const bad = { ...result({ mode: 'fullnat', dns }), wrong: ['…'] };
  assert.is(
    `\n${resultTable(ROLES, [good, bad], false)}`,
    `
┌───┬─────────┬──────┬────────┬─────────┬─────┬────────┬─────────┬────────────────────────────────┬─────────────┬────────────────┐
│   │ mode    │ HTTP │ failed │ rs1 rs2 │ DNS │ failed │ rs1 rs2 │ client seen                    │ replies     │ Gb/s up / down │
├───┼─────────┼──────┼────────┼─────────┼─────┼────────┼─────────┼────────────────────────────────┼─────────────┼────────────────┤
│ ✔ │ nat     │   10 │      0 │     5 5 │  10 │      0 │     5 5 │ 198.18.0.2                     │ by director │    1.50 / 2.25 │
│ ✘ │ fullnat │   10 │      0 │     5 5 │  10 │      0 │     5 5 │ 198.18.0.2, DNS 198.51.100.200 │ by director │    1.50 / 2.25 │
└───┴─────────┴──────┴────────┴─────────┴─────┴────────┴─────────┴────────────────────────────────┴─────────────┴────────────────┘`,
  );
});

test.run();
