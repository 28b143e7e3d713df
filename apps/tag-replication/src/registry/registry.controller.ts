import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import {
  ArchiveCommand,
  type ArchiveCommandV1,
  ArchiveList,
  type ArchiveListV1,
  ArchiveStatus,
  type ArchiveStatusV1,
  type ArchiveV1,
  DriftList,
  type DriftReportV1,
} from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { PermanentError } from '@archipelago/platform-service';
import { EdgeClient } from '../edge-client';
import { probeArchive } from '../harvest/probe-archive';
import { StatusService } from '../harvest/status.service';
import { RegistryService } from './registry.service';

@Controller()
export class RegistryController {
  constructor(
    private readonly registry: RegistryService,
    private readonly status: StatusService,
    private readonly edge: EdgeClient,
  ) {}

  @OnQuery(ArchiveList)
  async list(@Payload() { name }: ArchiveListV1): Promise<{ archives: ArchiveV1[] }> {
    const archives = await this.registry.list(name);
    return { archives: archives.filter((archive) => archive.state !== 'removed') };
  }

  @OnQuery(ArchiveStatus)
  async statusOf(@Payload() { name }: { name?: string }): Promise<{ archives: ArchiveStatusV1[] }> {
    return { archives: await this.status.list(name) };
  }

  @OnQuery(DriftList)
  async drift(
    @Payload() { archive, limit }: { archive?: string; limit: number },
  ): Promise<{ reports: DriftReportV1[] }> {
    return { reports: await this.status.drift(archive, limit) };
  }

  @OnQuery(ArchiveCommand)
  async command(@Payload() command: ArchiveCommandV1): Promise<{ archive: ArchiveV1 }> {
    if (command.action !== 'probe') return { archive: await this.registry.command(command) };
    const [archive] = await this.registry.list(command.name);
    if (!archive || archive.state === 'removed')
      throw new PermanentError('archive-unknown', 'there is no archive of this name');
    return { archive: await probeArchive(this.edge, this.registry, archive) };
  }
}
