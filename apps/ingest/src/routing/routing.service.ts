import { Inject, Injectable } from '@nestjs/common';
import { routesOf, type NewObject, type Route } from '@archipelago/catalog-store';
import { MOST_ROUTED } from '@archipelago/contracts';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig } from '@archipelago/platform-service';
import type { SqlClient } from '@archipelago/platform-storage';
import type { Destination } from '@archipelago/rules';
import { CatalogRules } from '../catalog-rules';
import { isPeer } from './destinations';
import { RouteRepository, type NewRoute } from './route.repository';

/** What a pack brought on its way to where rules send it (docs/adr/0028). */
@Injectable()
export class RoutingService {
  constructor(
    private readonly rules: CatalogRules,
    private readonly routes: RouteRepository,
    @Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig,
  ) {}

  /**
   * In the transaction that indexed them: the message's inbox row sees to it that it is done once.
   * @param site whose edge received them: it has the workstations
   * @returns how many rows were written
   */
  async route(client: SqlClient, objects: readonly NewObject[], site: string): Promise<number> {
    const { rules } = this.rules;
    if (!rules || objects.length === 0) return 0;
    const isSender = (to: Destination, aeTitle: string): boolean => this.isSender(to, aeTitle);
    const routes = await routesOf(client, objects, rules, this.rules.sampleOptions, isSender);
    const rows = routes.flatMap((one) => this.rowsOf(one, site));
    await this.routes.add(client, rows);
    return rows.length;
  }

  private isSender(to: Destination, aeTitle: string): boolean {
    if ('workstation' in to)
      return to.workstation === aeTitle || this.config.peers.some((p) => p.aeTitle === aeTitle && isPeer(p, to));
    return this.rules.aeTitleOf(to.archive) === aeTitle;
  }

  private rowsOf({ rule, to, studyInstanceUid: study, sopInstanceUids }: Route, ownSite: string): NewRoute[] {
    const kind = 'archive' in to ? 'archive' : 'workstation';
    const destination = 'archive' in to ? to.archive : to.workstation;
    const site = 'archive' in to ? this.rules.siteOf(to.archive) : ownSite;
    const rows: NewRoute[] = [];
    for (let at = 0; at < sopInstanceUids.length; at += MOST_ROUTED)
      rows.push({ kind, destination, site, rule, study, instances: sopInstanceUids.slice(at, at + MOST_ROUTED) });
    return rows;
  }
}
