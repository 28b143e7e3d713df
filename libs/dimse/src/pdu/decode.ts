/**
 * Decoding of association PDUs. Unknown items and sub-items are skipped (PS3.8 9.3.1: "shall be ignored"); a length
 * that leaves its enclosing item throws ProtocolError with abort reason 6 (invalid PDU parameter value).
 */
import type { CommonExtendedNegotiation, ContextResult, ProposedContext } from '../api';
import { ProtocolError } from '../errors';
import { ABORT_REASON } from '../reasons';
import { decodeAeTitle } from './ae-title';
import type { AssociateAcPdu, AssociateRqPdu, UserInformation } from './types';

const FIXED = 68;

function invalid(what: string): ProtocolError {
  return new ProtocolError(what, ABORT_REASON.invalidParameter);
}

/** A UID without padding; empty if it is no UID (PS3.5 9.1), so that hostile text goes no further. */
export function decodeUid(bytes: Buffer): string {
  const text = bytes.toString('latin1').replace(/[\0 ]+$/, '');
  return /^[0-9.]{1,64}$/.test(text) ? text : '';
}

/** Walks items of type (1), reserved (1), length (2), value. */
function* items(buffer: Buffer): Generator<{ type: number; value: Buffer }> {
  let at = 0;
  while (at < buffer.length) {
    if (buffer.length - at < 4) throw invalid('item header cut short');
    const length = buffer.readUInt16BE(at + 2);
    if (length > buffer.length - at - 4) throw invalid('item longer than what encloses it');
    yield { type: buffer[at]!, value: buffer.subarray(at + 4, at + 4 + length) };
    at += 4 + length;
  }
}

/** A value preceded by its 16-bit length, inside a sub-item. */
function lengthPrefixed(buffer: Buffer, at: number): { value: Buffer; next: number } {
  if (buffer.length - at < 2) throw invalid('length field cut short');
  const length = buffer.readUInt16BE(at);
  if (length > buffer.length - at - 2) throw invalid('field longer than its sub-item');
  return { value: buffer.subarray(at + 2, at + 2 + length), next: at + 2 + length };
}

function need(value: Buffer, bytes: number, what: string): void {
  if (value.length < bytes) throw invalid(`${what} cut short`);
}

function decodeCommonExtended(value: Buffer): CommonExtendedNegotiation {
  const sop = lengthPrefixed(value, 0);
  const service = lengthPrefixed(value, sop.next);
  const related = lengthPrefixed(value, service.next).value;
  const relatedGeneralSopClassUids: string[] = [];
  for (let at = 0; at < related.length;) {
    const uid = lengthPrefixed(related, at);
    relatedGeneralSopClassUids.push(decodeUid(uid.value));
    at = uid.next;
  }
  return { sopClassUid: decodeUid(sop.value), serviceClassUid: decodeUid(service.value), relatedGeneralSopClassUids };
}

function decodeUserSubItem(user: UserInformation, type: number, value: Buffer): void {
  switch (type) {
    case 0x51:
      need(value, 4, 'maximum length');
      user.maxPduLength = value.readUInt32BE(0);
      return;
    case 0x52:
      user.implementationClassUid = decodeUid(value);
      return;
    case 0x53:
      need(value, 4, 'asynchronous operations window');
      user.asyncOps = { invoked: value.readUInt16BE(0), performed: value.readUInt16BE(2) };
      return;
    case 0x54: {
      const uid = lengthPrefixed(value, 0);
      need(value, uid.next + 2, 'role selection');
      const [scu, scp] = [value[uid.next] === 1, value[uid.next + 1] === 1];
      user.roles.push({ sopClassUid: decodeUid(uid.value), scuRole: scu, scpRole: scp });
      return;
    }
    case 0x55:
      // 16 bytes by the standard; cut, and freed of what could upset a log.
      user.implementationVersionName = value
        .toString('latin1', 0, 16)
        .replace(/[^\x20-\x7e]/g, '')
        .trim();
      return;
    case 0x56: {
      const uid = lengthPrefixed(value, 0);
      user.extended.push({ sopClassUid: decodeUid(uid.value), info: Buffer.from(value.subarray(uid.next)) });
      return;
    }
    case 0x57:
      user.commonExtended.push(decodeCommonExtended(value));
      return;
    case 0x58: {
      need(value, 2, 'user identity');
      const primary = lengthPrefixed(value, 2);
      const secondary = lengthPrefixed(value, primary.next);
      user.userIdentity = {
        type: value[0]!,
        responseRequested: value[1] === 1,
        primary: Buffer.from(primary.value),
        secondary: Buffer.from(secondary.value),
      };
      return;
    }
    case 0x59:
      user.userIdentityResponse = Buffer.from(lengthPrefixed(value, 0).value);
      return;
    default:
  }
}

