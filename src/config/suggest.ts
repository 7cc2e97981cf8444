/** Words of ipvsadm, keepalived.conf and DPVS for what has another name here. */
const SYNONYMS: Record<string, string> = {
  vip: 'listen',
  address: 'listen',
  virtualserver: 'services',
  virtualservers: 'services',
  realserver: 'servers',
  realservers: 'servers',
  destinations: 'servers',
  lbalgo: 'scheduler',
  lvssched: 'scheduler',
  lbkind: 'mode',
  lvsmethod: 'mode',
  forward: 'mode',
  laddr: 'localAddresses',
  lip: 'localAddresses',
  lips: 'localAddresses',
  uthreshold: 'upperThreshold',
  lthreshold: 'lowerThreshold',
  ops: 'onePacket',
  gateway: 'via',
  nexthop: 'via',
  destination: 'to',
  interface: 'device',
  kni: 'twin',
  tap: 'twin',
};

/** Did you mean …: a synonym, or the nearest known word that a slip of the pen may have meant. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const synonym = SYNONYMS[squash(word)];
  if (synonym && known.includes(synonym)) return synonym;
  let best: string | undefined;
  // A third of the letters may differ, and one always.
  let limit = Math.max(1, Math.floor(word.length / 3));
  for (const candidate of known) {
    const distance = editDistance(squash(word), squash(candidate));
    if (distance <= limit && (best === undefined || distance < limit)) {
      best = candidate;
      limit = distance;
    }
  }
  return best;
}

/** `max_connections` and `max-connections` are `maxConnections` to a reader. */
function squash(word: string): string {
  return word.toLowerCase().replaceAll(/[-_\s]/g, '');
}

/** Damerau's optimal string alignment: two swapped letters count as one slip. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        value = Math.min(value, at(before, j - 2) + 1);
      }
      row.push(value);
    }
    before = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: number[], index: number): number {
  return row[index] as number;
}
