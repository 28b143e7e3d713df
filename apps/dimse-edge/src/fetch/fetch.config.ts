import { hostname } from 'node:os';
import { type ConfigOf, type CoreConfig, defineConfig, envInteger } from '@archipelago/platform-service';
import { z } from 'zod';

/** Settings of what an edge fetches from archives for readers. */
export const fetchConfig = defineConfig(
  'fetch',
  z.object({
    /** Where other edges reach this one's HTTP port; default from its host and port. */
    edgeUrl: z.url().optional(),
    /** Key that the edges of a site share, so that they can read what one of them fetched; default: this process only. */
    grantKey: z.string().min(32).optional(),
    /** A fetch from which nothing comes for so long is given up. */
    fetchTimeoutSeconds: envInteger(1, 3600).default(30),
  }),
  {
    edgeUrl: 'ARCHIPELAGO_EDGE_URL',
    grantKey: 'ARCHIPELAGO_GRANT_KEY',
    fetchTimeoutSeconds: 'ARCHIPELAGO_FETCH_TIMEOUT_SECONDS',
  },
);
export type FetchConfig = ConfigOf<typeof fetchConfig>;

export function edgeUrl(config: FetchConfig, core: Pick<CoreConfig, 'httpHost' | 'httpPort'>): string {
  if (config.edgeUrl !== undefined) return config.edgeUrl.replace(/\/$/, '');
  const everywhere = core.httpHost === '0.0.0.0' || core.httpHost === '::';
  return `http://${everywhere ? hostname() : core.httpHost}:${core.httpPort}`;
}
