/**
 * Words of strangers, such as a server's greeting or a file of anybody's: on a terminal they must not
 * move the cursor, and in a log not begin a line of their own.
 */

const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

const written = (character: string) => {
  const code = character.codePointAt(0) as number;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** One line: control characters, ends of lines and what turns the direction of text are written out. */
export const visible = (text: string): string => text.replace(UNSEEN, written);

/** Of our own with those of strangers in it: its lines and tabs stay. */
export const visibleLines = (text: string): string =>
  text.replace(UNSEEN, (character) => (/[\n\t]/.test(character) ? character : written(character)));
