/** Which changes of a configuration a running director can take over, and which it cannot. */
import { type Cidr, formatCidr } from './config/address.js';
import type { Loaded } from './config/load.js';
import type { Model } from './config/model.js';
import type { Path } from './config/source.js';
import { formatPath } from './config/source.js';
import { ConfigError, type Problem } from './errors.js';
import { withoutSecrets } from './secrets.js';

/** Throws ERR_RESTART_NEEDED with the place of each setting that is fixed at start. */
export function refuseRestartSettings(running: Model, next: Loaded): void {
  const paths = restartPaths(running, next.model);
  if (paths.length === 0) return;
  const problems = paths.map(
    ({ path, was }): Problem => ({
      severity: 'error',
      code: 'ERR_RESTART_NEEDED',
      place: next.locate(path),
      path: formatPath(path),
      message: `changed (was ${was}): it takes effect only at a restart`,
    }),
  );
  problems.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  throw new ConfigError(next.file, problems, 'ERR_RESTART_NEEDED');
}

interface Change {
  path: Path;
  was: string;
}

export function restartPaths(running: Model, next: Model): Change[] {
  const changes = changedKeys(fixed(running.director), fixed(next.director), ['director']);
  changes.push(...changedKeys({ sync: running.sync }, { sync: next.sync }, []));
  const names = (model: Model) => model.ports.map((port) => port.name).join(', ');
  if (names(running) !== names(next)) {
    return [...changes, { path: ['ports'], was: names(running) }];
  }
  running.ports.forEach((port, index) => {
    const other = next.ports[index];
    if (other) changes.push(...changedKeys(port, other, ['ports', index]));
  });
  return changes;
}

/** `model` with what the director that runs `running` was started with, which only a start can change. */
export function asStarted(model: Model, running: Model): Model {
  const { alerts, answerRate } = model.director;
  const { ports, sync } = running;
  return { ...model, director: { ...running.director, alerts, answerRate }, ports, sync };
}

/**
 * Thresholds of alerts and the rate of answers may change; of the API only where and how it listens may not, as its tokens
 * and files are read again at each reload.
 */
function fixed(director: Model['director']): object {
  const { api, alerts, answerRate, ...rest } = director;
  const { address, port } = api?.listen ?? {};
  return { ...rest, api: api && `${address}:${port} ${api.tls ? 'with' : 'without'} tls` };
}

function changedKeys<T extends object>(before: T, after: T, path: Path): Change[] {
  return (Object.keys(before) as (keyof T & string)[])
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => ({
      path: [...path, key],
      was: shown(before[key]),
    }));
}

function shown(value: unknown): string {
  if (value === undefined) return 'not given';
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (isCidr(value)) return formatCidr(value);
  return typeof value === 'string' ? value : JSON.stringify(value, withoutSecrets);
}

function isCidr(value: unknown): value is Cidr {
  return typeof value === 'object' && value !== null && 'address' in value && 'length' in value;
}