function decodeUserInformation(value: Buffer): UserInformation {
  const user = emptyUserInformation();
  for (const item of items(value)) decodeUserSubItem(user, item.type, item.value);
  return user;
}

export function emptyUserInformation(): UserInformation {
  return {
    maxPduLength: 0,
    implementationClassUid: '',
    implementationVersionName: '',
    roles: [],
    extended: [],
    commonExtended: [],
  };
}

function decodeProposed(value: Buffer): ProposedContext {
  need(value, 4, 'presentation context');
  const context: ProposedContext = { id: value[0]!, abstractSyntax: '', transferSyntaxes: [] };
  for (const item of items(value.subarray(4))) {
    if (item.type === 0x30) context.abstractSyntax = decodeUid(item.value);
    else if (item.type === 0x40) context.transferSyntaxes.push(decodeUid(item.value));
  }
  return context;
}

function decodeResult(value: Buffer): ContextResult {
  need(value, 4, 'presentation context');
  const result = value[2]!;
  if (result > 4) throw invalid('unknown presentation context result');
  const context: ContextResult = { id: value[0]!, result: result as ContextResult['result'], transferSyntax: '' };
  for (const item of items(value.subarray(4))) if (item.type === 0x40) context.transferSyntax = decodeUid(item.value);
  return context;
}

interface Decoded<T> {
  protocolVersion: number;
  calledAeTitle: string;
  callingAeTitle: string;
  titleBytes: Buffer;
  applicationContext: string;
  user: UserInformation;
  contexts: T[];
}

function decodeAssociate<T extends { id: number }>(body: Buffer, type: number, read: (v: Buffer) => T): Decoded<T> {
  need(body, FIXED, 'A-ASSOCIATE');
  const contexts: T[] = [];
  const seen = new Set<number>();
  let applicationContext = '';
  let user: UserInformation | undefined;
  for (const item of items(body.subarray(FIXED))) {
    if (item.type === 0x10) applicationContext = decodeUid(item.value);
    else if (item.type === 0x50) user = decodeUserInformation(item.value);
    else if (item.type === type) {
      const context = read(item.value);
      // PS3.8 9.3.2.2: odd integers, each once.
      if (context.id % 2 === 0 || seen.has(context.id)) throw invalid('presentation context ID even or repeated');
      seen.add(context.id);
      contexts.push(context);
    }
  }
  return {
    protocolVersion: body.readUInt16BE(0),
    calledAeTitle: decodeAeTitle(body.subarray(4, 20)),
    callingAeTitle: decodeAeTitle(body.subarray(20, 36)),
    titleBytes: Buffer.from(body.subarray(4, 36)),
    applicationContext,
    user: user ?? emptyUserInformation(),
    contexts,
  };
}

/** `body` is the PDU without its 6 header bytes. Throws ProtocolError. */
export function decodeAssociateRq(body: Buffer): AssociateRqPdu {
  return decodeAssociate(body, 0x20, decodeProposed);
}

/** `body` is the PDU without its 6 header bytes. Throws ProtocolError. */
export function decodeAssociateAc(body: Buffer): AssociateAcPdu {
  return decodeAssociate(body, 0x21, decodeResult);
}

/** A-ASSOCIATE-RJ and A-ABORT: four bytes, of which the first is reserved. */
export function decodeFourBytes(body: Buffer): [number, number, number] {
  if (body.length !== 4) throw invalid('PDU of another length than 4');
  return [body[1]!, body[2]!, body[3]!];
}
