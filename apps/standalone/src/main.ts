import 'reflect-metadata';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ToolMissingError } from '@archipelago/platform-embedded';
import { ConfigError, EXIT_CONFIG, Logger } from '@archipelago/platform-service';
import pino from 'pino';
import { firstSteps } from './first-steps';
import { AlreadyRunningError, RunFolder } from './run-folder';
import { PortTakenError, Standalone } from './standalone';
import { loadStandaloneConfig, type StandaloneConfig } from './standalone.config';
import { ChildConfigError } from './supervised';

const EXPECTED = [ToolMissingError, AlreadyRunningError, PortTakenError, ChildConfigError];

function report(error: unknown): number {
  if (error instanceof ConfigError) {
    const lines = error.mistakes.map((mistake) => `  ${mistake.where}: ${mistake.message}`);
    process.stderr.write(`archipelago cannot start, the configuration is wrong:\n${lines.join('\n')}\n`);
    return EXIT_CONFIG;
  }
  const known = EXPECTED.some((type) => error instanceof type);
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`archipelago cannot start: ${text}\n`);
  return error instanceof ChildConfigError || error instanceof PortTakenError ? EXIT_CONFIG : 1;
}

function makeLogger(config: StandaloneConfig): Logger {
  const logs = join(resolve(config.home), 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  return Logger.create(
    'standalone',
    config.logLevel,
    pino.destination({ dest: join(logs, 'standalone.log'), sync: true, append: true }),
  );
}

/** Resolves with the name of the first signal that asks us to stop. */
function stopAsked(): Promise<string> {
  return new Promise((resolve) => {
    process.on('SIGINT', () => resolve('SIGINT'));
    process.on('SIGTERM', () => resolve('SIGTERM'));
    process.on('SIGHUP', () => resolve('SIGHUP'));
  });
}

async function main(): Promise<number> {
  const asked = stopAsked();
  const config = await loadStandaloneConfig();
  const home = resolve(config.home);
  // PostgreSQL's plain user passes through it; what is inside has modes of its own.
  mkdirSync(home, { recursive: true, mode: 0o711 });
  const run = await RunFolder.acquire(home);
  const logger = makeLogger(config);
  const standalone = new Standalone(config, run, logger);
  const started = standalone.start();
  let status = 0;
  try {
    const line = await Promise.race([started, asked.then(() => undefined)]);
    if (line !== undefined) {
      process.stdout.write(`${line}\n${firstSteps(config.aeTitle, config.dimseHost, standalone.dicomPort)}`);
      logger.info('ready', { pid: process.pid });
    }
    const signal = await asked;
    logger.info('stopping', { signal });
  } catch (error) {
    status = report(error);
  }
  started.catch(() => undefined);
  await standalone.stop();
  return status;
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => process.exit(report(error)),
);
