/**
 * `npx nx serve <app>`: builds incrementally, runs the app's dist/main.js and restarts it after each edit (of the app or
 * of any library it references). Ends with its children on SIGINT, SIGTERM or when its parent goes away.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const app = process.cwd();
const main = join(app, 'dist', 'main.js');
const name = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')).name;
const parent = process.ppid;
let service;
let stopping = false;
let wanted = Promise.resolve();

const say = (text) => process.stdout.write(`[serve ${name}] ${text}\n`);

/** Resolves when the process is gone: asked first, after `graceMs` ended. */
function end(child, graceMs = 10_000) {
  if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), graceMs).unref();
  });
}

async function restart() {
  await end(service);
  if (stopping) return;
  if (!existsSync(main)) return say('dist/main.js is not there');
  say('starting');
  const env = { UV_THREADPOOL_SIZE: '32', ...process.env };
  service = spawn(process.execPath, ['--enable-source-maps', main], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env,
  });
  service.once('exit', (code, signal) => {
    if (!stopping) say(`ended (${signal ?? `exit ${code}`}); waits for the next edit`);
  });
}

const compiler = spawn(
  process.execPath,
  [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', '--watch', '--preserveWatchOutput', app],
  {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
let rest = '';
compiler.stdout.on('data', (chunk) => {
  process.stdout.write(chunk);
  rest += chunk;
  // TypeScript says so after each round; with errors the service that runs is left alone.
  for (const match of rest.matchAll(/Found (\d+) errors?\. Watching/g)) {
    if (match[1] === '0') wanted = wanted.then(restart);
    else say(`${match[1]} errors: not restarted`);
  }
  rest = rest.slice(Math.max(0, rest.lastIndexOf('\n')));
});
compiler.once('exit', () => void stop(stopping ? 0 : 1));

async function stop(status) {
  if (stopping) return;
  stopping = true;
  await Promise.all([end(service), end(compiler, 2000)]);
  process.exit(status);
}
process.on('SIGINT', () => void stop(0));
process.on('SIGTERM', () => void stop(0));
process.on('SIGHUP', () => void stop(0));
setInterval(() => {
  if (process.ppid !== parent) void stop(0);
}, 1000).unref();
