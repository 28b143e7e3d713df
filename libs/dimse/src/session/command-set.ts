/** DIMSE command sets (PS3.7 section 6.3.1 and annex E): group 0000, always Implicit VR Little Endian. */
import { ProtocolError } from '../errors';
import { ABORT_REASON } from '../reasons';

export const COMMAND = {
  storeRq: 0x0001,
  getRq: 0x0010,
  findRq: 0x0020,
  moveRq: 0x0021,
  echoRq: 0x0030,
  eventReportRq: 0x0100,
  nGetRq: 0x0110,
  nSetRq: 0x0120,
  nActionRq: 0x0130,
  nCreateRq: 0x0140,
  nDeleteRq: 0x0150,
  cancelRq: 0x0fff,
} as const;
export const RESPONSE_BIT = 0x8000;
/** (0000,0800) of a message without a data set; any other value means that one follows. */
export const NO_DATA_SET = 0x0101;
export const WITH_DATA_SET = 0x0001;

const NAMES = new Map<number, string>([
  [COMMAND.storeRq, 'C-STORE'],
  [COMMAND.getRq, 'C-GET'],
  [COMMAND.findRq, 'C-FIND'],
  [COMMAND.moveRq, 'C-MOVE'],
  [COMMAND.echoRq, 'C-ECHO'],
  [COMMAND.eventReportRq, 'N-EVENT-REPORT'],
  [COMMAND.nGetRq, 'N-GET'],
  [COMMAND.nSetRq, 'N-SET'],
  [COMMAND.nActionRq, 'N-ACTION'],
  [COMMAND.nCreateRq, 'N-CREATE'],
  [COMMAND.nDeleteRq, 'N-DELETE'],
  [COMMAND.cancelRq, 'C-CANCEL'],
]);
export function serviceName(commandField: number): string {
  return NAMES.get(commandField & ~RESPONSE_BIT) ?? 'unknown';
}

/** One command set; absent elements are undefined. UIDs and titles are without padding. */
export interface CommandSet {
  commandField: number;
  commandDataSetType: number;
  affectedSopClassUid?: string;
  requestedSopClassUid?: string;
  messageId?: number;
  messageIdBeingRespondedTo?: number;
  moveDestination?: string;
  priority?: number;
  status?: number;
  offendingElements?: number[];
  errorComment?: string;
  errorId?: number;
  affectedSopInstanceUid?: string;
  requestedSopInstanceUid?: string;
  eventTypeId?: number;
  attributeIdentifierList?: number[];
  actionTypeId?: number;
  remaining?: number;
  completed?: number;
  failed?: number;
  warning?: number;
  moveOriginatorAeTitle?: string;
  moveOriginatorMessageId?: number;
}

type Kind = 'UI' | 'US' | 'AE' | 'LO' | 'AT';
/** Element number in group 0000, VR, property: in the order of the encoding (ascending). */
const ELEMENTS: readonly (readonly [number, Kind, keyof CommandSet])[] = [
  [0x0002, 'UI', 'affectedSopClassUid'],
  [0x0003, 'UI', 'requestedSopClassUid'],
  [0x0100, 'US', 'commandField'],
  [0x0110, 'US', 'messageId'],
  [0x0120, 'US', 'messageIdBeingRespondedTo'],
  [0x0600, 'AE', 'moveDestination'],
  [0x0700, 'US', 'priority'],
  [0x0800, 'US', 'commandDataSetType'],
  [0x0900, 'US', 'status'],
  [0x0901, 'AT', 'offendingElements'],
  [0x0902, 'LO', 'errorComment'],
  [0x0903, 'US', 'errorId'],
  [0x1000, 'UI', 'affectedSopInstanceUid'],
  [0x1001, 'UI', 'requestedSopInstanceUid'],
  [0x1002, 'US', 'eventTypeId'],
  [0x1005, 'AT', 'attributeIdentifierList'],
  [0x1008, 'US', 'actionTypeId'],
  [0x1020, 'US', 'remaining'],
  [0x1021, 'US', 'completed'],
  [0x1022, 'US', 'failed'],
  [0x1023, 'US', 'warning'],
  [0x1030, 'AE', 'moveOriginatorAeTitle'],
  [0x1031, 'US', 'moveOriginatorMessageId'],
];
const BY_NUMBER = new Map(ELEMENTS.map((element) => [element[0], element]));

