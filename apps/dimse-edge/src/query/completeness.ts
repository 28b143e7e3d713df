/** How a peer is told that an answer may miss something (docs/architecture, "never be silent about what is missing"). */
import { createHash } from 'node:crypto';
import type { DicomJson, QueryLevel, SearchReplyV1 } from '@archipelago/contracts';
import type { PeerConfig } from '@archipelago/platform-service';

export type IncompleteMode = PeerConfig['incomplete'];
export type Notices = SearchReplyV1['notices'];

/** Private attributes (PS3.5 7.8.1) in each match: the creator, and the notice. */
const CREATOR_TAG = '00090010';
const NOTICE_TAG = '00091001';
const CREATOR = 'ARCHIPELAGO';
/** LO, PS3.5 table 6.2-1; also the length of the Error Comment (PS3.7 annex C). */
const LONGEST = 64;

export interface Completeness {
  /** For the comment of the final status; undefined when nothing may be missing. */
  readonly comment: string | undefined;
  /** The final status is the failure that says so. */
  readonly fails: boolean;
  /** A match that is no study but the notice, before the others; undefined where there is none. */
  readonly marker: DicomJson | undefined;
  /** The match as this peer gets it. */
  extend(response: DicomJson): DicomJson;
}

/** What the answer may miss, in few words: `incomplete: south unreachable, north harvesting`. */
export function noticeText(notices: Notices): string | undefined {
  if (notices.length === 0) return undefined;
  const text = `incomplete: ${notices.map(({ archive, state }) => `${archive} ${state}`).join(', ')}`;
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 3)}...`;
}

export function completenessOf(notices: Notices, mode: IncompleteMode, level: QueryLevel | undefined): Completeness {
  const comment = noticeText(notices);
  if (comment === undefined) return { comment, fails: false, marker: undefined, extend: (response) => response };
  return {
    comment,
    fails: mode === 'failure',
    marker: mode === 'marker' && level === 'STUDY' ? marker(notices, comment) : undefined,
    extend: mode === 'attribute' ? (response) => ({ ...response, ...privateNotice(comment) }) : (response) => response,
  };
}

function privateNotice(comment: string): DicomJson {
  return { [CREATOR_TAG]: { vr: 'LO', Value: [CREATOR] }, [NOTICE_TAG]: { vr: 'LO', Value: [comment] } };
}

/** A study of no patient. Its UID says the same notice each time, and can be retrieved by nobody. */
function marker(notices: Notices, comment: string): DicomJson {
  const hash = createHash('sha256').update(JSON.stringify(notices)).digest().subarray(0, 16);
  return {
    '0020000D': { vr: 'UI', Value: [`2.25.${BigInt(`0x${hash.toString('hex')}`)}`] },
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'INCOMPLETE ANSWER' }] },
    '00081030': { vr: 'LO', Value: [comment] },
    '00080061': { vr: 'CS', Value: ['OT'] },
    '00080056': { vr: 'CS', Value: ['UNAVAILABLE'] },
    '00201206': { vr: 'IS', Value: [0] },
    '00201208': { vr: 'IS', Value: [0] },
  };
}
