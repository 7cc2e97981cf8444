/** A script with its user, as keepalived.conf has them everywhere. */
import type { Script } from '../../health/model.js';
import type { Lines } from './lines.js';
import { commandLine } from './write-checks.js';

export function writeScript(keyword: string, script: Script | undefined, lines: Lines): void {
  if (!script) return;
  const account = [script.user, script.group].filter((part) => part !== undefined);
  lines.add([keyword, commandLine(script), ...account].join(' '));
}
