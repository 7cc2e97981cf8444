/** What a listing of services may be asked for. */

export const SORTS = ['configured', 'packets', 'bits', 'connections', 'name'] as const;

export type Sort = (typeof SORTS)[number];

export const STATES_OF_SERVICES = ['any', 'degraded', 'down'] as const;
