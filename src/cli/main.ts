#!/usr/bin/env node
/** Where the program starts: the little that can't wait until everything else is loaded. */
import { holdHangups } from './hangup.js';

if (process.argv[2] === 'run') holdHangups();
const { main } = await import('./program.js');
await main();
