/** `sluice show sync` as text. */
import type { SyncReport } from '../sync/feature.js';

/** Figures at 0 are left out unless `all`. */
export function formatSync(report: SyncReport, all: boolean): string {
  if (!report.running) return 'connection sync is not running';
  const { protocol, role, destination, port, syncid, figures } = report;
  const id = syncid === null ? '' : `, syncid ${syncid}`;
  const head = `${protocol} (${role}${id}) with ${destination}:${port} on ${report.interface}`;
  const rows = Object.entries(figures).filter(([, count]) => all || count !== 0);
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  const lines = rows.map(([name, count]) => `  ${name.padEnd(width)}  ${count}`);
  return [head, ...lines].join('\n');
}
