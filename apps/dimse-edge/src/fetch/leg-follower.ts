/** The caller's side of a leg: its events, from this process or over HTTP from the edge that runs it. */
import { ArrivedCopyV1Schema, type FetchLegV1 } from '@archipelago/contracts';
import { z } from 'zod';
import type { FetchLeg, LegEvent } from './fetch-leg';

const Line = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('expected'),
    instances: z.array(
      z.object({ sopInstanceUid: z.string(), sopClassUid: z.string(), seriesInstanceUid: z.string() }),
    ),
  }),
  z.object({ kind: z.literal('copy'), copy: ArrivedCopyV1Schema }),
  z.object({ kind: z.literal('end'), outcome: z.enum(['complete', 'partial', 'failed']), code: z.string().optional() }),
  z.object({ kind: z.literal('alive') }),
]);

/** The edge that runs a leg says so at least this often. */
export const ALIVE_MS = 5_000;
const SILENT_MS = 4 * ALIVE_MS;
const LONGEST_LINE = 64 * 1024 * 1024;

/** The leg cannot be followed any further: its edge is gone, or does not know it. */
export class LegLostError extends Error {
  readonly code = 'leg-lost';
}

/** @throws LegLostError */
export async function* followLeg(
  leg: FetchLegV1,
  local: FetchLeg | undefined,
  signal: AbortSignal,
): AsyncGenerator<LegEvent> {
  if (local) return yield* local.follow(signal);
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENT_MS);
  try {
    const response = await fetch(`${leg.url}/internal/legs/${leg.legId}`, {
      headers: { authorization: `Bearer ${leg.grant}` },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok || !response.body) throw new LegLostError(`the edge answered ${response.status}`);
    for await (const line of lines(response.body)) {
      timer.refresh();
      const event = Line.parse(JSON.parse(line));
      if (event.kind === 'alive') continue;
      yield event;
      if (event.kind === 'end') return;
    }
    throw new LegLostError('the edge ended before the leg did');
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof LegLostError ? error : new LegLostError('the edge cannot be followed', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw new LegLostError('a line without end');
    yield* parts;
  }
}
