/** Scripted peers of one server, for this library's own tests of what a server does. */
import { COMMAND, decodeCommandSet, NO_DATA_SET, WITH_DATA_SET, type CommandSet } from '../session/command-set';
import { UID } from '../uids';
import { ScriptedPeer, sampleAssociateRq } from './scripted-peer';
import { startKit, type Kit } from './server-kit';

export const CT = '1.2.840.10008.5.1.4.1.1.2';
export const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
export const STORE: CommandSet = {
  commandField: COMMAND.storeRq,
  commandDataSetType: WITH_DATA_SET,
  affectedSopClassUid: CT,
  affectedSopInstanceUid: '1.2.3.4',
  messageId: 1,
  priority: 0,
};
export const FIND_RQ: CommandSet = {
  commandField: COMMAND.findRq,
  commandDataSetType: WITH_DATA_SET,
  affectedSopClassUid: FIND,
  messageId: 3,
};
export const ECHO: CommandSet = {
  commandField: COMMAND.echoRq,
  commandDataSetType: NO_DATA_SET,
  affectedSopClassUid: UID.verification,
  messageId: 9,
};

const ASSOCIATE_AC = 2;
const P_DATA = 4;

export class ServerScript {
  private current: Kit | undefined;
  private readonly peers: ScriptedPeer[] = [];

  get kit(): Kit {
    if (!this.current) throw new Error('no server was started');
    return this.current;
  }

  async start(...options: Parameters<typeof startKit>): Promise<Kit> {
    this.current = await startKit(...options);
    return this.current;
  }

  // Arrows: specs take them apart from the script.
  readonly peer = async (): Promise<ScriptedPeer> => {
    const made = await ScriptedPeer.open(this.kit.port);
    this.peers.push(made);
    return made;
  };

  /** @throws when the server does not accept the association */
  readonly associated = async (): Promise<ScriptedPeer> => {
    const made = await this.peer();
    made.send(sampleAssociateRq());
    const type = (await made.pdu())?.type;
    if (type !== ASSOCIATE_AC) throw new Error(`not accepted: PDU ${type}`);
    return made;
  };

  /** The next DIMSE response's command set. @throws when something else comes */
  readonly response = async (from: ScriptedPeer): Promise<CommandSet> => {
    const pdu = await from.pdu();
    if (pdu?.type !== P_DATA) throw new Error(`no response: PDU ${pdu?.type}`);
    return decodeCommandSet(pdu.body.subarray(6));
  };

  /** Closes the peers, then the server. */
  async end(): Promise<void> {
    for (const one of this.peers.splice(0)) one.close();
    await this.current?.close();
  }
}
