import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import {
  CacheCommand,
  InstanceStored,
  StudyAccessed,
  type CacheCommandReplyV1,
  type InstanceStoredV1,
  type StudyAccessedV1,
} from '@archipelago/contracts';
import { fetchedPack } from '@archipelago/catalog-store';
import { BusContext, claimInbox, OnEvent, OnQuery } from '@archipelago/platform-bus';
import { Database } from '@archipelago/platform-storage';
import type { z } from 'zod';
import { ACCESSED_CONSUMER, STORED_CONSUMER } from './cache.config';
import { KeeperRepository } from './keeper.repository';
import { KeeperService } from './keeper.service';

/** Events into the journal, in every replica; the one that holds the lease tells the policy. */
@Controller()
export class KeeperController {
  constructor(
    private readonly database: Database,
    private readonly repository: KeeperRepository,
    private readonly keeper: KeeperService,
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

  /** Written here, carried out by the replica that holds the lease. */
  @OnQuery(CacheCommand, { concurrency: 4 })
  async command(@Payload() command: z.output<typeof CacheCommand.schema>): Promise<CacheCommandReplyV1> {
    let known = false;
    if (command.action !== 'status') {
      const { studyInstanceUid: study } = command;
      known = (await this.repository.study(study)) !== undefined;
      if (command.action === 'pin') await this.repository.pin(study);
      else if (command.action === 'unpin') await this.repository.unpin(study);
      else if (known) await this.repository.setState(study, 'evict');
    }
    const { bytes, keptBytes, studies, leaving } = await this.repository.totals();
    const budgetBytes = await this.keeper.budget();
    const pinned = (await this.repository.pins()).size;
    return { known, ...(budgetBytes === undefined ? {} : { budgetBytes }), bytes, keptBytes, studies, pinned, leaving };
  }
}
