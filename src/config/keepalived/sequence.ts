/** `~SEQ(var, start, step, end) rest` and `~LST(var, a, b) rest`: the line once for each value. */

export interface Repetition {
  /** One a turn: variables with their values. */
  turns: Iterable<[name: string, value: string][]>;
  rest: string;
  /** Index of `rest` in the line. */
  offset: number;
}

export function parseRepetition(line: string): Repetition | { fault: string } | undefined {
  const head = /^~(SEQx?|LST)\s*\(/.exec(line);
  if (!head) return undefined;
  const close = line.indexOf(')', head[0].length);
  if (close < 0) return { fault: `~${head[1]} has no closing parenthesis` };
  const inside = line.slice(head[0].length, close);
  const rest = line.slice(close + 1).trimStart();
  const offset = line.length - rest.length;
  const turns = head[1] === 'LST' ? list(inside) : sequence(inside, head[1] === 'SEQx');
  return 'fault' in turns ? turns : { turns: turns.turns, rest, offset };
}

type Turns = { turns: Iterable<[string, string][]> } | { fault: string };

const NAME = /^[A-Za-z_]\w*$/;

function sequence(inside: string, hexadecimal: boolean): Turns {
  const [name = '', ...texts] = inside.split(',').map((part) => part.trim());
  if (!NAME.test(name)) return { fault: `~SEQ needs a variable's name, not ${name || 'nothing'}` };
  if (texts.length < 1 || texts.length > 3 || !texts.every(isInteger)) {
    return { fault: `~SEQ(${inside}): expected (variable, start, step, end), whole numbers` };
  }
  const numbers = texts.map(toInteger);
  const end = numbers.at(-1) as number;
  const start = numbers.length > 1 ? (numbers[0] as number) : end > 0 ? 1 : -1;
  const step = numbers.length === 3 ? (numbers[1] as number) : end >= start ? 1 : -1;
  if (step === 0 || (step > 0 ? start > end : start < end)) {
    return { fault: `~SEQ(${inside}): never gets from ${start} to ${end} in steps of ${step}` };
  }
  return { turns: count(name, start, step, end, hexadecimal) };
}

function* count(
  name: string,
  start: number,
  step: number,
  end: number,
  hexadecimal: boolean,
): Generator<[string, string][]> {
  for (let value = start; step > 0 ? value <= end : value >= end; value += step) {
    yield [[name, value.toString(hexadecimal ? 16 : 10)]];
  }
}

function isInteger(text: string): boolean {
  return /^[+-]?(0[xX][0-9a-fA-F]+|\d+)$/.test(text) && Number.isSafeInteger(toInteger(text));
}

function toInteger(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  return sign * Number(text.replace(/^[+-]/, ''));
}

function list(inside: string): Turns {
  const [head, ...values] = groups(inside);
  const names = head ?? [];
  if (names.length === 0 || !names.every((name) => NAME.test(name)) || values.length === 0) {
    return { fault: `~LST(${inside}): expected (variable, value, …) or ({a, b}, {1, 2}, …)` };
  }
  if (
    values.some((group) => group.length !== names.length || group.some((one) => /\s/.test(one)))
  ) {
    return { fault: `~LST(${inside}): each group needs ${names.length} values without spaces` };
  }
  return {
    turns: values.map((group) =>
      names.map((name, index): [string, string] => [name, group[index] as string]),
    ),
  };
}

/** `a, {b, c}` → [[a], [b, c]]. */
function groups(inside: string): string[][] {
  return [...inside.matchAll(/\{([^}]*)\}|([^,{}]+)/g)]
    .map(([, many, one]) => (many ?? (one as string)).split(',').map((part) => part.trim()))
    .filter((group) => group.some((part) => part !== ''));
}
