/**
 * `npm run package`: build/sluice_VERSION_ARCH.deb. Stages what CMake does not build, then has CPack
 * make the package by package.cmake. Node itself is in it: Debian 12 has version 18.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildProgram, EXAMPLES } from '../cli/program.js';
import { VERSION } from '../version.js';
import { manualPage } from './manual.js';
import { copyModules } from './modules.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const BUILD = join(ROOT, 'build');
const STAGE = join(BUILD, 'stage');

function run(command: string, args: readonly string[], input?: string): string {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', input });
  if (result.error) throw new Error(`package: ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    throw new Error(
      `package: ${command}: status ${result.status}: ${result.stderr}${result.stdout}`,
    );
  }
  return result.stdout;
}

/** Of the commit: the same sources make the same pages. */
const date = () => run('git', ['log', '-1', '--format=%cs']).trim();

function stageManuals(): void {
  const page = (name: string, text: string) =>
    writeFileSync(join(STAGE, `${name}.gz`), gzipSync(text, { level: 9 }));
  const files = {
    '/etc/sluice/director.yaml': 'configuration, unless /etc/default/sluice names another',
    '/run/sluice/sluice.sock': 'control socket of the running director',
    '/run/sluice/proc': 'stands in for /proc: net/ip_vs and net/ip_vs_stats',
  };
  const facts = { version: VERSION, date: date(), examples: EXAMPLES, files };
  page('sluice.8', manualPage(buildProgram(), facts));
  const title = ['-M', 'title=SLUICE.YAML', '-M', 'section=5', '-M', `date=${facts.date}`];
  const source = readFileSync(join(ROOT, 'src', 'config', 'README.md'), 'utf8');
  const name = '.SH NAME\nsluice.yaml \\- configuration of sluice(8)\n';
  const manual = run('lowdown', ['-s', '-tman', ...title], source);
  page(
    'sluice.yaml.5',
    manual.replace(/^\.TH .*\n/m, (line) => line + name),
  );
}

function main(): void {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  copyModules(ROOT, STAGE);
  copyFileSync(process.execPath, join(STAGE, 'node'));
  stageManuals();
  const when = run('git', ['log', '-1', '--format=%cD']).trim();
  const changes = `sluice (${VERSION}) unstable; urgency=medium

  * README.md says what works and what does not yet.

 -- The Sluice developers <sluice@localhost>  ${when}
`;
  writeFileSync(join(STAGE, 'changelog.gz'), gzipSync(changes, { level: 9 }));
  // What package.cmake says now, whenever the build was configured.
  run('cmake', ['-S', ROOT, '-B', BUILD]);
  run('cpack', ['--config', join(BUILD, 'CPackConfig.cmake')]);
  const [made] = readdirSync(BUILD).filter((name) => /^sluice_.*\.deb$/.test(name));
  if (made === undefined) throw new Error('package: cpack has made no package');
  process.stdout.write(`${join('build', made)}\n`);
}

main();
