/**
 * All contestants in turn, in rounds: whatever else the machine does hits all of them. A reading is
 * compared with testpmd's of the same round, port and path.
 */
import { readFileSync } from 'node:fs';
import { sleep } from '../../src/lab/command.js';
import type { Lab } from '../../src/lab/lab.js';
import type { Contestant, Lane } from './contestant.js';
import { onGround } from './ground.js';
import { type Measure, measure, type Reading } from './measure.js';

/** A contestant's lane and a measure: what the readings of all rounds are of. */
export interface Station {
  contestant: Contestant;
  lane: Lane;
  measure: Measure;
}

export const YARDSTICK = 'testpmd';
const SAMPLE_MS = 100;

export function isYardstickOf(other: Station, station: Station): boolean {
  return (
    other.contestant.name === YARDSTICK &&
    other.contestant.port === station.contestant.port &&
    other.lane.path === station.lane.path &&
    other.measure === station.measure
  );
}

export interface Readings {
  /** One a round. */
  of: Map<Station, Reading[]>;
  /** CPUs that other programs kept busy, seen in the pauses between contestants. */
  othersBusy: number[];
}

/** Clock ticks that all CPUs together have not been idle, and the ticks there were. */
function ticks(): { busy: number; all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const fields = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = fields.reduce((sum, each) => sum + each, 0);
  return { all, busy: all - (fields[3] ?? 0) - (fields[4] ?? 0) };
}

async function othersBusy(): Promise<number> {
  const before = ticks();
  await sleep(SAMPLE_MS);
  const after = ticks();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

async function visit(
  lab: Lab,
  stations: readonly Station[],
  seconds: number,
  readings: Readings,
): Promise<void> {
  const { contestant } = stations[0]!;
  readings.othersBusy.push(await othersBusy());
  await contestant.start(lab);
  try {
    for (const station of stations) {
      const { lane } = station;
      const reading = await measure(lab, lane.address, station.measure, seconds);
      readings.of.get(station)!.push(reading);
    }
  } finally {
    await contestant.stop(lab);
  }
}

/** Takes about rounds × stations × seconds, and a few seconds a contestant and round. */
export function runCourse(
  stations: readonly Station[],
  rounds: number,
  seconds: number,
  say: (text: string) => void = () => {},
): Promise<Readings> {
  const readings: Readings = {
    of: new Map(stations.map((station) => [station, []])),
    othersBusy: [],
  };
  const contestants = [...new Set(stations.map(({ contestant }) => contestant))];
  return onGround(async (lab) => {
    for (let round = 1; round <= rounds; round++) {
      for (const contestant of contestants) {
        say(`round ${round}/${rounds}: ${contestant.name}`);
        const own = stations.filter((station) => station.contestant === contestant);
        await visit(lab, own, seconds, readings);
      }
    }
    return readings;
  });
}
