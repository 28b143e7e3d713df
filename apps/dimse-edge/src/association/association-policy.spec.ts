import type { AssociateRequest } from '@archipelago/dimse';
import { PeerSchema } from '@archipelago/platform-service';
import { APPLICATION_CONTEXT, type AssociationRules, decideAssociation, ownAeTitles } from './association-policy';
import { edgeCapabilities } from './capabilities';
import { countOpen } from './open-associations';
import { PeerTable } from './peers';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const STUDY_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const VERIFICATION = '1.2.840.10008.1.1';
const ILE = '1.2.840.10008.1.2';
const ELE = '1.2.840.10008.1.2.1';
const JPEG = '1.2.840.10008.1.2.4.50';
const JPIP = '1.2.840.10008.1.2.4.94';

function request(over: Partial<AssociateRequest> = {}): AssociateRequest {
  return {
    calledAeTitle: 'ARCHIPELAGO',
    callingAeTitle: 'CT1',
    applicationContext: APPLICATION_CONTEXT,
    contexts: [{ id: 1, abstractSyntax: VERIFICATION, transferSyntaxes: [ILE] }],
    maxPduLength: 16384,
    implementationClassUid: '1.2.3',
    implementationVersionName: 'X',
    roles: [],
    extended: [],
    remoteAddress: '10.0.0.7',
    remotePort: 4711,
    ...over,
  };
}

function rules(
  over: Partial<AssociationRules> = {},
  peers: unknown[] = [{ aeTitle: 'CT1', host: 'ct1', port: 104 }],
): AssociationRules {
  return {
    ownAeTitles: ['ARCHIPELAGO', 'RESEARCH'],
    peers: new PeerTable(
      peers.map((p) => PeerSchema.parse(p)),
      (host) => (host === 'ct1' ? ['10.0.0.7'] : []),
    ),
    acceptUnknownPeers: false,
    capabilities: edgeCapabilities(['1.3.6.1.4.1.999.1']),
    limits: { perPeer: 2, unknownPeers: 1, idleTimeoutMs: 60_000 },
    ...over,
  };
}

const refused = (result: number, source: number, reason: number) => ({ accept: false, result, source, reason });

