/**
 * npm run bench [-- scenario …] [filters] [--json]
 *
 * Progress goes to stderr; results to stdout, as a table or (--json) an object a case and line. A
 * run of the whole selection also writes bench/results/SCENARIO.json and, from all of these,
 * bench/REPORT.md with its plots.
 */
import { FILTERS, parseArguments } from './arguments.js';
import { environment } from './environment.js';
import { BenchError } from './errors.js';
import { resultLine, tableHead } from './format.js';
import { writeReport, writeResults } from './report.js';
import type { ForwardResult, Outcome } from './scenario.js';
import { SCENARIOS } from './scenarios/index.js';

const USAGE = `npm run -s bench [-- scenario …] [options]

Scenarios (all of them when none is named):
${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}

Filters, each with values separated by commas; they narrow the short selection, and where nothing
of it is left, the whole matrix:
  ${FILTERS.map((name) => `--${name}`).join(' ')}

  --long            the whole matrix
  --json            one object a case on stdout, nothing else
  --runs N          measured runs a case (5)
  --milliseconds N  length of a run (300)
  --cpu N           where to run (the last CPU that this process may use)
`;

function say(text: string): void {
  process.stderr.write(text);
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
  const whole = Object.keys(args.filters).length === 0;
  let failed = 0;
  let headed = args.json;
  for (const scenario of SCENARIOS.filter(({ name }) => args.scenarios.includes(name))) {
    const cases = scenario.cases(args.filters, args.long);
    const outcomes: Outcome<ForwardResult>[] = [];
    for (const [index, one] of cases.entries()) {
      say(`${scenario.name} ${index + 1}/${cases.length}: ${scenario.describe(one)} … `);
      try {
        const outcome = await scenario.run(one, args);
        const { result, circumstances } = outcome;
        const shared = circumstances.share < 0.95 ? `, core shared (${circumstances.share})` : '';
        say(`${result.nsPerPacket} ns, floor ${result.floorNs}${shared}\n`);
        if (!headed) process.stdout.write(tableHead());
        headed = true;
        process.stdout.write(args.json ? `${JSON.stringify(result)}\n` : resultLine(result));
        outcomes.push(outcome);
      } catch (error) {
        if (!(error instanceof BenchError)) throw error;
        say(`${error.code}: ${error.message}\n`);
        failed++;
      }
    }
    if (whole && failed === 0) writeResults(scenario.name, environment(), outcomes);
  }
  if (failed > 0) {
    say(`${failed} cases failed; the report is as it was\n`);
    return 1;
  }
  if (whole) say(`report: ${writeReport()}\n`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BenchError)) throw error;
  say(`bench: ${error.code}: ${error.message}\n`);
  process.exitCode = 2;
}
