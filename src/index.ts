/** What programs import: `import { attach } from 'sluice'`. */
export { attach, type RunningDirector } from './api/attach.js';
export type { ConnectionFilters } from './api/client.js';
export type {
  ConnectionReport,
  DiffReport,
  DropsReport,
  EditReport,
  HistoryReport,
  PortReport,
  ReloadReport,
  ServerReport,
  ServiceReport,
  StatusReport,
} from './api/types.js';
export { type Loaded, loadConfig, parseConfig } from './config/load.js';
export type { Model } from './config/model.js';
export { ConfigError, ERRORS, type ErrorCode, type Problem, SluiceError } from './errors.js';
export type { Edit, ServerSettings } from './model-edit.js';
