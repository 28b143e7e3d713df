import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { checkConfig } from './config/check-config';
import { coreConfig } from './config/core.config';
import { ConfigError } from './config/define-config';
import { loadArchipelagoConfig } from './config/load-archipelago-config';
import { HealthRegistry } from './health/health-registry';
import { Logger } from './logging/logger';
import { ProblemDetailsFilter } from './problem-details';
import { RootModule } from './service.module';
import { TransportRegistry } from './transport-registry';

export interface BootstrapOptions {
  /** Name in logs, metrics and health answers. */
  service: string;
  /** Where the log goes instead of standard output, e.g. for a command that writes its answer there. */
  logTo?: { write(line: string): void };
  /** Runs once the process listens; the standalone supervisor's children use it. */
  onReady?: (app: INestApplication, url: string) => void | Promise<void>;
}

export const EXIT_CONFIG = 2;

/** Makes the application without listening or touching the process: what `bootstrap` and tests share. */
export async function createService(
  root: Type<unknown> | DynamicModule,
  options: BootstrapOptions,
): Promise<INestApplication> {
  await checkConfig(RootModule.of(root, { service: options.service }), [() => loadArchipelagoConfig()]);
  const logger = Logger.create(options.service, coreConfig.load().logLevel, options.logTo);
  const app = await NestFactory.create(RootModule.of(root, { service: options.service, logger }), {
    logger,
    bodyParser: false,
    // a failed start is thrown, so that bootstrap can say why and choose the exit status
    abortOnError: false,
  });
  app.useGlobalFilters(new ProblemDetailsFilter(logger));
  for (const strategy of app.get(TransportRegistry).strategies) {
    app.connectMicroservice({ strategy }, { inheritAppConfig: true });
  }
  return app;
}

/** Initialises, starts the message transports, then listens; answers with the address as a URL. */
export async function listen(app: INestApplication): Promise<string> {
  const { httpHost, httpPort } = coreConfig.load();
  // first: no message may reach a handler whose module is not initialised
  await app.init();
  await app.startAllMicroservices();
  await app.listen(httpPort, httpHost);
  const server = app.getHttpServer() as Server;
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.keepAliveTimeout = 5_000;
  const address = server.address() as AddressInfo;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

/**
 * Runs a service: `bootstrap(IngestModule, { service: 'ingest' })` is a whole main.ts.
 * Exit status: 0 after SIGTERM or SIGINT, 1 after an error that nobody handled or a stop that took too long, 2 when the
 * configuration is wrong (every mistake on standard error). A parent with an IPC channel gets `{type: 'ready', url}`.
 */
export async function bootstrap(root: Type<unknown> | DynamicModule, options: BootstrapOptions): Promise<void> {
  const run = new ServiceProcess(options.service);
  try {
    const app = await createService(root, options);
    run.own(app);
    const url = await listen(app);
    if (run.isStopping) return;
    app.get(Logger).info('ready', { url, pid: process.pid });
    process.send?.({ type: 'ready', service: options.service, url });
    await options.onReady?.(app, url);
  } catch (error) {
    run.failStart(error);
  }
}

/** Signals, last-resort error handlers and the exit status of one service process. */
class ServiceProcess {
  private app: INestApplication | undefined;
  private stopping = false;
  private logger: Logger;

  constructor(private readonly service: string) {
    this.logger = Logger.create(service);
    process.on('SIGTERM', () => void this.stop('SIGTERM'));
    process.on('SIGINT', () => void this.stop('SIGINT'));
    process.on('uncaughtException', (error) => this.die('uncaught exception', error));
    process.on('unhandledRejection', (error) => this.die('unhandled rejection', error));
    // the supervisor went away: nobody would stop us otherwise
    if (process.send !== undefined) process.on('disconnect', () => void this.stop('disconnect'));
  }

  get isStopping(): boolean {
    return this.stopping;
  }

  own(app: INestApplication): void {
    this.app = app;
    this.logger = app.get(Logger);
  }

  failStart(error: unknown): void {
    if (this.stopping) process.exit(0);
    if (error instanceof ConfigError) {
      const lines = error.mistakes.map((m) => `  ${m.where}: ${m.message}`).join('\n');
      process.stderr.write(`${this.service} cannot start, the configuration is wrong:\n${lines}\n`);
      process.exit(EXIT_CONFIG);
    }
    this.die('start failed', error);
  }

  private die(message: string, error: unknown): void {
    try {
      this.logger.fatal(message, { err: error, exitCode: 1 });
    } finally {
      process.exit(1);
    }
  }

  private async stop(signal: string): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    const { shutdownSeconds } = coreConfig.load();
    const timer = setTimeout(() => this.die('stop took too long', undefined), shutdownSeconds * 1000);
    timer.unref();
    this.logger.info('stopping', { signal });
    if (this.app === undefined) process.exit(0);
    try {
      this.app.get(HealthRegistry).markStopping();
      const server = this.app.getHttpServer() as Server;
      server.closeIdleConnections();
      await this.app.close();
    } catch (error) {
      this.die('stop failed', error);
    }
    this.logger.info('stopped', { signal });
    process.exit(0);
  }
}
