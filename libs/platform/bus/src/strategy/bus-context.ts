import { BaseRpcContext } from '@nestjs/microservices';
import type { MessageMeta } from '../message';

/** What a handler may ask about the message at hand: `@Ctx() context: BusContext`. */
export class BusContext extends BaseRpcContext<[MessageMeta, number, string]> {
  constructor(meta: MessageMeta, deliveries: number, consumer: string) {
    super([meta, deliveries, consumer]);
  }

  get meta(): MessageMeta {
    return this.args[0];
  }

  /** 1 on the first delivery. */
  get deliveries(): number {
    return this.args[1];
  }

  /** Name for the inbox table. */
  get consumer(): string {
    return this.args[2];
  }
}
