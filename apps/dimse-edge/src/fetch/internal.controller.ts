import { once } from 'node:events';
import { Controller, Get, Headers, Param, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { SpoolService } from '../segments/spool.service';
import { readPack } from './pack-file';
import { FetchService } from './fetch.service';
import { FreshDatasets } from './fresh-datasets';
import { ALIVE_MS } from './leg-follower';

/** What other edges of the site read here, each request with a grant for the study that it is about. */
@Controller('internal')
export class InternalController {
  constructor(
    private readonly fetches: FetchService,
    private readonly spool: SpoolService,
    private readonly fresh: FreshDatasets,
  ) {}

  /** The events of a leg, a line of JSON each, as they happen, until its end. */
  @Get('legs/:legId')
  async leg(
    @Param('legId') legId: string,
    @Headers('authorization') authorization: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const leg = this.fetches.leg(legId);
    if (!leg || this.granted(authorization) !== leg.study) return refuse(response);
    response.status(200).set({ 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
    const gone = new AbortController();
    request.once('close', () => gone.abort());
    const alive = setInterval(() => response.write('{"kind":"alive"}\n'), ALIVE_MS);
    try {
      for await (const event of leg.follow(gone.signal)) {
        if (!response.write(`${JSON.stringify(event)}\n`)) {
          await Promise.race([once(response, 'drain'), once(response, 'close')]);
        }
      }
    } finally {
      clearInterval(alive);
      response.end();
    }
  }

  /** Bytes [start, end) of a pack or open segment on this edge's disk. */
  @Get('packs/:packId')
  async bytes(
    @Param('packId') packId: string,
    @Query('start') from: string,
    @Query('end') to: string,
    @Headers('authorization') authorization: string | undefined,
    @Res() response: Response,
  ): Promise<void> {
    const study = this.granted(authorization);
    if (study === undefined || !this.fetches.mayRead(packId, study)) return refuse(response);
    const [start, end] = [Number(from), Number(to)];
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
      response.status(400).end();
      return;
    }
    // what another edge was told of may still be on its way to the file
    await this.fresh.written(packId);
    const chunks = readPack(this.spool.spool, packId, start, end);
    response.status(200).set({ 'Content-Type': 'application/octet-stream', 'Content-Length': String(end - start) });
    try {
      for await (const chunk of chunks) {
        if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
        if (response.destroyed) return;
      }
      response.end();
    } catch {
      // fewer bytes than promised: the reader sees an error, never a short object
      response.destroy();
    }
  }

  private granted(authorization: string | undefined): string | undefined {
    return this.fetches.grants.check(/^Bearer (\S+)$/.exec(authorization ?? '')?.[1]);
  }
}

/** Forged, over, of another study, or unknown: one answer, which tells nothing. */
function refuse(response: Response): void {
  response.status(404).end();
}
