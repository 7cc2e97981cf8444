/** The table on top of the report: every target, and what was measured for it. */
import { grouped, markdownTable } from './markdown.js';
import { type Figure, type Figures, type Goal, TARGETS, type Target } from './reference.js';

function limit({ most, least }: Goal): string {
  return most === undefined ? `≥ ${grouped(least ?? 0)}` : `≤ ${grouped(most)}`;
}

export function isMet({ most, least }: Goal, { value }: Figure): boolean {
  return value <= (most ?? value) && value >= (least ?? value);
}

/** Goals that differ in a number only share a name: `1 K / 100 K / 1 M`. */
function joined(target: Target, text: (goal: Goal) => string): string {
  const named = target.scenario !== 'forward' && target.goals.length > 1;
  return target.goals
    .map((goal) => (named ? `${goal.at} ${text(goal)}` : text(goal)))
    .join(named ? ', ' : ' / ');
}

function ours(target: Target, figures: Record<string, Figure>): string {
  const unit = target.unit === '' ? '' : ` ${target.unit}`;
  const values = joined(target, ({ at }) => {
    const figure = figures[at];
    if (figure === undefined) return 'not measured';
    const note = figure.note === undefined ? '' : ` (${figure.note})`;
    return `**${grouped(figure.value)}**${note}`;
  });
  const floors = target.goals.map(({ at }) => figures[at]?.floor);
  const known = floors.filter((floor) => floor !== undefined);
  return `${values}${unit}${known.length === 0 ? '' : `, floor ${known.join(' / ')}`}`;
}

function met(target: Target, figures: Record<string, Figure>): string {
  const verdicts = target.goals.map((goal) => {
    const figure = figures[goal.at];
    if (figure === undefined) return 'not measured';
    return isMet(goal, figure) ? 'yes' : 'no';
  });
  return new Set(verdicts).size === 1 ? verdicts[0]! : verdicts.join(' / ');
}

/** Rows whose scenario has no results say so. */
export function summary(figures: Figures): string {
  const rows = TARGETS.map((target) => {
    const found = figures[target.id];
    const nothing = found === undefined || Object.keys(found).length === 0;
    const source = `[${target.scenario}](results/${target.scenario}.json)`;
    return [
      target.what,
      target.dpvs,
      target.katran,
      `${joined(target, limit)}${target.unit === '' ? '' : ` ${target.unit}`}`,
      nothing ? 'not measured' : ours(target, found),
      nothing ? '–' : met(target, found),
      nothing ? target.scenario : source,
    ];
  });
  const head = ['', 'DPVS here', 'katran here', 'target', 'Sluice', 'met', 'from'];
  return markdownTable(head, rows);
}
