/** Changes of a running director, as text. */
import type { CountedChange, DiffReport, HistoryReport, ReloadReport } from '../api/types.js';
import { changeLine } from '../model-diff.js';
import { table } from './format.js';

/** `what`: done to the director. */
export function formatChange(report: ReloadReport, what: string): string {
  const edits = report.edits.map((line) => `\n  ${line}`).join('');
  return `${what}: ${report.summary}${edits && `\ndiffers from the file:${edits}`}`;
}

export function formatDiffReport({ file, changes, edits, overruled, restart }: DiffReport): string {
  const part = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
  const counted = (list: CountedChange[]) => list.map(countedLine);
  const parts = [
    ...part(`${file} would change in the running director:`, counted(changes)),
    ...part('Edited at run time, not in the file it runs:', counted(edits)),
    ...part('Edits that would give way to the file:', overruled),
    ...part('Only a restart brings about:', restart),
  ];
  return parts.length === 0 ? `the running director is what ${file} says` : parts.join('\n');
}

function countedLine(change: CountedChange): string {
  const { connections } = change;
  const line = changeLine(change);
  if (connections === 0) return line;
  return `${line} (${connections} connection${connections === 1 ? '' : 's'})`;
}

/** Characters of a change in the table; --json has all of it. */
const CHANGE = 100;

function shortened(summary: string): string {
  if (summary.length <= CHANGE) return summary;
  const end = summary.lastIndexOf(', ', CHANGE);
  return `${summary.slice(0, end > 0 ? end : CHANGE)}, …`;
}

export function formatHistory(generations: readonly HistoryReport[]): string {
  return table(
    ['', 'Generation', 'Time', 'Cause', 'Change'],
    generations.map(({ generation, at, cause, summary, current }) => [
      current ? '*' : '',
      `${generation}`,
      at,
      cause,
      shortened(summary),
    ]),
  );
}
