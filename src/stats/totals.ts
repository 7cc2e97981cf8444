/** Sums of the counters, as one process gives them to the next. */

/** Counters of services and servers by their keys. */
export interface Totals {
  services: Record<string, Record<string, bigint>>;
  servers: Record<string, Record<string, bigint>>;
}

export const NO_TOTALS: Totals = { services: {}, servers: {} };
