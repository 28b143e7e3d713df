import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { InstanceStored, StudyAccessed, type InstanceStoredV1, type StudyAccessedV1 } from '@archipelago/contracts';
import { fetchedPack } from '@archipelago/catalog-store';
import { BusContext, claimInbox, OnEvent } from '@archipelago/platform-bus';
import { Database } from '@archipelago/platform-storage';
import { ACCESSED_CONSUMER, STORED_CONSUMER } from './cache.config';
import { KeeperRepository } from './keeper.repository';

/** Events into the journal, in every replica; the one that holds the lease tells the policy. */
@Controller()
export class KeeperController {
  constructor(
    private readonly database: Database,
    private readonly repository: KeeperRepository,
  ) {}

  @OnEvent(StudyAccessed, { consumer: ACCESSED_CONSUMER })
  async accessed(@Payload() access: StudyAccessedV1, @Ctx() context: BusContext): Promise<void> {
    await this.database.withTransaction(async (client) => {
      if (await claimInbox(client, ACCESSED_CONSUMER, context.meta.id))
        await this.repository.noteAccess(client, access);
    });
  }

  @OnEvent(InstanceStored, { consumer: STORED_CONSUMER })
  async stored(@Payload() { packId, origin }: InstanceStoredV1, @Ctx() context: BusContext): Promise<void> {
    if (origin !== 'fetched') return;
    await this.database.withTransaction(async (client) => {
      if (!(await claimInbox(client, STORED_CONSUMER, context.meta.id))) return;
      await this.repository.noteStored(client, await fetchedPack(client, packId));
    });
  }
}
