import { z } from 'zod';
import { defineConfig, envInteger, type ConfigOf } from '@archipelago/platform-service';

export const tagReplicationConfig = defineConfig(
  'tag-replication',
  z.object({
    /** Seconds between looks for what is new in an archive. */
    intervalSeconds: envInteger(1, 86_400).default(300),
    /** Days of StudyDate before today that each look covers again. */
    overlapDays: envInteger(0, 3650).default(3),
    /** Hours after which an archive's capabilities are probed anew. */
    probeHours: envInteger(1, 24 * 366).default(24),
    /** Hours between drift audits of a sample; 0: on command only. */
    auditHours: envInteger(0, 24 * 366).default(24),
  }),
  {
    intervalSeconds: 'ARCHIPELAGO_HARVEST_INTERVAL_SECONDS',
    overlapDays: 'ARCHIPELAGO_HARVEST_OVERLAP_DAYS',
    probeHours: 'ARCHIPELAGO_PROBE_HOURS',
    auditHours: 'ARCHIPELAGO_AUDIT_HOURS',
  },
);
export type TagReplicationConfig = ConfigOf<typeof tagReplicationConfig>;
