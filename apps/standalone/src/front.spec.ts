import { createServer, type Server } from 'node:http';
import { Front } from './front';

describe('Front', () => {
  let child: Server;
  let childUrl: string;
  let ready = true;
  let alive = true;
  let front: Front;
  let base: string;

  beforeAll(async () => {
    child = createServer((request, response): void => {
      if (request.url === '/metrics') return void response.end('# TYPE stores counter\nstores 5\n');
      response.writeHead(ready ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: ready ? 'up' : 'down' }));
    });
    await new Promise<void>((resolve) => child.listen(0, '127.0.0.1', resolve));
    childUrl = `http://127.0.0.1:${(child.address() as { port: number }).port}`;
    front = new Front([
      { name: 'edge', url: () => childUrl, alive: () => alive, restarts: () => 2 },
      { name: 'nats', url: () => undefined, alive: () => true, restarts: () => 0 },
    ]);
    base = `http://127.0.0.1:${await front.listen(0, '127.0.0.1')}`;
  });
  afterAll(async () => {
    await front.close();
    child.closeAllConnections();
    await new Promise((resolve) => child.close(resolve));
  });
  beforeEach(() => {
    front.phase = 'ready';
    ready = alive = true;
  });

  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(base + path);
    return [response.status, await response.text()];
  };

  it('is ready when every part is', async () => {
    const [status, body] = await get('/health/ready');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ status: 'up', parts: { edge: { status: 'up' }, nats: { status: 'up' } } });
  });

  it.each([
    ['a part says no', () => (ready = false)],
    ['a part is dead', () => (alive = false)],
    ['it is starting', () => (front.phase = 'starting')],
  ])('is not ready while %s, but lives', async (_name, arrange) => {
    arrange();
    expect((await get('/health/ready'))[0]).toBe(503);
    expect((await get('/health/live'))[0]).toBe(200);
  });

  it('joins the metrics and counts restarts', async () => {
    const [status, text] = await get('/metrics');
    expect(status).toBe(200);
    expect(text).toContain('stores{process="edge"} 5');
    expect(text).toContain('archipelago_child_restarts_total{process="standalone",child="edge"} 2');
    alive = false;
    expect((await get('/metrics'))[1]).toContain('archipelago_child_up{process="standalone",child="edge"} 0');
  });

  it('answers anything else with a problem', async () => {
    expect((await get('/etc/passwd'))[0]).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(405);
  });
});
