import { conformance } from './conformance';

describe('conformance', () => {
  const c = conformance();

  it('covers the storage classes of the standard and every model of query and retrieval', () => {
    expect(c.storage.length).toBeGreaterThan(150);
    expect(c.storage.filter((s) => s.patientless).length).toBe(9);
    expect(c.query.filter((q) => q.operation === 'FIND').length).toBe(11);
    expect(c.query.filter((q) => q.operation === 'MOVE').length).toBe(11);
    expect(c.query.filter((q) => q.operation === 'GET').length).toBe(11);
  });

  it('has a name for everything, and nothing twice', () => {
    for (const rows of [c.storage, c.query, c.storageSyntaxes, c.querySyntaxes]) {
      expect(rows.every((row) => row.name !== '' && row.name !== 'Unknown')).toBe(true);
      expect(new Set(rows.map((row) => row.uid)).size).toBe(rows.length);
    }
  });

  it('stores no syntax whose pixel data lies elsewhere', () => {
    expect(c.storageSyntaxes.some((s) => /Referenced/.test(s.name))).toBe(false);
    expect(c.storageSyntaxes.length).toBeGreaterThan(40);
  });

  it('explains each status once', () => {
    for (const rows of [c.storeStatus, c.findStatus, c.retrieveStatus]) {
      expect(new Set(rows.map((row) => row.status)).size).toBe(rows.length);
      expect(rows.every((row) => row.meaning.length > 10)).toBe(true);
    }
  });
});
