import { Module } from '@nestjs/common';
import { createService } from './bootstrap';

@Module({})
class EmptyModule {}

describe('createService', () => {
  const before = process.env['ARCHIPELAGO_LOG_LEVEL'];
  afterEach(() => {
    if (before === undefined) delete process.env['ARCHIPELAGO_LOG_LEVEL'];
    else process.env['ARCHIPELAGO_LOG_LEVEL'] = before;
  });

  it('logs where it is told to: standard output belongs to the answer of a command', async () => {
    process.env['ARCHIPELAGO_LOG_LEVEL'] = 'info';
    const lines: string[] = [];
    const app = await createService(EmptyModule, { service: 'probe', logTo: { write: (line) => lines.push(line) } });
    await app.close();
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ service: 'probe', level: 'info' });
  });
});
