/** What check() finds: every mistake and what is odd, by its path in the file. */
import type { Path } from './source.js';

export interface Finding {
  severity: 'error' | 'warning';
  code: string;
  path: Path;
  message: string;
  /** A later edit of a running director may mend it: ipvsadm adds servers before local addresses. */
  mendable?: true;
}

export class Findings {
  readonly all: Finding[] = [];

  error(code: string, path: Path, message: string): void {
    this.all.push({ severity: 'error', code, path, message });
  }

  warning(code: string, path: Path, message: string): void {
    this.all.push({ severity: 'warning', code, path, message });
  }

  /** Reports a key's second and later appearances. `first` names where the first one is. */
  unique(seen: Map<string, string>, key: string, here: string, path: Path, message: string): void {
    const first = seen.get(key);
    if (first === undefined) seen.set(key, here);
    else this.error('ERR_CONFIG_DUPLICATE', path, `${message} ${first}`);
  }
}
