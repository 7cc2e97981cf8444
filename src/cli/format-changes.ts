/** Changes of a running director, as text. */
import type { CountedChange, DiffReport, HistoryReport, ReloadReport } from '../api/types.js';
import { changeLines, editLines } from '../changes/words.js';
import { table } from './format.js';

/** Changes that a listing has; --json has all of them. */
const LISTED = 100;
/** Edits that an answer to something else has. */
const EDITS = 10;

type Done = Pick<ReloadReport, 'summary' | 'changes' | 'more'>;

/** `what`: done to the director. */
export function formatChange(report: ReloadReport, what: string): string {
  const { edits } = report;
  const differs =
    edits.length > 0 ? ['differs from the file:', ...indented(editLines(edits, EDITS))] : [];
  return [`${what}:${doneText(report)}`, ...differs].join('\n');
}

/** To stand after a colon: changes below one another, where there is more than one. */
export function doneText({ summary, changes, more }: Done): string {
  const lines = more > 0 ? [] : changeLines(changes);
  return lines.length < 2 ? ` ${summary}` : ['', ...indented(lines)].join('\n');
}

const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

export function formatDiffReport({ file, changes, edits, overruled, restart }: DiffReport): string {
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [title, ...indented(lines)];
  const counted = (list: CountedChange[]) => changeLines(list, { most: LISTED });
  const parts = [
    ...part(`${file} would change in the running director:`, counted(changes)),
    ...part('Edited at run time, not in the file it runs:', counted(edits)),
    ...part('Edits that would give way to the file:', overruled),
    ...part('Only a restart brings about:', restart),
  ];
  return parts.length === 0 ? `the running director is what ${file} says` : parts.join('\n');
}

/** Characters of a change in the table; --json has all of it. */
const CHANGE = 100;

/** As many as fit, but one at least. */
function inARow({ summary, changes, more }: Done): string {
  const shorter = more > 0 ? [] : [2, 1].map((most) => changeLines(changes, { most }).join('; '));
  const said = [summary, ...shorter].find((text) => text.length <= CHANGE);
  if (said !== undefined) return said;
  const text = shorter.at(-1) ?? summary;
  const end = text.lastIndexOf(', ', CHANGE);
  return `${text.slice(0, end > 0 ? end : CHANGE)}, …`;
}

export function formatHistory(generations: readonly HistoryReport[]): string {
  return table(
    ['', 'Generation', 'Time', 'Cause', 'Change'],
    generations.map(({ generation, at, cause, current, ...done }) => [
      current ? '*' : '',
      `${generation}`,
      at,
      cause,
      inARow(done),
    ]),
  );
}
