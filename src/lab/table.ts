/** A table for people: columns as wide as their widest cell, numbers to the right, colours apart. */

export type Style = 'plain' | 'good' | 'bad' | 'dim' | 'bold';

export interface Cell {
  text: string;
  style?: Style;
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

const CODES: Record<Style, string> = { plain: '', good: '32', bad: '31', dim: '2', bold: '1' };

export function paint(text: string, style: Style, colour: boolean): string {
  return colour && CODES[style] ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text;
}

export function renderTable(columns: Column[], rows: Cell[][], colour: boolean): string {
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.text.length ?? 0)),
  );
  const pad = (text: string, i: number) =>
    columns[i]?.align === 'right' ? text.padStart(widths[i]!) : text.padEnd(widths[i]!);
  const rule = (left: string, middle: string, right: string) =>
    left + widths.map((width) => '─'.repeat(width + 2)).join(middle) + right;
  const line = (cells: string[]) => `│ ${cells.join(' │ ')} │`;
  return [
    rule('┌', '┬', '┐'),
    line(columns.map(({ title }, i) => paint(pad(title, i), 'bold', colour))),
    rule('├', '┼', '┤'),
    ...rows.map((row) =>
      line(row.map(({ text, style }, i) => paint(pad(text, i), style ?? 'plain', colour))),
    ),
    rule('└', '┴', '┘'),
  ].join('\n');
}
