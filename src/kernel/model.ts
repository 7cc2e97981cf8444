/** The `kernel` block: what the director's namespace has besides ports, for as long as it runs. */
import type { Parsed } from '../config/schema.js';

/** Lines in the words of ip(8); a device is a port's name, or an interface's. */
export interface KernelModel {
  addresses: string[];
  routes: string[];
  rules: string[];
}

export function buildKernel(parsed: Parsed['kernel']): KernelModel {
  const { addresses = [], routes = [], rules = [] } = parsed ?? {};
  return { addresses, routes, rules };
}
