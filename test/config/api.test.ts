/** `director.api`: what is refused, where, and that no token is in the words. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readApiFiles } from '../../src/api/files.js';
import { parseConfig } from '../../src/config/load.js';
import { ConfigError, formatProblem } from '../../src/errors.js';

const HASH = 'ab'.repeat(32);
const GOOD = `{ name: ops, role: write, sha256: ${HASH} }`;
const TLS = 'tls: { certificate: /etc/sluice/cert.pem, key: /etc/sluice/key.pem }';
const file = (listen: string, tls: string, tokens: string) =>
  [
    'director:',
    '  api:',
    `    listen: ${listen}`,
    `    ${tls}`,
    `    tokens: [${tokens}]`,
    'ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }]',
  ].join('\n');

function problems(text: string): string {
  try {
    parseConfig(text, 'director.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem).join('\n');
    throw error;
  }
  return 'good';
}

const TABLE: [string, string, string, string, RegExp][] = [
  ['TLS', '192.0.2.1:8443', TLS, GOOD, /^good$/],
  ['loopback without TLS', '127.0.0.1:8080', '', GOOD, /^good$/],
  [
    'tokens in the clear',
    '192.0.2.1:8080',
    '',
    GOOD,
    /^director\.yaml:3:5: director\.api: listens on 192\.0\.2\.1 without tls, .* 127\.0\.0\.1:8080$/,
  ],
  ['no token', '127.0.0.1:8080', '', '', /director\.api\.tokens: is an empty list, expected at le/],
  [
    'two of one name',
    '127.0.0.1:8080',
    '',
    `${GOOD}, ${GOOD}`,
    /tokens\[1\]\.name: the name ops is already that of tokens\[0\]/,
  ],
  [
    'hash and file',
    '127.0.0.1:8080',
    '',
    `{ name: ops, role: read, sha256: ${HASH}, file: /etc/token }`,
    /tokens\[0\]: has both sha256 and file, expected one of them/,
  ],
  [
    'neither',
    '127.0.0.1:8080',
    '',
    '{ name: ops, role: read }',
    /tokens\[0\]: has neither sha256 nor file/,
  ],
  [
    'no such role',
    '127.0.0.1:8080',
    '',
    '{ name: ops, role: root }',
    /role: .* expected read or write/,
  ],
  ['half of TLS', '127.0.0.1:8080', 'tls: { key: /k }', GOOD, /tls\.certificate: missing/],
  [
    'the token instead of its hash',
    '127.0.0.1:8080',
    '',
    '{ name: ops, role: read, sha256: hunter2 }',
    /sha256: is not right \(and not shown here\), expected 64 hexadecimal digits$/,
  ],
  ['a number', '127.0.0.1:8080', '', '{ name: o, role: read, sha256: 4711 }', /not shown here/],
  ['the token alone', '127.0.0.1:8080', '', 'hunter2', /tokens\[0\]: is not right \(and not shown/],
];

for (const [name, listen, tls, tokens, expected] of TABLE) {
  test(name, () => {
    const said = problems(file(listen, tls, tokens));
    assert.match(said, expected);
    assert.not.match(said, /hunter2|4711|abab/);
  });
}

test('the metrics of the same port', () => {
  const text = file('127.0.0.1:8080', '', GOOD).replace(
    '  api:',
    '  metrics: 127.0.0.1:8080\n  api:',
  );
  assert.match(problems(text), /director\.api\.listen: is director\.metrics as well/);
});

test('the Model shows no hash, however it is looked at', () => {
  const { model, tokenHashes } = parseConfig(file('127.0.0.1:8080', '', GOOD), 'director.yaml');
  assert.not.match(inspect(model, { depth: 9 }), /abab/);
  assert.equal([...(tokenHashes ?? [])], [['ops', HASH]]);
});

test('files that are not there: all of them, each with its place', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-api-'));
  rmSync(folder, { recursive: true });
  const tls = `tls: { certificate: ${folder}/cert.pem, key: ${folder}/key.pem }`;
  const tokens = `{ name: ops, role: write, file: ${folder}/token }`;
  const loaded = parseConfig(file('192.0.2.1:8443', tls, tokens), 'director.yaml');
  try {
    readApiFiles(loaded);
  } catch (error) {
    const all = (error as ConfigError).problems.map(formatProblem);
    assert.is(all.length, 3);
    assert.match(
      all[0] as string,
      /^director\.yaml:4:25: .*certificate: cannot read .*no such file$/,
    );
    assert.match(
      all[2] as string,
      /^director\.yaml:5:\d+: director\.api\.tokens\[0\]\.file: cannot/,
    );
    return;
  }
  assert.unreachable();
});

test.run();
