import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { RouteDrop, RouteList, RouteRetry, type RouteV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { Logger } from '@archipelago/platform-service';
import type { z } from 'zod';
import { RouteRepository } from './route.repository';
import { RouteWorker } from './route.worker';

/** What rules route and has not arrived, for the command line. */
@Controller()
export class RoutesController {
  constructor(
    private readonly routes: RouteRepository,
    private readonly worker: RouteWorker,
    private readonly logger: Logger,
  ) {}

  @OnQuery(RouteList)
  async list(@Payload() query: z.output<typeof RouteList.schema>): Promise<{ routes: RouteV1[] }> {
    return { routes: await this.routes.list(query) };
  }

  @OnQuery(RouteRetry)
  async retry(@Payload() which: z.output<typeof RouteRetry.schema>): Promise<{ count: number }> {
    const count = await this.routes.retry(which);
    this.worker.nudge();
    return { count };
  }

  @OnQuery(RouteDrop)
  async drop(@Payload() { ids }: z.output<typeof RouteDrop.schema>): Promise<{ count: number }> {
    const count = await this.routes.drop(ids);
    this.logger.info('routes that were given up are forgotten', { count });
    return { count };
  }
}
