/** What becomes of run-time edits when a file is read. */
export const EDIT_POLICIES = ['refuse', 'keep', 'discard'] as const;

export type EditPolicy = (typeof EDIT_POLICIES)[number];
