/** One match of the catalog as the Identifier of a C-FIND response (PS3.4 C.4.1.1.3.2). */
import type { DicomJson } from '@archipelago/contracts';
import { type DicomJson as EncodableJson } from '@archipelago/dicom-core';
import { writeDataset } from '@archipelago/dicom-encoding';
import type { QueryIdentifier } from './identifier';

export interface ResponseContext {
  identifier: QueryIdentifier;
  transferSyntaxUid: string;
  /** Value of RetrieveAETitle (0008,0054): the AE title that was called. */
  retrieveAeTitle: string;
  /** Keys that cannot be matched or returned, from the catalog's first page. */
  unsupported: ReadonlySet<string>;
  /** What is added for a peer that is told so of what may be missing. */
  extend?(response: DicomJson): DicomJson;
}

/** Matches are continuing (FF00), or with one or more optional keys not supported (FF01). */
export function pendingStatus(unsupported: ReadonlySet<string>): number {
  return unsupported.size > 0 ? 0xff01 : 0xff00;
}

/** Every requested and supported key, without value where nothing is known; nothing that was not asked for beside the location. */
export function responseJson(match: DicomJson, context: ResponseContext): DicomJson {
  const json: DicomJson = {};
  for (const key of context.identifier.keys) {
    const found = match[key.tag];
    if (found) json[key.tag] = found;
    else if (!context.unsupported.has(key.tag)) json[key.tag] = { vr: key.vr };
  }
  if (context.identifier.level) json['00080052'] = { vr: 'CS', Value: [context.identifier.level] };
  json['00080054'] = { vr: 'AE', Value: [context.retrieveAeTitle] };
  // the catalog says where it is not all at hand
  json['00080056'] = match['00080056'] ?? { vr: 'CS', Value: ['ONLINE'] };
  return context.extend ? context.extend(json) : json;
}

/** In the character set of the request where all values fit, else in ISO_IR 192 (PS3.4 C.4.1.1.3.2, PS3.5 6.1.2.3). */
export function encodeResponse(match: DicomJson, context: ResponseContext): Buffer {
  const json = responseJson(match, context) as EncodableJson;
  return writeDataset(json, context.transferSyntaxUid, context.identifier.charset);
}
