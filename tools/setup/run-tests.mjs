/** The parts of `npm test`: runs them, keeps their minutes against a budget, sums what passed and failed. No packages needed. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const temporary = mkdtempSync(join(tmpdir(), 'archipelago-tests-'));
const versions = JSON.parse(readFileSync(join(root, 'tools', 'versions.json'), 'utf8'));
let running;

/** Resolves to { ok, output }: output only of a command whose output is kept (it is shown all the same). */
function run(command, args, { keep = false, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', keep ? 'pipe' : 'inherit', 'inherit'],
      env: { ...process.env, NX_DAEMON: 'false', ...env },
    });
    running = child;
    let output = '';
    child.stdout?.on('data', (chunk) => {
      process.stdout.write(chunk);
      output = (output + chunk).slice(-64_000);
    });
    child.once('error', (error) => resolve({ ok: false, output: String(error) }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** A step that passes or fails as a whole counts as one. */
const whole = (name, ok) => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, failures: ok ? [] : [name] });

function add(a, b) {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    failures: [...a.failures, ...b.failures],
  };
}
const nothing = { passed: 0, failed: 0, skipped: 0, failures: [] };

async function script(...args) {
  return whole(args.join(' '), (await run('bash', args)).ok);
}

async function jest(project, ...args) {
  const file = join(temporary, `${project}.json`);
  const { ok } = await run(
    process.execPath,
    [
      ...['--max-old-space-size=4096', 'node_modules/jest/bin/jest.js', '--selectProjects', project],
      ...['--json', '--outputFile', file, '--silent=false', ...args],
    ],
    { keep: false },
  );
  if (!existsSync(file)) return { ...nothing, failed: 1, failures: [`${project}: jest did not finish`] };
  const report = JSON.parse(readFileSync(file, 'utf8'));
  const failures = [];
  for (const suite of report.testResults) {
    const name = suite.name.slice(root.length + 1);
    if (suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'))
      failures.push(`${name}: did not run`);
    for (const test of suite.assertionResults) if (test.status === 'failed') failures.push(`${name}: ${test.fullName}`);
  }
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return {
    passed: report.numPassedTests,
    // A run that fails without a failing test (a leak, a crash at the end) is a failure all the same.
    failed: ok ? failed : Math.max(1, failed),
    skipped: report.numPendingTests + report.numTodoTests,
    failures: ok || failures.length > 0 ? failures : [`${project}: jest failed`],
  };
}

async function setup() {
  const packages = Object.entries(versions.debianPackages).map(([name, { command }]) => `${name}:${command}`);
  let sum = await script('tools/setup/dependencies.sh');
  sum = add(sum, await script('tools/setup/debian.sh', ...packages));
  sum = add(sum, await script('tools/setup/nats-server.sh', '--newest'));
  sum = add(sum, await script('tools/setup/minio.sh'));
  return add(sum, await script('tools/setup/python-peers.sh'));
}

async function lint() {
  let sum = whole(
    'eslint',
    (await run(process.execPath, ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0'])).ok,
  );
  sum = add(
    sum,
    whole(
      'prettier',
      (await run(process.execPath, ['node_modules/prettier/bin/prettier.cjs', '--check', '.', '--log-level', 'warn']))
        .ok,
    ),
  );
  for (const file of readdirSync(join(root, 'tools', 'checks'))
    .filter((name) => name.endsWith('.mjs'))
    .sort()) {
    sum = add(sum, whole(`tools/checks/${file}`, (await run(process.execPath, [join('tools', 'checks', file)])).ok));
  }
  return sum;
}

async function campaigns() {
  if (!existsSync(join(root, 'tools', 'campaign', 'short.sh')))
    return whole('tools/campaign/short.sh is missing', false);
  const { ok, output } = await run('bash', ['tools/campaign/short.sh'], { keep: true });
  const line = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].pop();
  if (!line) return whole('campaigns', ok);
  const failed = Number(line[2]);
  return {
    passed: Number(line[1]),
    failed: ok ? failed : Math.max(1, failed),
    skipped: Number(line[3] ?? 0),
    failures: ok ? [] : ['campaigns'],
  };
}

const parts = [
  { name: 'set-up', minutes: 15, always: true, run: setup },
  { name: 'build', minutes: 5, needs: ['integration', 'e2e', 'campaigns'], run: () => script('tools/setup/build.sh') },
  { name: 'lint', minutes: 3, run: lint },
  { name: 'unit', minutes: 5, run: () => jest('unit', '--maxWorkers=2') },
  { name: 'integration', minutes: 10, run: () => jest('integration', '--maxWorkers=2') },
  { name: 'e2e', minutes: 15, run: () => jest('e2e', '--runInBand') },
  { name: 'campaigns', minutes: 7, run: campaigns },
];

async function main() {
  const asked = process.argv.slice(2);
  const known = parts.map((part) => part.name).filter((name) => name !== 'set-up');
  const wrong = asked.filter((name) => !known.includes(name));
  if (wrong.length > 0) {
    console.error(`unknown part: ${wrong.join(', ')} (there are: ${known.join(', ')})`);
    return 2;
  }
  const chosen = parts.filter(
    (part) =>
      asked.length === 0 ||
      part.always ||
      asked.includes(part.name) ||
      part.needs?.some((name) => asked.includes(name)),
  );
  let total = nothing;
  const lines = [];
  for (const part of chosen) {
    const started = Date.now();
    const result = await part.run();
    const took = (Date.now() - started) / 60_000;
    total = add(total, result);
    const over = took > part.minutes ? '  OVER BUDGET' : '';
    const counts = `${result.passed} passed, ${result.failed} failed${result.skipped ? `, ${result.skipped} skipped` : ''}`;
    lines.push(
      `  ${part.name.padEnd(12)} ${took.toFixed(1).padStart(5)} min of ${String(part.minutes).padStart(2)}   ${counts}${over}`,
    );
    console.log(`\n[test] ${lines.at(-1).trim()}`);
    if (part.name === 'set-up' && result.failed > 0 && !existsSync(join(root, 'node_modules', 'jest'))) break;
  }
  console.log(`\nSummary\n${lines.join('\n')}`);
  for (const failure of total.failures) console.log(`  FAILED ${failure}`);
  console.log(`${total.passed} passed, ${total.failed} failed${total.skipped ? `, ${total.skipped} skipped` : ''}`);
  return total.failed > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    running?.kill(signal);
    setTimeout(() => process.exit(130), 3000).unref();
  });
}
main().then((status) => {
  rmSync(temporary, { recursive: true, force: true });
  process.exitCode = status;
});
