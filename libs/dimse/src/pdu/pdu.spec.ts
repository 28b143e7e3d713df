import { ProtocolError, UsageError } from '../errors';
import { aeTitleProblem, decodeAeTitle } from './ae-title';
import { decodeAssociateAc, decodeAssociateRq, decodeFourBytes, decodeUid } from './decode';
import { encodeAbort, encodeAssociateAc, encodeAssociateRj, encodeAssociateRq, encodePDataHeader } from './encode';
import type { AssociateRqPdu } from './types';

const FULL: AssociateRqPdu = {
  protocolVersion: 1,
  calledAeTitle: 'CALLED',
  callingAeTitle: 'CALLING TITLE 16',
  applicationContext: '1.2.840.10008.3.1.1.1',
  contexts: [
    { id: 1, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] },
    { id: 255, abstractSyntax: '1.2.3', transferSyntaxes: ['1.2.840.10008.1.2.1', '1.2.840.10008.1.2'] },
  ],
  user: {
    maxPduLength: 131072,
    implementationClassUid: '1.2.3.4',
    implementationVersionName: 'VERSION',
    asyncOps: { invoked: 3, performed: 0 },
    roles: [{ sopClassUid: '1.2.3', scuRole: false, scpRole: true }],
    extended: [{ sopClassUid: '1.2.3', info: Buffer.from([1, 1, 0, 1]) }],
    commonExtended: [
      { sopClassUid: '1.2.3', serviceClassUid: '1.2.840.10008.4.2', relatedGeneralSopClassUids: ['1.2', '1.3'] },
    ],
    userIdentity: { type: 2, responseRequested: true, primary: Buffer.from('user'), secondary: Buffer.from('pass') },
  },
};

const bodyOf = (pdu: Buffer): Buffer => pdu.subarray(6);

describe('A-ASSOCIATE', () => {
  it('a request with every sub-item survives', () => {
    const pdu = encodeAssociateRq(FULL);
    expect(pdu.readUInt32BE(2)).toBe(pdu.length - 6);
    const { titleBytes, ...decoded } = decodeAssociateRq(bodyOf(pdu));
    expect(decoded).toEqual(FULL);
    expect(titleBytes!.toString('latin1')).toBe('CALLED          CALLING TITLE 16');
  });

  it('an acceptance survives, with the titles as received', () => {
    const titleBytes = Buffer.from('  ODD\0          SCU             ', 'latin1').subarray(0, 32);
    const pdu = encodeAssociateAc({
      ...FULL,
      titleBytes,
      contexts: [
        { id: 1, result: 0, transferSyntax: '1.2' },
        { id: 3, result: 4, transferSyntax: '1.2' },
      ],
      user: { ...FULL.user, userIdentity: undefined, userIdentityResponse: Buffer.from('ticket') },
    });
    const decoded = decodeAssociateAc(bodyOf(pdu));
    expect(decoded.titleBytes).toEqual(titleBytes);
    expect(decoded.contexts.map((context) => context.result)).toEqual([0, 4]);
    expect(decoded.user.userIdentityResponse).toEqual(Buffer.from('ticket'));
  });

  it('cut anywhere, or with any length changed, it is decoded or refused, never anything else', () => {
    const body = bodyOf(encodeAssociateRq(FULL));
    let refused = 0;
    for (let at = 0; at < body.length; at++) {
      for (const bytes of [
        body.subarray(0, at),
        Buffer.concat([body.subarray(0, at), Buffer.from([0xff]), body.subarray(at + 1)]),
      ]) {
        try {
          decodeAssociateRq(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
          expect((error as ProtocolError).abortReason).toBe(6);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(body.length / 2);
  });

  it('unknown items and sub-items are skipped', () => {
    const pdu = encodeAssociateRq(FULL);
    const body = Buffer.concat([bodyOf(pdu), Buffer.from([0x7e, 0, 0, 2, 9, 9])]);
    expect(decodeAssociateRq(body).contexts).toEqual(FULL.contexts);
  });

  it('even and repeated context IDs are refused', () => {
    const contexts = [FULL.contexts[0]!, FULL.contexts[0]!];
    expect(() => decodeAssociateRq(bodyOf(encodeAssociateRq({ ...FULL, contexts })))).toThrow(/repeated/);
    const even = [{ ...FULL.contexts[0]!, id: 2 }];
    expect(() => decodeAssociateRq(bodyOf(encodeAssociateRq({ ...FULL, contexts: even })))).toThrow(/even/);
  });
});

describe('other PDUs', () => {
  it('have the bytes of PS3.8 9.3', () => {
    expect(encodeAssociateRj(1, 3, 2).toString('hex')).toBe('03000000000400010302');
    expect(encodeAbort(2, 6).toString('hex')).toBe('07000000000400000206');
    expect(decodeFourBytes(Buffer.from([0, 1, 3, 2]))).toEqual([1, 3, 2]);
    expect(encodePDataHeader(5, false, true, 0x1000).toString('hex')).toBe('04000000100600001002' + '0502');
  });
});

describe('AE titles and UIDs', () => {
  it.each([
    ['ARCHIPELAGO', undefined],
    ['../../etc', undefined],
    ['', 'empty'],
    ['A'.repeat(17), 'longer than 16 bytes'],
    ['A\\B', 'forbidden character'],
    ['A\nB', 'forbidden character'],
    ['A\0B', 'forbidden character'],
    ['\u00c4', 'forbidden character'],
  ])('%j: %s', (title, problem) => expect(aeTitleProblem(title)).toBe(problem));

  it('are freed of padding only', () => {
    expect(decodeAeTitle(Buffer.from(' A  B  \0\0', 'latin1'))).toBe('A  B');
    expect(decodeUid(Buffer.from('1.2.3\0'))).toBe('1.2.3');
    expect(decodeUid(Buffer.from('../../1'))).toBe('');
    expect(decodeUid(Buffer.alloc(65, 0x31))).toBe('');
  });

  it('that nobody could take are not sent', () => {
    expect(() => encodeAssociateRq({ ...FULL, calledAeTitle: 'A'.repeat(17) })).toThrow(UsageError);
  });
});
