/**
 * npm run bench [-- scenario …] [filters] [--short | --long] [--json]
 *
 * Progress goes to stderr; results to stdout, as tables or (--json) an object a case and line. A
 * run without filters and --short also writes bench/results/SCENARIO.json of each scenario named and, from all
 * results that are there, bench/REPORT.md with its plots.
 */
import { Again } from './again.js';
import { type Arguments, FILTERS, parseArguments } from './arguments.js';
import { type Environment, environment } from './environment.js';
import { BenchError } from './errors.js';
import { quiet } from './quiet.js';
import { readResults, writeReport, writeResults } from './report.js';
import type { Recorded, Scenario } from './scenario.js';
import { SCENARIOS } from './scenarios/index.js';

const USAGE = `npm run -s bench [-- scenario …] [options]

Scenarios (all of them when none is named):
${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}

Filters, each with values separated by commas; they narrow the usual selection, and where nothing
of it is left, the whole matrix. A scenario that knows nothing of a filter is left out:
  ${FILTERS.map((name) => `--${name}`).join(' ')}

  --short           a part of the usual selection, in less than ten minutes; nothing is kept
  --long            the whole matrix
  --again           only what is of another dataplane in the report, or had a noisy floor
  --json            one object a case on stdout, nothing else
  --runs N          measured runs a case (5; with --short 3)
  --milliseconds N  length of a run (300; with --short 150)
  --cpu N[,N]       where to run (the last CPUs that this process may use)
`;

function say(text: string): void {
  process.stderr.write(text);
}

function chosen({ scenarios, filters }: Arguments): Scenario<unknown, unknown>[] {
  const asked = Object.keys(filters);
  const known = SCENARIOS.filter(({ name }) => scenarios.includes(name));
  const able = known.filter((scenario) =>
    asked.every((filter) => (scenario.filters as readonly string[]).includes(filter)),
  );
  if (able.length > 0) return able;
  const message = `${asked.map((name) => `--${name}`).join(' ')}: nothing of ${scenarios.join(', ')} can be narrowed by that`;
  throw new BenchError('ERR_BENCH_ARGUMENT', message);
}

interface Tally {
  outcomes: Recorded<unknown>[];
  failed: number;
}

async function runScenario(
  scenario: Scenario<unknown, unknown>,
  args: Arguments,
  where: Environment,
): Promise<Tally> {
  const outcomes: Recorded<unknown>[] = [];
  let failed = 0;
  const again = new Again(args.again ? readResults(scenario.name) : undefined, where, quiet);
  const all = scenario.cases(args.filters, args.long);
  const cases = args.short && scenario.short ? scenario.short(all) : all;
  for (const [index, one] of cases.entries()) {
    const name = scenario.describe(one);
    const steady = again.steady(name);
    if (steady !== undefined) {
      say(`${scenario.name} ${index + 1}/${cases.length}: ${name}: stays as it is\n`);
      outcomes.push(steady);
      continue;
    }
    say(`${scenario.name} ${index + 1}/${cases.length}: ${name} … `);
    try {
      const outcome = await scenario.run(one, args);
      const { share = 1, calm } = outcome.circumstances;
      const shared = share < 0.95 ? `, core shared (${share})` : '';
      const noisy = calm?.disturbed ? `, ${calm.disturbed} runs with a noisy floor` : '';
      say(`${scenario.progress(outcome.result)}${noisy}${shared}\n`);
      if (args.json) {
        process.stdout.write(`${JSON.stringify(outcome.result)}\n`);
      } else {
        if (outcomes.length === 0) process.stdout.write(scenario.tableHead());
        process.stdout.write(scenario.tableLine(outcome.result));
      }
      outcomes.push(again.better(name, outcome));
    } catch (error) {
      if (!(error instanceof BenchError)) throw error;
      say(`${error.code}: ${error.message}\n`);
      failed++;
    }
  }
  return { outcomes, failed };
}

async function main(): Promise<number> {
  const args = parseArguments(
    process.argv.slice(2),
    SCENARIOS.map(({ name }) => name),
  );
  if (args.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const whole = Object.keys(args.filters).length === 0 && !args.short;
  const selection = args.long ? 'long' : 'usual';
  const where = environment();
  let failures = 0;
  for (const scenario of chosen(args)) {
    const { outcomes, failed } = await runScenario(scenario, args, where);
    failures += failed;
    if (!whole) continue;
    if (failed === 0) {
      writeResults(scenario.name, { environment: where, selection, cases: outcomes });
    } else {
      say(`${scenario.name}: ${failed} cases failed; its results are as they were\n`);
    }
  }
  if (whole) say(`report: ${writeReport(SCENARIOS)}\n`);
  return failures > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  say(`bench: ${error.code}: ${error.message}\n`);
  process.exitCode = 2;
}
