/** Whether the API over TCP is as safe as it has to be. Pure; its files are read elsewhere. */
import type { Findings } from './findings.js';
import type { Model } from './model.js';
import type { Parsed } from './schema.js';

export function checkApi(
  { director: { api, metrics } }: Model,
  { director }: Parsed,
  findings: Findings,
): void {
  if (!api) return;
  const { listen, tls } = api;
  const at = ['director', 'api'];
  if (!tls && !listen.address.startsWith('127.')) {
    findings.error(
      'ERR_CONFIG_MISSING',
      at,
      `listens on ${listen.address} without tls, so that tokens would cross the network for all ` +
        'to read: expected tls, or a loopback address such as 127.0.0.1:8080',
    );
  }
  if (metrics && metrics.address === listen.address && metrics.port === listen.port) {
    findings.error('ERR_CONFIG_CONFLICT', [...at, 'listen'], 'is director.metrics as well');
  }
  const names = new Map<string, string>();
  director?.api?.tokens.forEach(({ name, sha256, file }, index) => {
    const path = [...at, 'tokens', index];
    const here = `tokens[${index}]`;
    findings.unique(names, name, here, [...path, 'name'], `the name ${name} is already that of`);
    if ((sha256 === undefined) === (file === undefined)) {
      const has = file === undefined ? 'neither sha256 nor file' : 'both sha256 and file';
      findings.error('ERR_CONFIG_CONFLICT', path, `has ${has}, expected one of them`);
    }
  });
}
