import { lookupTag } from './dictionary';
import { isGroupLengthTag, isPrivateTag, type Tag } from './tag';

/** Why an element may not be shown with another value than its own. */
export type OverlayObstacle =
  'identifies-instance' | 'file-meta' | 'pixel-description' | 'written-by-encoder' | 'private' | 'unknown';

/** What says how the elements themselves are written, or is written by whoever changes them. */
const ENCODER = new Set<Tag>([
  0x00080001, // LengthToEnd
  0x00080005, // SpecificCharacterSet
  0x04000561, // OriginalAttributesSequence
  0x4ffe0001, // MACParametersSequence
  0xfffafffa, // DigitalSignaturesSequence
  0xfffcfffc, // DataSetTrailingPadding
]);

/** Elements of group 0028 that change how an image is looked at, not what its bytes mean (PS3.3 C.7.6.3, C.11.2). */
const DISPLAY = new Set<Tag>([
  0x00280301, // BurnedInAnnotation
  0x00280302, // RecognizableVisualFeatures
  0x00281050, // WindowCenter
  0x00281051, // WindowWidth
  0x00281055, // WindowCenterWidthExplanation
]);

/**
 * Whether a value other than the stored one may be shown for an element; undefined when it may. UIDs never: they tie
 * objects, requests and references together. Nor what pixel bytes mean (groups 0028, 60xx, 7FE0), nor private elements.
 */
export function overlayObstacle(tag: Tag): OverlayObstacle | undefined {
  const group = tag >>> 16;
  if (group < 0x0008) return 'file-meta';
  if (isGroupLengthTag(tag) || ENCODER.has(tag >>> 0)) return 'written-by-encoder';
  if (isPrivateTag(tag)) return 'private';
  if (group === 0x7fe0 || (group >= 0x6000 && group <= 0x60ff) || (group >= 0x5000 && group <= 0x50ff)) {
    return 'pixel-description';
  }
  if (group === 0x0028 && !DISPLAY.has(tag >>> 0)) return 'pixel-description';
  const entry = lookupTag(tag);
  if (!entry) return 'unknown';
  return entry.vr === 'UI' ? 'identifies-instance' : undefined;
}
