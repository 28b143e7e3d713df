import { UsageError } from '../command';
import { parseHours, parseSettings, wholeSettings } from './archive-settings';

test('options become settings; what is not given is not changed', () => {
  const { name, json, settings } = parseSettings([
    ...['north', '--ae', 'NORTHPACS', '--host', '10.1.0.5', '--port', '104', '--depth', 'series', '--json'],
    ...['--harvest-hours', '20-23,0-1', '--associations', '2', '--issuer', '', '--tls', 'true'],
  ]);
  expect([name, json]).toEqual(['north', true]);
  expect(settings).toEqual({
    aeTitle: 'NORTHPACS',
    host: '10.1.0.5',
    port: 104,
    depth: 'series',
    tls: true,
    issuer: null,
    budget: { associations: 2, harvestHours: [0, 1, 20, 21, 22, 23] },
  });
});

test('an addition needs AE title, host and port, and gets defaults that are safe', () => {
  expect(() => wholeSettings({ aeTitle: 'A', host: 'h' })).toThrow('--port is missing');
  expect(() => wholeSettings({ aeTitle: 'A', host: 'h', port: 99_999 })).toThrow(UsageError);
  expect(wholeSettings({ aeTitle: 'A', host: 'h', port: 104 })).toMatchObject({
    depth: 'full',
    site: 'main',
    tls: false,
    budget: { associations: 4 },
  });
});

test('hours and numbers that are none are refused', () => {
  expect(parseHours('')).toEqual([]);
  for (const bad of ['24', '5-3', 'night', '1-99']) expect(() => parseHours(bad)).toThrow(UsageError);
  expect(() => parseSettings(['a', '--port', 'x'])).toThrow(UsageError);
  expect(() => parseSettings([])).toThrow(UsageError);
});