describe('association policy', () => {
  it('takes a known peer from its own address, under each of our AE titles, spaces apart', () => {
    for (const calledAeTitle of ['ARCHIPELAGO', ' RESEARCH ', 'ARCHIPELAGO     ']) {
      expect(decideAssociation(request({ calledAeTitle }), rules(), countOpen([])).accepted).toBe(true);
    }
  });

  it.each([
    ['another called AE title', { calledAeTitle: 'OTHER' }, refused(1, 1, 7)],
    ['our AE title in another case', { calledAeTitle: 'archipelago' }, refused(1, 1, 7)],
    ['an unknown calling AE title', { callingAeTitle: 'NOBODY' }, refused(1, 1, 3)],
    ['a known AE title from another address', { remoteAddress: '10.0.0.8' }, refused(1, 1, 3)],
    ['another application context', { applicationContext: '1.2.3' }, refused(1, 1, 2)],
  ])('refuses %s', (_, over, decision) => {
    expect(decideAssociation(request(over), rules(), countOpen([])).decision).toEqual(decision);
  });

  it('knows an IPv4 address written as IPv6, and networks', () => {
    const mapped = decideAssociation(request({ remoteAddress: '::ffff:10.0.0.7' }), rules(), countOpen([]));
    expect(mapped.accepted).toBe(true);
    const inNet = rules({}, [{ aeTitle: 'CT1', addresses: ['10.1.0.0/16', 'fd00::/8'] }]);
    const from = (remoteAddress: string) =>
      decideAssociation(request({ remoteAddress }), inNet, countOpen([])).accepted;
    expect([from('10.1.9.9'), from('fd00::1'), from('10.2.0.1'), from('fe80::1'), from('not an address')]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('asks for the certificate where one is configured', () => {
    const fingerprint = 'AB'.repeat(32);
    const strict = rules({}, [{ aeTitle: 'CT1', certificateSha256: fingerprint }]);
    const with_ = (fingerprint256?: string) =>
      decideAssociation(request({ tls: { authorized: true, fingerprint256 } }), strict, countOpen([])).accepted;
    expect(with_('AB:'.repeat(31) + 'AB')).toBe(true);
    expect(with_('cd'.repeat(32))).toBe(false);
    expect(with_(undefined)).toBe(false);
    expect(decideAssociation(request(), strict, countOpen([])).accepted).toBe(false);
  });

  it('takes strangers only by the named setting, and without the rights of the peer whose title they use', () => {
    const open = rules({ acceptUnknownPeers: true });
    const stranger = decideAssociation(request({ remoteAddress: '10.9.9.9' }), open, countOpen([]));
    expect(stranger).toMatchObject({ accepted: true, peer: undefined });
    const known = decideAssociation(request(), open, countOpen([]));
    expect(known).toMatchObject({ accepted: true, peer: { aeTitle: 'CT1' } });
  });

  const open = (callerKey: string, known: boolean) => ({
    data: {
      callerKey,
      callingAeTitle: '',
      calledAeTitle: '',
      peer: known ? PeerSchema.parse({ aeTitle: 'CT1' }) : undefined,
    },
  });

  it('limits associations per caller and of all strangers, for the time being', () => {
    const all = rules({ acceptUnknownPeers: true });
    const one = open('CT1@10.0.0.7', true);
    expect(decideAssociation(request(), all, countOpen([one])).accepted).toBe(true);
    expect(decideAssociation(request(), all, countOpen([one, one])).decision).toEqual(refused(2, 3, 2));
    const stranger = request({ callingAeTitle: 'Y', remoteAddress: '2.2.2.2' });
    expect(decideAssociation(stranger, all, countOpen([one, one])).accepted).toBe(true);
    const withStranger = countOpen([open('X@1.1.1.1', false), { data: undefined }]);
    expect(decideAssociation(stranger, all, withStranger).decision).toEqual(refused(2, 3, 2));
    expect(decideAssociation(request(), all, withStranger).accepted).toBe(true);
  });

  it("a peer's own limits win", () => {
    const own = rules({}, [{ aeTitle: 'CT1', maxAssociations: 1, idleSeconds: 5 }]);
    expect(decideAssociation(request(), own, countOpen([])).decision).toMatchObject({ idleTimeoutMs: 5000 });
    expect(decideAssociation(request(), own, countOpen([open('CT1@10.0.0.7', true)])).decision).toEqual(
      refused(2, 3, 2),
    );
  });
});

describe('presentation contexts', () => {
  function contexts(proposed: AssociateRequest['contexts'], roles: AssociateRequest['roles'] = []) {
    const set = rules();
    const { decision } = decideAssociation(request({ contexts: proposed, roles }), set, countOpen([]));
    return decision.accept ? decision.contexts : [];
  }
  const receiver = [{ sopClassUid: CT, scuRole: false, scpRole: true }];

  it('keeps what is stored as the sender proposed it first', () => {
    expect(
      contexts([
        { id: 1, abstractSyntax: CT, transferSyntaxes: [JPEG, ELE] },
        { id: 3, abstractSyntax: CT, transferSyntaxes: [ILE, JPEG] },
        { id: 5, abstractSyntax: CT, transferSyntaxes: ['1.2.3.4.5', ELE] },
        { id: 7, abstractSyntax: '1.3.6.1.4.1.999.1', transferSyntaxes: [ELE] },
      ]),
    ).toEqual([
      { id: 1, result: 0, transferSyntax: JPEG },
      { id: 3, result: 0, transferSyntax: ILE },
      { id: 5, result: 0, transferSyntax: ELE },
      { id: 7, result: 0, transferSyntax: ELE },
    ]);
  });

  it('refuses unknown classes (3), private and referenced transfer syntaxes (4)', () => {
    expect(
      contexts([
        { id: 1, abstractSyntax: '1.2.3', transferSyntaxes: [ELE] },
        { id: 3, abstractSyntax: CT, transferSyntaxes: ['1.2.840.113619.5.2'] },
        { id: 5, abstractSyntax: CT, transferSyntaxes: [JPIP] },
        { id: 7, abstractSyntax: STUDY_FIND, transferSyntaxes: [JPEG] },
        { id: 9, abstractSyntax: STUDY_FIND, transferSyntaxes: [JPEG, ILE] },
      ]).map((c) => c.result),
    ).toEqual([3, 4, 4, 4, 0]);
  });

  it('gives a receiver a syntax that every object can be turned into', () => {
    const proposed = [{ id: 1, abstractSyntax: CT, transferSyntaxes: [JPEG, ELE] }];
    expect(contexts(proposed, receiver)[0]?.transferSyntax).toBe(ELE);
    expect(contexts([{ id: 1, abstractSyntax: CT, transferSyntaxes: [JPEG] }], receiver)[0]?.transferSyntax).toBe(JPEG);
  });
});

describe('own AE titles', () => {
  it('leaves out those with a view: they would show more than they stand for', () => {
    const further = [{ aeTitle: 'ARCHIVE2' }, { aeTitle: 'RESEARCH', view: 'deidentified' }];
    expect(ownAeTitles('ARCHIPELAGO', further)).toEqual(['ARCHIPELAGO', 'ARCHIVE2']);
    const decided = decideAssociation(
      request({ calledAeTitle: 'RESEARCH' }),
      rules({ ownAeTitles: ownAeTitles('ARCHIPELAGO', further) }),
      countOpen([]),
    );
    expect(decided.decision).toEqual(refused(1, 1, 7));
  });
});

describe('extended negotiation', () => {
  function answer(over: Partial<AssociateRequest>) {
    const { decision } = decideAssociation(request(over), rules(), countOpen([]));
    if (!decision.accept) throw new Error('refused');
    return decision;
  }

  it('answers what was offered and is supported, in the length of the offer', () => {
    const extended = [
      { sopClassUid: STUDY_FIND, info: Buffer.from([1, 0, 1]) },
      { sopClassUid: '1.2.840.10008.5.1.4.1.2.2.3', info: Buffer.from([1, 1]) },
      { sopClassUid: CT, info: Buffer.from([0, 0, 0, 0, 0, 0]) },
      { sopClassUid: '1.2.3', info: Buffer.from([1]) },
    ];
    expect(answer({ extended }).extended?.map((e) => [e.sopClassUid, [...e.info]])).toEqual([
      [STUDY_FIND, [1, 0, 1]],
      ['1.2.840.10008.5.1.4.1.2.2.3', [1, 0]],
      [CT, [2, 0, 3, 0, 0, 0]],
    ]);
  });

  it('does not promise timezone adjustment, which the catalog does not do', () => {
    const extended = [{ sopClassUid: STUDY_FIND, info: Buffer.from([1, 1, 1, 1, 1]) }];
    expect([...(answer({ extended }).extended?.[0]?.info ?? [])]).toEqual([1, 1, 1, 0, 0]);
  });

  it('lets a requestor receive objects, never answer queries', () => {
    const roles = [
      { sopClassUid: CT, scuRole: true, scpRole: true },
      { sopClassUid: STUDY_FIND, scuRole: true, scpRole: true },
    ];
    expect(answer({ roles }).roles).toEqual([
      { sopClassUid: CT, scuRole: true, scpRole: true },
      { sopClassUid: STUDY_FIND, scuRole: true, scpRole: false },
    ]);
  });
});
