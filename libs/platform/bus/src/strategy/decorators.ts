import { applyDecorators } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { subjectStem, type Contract } from '@archipelago/contracts';

/** Nest hands a controller's handlers only to the transport with this id. */
export const BUS_TRANSPORT = Symbol('archipelago-bus');

export interface EventHandlerOptions {
  /** Durable consumer's name; default `<service>-<context>-<aggregate>-<name>-v<n>`. Other names see every message again. */
  consumer?: string;
  /** Messages handled at once by this process (default 16). Ignored when ordered. */
  concurrency?: number;
  /** In order within each partition: one message at a time per partition, each partition under a lease. */
  ordered?: boolean;
  /** Deliveries after which a message that keeps failing goes to the dead letters (default 60, about half an hour). */
  maxDeliveries?: number;
  /** How long the server waits for an acknowledgement; work that takes longer says so by itself (default 30000). */
  ackWaitMs?: number;
}

export interface QueryHandlerOptions {
  /** Requests answered at once by this process (default 64). */
  concurrency?: number;
  /** Requests that may wait; beyond them the asker gets a transient error at once (default 512). */
  queue?: number;
  /**
   * Only requests addressed to this process's site (`RequestOptions.site`): one process of the service at that site answers.
   * Work that an edge does for the centre beside its own: being without the bus does not make such a process unready.
   */
  ownSite?: boolean;
}

export interface EventExtras {
  contract: Contract;
  event: EventHandlerOptions;
}

export interface QueryExtras {
  contract: Contract;
  query: QueryHandlerOptions;
}

/**
 * Handles an event or a command from JetStream. Resolving acknowledges; TransientError is delivered again with back-off;
 * any other error is a dead letter. The method gets `(@Payload() payload, @Ctx() context: BusContext)`.
 */
export function OnEvent(contract: Contract, options: EventHandlerOptions = {}): MethodDecorator {
  const extras: EventExtras = { contract, event: options };
  return applyDecorators(EventPattern(subjectStem(contract), BUS_TRANSPORT, extras));
}

/** Answers a query over core NATS; what the method returns must fit the contract's reply schema. */
export function OnQuery(contract: Contract, options: QueryHandlerOptions = {}): MethodDecorator {
  const extras: QueryExtras = { contract, query: options };
  return applyDecorators(MessagePattern(subjectStem(contract), BUS_TRANSPORT, extras));
}
