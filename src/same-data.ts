/** Whether two pieces of plain data (objects, arrays, bytes, scalars) say the same; undefined is as good as not there. */
export function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || a instanceof Uint8Array) return sameList(a, b);
  return !Array.isArray(b) && !(b instanceof Uint8Array) && sameRecord(a as Data, b as Data);
}

type Data = Record<string, unknown>;

function sameList(a: unknown[] | Uint8Array, b: object): boolean {
  const alike = Array.isArray(a) ? Array.isArray(b) : b instanceof Uint8Array;
  const other = b as unknown[] | Uint8Array;
  if (!alike || a.length !== other.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!sameData(a[i], other[i])) return false;
  }
  return true;
}

function sameRecord(a: Data, b: Data): boolean {
  // for…in rather than Object.keys: it makes no array of names, and there are many small records.
  for (const key in a) {
    if (!sameData(a[key], b[key])) return false;
  }
  for (const key in b) {
    if (!(key in a) && b[key] !== undefined) return false;
  }
  return true;
}
