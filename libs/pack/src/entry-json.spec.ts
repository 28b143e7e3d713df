import { decodeEntryJson, encodeEntryJson } from './entry-json';
import { PackFormatError } from './errors';
import { context } from './testing/fixtures';

const TABLES = { leftOut: [], pixel: null };

test.each(['study', 'series', 'image', 'full'] as const)('an archive’s answer keeps its level %s', (harvest) => {
  const json = encodeEntryJson({ ...context(0), harvest }, TABLES, 0);
  expect(decodeEntryJson(json, 0).harvest).toBe(harvest);
});

test('an object has no harvest level, and one that does not exist is refused', () => {
  const json = encodeEntryJson(context(0), TABLES, 0);
  expect(decodeEntryJson(json, 0)).not.toHaveProperty('harvest');
  const forged = Buffer.from(JSON.stringify({ ...(JSON.parse(json.toString()) as object), harvest: 'pixels' }));
  expect(() => decodeEntryJson(forged, 0)).toThrow(PackFormatError);
});
