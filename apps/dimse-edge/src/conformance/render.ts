import type { Conformance, ConformanceRow, StatusRow } from './conformance';

const retired = (row: ConformanceRow): string =>
  row.retired ? `${row.name.replace(/ \(Retired\)$/, '')} (retired)` : row.name;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const byUid = (rows: readonly ConformanceRow[]): string =>
  table(
    ['Name', 'UID'],
    rows.map((r) => [retired(r), r.uid]),
  );
const statuses = (rows: readonly StatusRow[]): string =>
  table(
    ['Status', 'Means'],
    rows.map((r) => [r.status, r.meaning]),
  );

/** DICOM conformance statement (PS3.2) in Markdown. */
export function renderConformance(c: Conformance): string {
  const sections = [
    '# DICOM conformance statement',
    'Generated from the tables in the code by `apps/dimse-edge/src/conformance`; do not edit.',
    '## Associations',
    'Accepted for the configured AE titles, from known peers (AE title, source address, client certificate where one is' +
      ' named); from unknown callers only where a setting says so. Refused with:',
    table(
      ['Result', 'Source', 'Reason', 'Because'],
      c.refusals.map((r) => [`${r.result}`, `${r.source}`, `${r.reason}`, r.text]),
    ),
    'Extended negotiation: C-FIND relational queries, combined date-time, fuzzy person names, timezone adjustment; C-MOVE' +
      ' and C-GET relational retrieval; storage level 2 (full), digital signature level 3 (bit preserving), no coercion.',
    'Storage contexts are accepted in the first transfer syntax of the proposer that is listed below; contexts on which the' +
      ' requestor receives (C-GET) in its first uncompressed one, if it has one.',
    '## Verification, SCP',
    byUid([c.verification]),
    '## Storage, SCP; SCU for C-MOVE and C-GET',
    byUid(c.storage.filter((s) => !s.patientless)),
    'Without patient, found and retrieved by their own models:',
    byUid(c.storage.filter((s) => s.patientless)),
    'Private storage classes are added by configuration (`privateSopClasses`).',
    '### Transfer syntaxes of storage',
    'Kept as received. Sent as stored where the receiver takes that, else re-encoded without loss.',
    byUid(c.storageSyntaxes),
    '### Answers to C-STORE',
    statuses(c.storeStatus),
    '## Query and retrieval, SCP',
    table(
      ['Name', 'UID', 'Levels'],
      c.query.map((q) => [retired(q), q.uid, q.levels.length > 0 ? q.levels.join(', ') : 'one, without a level key']),
    ),
    `Identifiers: ${c.querySyntaxes.map((s) => s.name).join(', ')}.`,
    'Responses are in the character set of the request where every value fits, else in ISO_IR 192.',
    '### Answers to C-FIND',
    statuses(c.findStatus),
    '### Answers to C-MOVE and C-GET',
    statuses(c.retrieveStatus),
  ];
  return `${sections.join('\n\n')}\n`;
}
