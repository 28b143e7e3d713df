/** Encoding of the PDUs of PS3.8 section 9.3. Each function returns the whole PDU with its header. */
import { UsageError } from '../errors';
import { writeAeTitle } from './ae-title';
import { PDU, type AssociateAcPdu, type AssociateBase, type AssociateRqPdu, type UserInformation } from './types';

const LATIN = (text: string): Buffer => Buffer.from(text, 'latin1');

function item(type: number, ...parts: Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > 0xffff) throw new UsageError(`item 0x${type.toString(16)} longer than 65535 bytes`);
  return Buffer.concat([Buffer.from([type, 0, length >> 8, length & 0xff]), ...parts]);
}

function prefixed(value: Buffer): Buffer {
  if (value.length > 0xffff) throw new UsageError('field longer than 65535 bytes');
  return Buffer.concat([Buffer.from([value.length >> 8, value.length & 0xff]), value]);
}

function numbers(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => out.writeUInt16BE(value, index * 2));
  return out;
}

function userInformation(user: UserInformation): Buffer {
  const max = Buffer.alloc(4);
  max.writeUInt32BE(user.maxPduLength);
  const parts = [item(0x51, max), item(0x52, LATIN(user.implementationClassUid))];
  if (user.asyncOps) parts.push(item(0x53, numbers(user.asyncOps.invoked, user.asyncOps.performed)));
  for (const role of user.roles) {
    const flags = Buffer.from([role.scuRole ? 1 : 0, role.scpRole ? 1 : 0]);
    parts.push(item(0x54, prefixed(LATIN(role.sopClassUid)), flags));
  }
  if (user.implementationVersionName) parts.push(item(0x55, LATIN(user.implementationVersionName.slice(0, 16))));
  for (const ext of user.extended) parts.push(item(0x56, prefixed(LATIN(ext.sopClassUid)), ext.info));
  for (const ext of user.commonExtended) {
    const related = Buffer.concat(ext.relatedGeneralSopClassUids.map((uid) => prefixed(LATIN(uid))));
    parts.push(item(0x57, prefixed(LATIN(ext.sopClassUid)), prefixed(LATIN(ext.serviceClassUid)), prefixed(related)));
  }
  const identity = user.userIdentity;
  if (identity) {
    const head = Buffer.from([identity.type, identity.responseRequested ? 1 : 0]);
    parts.push(item(0x58, head, prefixed(identity.primary), prefixed(identity.secondary)));
  }
  if (user.userIdentityResponse) parts.push(item(0x59, prefixed(user.userIdentityResponse)));
  return item(0x50, ...parts);
}

function associate(type: number, pdu: AssociateBase & { titleBytes?: Buffer }, contexts: Buffer[]): Buffer {
  const fixed = Buffer.alloc(74);
  fixed[0] = type;
  fixed.writeUInt16BE(pdu.protocolVersion, 6);
  if (pdu.titleBytes) pdu.titleBytes.copy(fixed, 10, 0, 32);
  else {
    writeAeTitle(fixed, 10, pdu.calledAeTitle);
    writeAeTitle(fixed, 26, pdu.callingAeTitle);
  }
  const whole = Buffer.concat([
    fixed,
    item(0x10, LATIN(pdu.applicationContext)),
    ...contexts,
    userInformation(pdu.user),
  ]);
  whole.writeUInt32BE(whole.length - 6, 2);
  return whole;
}

export function encodeAssociateRq(pdu: AssociateRqPdu): Buffer {
  const contexts = pdu.contexts.map((context) =>
    item(
      0x20,
      Buffer.from([context.id, 0, 0, 0]),
      item(0x30, LATIN(context.abstractSyntax)),
      ...context.transferSyntaxes.map((uid) => item(0x40, LATIN(uid))),
    ),
  );
  return associate(PDU.associateRq, pdu, contexts);
}

export function encodeAssociateAc(pdu: AssociateAcPdu): Buffer {
  const contexts = pdu.contexts.map((context) =>
    item(0x21, Buffer.from([context.id, 0, context.result, 0]), item(0x40, LATIN(context.transferSyntax))),
  );
  return associate(PDU.associateAc, pdu, contexts);
}

export function encodeAssociateRj(result: number, source: number, reason: number): Buffer {
  return Buffer.from([PDU.associateRj, 0, 0, 0, 0, 4, 0, result, source, reason]);
}
export function encodeReleaseRq(): Buffer {
  return Buffer.from([PDU.releaseRq, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
}
export function encodeReleaseRp(): Buffer {
  return Buffer.from([PDU.releaseRp, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
}
export function encodeAbort(source: number, reason: number): Buffer {
  return Buffer.from([PDU.abort, 0, 0, 0, 0, 4, 0, 0, source, reason]);
}

/** Header of a P-DATA-TF that holds one PDV of `length` data bytes (PS3.8 9.3.5 and annex E): 12 bytes. */
export function encodePDataHeader(contextId: number, isCommand: boolean, isLast: boolean, length: number): Buffer {
  const header = Buffer.allocUnsafe(12);
  writePDataHeader(header, contextId, isCommand, isLast, length);
  return header;
}

export function writePDataHeader(
  target: Buffer,
  contextId: number,
  isCommand: boolean,
  isLast: boolean,
  length: number,
): void {
  target[0] = PDU.pData;
  target[1] = 0;
  target.writeUInt32BE(length + 6, 2);
  target.writeUInt32BE(length + 2, 6);
  target[10] = contextId;
  target[11] = (isCommand ? 1 : 0) | (isLast ? 2 : 0);
}
