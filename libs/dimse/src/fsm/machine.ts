/** Runs PS3.8 table 9-10. What an action does to the world is behind `Effects`, so that each row can be tested alone. */
import { ABORT_REASON, ABORT_SOURCE, type Rejection } from '../reasons';
import { TABLE, type ActionName, type Event, type State } from './table';

/** What came with the event. */
export interface EventData {
  /** The PDU to send (Evt2, Evt7) or undefined. */
  pdu?: Buffer;
  rejection?: Rejection;
  /** A-ABORT received (Evt16), or the reason of the one to send (Evt15, Evt19, unexpected PDUs). */
  abort?: { source: number; reason: number };
  /** Evt6: why the service provider itself cannot accept (protocol version); AE-6 then rejects. */
  refuse?: Rejection;
  /** For people and logs. */
  detail?: string;
}

/** The outside of the state machine: transport, timer and service user. */
export interface Effects {
  connectTransport(): void;
  closeTransport(): void;
  sendAssociateRq(): void;
  sendAssociateAc(pdu: Buffer): void;
  sendAssociateRj(rejection: Rejection): void;
  sendReleaseRq(): void;
  sendReleaseRp(): void;
  sendAbort(source: number, reason: number): void;
  startArtim(): void;
  stopArtim(): void;
  /** Indications and confirmations to the service user. */
  associateIndication(): void;
  associateConfirm(accepted: boolean, rejection?: Rejection): void;
  releaseIndication(): void;
  releaseConfirm(): void;
  abortIndication(source: number, reason: number, detail?: string): void;
}

const REASON_OF_UNEXPECTED: Partial<Record<Event, number>> = {
  Evt19: ABORT_REASON.invalidParameter,
};

export class UpperLayerMachine {
  state: State = 'Sta1';

  constructor(
    private readonly effects: Effects,
    /** The association's requestor: decides the side in a release collision. */
    private readonly requestor: boolean,
  ) {}

  /** Whether the table has an action for this event now. */
  allows(event: Event): boolean {
    return TABLE[event][this.state] !== undefined;
  }

  /** Performs the action of the table. Returns its label; undefined when the standard leaves the cell empty. */
  handle(event: Event, data: EventData = {}): ActionName | undefined {
    const action = TABLE[event][this.state];
    if (action) this.perform(action, event, data);
    return action;
  }

  private perform(action: ActionName, event: Event, data: EventData): void {
    switch (action[0] === 'A' ? action[1] : 'T') {
      case 'E':
        return this.associate(action, data);
      case 'R':
        return this.release(action);
      case 'A':
        return this.abort(action, event, data);
      default:
        return; // DT-1, DT-2: data goes past the machine; the state stays Sta6
    }
  }

  private associate(action: ActionName, data: EventData): void {
    const fx = this.effects;
    switch (action) {
      case 'AE-1':
        this.state = 'Sta4';
        return fx.connectTransport();
      case 'AE-2':
        this.state = 'Sta5';
        return fx.sendAssociateRq();
      case 'AE-3':
        this.state = 'Sta6';
        return fx.associateConfirm(true);
      case 'AE-4':
        this.state = 'Sta1';
        fx.associateConfirm(false, data.rejection);
        return fx.closeTransport();
      case 'AE-5':
        this.state = 'Sta2';
        return fx.startArtim();
      case 'AE-6':
        fx.stopArtim();
        if (data.refuse) return this.reject(data.refuse);
        this.state = 'Sta3';
        return fx.associateIndication();
      case 'AE-7':
        this.state = 'Sta6';
        return fx.sendAssociateAc(data.pdu!);
      default:
        return this.reject(data.rejection!);
    }
  }

  private reject(rejection: Rejection): void {
    this.state = 'Sta13';
    this.effects.sendAssociateRj(rejection);
    this.effects.startArtim();
  }

  private release(action: ActionName): void {
    const fx = this.effects;
    switch (action) {
      case 'AR-1':
        this.state = 'Sta7';
        return fx.sendReleaseRq();
      case 'AR-2':
        this.state = 'Sta8';
        return fx.releaseIndication();
      case 'AR-3':
        this.state = 'Sta1';
        fx.releaseConfirm();
        return fx.closeTransport();
      case 'AR-4':
        this.state = 'Sta13';
        fx.sendReleaseRp();
        return fx.startArtim();
      case 'AR-5':
        this.state = 'Sta1';
        return fx.stopArtim();
      case 'AR-8':
        this.state = this.requestor ? 'Sta9' : 'Sta10';
        return fx.releaseIndication();
      case 'AR-9':
        this.state = 'Sta11';
        return fx.sendReleaseRp();
      case 'AR-10':
        this.state = 'Sta12';
        return fx.releaseConfirm();
      default:
        return; // AR-6, AR-7: data in Sta7 and Sta8; the state stays
    }
  }

  private abort(action: ActionName, event: Event, data: EventData): void {
    const fx = this.effects;
    const unexpected = REASON_OF_UNEXPECTED[event] ?? ABORT_REASON.unexpectedPdu;
    switch (action) {
      case 'AA-1': {
        this.state = 'Sta13';
        // Sta2: the provider aborts for its own reason where it knows one; Evt15: the user does.
        const abort = data.abort ?? {
          source: event === 'Evt15' ? ABORT_SOURCE.user : ABORT_SOURCE.provider,
          reason: event === 'Evt15' ? 0 : unexpected,
        };
        fx.sendAbort(abort.source, abort.reason);
        return fx.startArtim();
      }
      case 'AA-2':
        this.state = 'Sta1';
        fx.stopArtim();
        return fx.closeTransport();
      case 'AA-3':
        this.state = 'Sta1';
        fx.abortIndication(data.abort?.source ?? ABORT_SOURCE.provider, data.abort?.reason ?? 0, data.detail);
        return fx.closeTransport();
      case 'AA-4':
        this.state = 'Sta1';
        return fx.abortIndication(ABORT_SOURCE.provider, 0, data.detail ?? 'connection lost');
      case 'AA-5':
        this.state = 'Sta1';
        return fx.stopArtim();
      case 'AA-7':
        return fx.sendAbort(ABORT_SOURCE.provider, data.abort?.reason ?? unexpected);
      case 'AA-8': {
        this.state = 'Sta13';
        const reason = data.abort?.reason ?? unexpected;
        fx.sendAbort(ABORT_SOURCE.provider, reason);
        fx.abortIndication(ABORT_SOURCE.provider, reason, data.detail);
        return fx.startArtim();
      }
      default:
        return; // AA-6: ignored
    }
  }
}