function invalid(what: string): ProtocolError {
  return new ProtocolError(`command set: ${what}`, ABORT_REASON.invalidParameter);
}

/** Text without its padding (trailing spaces and NULs); at most what the command set's bound lets in. */
function text(bytes: Buffer, start: number, end: number): string {
  while (end > start && (bytes[end - 1] === 0 || bytes[end - 1] === 0x20)) end--;
  return bytes.toString('latin1', start, end);
}

function readValue(kind: Kind, bytes: Buffer, at: number, length: number): string | number | number[] | undefined {
  switch (kind) {
    case 'UI':
    case 'LO':
      return text(bytes, at, at + length);
    case 'AE':
      return text(bytes, at, at + length).replace(/^ +/, '');
    case 'US':
      if (length === 0) return undefined;
      if (length !== 2) throw invalid('US of another length than 2');
      return bytes.readUInt16LE(at);
    case 'AT': {
      if (length % 4 !== 0) throw invalid('AT of a length that is no multiple of 4');
      const tags: number[] = [];
      for (let i = at; i < at + length; i += 4) tags.push(bytes.readUInt16LE(i) * 0x10000 + bytes.readUInt16LE(i + 2));
      return tags;
    }
  }
}

/**
 * Decodes a command set. Unknown elements of group 0000 are skipped.
 * Throws ProtocolError when lengths do not fit, another group is met, or CommandField is missing: nobody to answer.
 */
export function decodeCommandSet(bytes: Buffer): CommandSet {
  const command: Partial<Record<keyof CommandSet, unknown>> = {};
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 8) throw invalid('element header cut short');
    if (bytes.readUInt16LE(at) !== 0) throw invalid('element of another group than 0000');
    const length = bytes.readUInt32LE(at + 4);
    if (length > bytes.length - at - 8) throw invalid('element longer than the command set');
    const element = BY_NUMBER.get(bytes.readUInt16LE(at + 2));
    if (element) command[element[2]] = readValue(element[1], bytes, at + 8, length);
    at += 8 + length;
  }
  if (command.commandField === undefined) throw invalid('CommandField missing');
  // Without (0000,0800) it cannot be known whether a data set follows; group C-CANCEL and C-ECHO never have one.
  if (command.commandDataSetType === undefined) throw invalid('CommandDataSetType missing');
  return command as unknown as CommandSet;
}

/** ErrorComment as peers can show it: LO, at most 64 characters, printable ASCII without backslash. */
export function safeComment(comment: string): string {
  return comment
    .replace(/[^\x20-\x7e]|\\/g, '?')
    .slice(0, 64)
    .trim();
}

function valueLength(kind: Kind, value: string | number | number[]): number {
  if (kind === 'US') return 2;
  if (kind === 'AT') return (value as number[]).length * 4;
  return ((value as string).length + 1) & ~1;
}

/**
 * Encodes a command set behind `reserve` free bytes (for the P-DATA-TF header), group length first. Text is written
 * as Latin-1, UIDs padded with NUL, other text with a space.
 */
export function encodeCommandSet(command: CommandSet, reserve = 0): Buffer {
  let length = 0;
  for (const [, kind, key] of ELEMENTS) {
    const value = command[key];
    if (value !== undefined) length += 8 + valueLength(kind, value);
  }
  const out = Buffer.allocUnsafe(reserve + 12 + length);
  let at = header(out, reserve, 0, 4);
  at = out.writeUInt32LE(length, at);
  for (const [number, kind, key] of ELEMENTS) {
    const value = command[key];
    if (value === undefined) continue;
    const size = valueLength(kind, value);
    at = header(out, at, number, size);
    if (kind === 'US') at = out.writeUInt16LE((value as number) & 0xffff, at);
    else if (kind === 'AT') for (const tag of value as number[]) at = writeTag(out, at, tag);
    else {
      const string = value as string;
      out.write(string, at, 'latin1');
      if (string.length !== size) out[at + string.length] = kind === 'UI' ? 0 : 0x20;
      at += size;
    }
  }
  return out;
}

function header(out: Buffer, at: number, number: number, length: number): number {
  out.writeUInt16LE(0, at);
  out.writeUInt16LE(number, at + 2);
  return out.writeUInt32LE(length, at + 4);
}

function writeTag(out: Buffer, at: number, tag: number): number {
  out.writeUInt16LE(tag >>> 16, at);
  return out.writeUInt16LE(tag & 0xffff, at + 2);
}
