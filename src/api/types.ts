/** What the control API answers: the JSON of `sluice show … --json` and the REPL's objects. */
import type { z } from 'zod';
import type * as answers from './answers.js';

export type Rates = z.output<typeof answers.rates>;
export type ServiceReport = z.output<typeof answers.serviceReport>;
export type ServerReport = z.output<typeof answers.serverReport>;
export type ConnectionReport = z.output<typeof answers.connectionReport>;
export type PortReport = z.output<typeof answers.portReport>;
export type SyncReport = z.output<typeof answers.syncReport>;
export type VrrpReport = z.output<typeof answers.vrrpReport>;
export type DropsReport = z.output<typeof answers.dropsReport>;
export type StatusReport = z.output<typeof answers.statusReport>;
export type UpgradeReport = z.output<typeof answers.upgradeReport>;
export type ReloadReport = z.output<typeof answers.reloadReport>;
export type EditReport = z.output<typeof answers.editReport>;
export type HistoryReport = z.output<typeof answers.historyReport>;
/** A change with the connections that live servers it removes or changes have now. */
export type CountedChange = z.output<typeof answers.countedChange>;
export type DiffReport = z.output<typeof answers.diffReport>;
export type ErrorReport = z.output<typeof answers.errorReport>;
