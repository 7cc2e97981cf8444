// timeout: 900
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runtimeModules } from '../../src/packaging/modules.js';
import { VERSION } from '../../src/version.js';
import { skip } from '../support/skip.js';

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  assert.is(status, 0, `${command} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

test('of node_modules only what runs is packaged, with all that it needs', () => {
  const names = runtimeModules('.').map((path) => path.slice('node_modules/'.length));
  for (const name of ['bindings', 'file-uri-to-path', 'winston', 'logform', 'zod', 'yaml']) {
    assert.ok(names.includes(name), name);
  }
  for (const name of ['cmake-js', 'nan', 'typescript', 'uvu', '@biomejs/biome']) {
    assert.not.ok(names.includes(name), name);
  }
});

if (process.getuid?.() !== 0) {
  skip('the package is built and installed', 'installing needs root');
} else {
  test('the package is built, passes lintian, and is installed, upgraded and purged', () => {
    const deb = run('npx', 'tsx', 'src/packaging/package.ts').trim();
    assert.match(deb, /^build\/sluice_.*_amd64\.deb$/);
    assert.is(run('lintian', '--allow-root', '--tag-display-limit', '0', deb), '');
    const folder = mkdtempSync(join(tmpdir(), 'sluice-package-'));
    try {
      const said = run('unshare', '--mount', 'sh', 'test/packaging/install.sh', deb, folder);
      const expected = [
        `version ${VERSION}`,
        '/usr/share/man/man8/sluice.8.gz',
        '/usr/share/man/man5/sluice.yaml.5.gz',
        'ERR_NOT_RUNNING',
        'show status: 3',
        'unit verified',
        '# mine',
        'nothing is left',
      ];
      for (const line of expected) assert.ok(said.includes(line), `${line} in: ${said}`);
      // The administrator's configuration stays until it is purged.
      assert.match(said, /Removing sluice[\s\S]*\ndirector\.yaml\n/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test.run();
