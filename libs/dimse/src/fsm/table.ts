/** The upper layer's state machine, PS3.8 table 9-10, in the standard's own labels. */

/** PS3.8 tables 9-1 to 9-5. */
export type State =
  | 'Sta1' // idle
  | 'Sta2' // transport open, awaiting A-ASSOCIATE-RQ
  | 'Sta3' // awaiting the local A-ASSOCIATE response
  | 'Sta4' // awaiting the transport's opening
  | 'Sta5' // awaiting A-ASSOCIATE-AC or -RJ
  | 'Sta6' // established
  | 'Sta7' // awaiting A-RELEASE-RP
  | 'Sta8' // awaiting the local A-RELEASE response
  | 'Sta9' // release collision, requestor: awaiting the local A-RELEASE response
  | 'Sta10' // release collision, acceptor: awaiting A-RELEASE-RP
  | 'Sta11' // release collision, requestor: awaiting A-RELEASE-RP
  | 'Sta12' // release collision, acceptor: awaiting the local A-RELEASE response
  | 'Sta13'; // awaiting the transport's close

export type Event =
  | 'Evt1' // A-ASSOCIATE request (local)
  | 'Evt2' // transport opened
  | 'Evt3' // A-ASSOCIATE-AC received
  | 'Evt4' // A-ASSOCIATE-RJ received
  | 'Evt5' // transport connection indication
  | 'Evt6' // A-ASSOCIATE-RQ received
  | 'Evt7' // A-ASSOCIATE response, accept (local)
  | 'Evt8' // A-ASSOCIATE response, reject (local)
  | 'Evt9' // P-DATA request (local)
  | 'Evt10' // P-DATA-TF received
  | 'Evt11' // A-RELEASE request (local)
  | 'Evt12' // A-RELEASE-RQ received
  | 'Evt13' // A-RELEASE-RP received
  | 'Evt14' // A-RELEASE response (local)
  | 'Evt15' // A-ABORT request (local)
  | 'Evt16' // A-ABORT received
  | 'Evt17' // transport closed
  | 'Evt18' // ARTIM expired
  | 'Evt19'; // unrecognized or invalid PDU

/** PS3.8 tables 9-6 to 9-9. */
export type ActionName =
  | 'AE-1'
  | 'AE-2'
  | 'AE-3'
  | 'AE-4'
  | 'AE-5'
  | 'AE-6'
  | 'AE-7'
  | 'AE-8'
  | 'DT-1'
  | 'DT-2'
  | 'AR-1'
  | 'AR-2'
  | 'AR-3'
  | 'AR-4'
  | 'AR-5'
  | 'AR-6'
  | 'AR-7'
  | 'AR-8'
  | 'AR-9'
  | 'AR-10'
  | 'AA-1'
  | 'AA-2'
  | 'AA-3'
  | 'AA-4'
  | 'AA-5'
  | 'AA-6'
  | 'AA-7'
  | 'AA-8';

export type Row = Partial<Record<State, ActionName>>;

/** What every PDU that is out of place gets while an association exists or is being made. */
const ABORT_IN: Row = {
  Sta3: 'AA-8',
  Sta5: 'AA-8',
  Sta6: 'AA-8',
  Sta7: 'AA-8',
  Sta8: 'AA-8',
  Sta9: 'AA-8',
  Sta10: 'AA-8',
  Sta11: 'AA-8',
  Sta12: 'AA-8',
};

export const TABLE: Readonly<Record<Event, Row>> = {
  Evt1: { Sta1: 'AE-1' },
  Evt2: { Sta4: 'AE-2' },
  Evt3: { ...ABORT_IN, Sta2: 'AA-1', Sta5: 'AE-3', Sta13: 'AA-6' },
  Evt4: { ...ABORT_IN, Sta2: 'AA-1', Sta5: 'AE-4', Sta13: 'AA-6' },
  Evt5: { Sta1: 'AE-5' },
  Evt6: { ...ABORT_IN, Sta2: 'AE-6', Sta13: 'AA-7' },
  Evt7: { Sta3: 'AE-7' },
  Evt8: { Sta3: 'AE-8' },
  Evt9: { Sta6: 'DT-1', Sta8: 'AR-7' },
  Evt10: { ...ABORT_IN, Sta2: 'AA-1', Sta6: 'DT-2', Sta7: 'AR-6', Sta13: 'AA-6' },
  Evt11: { Sta6: 'AR-1' },
  Evt12: { ...ABORT_IN, Sta2: 'AA-1', Sta6: 'AR-2', Sta7: 'AR-8', Sta13: 'AA-6' },
  Evt13: { ...ABORT_IN, Sta2: 'AA-1', Sta7: 'AR-3', Sta10: 'AR-10', Sta11: 'AR-3', Sta13: 'AA-6' },
  Evt14: { Sta8: 'AR-4', Sta9: 'AR-9', Sta12: 'AR-4' },
  Evt15: {
    Sta3: 'AA-1',
    Sta4: 'AA-2',
    Sta5: 'AA-1',
    Sta6: 'AA-1',
    Sta7: 'AA-1',
    Sta8: 'AA-1',
    Sta9: 'AA-1',
    Sta10: 'AA-1',
    Sta11: 'AA-1',
    Sta12: 'AA-1',
  },
  Evt16: {
    Sta2: 'AA-2',
    Sta3: 'AA-3',
    Sta5: 'AA-3',
    Sta6: 'AA-3',
    Sta7: 'AA-3',
    Sta8: 'AA-3',
    Sta9: 'AA-3',
    Sta10: 'AA-3',
    Sta11: 'AA-3',
    Sta12: 'AA-3',
    Sta13: 'AA-2',
  },
  Evt17: {
    Sta2: 'AA-5',
    Sta3: 'AA-4',
    Sta4: 'AA-4',
    Sta5: 'AA-4',
    Sta6: 'AA-4',
    Sta7: 'AA-4',
    Sta8: 'AA-4',
    Sta9: 'AA-4',
    Sta10: 'AA-4',
    Sta11: 'AA-4',
    Sta12: 'AA-4',
    Sta13: 'AR-5',
  },
  Evt18: { Sta2: 'AA-2', Sta13: 'AA-2' },
  Evt19: { ...ABORT_IN, Sta2: 'AA-1', Sta13: 'AA-7' },
};

export const STATES: readonly State[] = [
  'Sta1',
  'Sta2',
  'Sta3',
  'Sta4',
  'Sta5',
  'Sta6',
  'Sta7',
  'Sta8',
  'Sta9',
  'Sta10',
  'Sta11',
  'Sta12',
  'Sta13',
];
export const EVENTS = Object.keys(TABLE) as Event[];
