import { Global, Module, type DynamicModule } from '@nestjs/common';
import { busConfig } from './bus.config';
import { Bus } from './client/bus';
import { BusConnection } from './client/bus-connection';
import { Topology } from './client/topology';
import { BusDeclarations, type BusFeature } from './strategy/bus-declarations';
import { BusMetrics } from './strategy/bus-metrics';
import { BusStrategy } from './strategy/bus-strategy';
import { SiteResponders } from './strategy/site-responders';

/** Filled while decorators are evaluated, read once when the providers are made. */
const declared: BusFeature[] = [];

/** Connection, `Bus` and transport strategy, once per process. Needs no database; handling events does: `BusStoreModule`. */
@Global()
@Module({
  providers: [
    busConfig.provider(),
    BusConnection,
    Topology,
    Bus,
    BusMetrics,
    { provide: BusDeclarations, useFactory: () => new BusDeclarations(declared) },
    BusStrategy,
    SiteResponders,
  ],
  exports: [Bus, SiteResponders, BusConnection, Topology, BusMetrics, busConfig.KEY],
})
export class BusModule {
  /** Declares what the importing module does on the bus. Checked when the process starts. */
  static forFeature(feature: BusFeature): DynamicModule {
    declared.push(feature);
    return { module: BusFeatureModule, imports: [BusModule] };
  }
}

@Module({})
class BusFeatureModule {}
