import { Injectable } from '@nestjs/common';
import type { CustomTransportStrategy } from '@nestjs/microservices';

/** Transports that the process serves besides HTTP. A transport's module registers it while it is constructed. */
@Injectable()
export class TransportRegistry {
  readonly strategies: CustomTransportStrategy[] = [];

  register(strategy: CustomTransportStrategy): void {
    this.strategies.push(strategy);
  }
}
