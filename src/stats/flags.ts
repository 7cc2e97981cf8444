/** What a listing says of a service behind its scheduler: flags that are the scheduler's come first. */
const OTHERS: readonly string[] = ['ops', 'synproxy'];

export const schedulingFlags = (flags: readonly string[]) =>
  flags.filter((flag) => !OTHERS.includes(flag));
export const otherFlags = (flags: readonly string[]) =>
  OTHERS.filter((flag) => flags.includes(flag));
