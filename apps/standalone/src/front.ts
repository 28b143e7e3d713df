import { createServer, type Server, type ServerResponse } from 'node:http';
import { mergeMetrics } from './merge-metrics';

export interface FrontPart {
  name: string;
  /** Base URL of its health and metrics; undefined for a server that has none (alive is all that is known of it). */
  url(): string | undefined;
  alive(): boolean;
  restarts(): number;
}

export type Phase = 'starting' | 'ready' | 'stopping';

const TIMEOUT_MS = 3000;

/** One address for the health and metrics of all children. */
export class Front {
  phase: Phase = 'starting';
  private readonly server: Server;

  constructor(private readonly parts: FrontPart[]) {
    this.server = createServer(
      { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5000 },
      (request, response) => {
        request.resume();
        this.answer(new URL(request.url ?? '/', 'http://localhost').pathname, request.method ?? '', response).catch(
          () => {
            if (!response.headersSent) send(response, 500, { title: 'Internal Server Error', status: 500 });
            else response.destroy();
          },
        );
      },
    );
    this.server.maxConnections = 200;
  }

  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ port, host }, () => resolve((this.server.address() as { port: number }).port));
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(path: string, method: string, response: ServerResponse): Promise<void> {
    if (method !== 'GET' && method !== 'HEAD') return send(response, 405, { title: 'Method Not Allowed', status: 405 });
    if (path === '/health/live')
      return send(response, 200, { status: 'up', phase: this.phase, parts: this.liveness() });
    if (path === '/health/ready') {
      const parts = await this.readiness();
      const up = this.phase === 'ready' && Object.values(parts).every((part) => part.status === 'up');
      return send(response, up ? 200 : 503, { status: up ? 'up' : 'down', phase: this.phase, parts });
    }
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(await this.metrics());
      return;
    }
    send(response, 404, { title: 'Not Found', status: 404 });
  }

  private liveness(): Record<string, object> {
    return Object.fromEntries(
      this.parts.map((part) => [part.name, { status: part.alive() ? 'up' : 'down', restarts: part.restarts() }]),
    );
  }

  /** Readiness of every part: alive, and its own answer where it has one. */
  async readiness(): Promise<Record<string, { status: string; checks?: unknown }>> {
    const entries = await Promise.all(
      this.parts.map(async (part) => {
        const url = part.url();
        if (!part.alive()) return [part.name, { status: 'down' }] as const;
        if (url === undefined) return [part.name, { status: 'up' }] as const;
        try {
          const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
          const checks = (await answer.json().catch(() => undefined)) as unknown;
          return [part.name, { status: answer.ok ? 'up' : 'down', checks }] as const;
        } catch {
          return [part.name, { status: 'down' }] as const;
        }
      }),
    );
    return Object.fromEntries(entries);
  }

  private async metrics(): Promise<string> {
    const own = ['# HELP archipelago_child_up Whether the child process runs', '# TYPE archipelago_child_up gauge'];
    own.push(...this.parts.map((part) => `archipelago_child_up{child="${part.name}"} ${part.alive() ? 1 : 0}`));
    own.push(
      '# HELP archipelago_child_restarts_total Restarts of the child process',
      '# TYPE archipelago_child_restarts_total counter',
    );
    own.push(...this.parts.map((part) => `archipelago_child_restarts_total{child="${part.name}"} ${part.restarts()}`));
    const texts: Record<string, string> = { standalone: own.join('\n') };
    await Promise.all(
      this.parts.map(async (part) => {
        const url = part.url();
        if (url === undefined || !part.alive()) return;
        try {
          const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
          if (answer.ok) texts[part.name] = await answer.text();
        } catch {
          // archipelago_child_up and the missing families say it
        }
      }),
    );
    return mergeMetrics(texts);
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  const type = status >= 400 && status !== 503 ? 'application/problem+json' : 'application/json';
  response.writeHead(status, { 'content-type': type });
  response.end(JSON.stringify(body));
}
