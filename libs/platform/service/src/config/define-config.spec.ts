import { z } from 'zod';
import { defineConfig } from './define-config';
import { envInteger } from './env';

it('says of each variable what holds when it is not set', () => {
  const definition = defineConfig(
    'sample',
    z.object({ url: z.string(), size: envInteger(1, 9).default(3), site: z.string().optional() }),
    { url: 'SAMPLE_URL', size: 'SAMPLE_SIZE', site: 'SAMPLE_SITE' },
  );
  expect(definition.settings).toEqual([
    { variable: 'SAMPLE_URL', required: true },
    { variable: 'SAMPLE_SIZE', required: false, default: '3' },
    { variable: 'SAMPLE_SITE', required: false },
  ]);
});
