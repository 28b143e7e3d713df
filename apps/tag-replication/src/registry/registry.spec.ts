import { parseArchipelagoConfig } from '@archipelago/platform-service';
import { reachableDepth } from '../harvest/planner.service';
import { settingsOf } from './registry.service';

const CAN = {
  probedAt: '2026-11-26T01:00:00.000Z',
  reachable: true,
  find: { studyRoot: true, patientRoot: true, relational: false },
  get: false,
  move: true,
  getWithoutBulkData: false,
  dicomWeb: false,
};

test('an entry of the site file, short and long', () => {
  const { archives } = parseArchipelagoConfig(`
archives:
  - { name: north, aeTitle: NORTHPACS, host: 10.1.0.5, port: 104, issuer: NORTH, harvest: { depth: series } }
  - name: south
    site: branch
    aeTitle: SOUTHPACS
    host: pacs.south.example
    port: 11112
    tls: true
    dicomWebUrl: https://pacs.south.example/dicom-web
    fetchAeTitle: SOUTHFETCH
    budget: { associations: 2, requestsPerSecond: 5, harvestBytesPerSecond: 1000000, harvestHours: [22, 23, 0] }
`);
  expect(settingsOf(archives[0]!, 'main')).toEqual({
    site: 'main',
    aeTitle: 'NORTHPACS',
    host: '10.1.0.5',
    port: 104,
    tls: false,
    issuer: 'NORTH',
    dicomWebUrl: undefined,
    depth: 'series',
    fetchAeTitle: 'ARCHFETCH',
    budget: { associations: 4, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
  });
  expect(settingsOf(archives[1]!, 'main')).toMatchObject({
    site: 'branch',
    tls: true,
    depth: 'full',
    fetchAeTitle: 'SOUTHFETCH',
    budget: { associations: 2, harvestHours: [22, 23, 0] },
  });
});

test('mistakes in a budget are named with their line', () => {
  const text =
    'archives:\n  - name: a\n    aeTitle: A\n    host: h\n    port: 1\n    budget: { associations: 0, harvestHours: [24] }';
  expect(() => parseArchipelagoConfig(text)).toThrow(/archipelago\.yaml:6: archives\[0\]\.budget\.associations/);
});

test('whole headers need a way to get them; C-MOVE alone stays at image depth', () => {
  expect(reachableDepth({ depth: 'full', capabilities: CAN })).toBe('image');
  expect(reachableDepth({ depth: 'full', capabilities: { ...CAN, get: true } })).toBe('full');
  expect(reachableDepth({ depth: 'full', capabilities: { ...CAN, dicomWeb: true } })).toBe('full');
  expect(reachableDepth({ depth: 'series', capabilities: { ...CAN, get: true } })).toBe('series');
});
