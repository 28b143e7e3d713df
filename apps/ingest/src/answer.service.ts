import { Injectable } from '@nestjs/common';
import { PackAnswered, type PackAnsweredV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { Logger } from '@archipelago/platform-service';

/** Answers to edges. One that gets lost is no loss: the edge announces again what was not answered. */
@Injectable()
export class AnswerService {
  constructor(
    private readonly bus: Bus,
    private readonly logger: Logger,
  ) {}

  async send(answer: PackAnsweredV1, site: string): Promise<void> {
    try {
      await this.bus.emit(PackAnswered, answer, { partition: answer.edgeId, site });
    } catch (error) {
      this.logger.warn('an answer could not be sent', { packId: answer.packId, edgeId: answer.edgeId, err: error });
    }
  }
}
