import { Global, Module } from '@nestjs/common';
import { PostgresModule } from '@archipelago/platform-storage';
import { BusModule } from './bus.module';
import { DeadLetters } from './store/dead-letters';
import { Leases, LEASES } from './store/leases';
import { BusTables1763856000000 } from './store/migrations';
import { OutboxRelay } from './store/outbox-relay';
import { DEAD_LETTER_SINK } from './strategy/dead-letter-sink';

/** What the bus keeps in PostgreSQL: outbox and its relay, inbox, dead letters, leases. */
@Global()
@Module({
  imports: [BusModule, PostgresModule.forFeature({ name: 'bus', migrations: [BusTables1763856000000] })],
  providers: [
    DeadLetters,
    { provide: DEAD_LETTER_SINK, useExisting: DeadLetters },
    Leases,
    { provide: LEASES, useExisting: Leases },
    OutboxRelay,
  ],
  exports: [DeadLetters, DEAD_LETTER_SINK, Leases, LEASES, OutboxRelay],
})
export class BusStoreModule {}
