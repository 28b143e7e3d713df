import { Injectable } from '@nestjs/common';
import type { RouteSentV1 } from '@archipelago/contracts';
import { MetricsRegistry } from '@archipelago/platform-service';
import { RouteRepository, type LeasedRoute } from './route.repository';

@Injectable()
export class RouteMetrics {
  private readonly instances;

  constructor(registry: MetricsRegistry, repository: RouteRepository) {
    this.instances = registry.counter({
      name: 'archipelago_route_instances_total',
      help: 'Instances that rules route, by what became of a try: sent, withheld from the destination, refused, left',
      labelNames: ['destination', 'result'],
    });
    const waiting = registry.gauge({
      name: 'archipelago_route_waiting_instances',
      help: 'Instances that rules route and that have not arrived; state failed: given up, above 0 is an alarm',
      labelNames: ['destination', 'state'],
    });
    const oldest = registry.gauge({
      name: 'archipelago_route_oldest_seconds',
      help: 'How long the oldest of these has been waiting',
      labelNames: ['destination', 'state'],
    });
    registry.beforeScrape(async () => {
      const counts = await repository.counts();
      waiting.reset();
      oldest.reset();
      for (const { destination, state, instances, oldestSeconds } of counts) {
        waiting.set({ destination, state }, instances);
        oldest.set({ destination, state }, oldestSeconds);
      }
    });
  }

  sent({ destination }: LeasedRoute, { sent, withheld, failed, left }: RouteSentV1): void {
    const results = { sent, withheld, refused: failed.length, left: left.length };
    for (const [result, count] of Object.entries(results))
      if (count > 0) this.instances.inc({ destination, result }, count);
  }
}
