import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import type { Response } from 'express';
import { SERVICE_NAME } from '../service-name';
import { HealthRegistry } from './health-registry';
import { MetricsRegistry } from './metrics-registry';

@Controller()
export class HealthController {
  constructor(
    private readonly health: HealthRegistry,
    private readonly metrics: MetricsRegistry,
    @Inject(SERVICE_NAME) private readonly service: string,
  ) {}

  /** 200 while the event loop turns; says nothing of dependencies, so that an outage never restarts a healthy process. */
  @Get('health/live')
  @Header('Cache-Control', 'no-store')
  live(): { status: string; service: string; uptimeSeconds: number } {
    return { status: 'live', service: this.service, uptimeSeconds: Math.round(process.uptime()) };
  }

  /** 200 or 503, in both cases with every component and the reason why it is not up. */
  @Get('health/ready')
  async ready(@Res() response: Response): Promise<void> {
    const { ready, components } = await this.health.report();
    response
      .status(ready ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json({ status: ready ? 'ready' : 'not-ready', service: this.service, components });
  }

  @Get('metrics')
  async prometheus(@Res() response: Response): Promise<void> {
    const text = await this.metrics.text();
    response.set('Content-Type', this.metrics.contentType).set('Cache-Control', 'no-store').send(text);
  }
}
