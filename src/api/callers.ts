/** Who asks, and what they may do. */

export const ROLES = ['read', 'write'] as const;

/** `write` may do whatever `read` may. */
export type Role = (typeof ROLES)[number];

export interface Caller {
  role: Role;
  /** Of the token; undefined on the control socket, whose file mode says who may ask. */
  token: string | undefined;
}

/** Whoever may open the control socket. */
export const OWNER: Caller = { role: 'write', token: undefined };
