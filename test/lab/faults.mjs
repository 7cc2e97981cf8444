/**
 * Preloaded (node --import) into a director under test: its control plane fails as the file named
 * in SLUICE_TEST_FAULT says. Nothing in the program itself knows of this.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const FAULTS = {
  crash() {
    throw new Error('a test threw this');
  },
  loop() {
    for (;;);
  },
  starve() {
    const all = [];
    // By and by: a loop that only allocates may count as hung before its heap is full.
    const more = () => {
      for (let i = 0; i < 100; i++) all.push(new Array(1000).fill(Math.random()));
      setImmediate(more);
    };
    more();
  },
};

const file = process.env.SLUICE_TEST_FAULT;

function look() {
  if (!existsSync(file)) return;
  const fault = readFileSync(file, 'utf8');
  rmSync(file);
  FAULTS[fault]();
}

if (!isMainThread) setInterval(look, 50).unref();
