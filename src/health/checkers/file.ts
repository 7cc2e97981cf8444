/** FILE_CHECK: a number in a file that something else writes. */
import { readFile } from 'node:fs/promises';
import type { FileCheck } from '../model.js';
import { failure, type Outcome, type Probe, wordsOf } from './checker.js';

/** At or below this a server is out, as with keepalived's track_file. */
const FAULT = -254;

export const file: Probe<FileCheck> = async (check) => {
  try {
    return judgeContent(check, await readFile(check.path, 'utf8'));
  } catch (error) {
    return failure(wordsOf(error));
  }
};

export function judgeContent(check: FileCheck, content: string): Outcome {
  const text = content.trim();
  const number = text === '' ? 0 : Number.parseInt(text, 10);
  if (Number.isNaN(number)) return failure(`'${text.slice(0, 40)}' is no number`);
  const weight = number * check.weight * (check.reverse ? -1 : 1);
  // Weight 0 takes the server out for any number but 0 (or for 0 alone, reversed).
  const out = check.weight === 0 ? (number !== 0) !== check.reverse : weight <= FAULT;
  if (out) return failure(`the file says ${number}`);
  const outcome = { ok: true, detail: `the file says ${number}` };
  return check.dynamic && check.weight !== 0 ? { ...outcome, weight: { add: weight } } : outcome;
}
