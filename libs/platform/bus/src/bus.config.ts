import { z } from 'zod';
import { defineConfig, envInteger, type ConfigOf } from '@archipelago/platform-service';

export const busConfig = defineConfig(
  'bus',
  z.object({
    url: z.string().min(1).default('nats://127.0.0.1:4222'),
    user: z.string().optional(),
    password: z.string().optional(),
    /** Copies of each stream: 3 in a cluster. */
    replicas: envInteger(1, 5).default(1),
    /** Seconds that a start waits for NATS before it goes on without (and is not ready). */
    startWaitSeconds: envInteger(0, 600).default(5),
  }),
  {
    url: 'ARCHIPELAGO_NATS_URL',
    user: 'ARCHIPELAGO_NATS_USER',
    password: 'ARCHIPELAGO_NATS_PASSWORD',
    replicas: 'ARCHIPELAGO_NATS_REPLICAS',
    startWaitSeconds: 'ARCHIPELAGO_NATS_START_WAIT_SECONDS',
  },
);
export type BusConfig = ConfigOf<typeof busConfig>;
