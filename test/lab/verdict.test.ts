import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Answers } from '../../src/lab/load.js';
import { judge, resultTable } from '../../src/lab/verdict.js';

const ROLES = ['rs1', 'rs2'];
const transfer = { up: 1.5e9, down: 2.25e9, trouble: '' };

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

test('a row is good when all was answered, by all servers, who saw the client', () => {
  assert.equal(judge(ROLES, answers(), answers(), transfer), []);
});

test('one failed request spoils it', () => {
  const bad = answers({ failed: 1, trouble: 'curl: (28) timed out' });
  assert.equal(judge(ROLES, bad, answers(), transfer), [
    '1 of 10 HTTP requests failed. curl: (28) timed out',
  ]);
});

test('a server that got nothing spoils it', () => {
  const bad = answers({ servers: new Map([['rs1', 10]]) });
  assert.equal(judge(ROLES, answers(), bad, transfer), ['DNS queries: none reached rs2']);
});

test("the director's address in place of the client's spoils it", () => {
  const bad = answers({ clients: new Map([['198.51.100.200', 10]]) });
  assert.equal(judge(ROLES, bad, answers(), transfer), [
    'HTTP requests: the servers saw 198.51.100.200 (10), not 198.18.0.2 (10)',
  ]);
});

test('fewer clients seen than requests answered spoils it', () => {
  const bad = answers({ clients: new Map([['198.18.0.2', 9]]) });
  assert.is(judge(ROLES, bad, answers(), transfer).length, 1);
});

test('a transfer without data spoils it', () => {
  const dead = { up: 1e9, down: 0, trouble: 'down: unable to connect' };
  assert.equal(judge(ROLES, answers(), answers(), dead), ['iperf3 down: unable to connect']);
});

test('the table is what a person reads', () => {
  const good = { mode: 'nat' as const, http: answers(), dns: answers(), transfer, wrong: [] };
  const lip = answers({ clients: new Map([['198.51.100.200', 10]]) });
  const bad = { ...good, mode: 'fullnat' as const, dns: lip, wrong: ['…'] };
  assert.is(
    `\n${resultTable(ROLES, [good, bad], false)}`,
    `
┌───┬─────────┬──────┬────────┬─────────┬─────┬────────┬─────────┬────────────────────────────────┬────────────────┐
│   │ mode    │ HTTP │ failed │ rs1 rs2 │ DNS │ failed │ rs1 rs2 │ client seen                    │ Gb/s up / down │
├───┼─────────┼──────┼────────┼─────────┼─────┼────────┼─────────┼────────────────────────────────┼────────────────┤
│ ✔ │ nat     │   10 │      0 │     5 5 │  10 │      0 │     5 5 │ 198.18.0.2                     │    1.50 / 2.25 │
│ ✘ │ fullnat │   10 │      0 │     5 5 │  10 │      0 │     5 5 │ 198.18.0.2, DNS 198.51.100.200 │    1.50 / 2.25 │
└───┴─────────┴──────┴────────┴─────────┴─────┴────────┴─────────┴────────────────────────────────┴────────────────┘`,
  );
});

test.run();
