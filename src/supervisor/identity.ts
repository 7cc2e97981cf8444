/** As whom a director goes on that root has started. */
import type { Model } from '../config/model.js';

/** Who the process is to be, and what it must own then. */
export type Identity = Pick<Model['director'], 'user' | 'socket'>;
