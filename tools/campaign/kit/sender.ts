import { setTimeout as pause } from 'node:timers/promises';
import { connect, type ClientAssociation } from '@archipelago/dimse';
import type { GeneratedInstance, Random } from '@archipelago/testing';
import { datasetDigest } from '@archipelago/pack';
import type { Exam } from './exams';
import type { Ledger, Sent } from './ledger';

export interface DicomTarget {
  host: string;
  port: number;
  aeTitle: string;
}

export interface SenderOptions {
  target: DicomTarget;
  ledger: Ledger;
  callingAeTitle: string;
  random: Random;
  /** Longest wait between two objects, ms; the mean is half of it. */
  pauseMs?: number;
  /** Longest wait after a failure, ms. */
  retryMs?: number;
  /** A response that takes longer counts as a lost association. */
  responseTimeoutMs?: number;
  signal?: AbortSignal;
}

/** A modality: sends, and sends again what was not acknowledged, until it is. */
export class Sender {
  private association: ClientAssociation | undefined;

  constructor(private readonly options: SenderOptions) {}

  /** Resolves when every instance of the exam is acknowledged, or the signal has come. */
  async exam(exam: Exam): Promise<void> {
    for (const instance of exam.instances) {
      await this.untilAcknowledged(instance);
      if (exam.onePerAssociation) await this.release();
      if (this.stopped) break;
      await pause(this.options.random.float() * (this.options.pauseMs ?? 0));
    }
    await this.release();
  }

  private get stopped(): boolean {
    return this.options.signal?.aborted === true;
  }

  async untilAcknowledged(instance: GeneratedInstance): Promise<void> {
    const dataset = instance.dataset();
    const digest = datasetDigest(dataset);
    while (!this.stopped) {
      if ((await this.once(instance, dataset, digest)) === 'acknowledged') return;
      await pause(50 + this.options.random.float() * (this.options.retryMs ?? 400));
    }
  }

  /** One attempt. A status of failure leaves the association open. */
  async once(
    instance: GeneratedInstance,
    dataset = instance.dataset(),
    digest = datasetDigest(dataset),
  ): Promise<'acknowledged' | 'refused' | 'interrupted'> {
    const { ledger } = this.options;
    let entry: Sent | undefined;
    try {
      const association = await this.open(instance);
      const context = association.contexts.find((each) => each.abstractSyntax === instance.sopClassUid);
      if (!context) throw new Error('the SOP class was not accepted');
      const { sopInstanceUid, sopClassUid, studyInstanceUid } = instance;
      entry = ledger.trying({
        sopInstanceUid,
        sopClassUid,
        studyInstanceUid,
        wireDigest: digest,
        bytes: dataset.length,
      });
      const body = [dataset];
      const { status } = await association.store({ contextId: context.id, sopClassUid, sopInstanceUid, body });
      if (status === 0 || (status & 0xf000) === 0xb000) {
        ledger.acknowledge(entry);
        return 'acknowledged';
      }
      ledger.refuse(status);
      return 'refused';
    } catch {
      ledger.interruptions++;
      this.association?.abort();
      this.association = undefined;
      return 'interrupted';
    }
  }

  private async open(instance: GeneratedInstance): Promise<ClientAssociation> {
    if (this.association) return this.association;
    const { target, callingAeTitle, responseTimeoutMs } = this.options;
    this.association = await connect({
      host: target.host,
      port: target.port,
      calledAeTitle: target.aeTitle,
      callingAeTitle,
      contexts: [{ abstractSyntax: instance.sopClassUid, transferSyntaxes: [instance.transferSyntaxUid] }],
      connectTimeoutMs: 5_000,
      responseTimeoutMs: responseTimeoutMs ?? 30_000,
    });
    return this.association;
  }

  async release(): Promise<void> {
    const { association } = this;
    this.association = undefined;
    await association?.release().catch(() => undefined);
  }

  abort(): void {
    this.association?.abort();
    this.association = undefined;
  }
}

/** Sends exams over several associations at a time until `enough` says so; every exam begun is sent whole. */
export async function sendAll(
  senders: readonly Sender[],
  source: Iterator<Exam>,
  enough: () => boolean,
): Promise<void> {
  await Promise.all(
    senders.map(async (sender) => {
      while (!enough()) {
        const next = source.next();
        if (next.done === true) return;
        await sender.exam(next.value);
      }
    }),
  );
}
