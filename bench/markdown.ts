/** Pieces that the sections of the report share. */
import { QUIET } from './quiet.js';
import type { Results } from './scenario.js';
import { round } from './statistics.js';

/** Rows of cells as a Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** A line of the table on stdout: a name, and cells to the right of it. */
export function textLine(name: string, cells: readonly string[], nameWidth = 44): string {
  return `${name.padEnd(nameWidth)}${cells.map((cell) => ` ${cell}`.padStart(10)).join('')}\n`;
}

/** 1 234 567 */
export function grouped(count: number): string {
  return count.toLocaleString('en').replaceAll(',', ' ');
}

/** 1000 → 1 K, 1000000 → 1 M. */
export function countName(count: number): string {
  if (count >= 1e6) return `${round(count / 1e6, 1)} M`;
  return count >= 1e3 ? `${round(count / 1e3, 1)} K` : String(count);
}

/** Of what, where and when; then what is to be said of a core that others used too. */
export function provenance({ environment, cases, selection }: Results<unknown>): string {
  const { commit, date, cpu, cores, kernel, hugepages } = environment;
  const first = cases[0]?.circumstances ?? {};
  const parts = [`${cpu}, ${cores} cores`];
  if (first.tscHz !== undefined) parts.push(`TSC ${(first.tscHz / 1e9).toFixed(2)} GHz`);
  parts.push(`Linux ${kernel}`, `${hugepages} hugepages`);
  const pinned = first.cpus === undefined ? '' : `; measured on CPU ${first.cpus.join(', ')}`;
  const buffers =
    first.hugepages === undefined
      ? ''
      : `; packet buffers in ${first.hugepages ? 'hugepages' : '4 KiB pages (no hugepages free)'}`;
  const tables =
    first.transparentHugeKiB === undefined
      ? ''
      : `, tables in ${first.transparentHugeKiB > 0 ? 'transparent huge pages' : '4 KiB pages'}`;
  const commits = [...new Set(cases.map(({ measured }) => measured?.commit ?? commit))].join(', ');
  const line = `Commit ${commits}, ${date}, ${selection} form. ${parts.join(', ')}${pinned}${buffers}${tables}.`;
  return [line, calmLine(cases), shareLine(cases)].filter((part) => part !== '').join('\n\n');
}

/** How runs were chosen by their floors, where they were. */
function calmLine(cases: Results<unknown>['cases']): string {
  const calm = cases.flatMap(({ circumstances }) => circumstances.calm ?? []);
  if (calm.length === 0) return '';
  const sum = (of: 'leftOut' | 'disturbed') => calm.reduce((all, one) => all + one[of], 0);
  const restless = calm.filter(({ disturbed }) => disturbed > 0).length;
  const rest =
    restless === 0
      ? 'all that count are quiet'
      : `${sum('disturbed')} that count, in ${restless} of ${calm.length} cases, are not, for want of better ones`;
  return `Other programs on the host raise the floor. A run counts as quiet whose own floor is within ${Math.round((QUIET - 1) * 100)} % of the lowest of its kind; cases without enough of them were measured again, and the runs with the lowest floors count, whatever the director took in them. ${sum('leftOut')} runs were left out; ${rest}.`;
}

function shareLine(cases: Results<unknown>['cases']): string {
  const shares = cases.map(({ circumstances }) => circumstances.share ?? 1);
  const share = Math.min(...shares);
  if (share >= 0.95) return '';
  return `The core was shared with other programs while this ran (in the worst case it was the benchmark's for ${(share * 100).toFixed(0)} % of the time): times by the thread's own clock leave out the others' turns, but not what they did to its caches; wall-clock times hold both.`;
}
