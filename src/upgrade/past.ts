/** The running state of one process with the file of the next. */
import type { Loaded } from '../config/load.js';
import { recheck } from '../config/recheck.js';
import { SluiceError } from '../errors.js';
import type { Past } from '../ledger.js';
import { mergeModels } from '../model-diff.js';

/**
 * As a reload of the file would have it, but for settings that take effect at a start: this is one.
 * Throws ERR_RUNTIME_EDITS where edits and file make nothing that can run.
 */
export function pastOf(
  past: Past,
  next: Loaded,
  { discardEdits, version }: { discardEdits: boolean; version: string },
): Past {
  const cause = `upgrade from ${version} with ${next.file}`;
  const { director, ports, sync } = next.model;
  const merged = discardEdits
    ? next.model
    : { ...mergeModels(past.loaded.model, next.model, past.model).model, director, ports, sync };
  const [fault] = discardEdits ? [] : recheck(merged);
  if (fault) {
    const message = `run-time edits do not go with ${next.file}: ${fault.message} (--discard-edits)`;
    throw new SluiceError('ERR_RUNTIME_EDITS', message);
  }
  const { maxServices, maxServers } = director;
  const fits = (entries: Past['slots']['services'], most: number) =>
    [...entries.values()].every(({ slot }) => slot < most);
  const { services, servers } = past.slots;
  // Slots are numbers below the limits: of another process they are worth nothing but its figures.
  const kept = fits(services, maxServices) && fits(servers, maxServers);
  const slots = kept ? past.slots : { ...past.slots, services: new Map(), servers: new Map() };
  return { ...past, loaded: next, model: merged, slots, cause };
}
