import { UpperLayerMachine, type Effects, type EventData } from './machine';
import { EVENTS, STATES, TABLE, type ActionName, type Event, type State } from './table';

/** PS3.8 table 9-10, written down a second time in the standard's own layout: a line per event, a column per state. */
const STANDARD = `
Evt1  AE-1 -    -    -    -    -    -    -    -    -     -    -    -
Evt2  -    -    -    AE-2 -    -    -    -    -    -     -    -    -
Evt3  -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt4  -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt5  AE-5 -    -    -    -    -    -    -    -    -     -    -    -
Evt6  -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
Evt7  -    -    AE-7 -    -    -    -    -    -    -     -    -    -
Evt8  -    -    AE-8 -    -    -    -    -    -    -     -    -    -
Evt9  -    -    -    -    -    DT-1 -    AR-7 -    -     -    -    -
Evt10 -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt11 -    -    -    -    -    AR-1 -    -    -    -     -    -    -
Evt12 -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt13 -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
Evt14 -    -    -    -    -    -    -    AR-4 AR-9 -     -    AR-4 -
Evt15 -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 -
Evt16 -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
Evt17 -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
Evt18 -    AA-2 -    -    -    -    -    -    -    -     -    -    AA-2
Evt19 -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
`;

/** PS3.8 tables 9-6 to 9-9: what each action does, and the next state. `=`: stays. */
const ACTIONS: Record<ActionName, [effects: string, next: State | '=']> = {
  'AE-1': ['connectTransport', 'Sta4'],
  'AE-2': ['sendAssociateRq', 'Sta5'],
  'AE-3': ['associateConfirm true', 'Sta6'],
  'AE-4': ['associateConfirm false, closeTransport', 'Sta1'],
  'AE-5': ['startArtim', 'Sta2'],
  'AE-6': ['stopArtim, associateIndication', 'Sta3'],
  'AE-7': ['sendAssociateAc', 'Sta6'],
  'AE-8': ['sendAssociateRj, startArtim', 'Sta13'],
  'DT-1': ['', '='],
  'DT-2': ['', '='],
  'AR-1': ['sendReleaseRq', 'Sta7'],
  'AR-2': ['releaseIndication', 'Sta8'],
  'AR-3': ['releaseConfirm, closeTransport', 'Sta1'],
  'AR-4': ['sendReleaseRp, startArtim', 'Sta13'],
  'AR-5': ['stopArtim', 'Sta1'],
  'AR-6': ['', '='],
  'AR-7': ['', '='],
  'AR-8': ['releaseIndication', 'Sta9'],
  'AR-9': ['sendReleaseRp', 'Sta11'],
  'AR-10': ['releaseConfirm', 'Sta12'],
  'AA-1': ['sendAbort, startArtim', 'Sta13'],
  'AA-2': ['stopArtim, closeTransport', 'Sta1'],
  'AA-3': ['abortIndication, closeTransport', 'Sta1'],
  'AA-4': ['abortIndication', 'Sta1'],
  'AA-5': ['stopArtim', 'Sta1'],
  'AA-6': ['', '='],
  'AA-7': ['sendAbort', '='],
  'AA-8': ['sendAbort, abortIndication, startArtim', 'Sta13'],
};

const CELLS = STANDARD.trim()
  .split('\n')
  .flatMap((line) => {
    const [event, ...actions] = line.trim().split(/\s+/);
    return actions.map((action, index) => ({ event: event as Event, state: STATES[index]!, action }));
  });

function recorder(): { effects: Effects; log: string[]; aborts: number[][] } {
  const log: string[] = [];
  const aborts: number[][] = [];
  const effects = new Proxy({} as Effects, {
    get: (_target, name: string) => (first: unknown, second: unknown) => {
      if (name === 'sendAbort' || name === 'abortIndication') aborts.push([first as number, second as number]);
      log.push(typeof first === 'boolean' ? `${name} ${first}` : name);
    },
  });
  return { effects, log, aborts };
}

function run(event: Event, state: State, data: EventData = {}, requestor = true) {
  const { effects, log, aborts } = recorder();
  const machine = new UpperLayerMachine(effects, requestor);
  machine.state = state;
  const full = { pdu: Buffer.alloc(1), rejection: { result: 1, source: 1, reason: 1 } as const, ...data };
  return { action: machine.handle(event, full), state: machine.state, log, aborts };
}

describe('PS3.8 table 9-10', () => {
  it('has 19 events and 13 states', () => {
    expect(EVENTS).toHaveLength(19);
    expect(CELLS).toHaveLength(19 * 13);
  });

  it.each(CELLS)('$event in $state: $action', ({ event, state, action }) => {
    expect(TABLE[event][state] ?? '-').toBe(action);
    const result = run(event, state);
    if (action === '-') {
      expect(result).toMatchObject({ action: undefined, state, log: [] });
      return;
    }
    const [effects, next] = ACTIONS[action as ActionName];
    expect(result.log.join(', ')).toBe(effects);
    expect(result.state).toBe(next === '=' ? state : next);
  });

  it('AR-8 leads the acceptor to Sta10', () => {
    expect(run('Evt12', 'Sta7', {}, false)).toMatchObject({ action: 'AR-8', state: 'Sta10' });
  });

  it('AE-6 rejects what the provider cannot accept', () => {
    const result = run('Evt6', 'Sta2', { refuse: { result: 1, source: 2, reason: 2 } });
    expect(result).toMatchObject({ state: 'Sta13', log: ['stopArtim', 'sendAssociateRj', 'startArtim'] });
  });

  it('aborts with the source and reason that fit', () => {
    expect(run('Evt15', 'Sta6').aborts).toEqual([[0, 0]]);
    expect(run('Evt6', 'Sta6').aborts).toEqual([
      [2, 2],
      [2, 2],
    ]);
    expect(run('Evt19', 'Sta6', { abort: { source: 2, reason: 1 } }).aborts).toEqual([
      [2, 1],
      [2, 1],
    ]);
    expect(run('Evt19', 'Sta13').aborts).toEqual([[2, 6]]);
    expect(run('Evt10', 'Sta2').aborts).toEqual([[2, 2]]);
    expect(run('Evt16', 'Sta6', { abort: { source: 2, reason: 4 } }).aborts).toEqual([[2, 4]]);
  });
});
