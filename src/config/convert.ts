/** keepalived.conf → director.yaml, and back. What has no counterpart becomes a comment. */
import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { formatProblem } from '../errors.js';
import { FEATURE_NAMES } from './keepalived/support.js';
import { writeKeepalived } from './keepalived/write.js';
import { isYaml, load, openConfig } from './load.js';
import { isRecord } from './source.js';

/** Servers that several services share are written out for each. */
const STYLE = { lineWidth: 0, aliasDuplicateObjects: false } as const;

export interface Converted {
  to: 'director.yaml' | 'keepalived.conf';
  text: string;
}

/** Throws ConfigError for what is wrong; what Sluice does not do is no obstacle. */
export function convert(file: string): Converted {
  const source = openConfig(file, FEATURE_NAMES);
  const { model, warnings } = load(source, file);
  const again = source.value([]);
  const value = isRecord(again) ? again : {};
  const { keepalived, services, timeouts, ports, ...rest } = value;
  if (isYaml(file, readFileSync(file, 'utf8')) && keepalived === undefined) {
    const { vrrp, kernel, ...others } = rest;
    const yaml = stringify({ ...others, ports }, STYLE);
    return { to: 'keepalived.conf', text: writeKeepalived(model, yaml.trimEnd()) };
  }
  const head = warnings.map((warning) => `# ${formatProblem(warning)}\n`).join('');
  const own = source.portless
    ? `# ports: keepalived.conf does not say them.\n${Object.keys(rest).length > 0 ? stringify(rest, STYLE) : ''}`
    : stringify({ ...rest, ports }, STYLE);
  const data = timeouts === undefined ? { services } : { timeouts, services };
  return { to: 'director.yaml', text: head + own + stringify(data, STYLE) };
}
