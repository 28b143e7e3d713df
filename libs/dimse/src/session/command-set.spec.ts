import { ProtocolError } from '../errors';
import { decodeCommandSet, encodeCommandSet, safeComment, serviceName, type CommandSet } from './command-set';

const FULL: CommandSet = {
  commandField: 0x8001,
  commandDataSetType: 0x0101,
  affectedSopClassUid: '1.2.840.10008.5.1.4.1.1.2',
  requestedSopClassUid: '1.2.3',
  messageId: 65535,
  messageIdBeingRespondedTo: 7,
  moveDestination: 'DEST',
  priority: 2,
  status: 0xa700,
  offendingElements: [0x00100020, 0x7fe00010],
  errorComment: 'Out of resources',
  errorId: 3,
  affectedSopInstanceUid: '1.2.3.4',
  requestedSopInstanceUid: '1.2.3.4.5',
  eventTypeId: 1,
  attributeIdentifierList: [0x00080018],
  actionTypeId: 2,
  remaining: 1,
  completed: 2,
  failed: 3,
  warning: 4,
  moveOriginatorAeTitle: 'ORIGIN',
  moveOriginatorMessageId: 9,
};

describe('command set', () => {
  it('with every element survives, group length first, ascending', () => {
    const bytes = encodeCommandSet(FULL);
    expect(bytes.readUInt32LE(8)).toBe(bytes.length - 12);
    expect(decodeCommandSet(bytes)).toEqual(FULL);
    let last = -1;
    for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32LE(at + 4)) {
      expect(bytes.readUInt16LE(at + 2)).toBeGreaterThan(last);
      expect(bytes.readUInt32LE(at + 4) % 2).toBe(0);
      last = bytes.readUInt16LE(at + 2);
    }
  });

  it('has the bytes of a C-ECHO-RQ', () => {
    const bytes = encodeCommandSet({
      commandField: 0x30,
      commandDataSetType: 0x0101,
      affectedSopClassUid: '1.2.840.10008.1.1',
      messageId: 1,
    });
    expect(bytes.toString('hex')).toBe(
      '00000000' +
        '04000000' +
        '38000000' +
        '00000200' +
        '12000000' +
        '312e322e3834302e31303030382e312e3100' +
        '00000001' +
        '02000000' +
        '3000' +
        '00001001' +
        '02000000' +
        '0100' +
        '00000008' +
        '02000000' +
        '0101',
    );
  });

  it('cut or changed anywhere it is decoded or refused', () => {
    const bytes = encodeCommandSet(FULL);
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0xff;
      for (const candidate of [bytes.subarray(0, at), changed]) {
        try {
          decodeCommandSet(candidate);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(bytes.length / 2);
  });

  it('comments are printable ASCII of at most 64 characters', () => {
    expect(safeComment('a\\b\nc\u00e4' + 'x'.repeat(100))).toBe(('a?b?c?' + 'x'.repeat(100)).slice(0, 64));
  });

  it('names services', () => {
    expect([0x8001, 0x0140, 0x0fff, 0x1234].map(serviceName)).toEqual(['C-STORE', 'N-CREATE', 'C-CANCEL', 'unknown']);
  });
});
